from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.local import records


def test_a_record_reads_back_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    records.write(path, {"token": "x"})
    assert records.read(path) == {"token": "x"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "null"])
def test_what_is_not_a_record_is_empty(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    assert records.read(path) == {}
