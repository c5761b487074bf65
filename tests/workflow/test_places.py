"""A stack whose state is in another place than its file says is not run: everything would be made twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from mlinfra.workflow.places import refuse_elsewhere, using_state
from mlinfra.workflow.request import Request

STACK = """\
blueprint: small
environment: {{name: dev, tier: dev}}
owner: {{team: tests, cost_center: none}}
state: {{backend: {backend}}}
"""
URN = "urn:pulumi:dev::small::aws:sns/topic:Topic::topic/resource"
DEPLOYMENT = {"manifest": {}, "resources": [{"urn": URN, "custom": True, "type": "aws:sns/topic:Topic", "id": "t"}]}


def in_files(project: Project, deployment: dict[str, Any], tags: dict[str, str] | None = None) -> None:
    path = project.folder("state", ".pulumi", "stacks", "small") / "dev.json"
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": deployment}}))
    path.with_name("dev.pulumi-tags").write_text(json.dumps({"version": 1, "tags": tags or {}}))


def in_service(project: Project, deployment: dict[str, Any]) -> None:
    with states_of(project) as states:
        states.replace("small", "dev", Untyped(deployment=deployment), "put")


def refused(project: Project) -> str:
    """The code of the refusal; empty when the stack may run."""
    stack = load_stack(project, "dev")
    request = Request(project, "dev")
    with using_state(request, stack, binary=Path("/nonexistent/pulumi")) as session:
        try:
            refuse_elsewhere(request, stack, session)
        except MlinfraError as error:
            [told] = error.diagnostics
            if told.code == "state-elsewhere":
                assert "mlinfra state move --stack dev --from" in told.remedy
                assert str(told.location) == "stacks/dev.yaml:4"
            return told.code
    return ""


@pytest.mark.parametrize("named", ["files", "service"])
def test_a_stack_that_is_nowhere_may_run(project: Any, named: str) -> None:
    made = project({"dev": STACK.format(backend=named)})
    assert refused(made) == ""
    other = made.home / "state" / ("state.db" if named == "files" else ".pulumi")
    assert not other.exists(), "looking has made something"


@pytest.mark.parametrize("named", ["files", "service"])
def test_a_stack_that_is_in_the_other_place_alone_is_refused(project: Any, named: str) -> None:
    made = project({"dev": STACK.format(backend=named)})
    put, put_here = (in_service, in_files) if named == "files" else (in_files, in_service)
    put(made, DEPLOYMENT)
    assert refused(made) == "state-elsewhere"
    put_here(made, {"manifest": {}, "resources": []})
    assert refused(made) == "state-elsewhere"
    put_here(made, DEPLOYMENT)
    assert refused(made) == ""


def test_what_was_destroyed_or_moved_there_is_no_hindrance(project: Any) -> None:
    made = project({"dev": STACK.format(backend="service")})
    in_files(made, {"manifest": {}, "resources": []})
    assert refused(made) == ""
    in_files(made, DEPLOYMENT, {"mlinfra:moved-to": "service"})
    assert refused(made) == ""
    in_files(made, DEPLOYMENT, {"mlinfra:moved-to": ""})
    assert refused(made) == "state-elsewhere"


def test_a_place_that_was_moved_away_from_is_refused(project: Any) -> None:
    made = project({"dev": STACK.format(backend="files")})
    in_files(made, DEPLOYMENT, {"mlinfra:moved-to": "service"})
    assert refused(made) == "state-moved"
