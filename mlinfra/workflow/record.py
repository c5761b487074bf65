"""The history of each stack: who ran what, when, and what came of it. One JSON object a line, only ever appended."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from mlinfra.report import Report
from mlinfra.workflow.lock import user_name
from mlinfra.workflow.request import Request


def record(request: Request, report: Report) -> None:
    """Append a run to the stack's history, `.mlinfra/history/<stack>.jsonl`."""
    fields = {
        "blueprint": report.blueprint,
        "environment": report.environment,
        "target": report.target,
        "succeeded": report.succeeded,
        "interrupted": report.interrupted,
        "counts": {str(key): value for key, value in report.counts.items()},
        "steps": [[str(step.operation), step.node, step.type] for step in report.steps],
        "seconds": round(report.seconds, 3),
    }
    append(request, report.verb, fields)


def append(request: Request, verb: str, fields: Mapping[str, Any]) -> None:
    """Append what somebody did to the stack's history, with when it was and who did it."""
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "verb": verb,
        "user": user_name(),
        "host": socket.gethostname(),
        **fields,
    }
    path = request.project.folder("history") / f"{request.state_name}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
