"""The reference blueprint in each of its stacks, and where prod would really go."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlinfra.checks import run_checks
from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.stack import AwsTarget, KubeconfigTarget, Stack, load_stack
from mlinfra.workflow.compile import compile_stack

HERE = Path(__file__).parent
EKS = AwsTarget(kind="aws", account="111122223333", region="eu-west-1", cluster="ml-prod")
CASES: list[tuple[str, str, AwsTarget | None]] = [
    ("recommender.dev", "dev", None),
    ("recommender.staging", "staging", None),
    ("recommender.prod", "prod", None),
    ("recommender.prod.aws", "prod", EKS),
]


def stack(project: Project, name: str, target: AwsTarget | None) -> Stack:
    loaded = load_stack(project, name)
    return loaded.with_target(target) if target else loaded


@pytest.mark.parametrize(("golden", "name", "target"), CASES, ids=[case[0] for case in CASES])
def test_graph(
    project: Project, matches: Callable[[Path, str], None], golden: str, name: str, target: AwsTarget | None
) -> None:
    compiled = compile_stack(project, stack(project, name, target))
    matches(HERE / f"{golden}.json", compiled.graph.dumps(sources=False))
    assert compiled.warnings == ()


@pytest.mark.parametrize(("golden", "name", "target"), CASES, ids=[case[0] for case in CASES])
def test_every_token_input_and_name_holds(project: Project, golden: str, name: str, target: AwsTarget | None) -> None:
    compiled = compile_stack(project, stack(project, name, target))
    assert run_checks(compiled.graph) == []
    assert Graph.from_json(compiled.graph.to_json(reveal=True)) == compiled.graph


def test_without_aws_every_bucket_wants_a_place_in_the_cluster(project: Project) -> None:
    target = KubeconfigTarget(kind="kubeconfig", path="kubeconfig")
    with pytest.raises(MlinfraError) as raised:
        compile_stack(project, load_stack(project, "prod").with_target(target))
    told = raised.value.diagnostics
    assert {item.component for item in told if item.code == "bucket-cluster"} == {"data", "models"}
    assert {item.component for item in told if item.code == "bucket-in-cluster"} == {"data"}, "it is confidential"
    assert all(item.location and item.location.file == "blueprints/recommender.py" for item in told if item.component)


def test_environments_differ_in_more_than_a_number(project: Project) -> None:
    graphs = {name: compile_stack(project, load_stack(project, name)).graph for name in ("dev", "staging", "prod")}
    assert "fit/template" not in graphs["dev"].nodes
    assert "fit/template" in graphs["staging"].nodes
    types = {name: {pool.instance_type for pool in graph.pools} for name, graph in graphs.items()}
    assert len({frozenset(item) for item in types.values()}) == 3
    protected = {name for name, node in graphs["prod"].nodes.items() if node.options.protect}
    assert protected == {"data/bucket", "data/key", "data/logs-bucket", "models/bucket", "train/repository"}
    assert not any(node.options.protect for node in graphs["dev"])


SURROUNDINGS = [
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LANG": "C.UTF-8", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LANG": "de_DE.UTF-8"},
]
PROGRAM = """
import hashlib, sys
from pathlib import Path
from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack
project = Project(Path(sys.argv[1]))
for name in ("dev", "staging", "prod"):
    text = compile_stack(project, load_stack(project, name)).graph.dumps(sources=False)
    print(name, hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=[item["LANG"] for item in SURROUNDINGS])
def test_the_same_bytes_everywhere(project: Project, tmp_path: Path, surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(project.root)],
        env={**os.environ, **surroundings, "PYTHONPATH": str(project.root)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = {name: (HERE / f"recommender.{name}.json").read_bytes() for name in ("dev", "staging", "prod")}
    assert done.stdout.splitlines() == [f"{name} {hashlib.sha256(text).hexdigest()}" for name, text in known.items()]
