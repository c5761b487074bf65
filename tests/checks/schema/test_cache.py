from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlinfra.checks.schema import Catalog
from mlinfra.checks.schema.cache import FORMAT, Cache
from mlinfra.graph import Kind

TOPIC = "aws:sns/topic:Topic"


def test_what_was_put_is_read_by_the_next(tmp_path: Path) -> None:
    first = Cache(tmp_path / "deep" / "a.json")
    first.put("schemas", "x", [1])
    first.save()

    assert Cache(first.path).get("schemas", "x") == [1]
    assert [path.name for path in first.path.parent.iterdir()] == ["a.json"]


def test_two_that_save_in_turn_keep_what_both_added(tmp_path: Path) -> None:
    first, second = Cache(tmp_path / "a.json"), Cache(tmp_path / "a.json")
    first.put("schemas", "x", [1])
    assert second.get("schemas", "x") is None
    second.put("objects", "y", {"z": ["string"]})
    first.save()
    second.save()

    read = Cache(tmp_path / "a.json")
    assert (read.get("schemas", "x"), read.get("objects", "y")) == ([1], {"z": ["string"]})


WRITER = """
import sys
from pathlib import Path
from mlinfra.checks.schema.cache import Cache

for turn in range(20):
    cache = Cache(Path(sys.argv[1]))
    cache.put("schemas", f"{sys.argv[2]}-{turn}", ["x" * 1000])
    cache.save()
"""


def test_a_file_is_whole_while_several_processes_write_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(2)]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert orjson.loads(path.read_bytes())["format"] == FORMAT
        time.sleep(0.005)

    assert [writer.returncode for writer in writers] == [0, 0]
    assert {"0-19", "1-19"} & set(Cache(path).names("schemas"))


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "a.json")
    cache.put("schemas", "x", [1])
    cache.save()

    assert cache.get("schemas", "x") == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        orjson.dumps({"format": FORMAT + 1, "schemas": {}, "objects": {}, "tokens": {}}),
        orjson.dumps({"format": FORMAT, "schemas": []}),
        orjson.dumps({"format": FORMAT, "objects": {}, "tokens": {}, "schemas": {f"{Kind.RESOURCE}:{TOPIC}": 7}}),
        orjson.dumps({"format": FORMAT, "objects": {}, "tokens": {"resources": 1}, "schemas": {}}),
        orjson.dumps(
            {
                "format": FORMAT,
                "objects": {},
                "tokens": {},
                "schemas": {f"{Kind.RESOURCE}:{TOPIC}": [TOPIC, {"a": ["x"]}, {}, [], [], "", 0]},
            }
        ),
    ],
)
def test_a_damaged_cache_is_derived_again(tmp_path: Path, content: bytes) -> None:
    path = _cache_path(tmp_path)
    path.write_bytes(content)

    catalog = Catalog(tmp_path)
    schema = _topic(catalog)
    catalog.save()

    assert "fifoTopic" in schema.inputs
    assert _topic(Catalog(tmp_path)) == schema
    assert f"{Kind.RESOURCE}:{TOPIC}" in orjson.loads(path.read_bytes())["schemas"]


def test_a_schema_reads_back_as_it_was(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    derived = _topic(catalog)
    catalog.save()

    assert _topic(Catalog(tmp_path)) == derived


def _topic(catalog: Catalog) -> Any:
    sdk = catalog.sdk(TOPIC)
    assert sdk is not None
    return sdk.find(Kind.RESOURCE, TOPIC)


def _cache_path(folder: Path) -> Path:
    sdk = Catalog(folder).sdk(TOPIC)
    assert sdk is not None
    return sdk.cache.path
