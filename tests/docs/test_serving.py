"""What docs/serving.md shows: its blueprint with each piece compiles without a problem, and its model server serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import Compiled, compile_stack
from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.pieces import put_in

SHOWN = list(blocks((ROOT / "docs" / "serving.md").read_text(encoding="utf-8")))
WHOLE, SERVER, *PIECES = [block for block in SHOWN if block.language == "python"]
STACK, *PARAMS = [block for block in SHOWN if block.language == "yaml"]


def text(block: Block) -> str:
    return "\n".join(block.lines)


def params(piece: Block | None) -> dict[str, Any]:
    """The parameters of the stack, with those that the document shows between this piece and the next."""
    found = dict(yaml.safe_load(text(STACK))["params"])
    if piece:
        end = min((item.line for item in PIECES if item.line > piece.line), default=10**6)
        for block in PARAMS:
            found |= yaml.safe_load(text(block))["params"] if piece.line < block.line < end else {}
    return found


def compiled(folder: Path, piece: Block | None, **changes: Any) -> Compiled:
    """The stack of the document with one piece in its blueprint."""
    for name in ("blueprints", "stacks"):
        (folder / name).mkdir()
    source = put_in(text(WHOLE), text(piece)) if piece else text(WHOLE)
    (folder / "blueprints" / "ranker.py").write_text(source, encoding="utf-8")
    stack = {**yaml.safe_load(text(STACK)), "params": params(piece) | changes}
    (folder / "stacks" / "ranker-dev.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    project = Project(folder)
    return compile_stack(project, load_stack(project, "ranker-dev"))


@pytest.mark.parametrize("version", [None, "1"])
def test_the_blueprint_waits_for_its_first_version(tmp_path: Path, version: str | None) -> None:
    made = compiled(tmp_path, None, version=version)
    assert [item.code for item in made.warnings] == ([] if version else ["endpoint-waits"])
    assert ("api/deployment" in made.graph.nodes) is (version is not None)


@pytest.mark.parametrize("piece", PIECES, ids=[f"line {block.line}" for block in PIECES])
def test_every_piece_has_its_place(tmp_path: Path, piece: Block) -> None:
    made = compiled(tmp_path, piece, version="1")
    assert made.warnings == ()


BEFORE = """
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

features, model = {"age": 41}, SimpleNamespace(predict=lambda features: 0.5)

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]
"""
AFTER = """
served.labelled(seen.request_id, 0.5)
asked = {"PATH_INFO": "/predict"}
setup_testing_defaults(asked)
assert b"".join(app(asked, lambda *answer: None)) == b"fine"
asked["PATH_INFO"] = "/metrics"
print(b"".join(app(asked, lambda *answer: None)).decode())
"""


def test_the_server_has_its_metrics_in_three_lines() -> None:
    code = f"{BEFORE}\n{text(SERVER)}\n{AFTER}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    given = {line.partition("{")[0].partition(" ")[0] for line in ran.stdout.splitlines() if not line.startswith("#")}
    wanted = {"http_requests_total", "http_request_duration_seconds_bucket", "model_latency_seconds_count"}
    assert wanted | {"model_info", "model_accuracy"} <= given
