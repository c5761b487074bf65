from __future__ import annotations

import gzip
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlinfra.serving import request_log
from mlinfra.serving.request_log import RequestLog
from mlinfra.serving.sinks import S3, Folder, sink_of
from tests.serving.conftest import lines

NOON = datetime(2026, 11, 21, 12, 59, 59, tzinfo=UTC)


class Sink:
    """Keeps what is put, fails while `failing`, and waits while `blocked`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tries: list[str] = []
        self.failing = False
        self.open = threading.Event()
        self.open.set()

    def write(self, name: str, body: bytes) -> None:
        self.tries.append(name)
        self.open.wait(60)
        if self.failing:
            raise OSError("no space left on device")
        self.files[name] = body

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def written(self) -> list[bytes]:
        return [line for body in self.files.values() for line in gzip.decompress(body).splitlines()]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(request_log, "_LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(request_log, "_CLOSING_PAUSE", 0.01)


def log(sink: Any, dropped: list[int] | None = None, **more: Any) -> RequestLog:
    counted = dropped.append if dropped is not None else lambda count: None
    return RequestLog(sink, "api", "api-0", dropped=counted, **{"flush_seconds": 3600, **more})


def test_what_was_put_is_written_at_the_end(sink: Sink) -> None:
    dropped: list[int] = []
    it = log(sink, dropped)
    for number in range(100):
        it.put(b'{"n":%d}\n' % number, NOON)
    it.close()
    [(name, body)] = sink.files.items()
    assert name.startswith("api/date=2026-11-21/12-api-0-")
    assert [record["n"] for record in lines(body)] == list(range(100))
    assert dropped == []


def test_a_flush_has_an_object_for_each_hour(sink: Sink) -> None:
    it = log(sink)
    it.put(b"1\n", NOON)
    it.put(b"2\n", NOON + timedelta(seconds=1))
    it.put(b"3\n", NOON.astimezone())
    assert it.flush()
    assert {name.rpartition("-api")[0]: lines(body) for name, body in sink.files.items()} == {
        "api/date=2026-11-21/12": [1, 3],
        "api/date=2026-11-21/13": [2],
    }
    it.put(b"4\n", NOON)
    it.close()
    assert len(sink.files) == 3


def test_a_full_batch_is_written_by_itself(sink: Sink) -> None:
    it = log(sink, flush_bytes=40)
    for _ in range(4):
        it.put(b"123456789\n", NOON)
    with it._wake:
        assert it._wake.wait_for(lambda: not it._held, 30)
    assert len(sink.written()) == 4
    it.close()


def test_a_batch_is_written_when_its_time_has_come(sink: Sink) -> None:
    it = log(sink, flush_seconds=0.05)
    for _ in range(2):
        it.put(b"1\n", NOON)
        with it._wake:
            assert it._wake.wait_for(lambda: not it._held, 30)
    assert sink.written() == [b"1", b"1"]
    it.close()


def test_what_a_sink_refuses_is_tried_again_under_the_same_name(sink: Sink) -> None:
    dropped: list[int] = []
    it = log(sink, dropped)
    sink.failing = True
    it.put(b"1\n", NOON)
    assert not it.flush(timeout=0.2)
    sink.failing = False
    it.put(b"2\n", NOON)
    assert it.flush()
    assert sorted(sink.written()) == [b"1", b"2"]
    assert set(sink.tries) == set(sink.files)
    assert len(sink.tries) > 2
    it.close()
    assert dropped == []


def test_memory_is_bounded_while_the_sink_is_down(sink: Sink) -> None:
    dropped: list[int] = []
    it = log(sink, dropped, flush_bytes=100, most_bytes=1000)
    sink.failing = True
    for number in range(150):
        it.put(b"%09d\n" % number, NOON)
    assert sum(dropped) == 50
    assert it._held == 1000
    it.close(timeout=0.2)
    assert sum(dropped) == 150
    assert it._held == 0
    assert sink.files == {}
    it.put(b"too late\n", NOON)
    assert sum(dropped) == 151


def test_a_sink_that_hangs_holds_up_neither_requests_nor_the_end(sink: Sink) -> None:
    dropped: list[int] = []
    it = log(sink, dropped, flush_bytes=10)
    sink.open.clear()
    for _ in range(5):
        it.put(b"123456789\n", NOON)
    it.close(timeout=0.1)
    assert sum(dropped) == 5
    sink.open.set()


def test_a_line_larger_than_the_memory_is_dropped(sink: Sink) -> None:
    dropped: list[int] = []
    it = log(sink, dropped, flush_bytes=10, most_bytes=10)
    it.put(b"x" * 11, NOON)
    it.put(b"1\n", NOON)
    it.close()
    assert sum(dropped) == 1
    assert sink.written() == [b"1"]


def test_requests_of_many_threads(sink: Sink) -> None:
    it = log(sink, flush_bytes=200)
    threads = [
        threading.Thread(target=lambda start=start: [it.put(b"%d\n" % n, NOON) for n in range(start, start + 200)])
        for start in range(0, 1600, 200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    it.close()
    assert sorted(map(int, sink.written())) == list(range(1600))
    assert len(sink.files) > 1


def test_closing_twice_and_without_a_line(sink: Sink) -> None:
    it = log(sink)
    assert it.flush()
    it.close()
    it.close()
    assert sink.tries == []


@pytest.mark.parametrize("wrong", [{"flush_seconds": 0}, {"flush_bytes": 0}, {"flush_bytes": 10, "most_bytes": 5}])
def test_bounds_that_make_no_sense_are_refused(sink: Sink, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="flush_bytes"):
        log(sink, **wrong)


def test_the_pods_name_is_one_part_of_the_objects_name(sink: Sink) -> None:
    it = RequestLog(sink, "api", "a/b c", flush_seconds=60)
    it.put(b"1\n", NOON)
    it.close()
    assert next(iter(sink.files)).startswith("api/date=2026-11-21/12-a-b-c-")


def test_a_folder_has_whole_files_only(tmp_path: Path) -> None:
    it = log(sink_of(f"file://{tmp_path}/log"))
    it.put(b'"one"\n', NOON)
    it.close()
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert lines(path.read_bytes()) == ["one"]
    assert isinstance(sink_of(tmp_path), Folder)


def test_s3(s3: Any) -> None:
    place = sink_of("s3://logs/requests/")
    it = log(place)
    it.put(b'"one"\n', NOON)
    it.close()
    [item] = s3.list_objects_v2(Bucket="logs")["Contents"]
    assert item["Key"].startswith("requests/api/date=2026-11-21/12-api-0-")
    assert place.read("none") is None
    place.write("a", b"b")
    assert place.read("a") == b"b"


def test_a_bucket_that_is_not_there_costs_records_and_nothing_else(s3: Any) -> None:
    dropped: list[int] = []
    it = log(S3("s3://gone/requests"), dropped)
    it.put(b"1\n", NOON)
    it.close(timeout=2)
    assert sum(dropped) == 1


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://example.com", "s3://"])
def test_places_that_are_none(uri: str) -> None:
    with pytest.raises(ValueError, match=r"neither|names no bucket"):
        sink_of(uri)


def test_s3_without_boto3_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(ModuleNotFoundError, match="pip install boto3"):
        sink_of("s3://logs/requests")
