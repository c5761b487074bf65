"""Logs that are read again where a connection was lost: no line twice, and none left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.runs import JobPod, JobRun, LogLine, Phase
from mlinfra.workflow import runs_logs
from mlinfra.workflow.runs_logs import AT_ONCE, Logs, single
from tests.workflow.run_objects import pod as pod_object

RUN = JobRun("fit-1", "fit", "ns", Phase.RUNNING)
POD = JobPod("fit-1-0", Phase.RUNNING, rank=0, part="0", container="train")


class Cluster:
    """A pod's log, which is given out in parts: each call ends by a lost connection after so many lines."""

    def __init__(self, lines: list[tuple[str, str]], breaks: list[int]) -> None:
        self.lines, self.breaks = lines, breaks
        self.asked: list[dict[str, Any]] = []

    def logs(self, namespace: str, pod: str, **asked: Any) -> Iterator[tuple[str, str]]:
        self.asked.append(asked)
        begin = asked["since"][:19]  # the server takes it for a whole second
        found = [line for line in self.lines if line[0][:19] >= begin][-asked["tail"] :]
        if not self.breaks:
            yield from found
            return
        yield from found[: self.breaks.pop(0)]
        raise UnreachableError("https://server", "reset")

    def get(self, *_: Any) -> Object:
        return pod_object("Running" if self.breaks else "Succeeded", code=None if self.breaks else 0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_logs, "_PAUSE", 0.0)


def read(cluster: Any, *pods: JobPod, tail: int = 0) -> tuple[Logs, list[LogLine]]:
    logs = Logs(cluster, RUN, tail=tail)
    for pod in pods or (POD,):
        logs.follow(pod)
    return logs, list(logs.rest())


def moment(second: int, part: int) -> str:
    return f"2026-11-21T10:00:{second:02}.{part:09}Z"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
)
def test_each_line_comes_once_however_often_the_connection_is_lost(
    times: list[tuple[int, int]], breaks: list[int]
) -> None:
    runs_logs._PAUSE = 0.0  # type: ignore[misc]
    lines = [(moment(*item), f"line {number}") for number, item in enumerate(sorted(times))]
    _, found = read(Cluster(lines, list(breaks)))
    assert [(line.time, line.text) for line in found] == lines


def test_a_line_says_whose_it_is() -> None:
    _, [line] = read(Cluster([(moment(0, 0), "hello")], []))
    assert line == LogLine("fit-1", "fit-1-0", "0", "hello", moment(0, 0), 0)
    assert single(RUN, line).part == ""
    assert single(JobRun("fit-1", "fit", "ns", Phase.RUNNING, wanted=2), line).part == "0"


def test_only_the_first_time_the_last_lines_alone_are_asked_for() -> None:
    cluster = Cluster([(moment(0, part), str(part)) for part in range(5)], [1])
    _, found = read(cluster, tail=2)
    assert [line.text for line in found] == ["3", "4"]
    assert [item["tail"] for item in cluster.asked] == [2, 0]
    assert cluster.asked[1]["follow"] is False, "the pod has ended in the meantime"


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.STARTING])
def test_a_pod_that_has_not_started_is_left_for_later(phase: Phase) -> None:
    cluster = Cluster([(moment(0, 0), "hello")], [])
    assert read(cluster, JobPod("fit-1-0", phase))[1] == []
    assert cluster.asked == []


class Refusing(Cluster):
    """A cluster that refuses the log of a pod, each time for another reason."""

    def __init__(self, *reasons: str) -> None:
        super().__init__([(moment(0, 0), "hello")], [])
        self.reasons = list(reasons)

    def logs(self, namespace: str, pod: str, **asked: Any) -> Iterator[tuple[str, str]]:
        if self.reasons:
            raise ApiError("GET", "/log", 400, {"message": self.reasons.pop(0)})
        yield from super().logs(namespace, pod, **asked)


def test_a_container_that_was_about_to_start_is_asked_again() -> None:
    cluster = Refusing('container "train" in pod "fit-1-0" is waiting to start: ContainerCreating')
    logs = Logs(cluster, RUN)  # type: ignore[arg-type]
    found: list[LogLine] = []
    for _ in range(2):
        logs.follow(POD)
        found += logs.rest()
    assert [line.text for line in found] == ["hello"]
    assert logs.trouble is None


def test_a_log_that_cannot_be_had_is_noted() -> None:
    logs, found = read(Refusing("no logs found for container", "other"), POD, JobPod("fit-1-1", Phase.RUNNING))
    assert found == []
    assert logs.trouble is not None
    assert "no logs found" in str(logs.trouble)


def test_no_more_pods_are_followed_at_once_than_the_cluster_bears() -> None:
    gate: Iterator[int] = itertools.count()
    logs: Logs

    class Slow(Cluster):
        def logs(self, namespace: str, pod: str, **asked: Any) -> Iterator[tuple[str, str]]:
            next(gate)
            logs._stopped.wait(10)
            yield from ()

    logs = Logs(Slow([], []), RUN)  # type: ignore[arg-type]
    for number in range(AT_ONCE + 3):
        logs.follow(JobPod(f"fit-1-{number}", Phase.RUNNING))
    logs.stop()
    assert logs.left_out
    list(logs.rest())
    assert next(gate) == AT_ONCE
