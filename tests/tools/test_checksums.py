from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.tools.checksums import sha256, sum_for

ONE, TWO = "1" * 64, "a" * 64


@pytest.mark.parametrize(
    ("listing", "file", "wanted"),
    [
        (f"{ONE}  tool.tar.gz\n{TWO}  other.tar.gz\n", "other.tar.gz", TWO),
        (f"{TWO.upper()} *tool.tar.gz\n", "tool.tar.gz", TWO),
        (f"{ONE}  ./dist/tool\n", "tool", ONE),
        (ONE, "anything", ONE),
        (f"{ONE}\n", "anything", ONE),
        (f"{ONE}  other\n", "tool", None),
        (f"{ONE}\n{TWO}\n", "tool", None),
        ("<html>not here</html>", "tool", None),
        ("", "tool", None),
        ("1234  tool", "tool", None),
        (json.dumps({"assets": [{"name": "tool", "digest": f"sha256:{TWO}"}]}), "tool", TWO),
        (json.dumps({"assets": [{"name": "tool", "digest": None}]}), "tool", None),
        (json.dumps({"assets": [{"name": "tool", "digest": "sha512:" + "1" * 128}]}), "tool", None),
        (json.dumps({"assets": [{"name": "tool"}]}), "tool", None),
        (json.dumps({"message": "API rate limit exceeded"}), "tool", None),
        ("{broken", "tool", None),
    ],
)
def test_sum_for(listing: str, file: str, wanted: str | None) -> None:
    assert sum_for(listing, file) == wanted


@given(st.text())
def test_no_listing_is_too_odd(listing: str) -> None:
    found = sum_for(listing, "tool")
    assert found is None or len(found) == 64


@given(st.binary(max_size=2000))
def test_sha256_of_a_file(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        assert sha256(Path(file.name)) == hashlib.sha256(content).hexdigest()
