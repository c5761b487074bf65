"""The platform and what stands on it, in each of their stacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlinfra.checks import run_checks
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import Compiled, compile_stack
from mlinfra.workflow.imports import Imported

HERE = Path(__file__).parent
ENVIRONMENTS = ("dev", "staging", "prod")
STACKS = [f"{blueprint}-{name}" for blueprint in ("platform", "features", "starter") for name in ENVIRONMENTS]
NETWORK = {
    "vpc_id": "vpc-0123456789abcdef0",
    "cidr": "10.30.0.0/16",
    "private_subnet_ids": [f"subnet-0123456789abcdef{number}" for number in range(3)],
    "private_cidrs": ["10.30.0.0/19", "10.30.32.0/19", "10.30.64.0/19"],
}


def compiled(project: Project, name: str) -> Compiled:
    imported = {"network": Imported("stack platform", NETWORK)}
    return compile_stack(project, load_stack(project, name), imported=imported)


@pytest.mark.parametrize("name", STACKS)
def test_graph(project: Project, matches: Callable[[Path, str], None], name: str) -> None:
    found = compiled(project, name)
    matches(HERE / f"{name.replace('-', '.')}.json", found.graph.dumps(sources=False))
    assert found.warnings == ()


@pytest.mark.parametrize("name", STACKS)
def test_every_token_input_and_name_holds(project: Project, name: str) -> None:
    graph = compiled(project, name).graph
    assert run_checks(graph) == []
    assert Graph.from_json(graph.to_json(reveal=True)) == graph


def test_only_the_jobs_that_refer_to_events_can_use_their_key(project: Project) -> None:
    """Personal data: whoever is not named by the key's policy cannot read it, administrators included."""
    key = compiled(project, "features-prod").graph.nodes["events/key"].inputs["policy"].value
    named = str([item for item in key["Statement"] if "kms:Decrypt" in str(item)])
    assert "cut" in named
    assert "fill" not in named
