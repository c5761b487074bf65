"""Runs of training jobs in words: what a person reads of one, of its pods, and of many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.runs import JobPod, JobRun, Phase
from mlinfra.views.words import duration

COLORS = {
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.DEADLINE: "red",
    Phase.CANCELLED: "yellow",
    Phase.RETRYING: "yellow",
    Phase.RUNNING: "cyan",
}
COLUMNS = ("run", "name", "job", "state", "started", "took", "by", "settings")
POD_COLUMNS = ("pod", "rank", "state", "machine", "exit code", "why")


def state(run: JobRun) -> str:
    """How far it is: `running 2/4 ranks`, `waiting for a machine: 0/3 nodes are available: …`, `failed: …`."""
    match run.phase:
        case Phase.WAITING:
            text = "waiting for a machine"
        case Phase.STARTING:
            text = "starting: pulling its image" if not run.reason else "starting"
        case Phase.RUNNING:
            text = f"running {_counted(run)}".rstrip()
        case Phase.RETRYING:
            text = f"retrying, {run.failed} {'pod has' if run.failed == 1 else 'pods have'} failed"
        case Phase.FAILED if run.exit_code is not None:
            text = f"failed with exit code {run.exit_code}"
        case _:
            text = str(run.phase)
    if not run.reason:
        return text
    return f"{text} {run.reason}" if run.phase in (Phase.QUEUED, Phase.CANCELLED) else f"{text}: {run.reason}"


def _counted(run: JobRun) -> str:
    """How many of how many: all ranks of a run run at once, a sweep takes its pods a few at a time."""
    if run.kind == "RayJob":
        return f"{run.running}/{run.wanted} pods of its Ray cluster" if run.running else ""
    if run.wanted == 1:
        return ""
    if run.parallel >= run.wanted:
        return f"{run.running}/{run.wanted} ranks"
    return f"{run.running} pod{'' if run.running == 1 else 's'}, {run.succeeded}/{run.wanted} done"


def settings(found: Mapping[str, Any]) -> str:
    """`lr=0.1 layers=[1, 2]`, as `--set` takes them."""
    shown = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in found.values())
    return " ".join(f"{key}={item}" for key, item in zip(found, shown, strict=True))


def row(run: JobRun) -> dict[str, Any]:
    """A run in a table."""
    return {
        "run": run.name,
        "name": run.title,
        "job": run.job,
        "state": state(run),
        "started": moment(run.started or run.created),
        "took": duration(run.seconds) if run.started else "",
        "by": run.started_by,
        "settings": settings(run.settings),
    }


def facts(run: JobRun) -> list[tuple[str, str]]:
    """What there is to say of a run, without its pods."""
    found = [
        ("job", run.job),
        ("name", run.title),
        ("state", state(run)),
        ("made", " ".join(filter(None, (moment(run.created), f"by {run.started_by}" if run.started_by else "")))),
        ("started", moment(run.started)),
        ("ended", moment(run.ended)),
        ("took" if run.phase.ended else "runs for", duration(run.seconds) if run.started else ""),
        ("settings", settings(run.settings)),
        ("in", f"namespace {run.namespace}, {run.kind} {run.name}"),
    ]
    return [(name, text) for name, text in found if text]


def pods(found: Sequence[JobPod]) -> list[dict[str, Any]]:
    """A row for each pod."""
    return [
        {
            "pod": pod.name,
            "rank": pod.part,
            "state": str(pod.phase),
            "machine": pod.node,
            "exit code": "" if pod.exit_code is None else str(pod.exit_code),
            "why": pod.reason,
        }
        for pod in found
    ]


def moment(text: str) -> str:
    """A time as Kubernetes writes it, without its letters; UTC."""
    return text.replace("T", " ").removesuffix("Z")
