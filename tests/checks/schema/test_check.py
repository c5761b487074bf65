from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlinfra.checks.schema import check_schema
from mlinfra.graph import Graph, Kind, Node, from_json
from mlinfra.report import Event, State, Task

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/schema.yaml").read_text())
TOKENS = (
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:ray.io/v1:RayCluster",
    "kubernetes:core/v1:ConfigMap",
)
NAMES = st.sampled_from(
    [
        "bucket",
        "rules",
        "id",
        "status",
        "metadata",
        "name",
        "labels",
        "spec",
        "template",
        "data",
        "versioningConfiguration",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4)
        | st.builds(lambda parts: {"$join": parts}, st.lists(inner, max_size=2))
        | st.builds(lambda value: {"$json": value}, inner)
        | st.builds(lambda value: {"$secret": value}, inner)
        | st.builds(lambda value: {"$call": ["base64_encode", value]}, inner)
        | st.builds(lambda path: {"$ref": ["other", *path]}, st.lists(NAMES | st.integers(0, 2), max_size=3))
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases(case: dict[str, Any], make_graph: Any, assert_told: Any, schema_folder: Path) -> None:
    found = check_schema(make_graph(case), folder=schema_folder)

    assert_told(found, case.get("problems", []))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(TOKENS), st.dictionaries(NAMES, JSON, max_size=4), st.sampled_from(TOKENS))
def test_whatever_stands_in_the_inputs_is_told_and_never_raised(
    schema_folder: Path, token: str, inputs: dict[str, Any], other: str
) -> None:
    nodes = {"node": Node("node", token, from_json(inputs)), "other": Node("other", other)}

    found = check_schema(Graph("b", "1", "dev", nodes), folder=schema_folder)

    assert all(item.summary and item.code and item.resource in nodes for item in found)


def test_the_location_is_that_of_the_component(make_graph: Any, schema_folder: Path) -> None:
    nodes = {
        "store": {"type": "mlinfra:components:Bucket", "kind": "component"},
        "store-data": {"type": "aws:s3/bucket:Bucket", "component": "store", "inputs": {"buckt": "a"}},
    }

    (found,) = check_schema(make_graph({"nodes": nodes}), folder=schema_folder)

    assert (found.component, found.resource, str(found.location)) == ("store", "store-data", "blueprints/b.py:11")


def test_progress_is_told_while_types_are_derived_and_not_when_they_are_known(tmp_path: Path) -> None:
    nodes = {
        "a": Node("a", "aws:sns/topic:Topic"),
        "b": Node("b", "kubernetes:core/v1:ConfigMap", {"metadata": {"name": "a"}}),
        "me": Node("me", "aws:index/getCallerIdentity:getCallerIdentity", kind=Kind.LOOKUP),
    }
    graph = Graph("b", "1", "dev", nodes)
    cold: list[Event] = []
    warm: list[Event] = []

    check_schema(graph, cold.append, folder=tmp_path / "schema")
    check_schema(graph, warm.append, folder=tmp_path / "schema")

    assert all(isinstance(event, Task) for event in cold)
    tasks = [event for event in cold if isinstance(event, Task)]
    assert (tasks[0].state, tasks[-1].state) == (State.STARTED, State.DONE)
    assert len({task.name for task in tasks}) == 1
    assert any("pulumi_kubernetes" in task.detail for task in tasks)
    assert warm == []
