"""Whether what a run is made from is what the blueprint says now, and what the last update left."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mlinfra.graph import Document, Graph, Kind, Node, Ref, Secret, join
from mlinfra.workflow.run_job_pending import drifted, pending
from mlinfra.workflow.runs_access import Job

JOB = Job("fit", "fit", "ns", "fit", "fit/template")
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "abc"}


def graph(**env: Any) -> Graph:
    values = {
        "IMAGE": "one",
        "URI": join("s3://", Ref("data/bucket", ("bucket",)), "/x"),
        "ACCOUNT": Ref("account", ("accountId",)),
        **env,
    }
    container = {"env": [{"name": key, "value": item} for key, item in sorted(values.items())]}
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    nodes = [
        Node("data/bucket", "aws:s3/bucket:Bucket", {"bucket": "b"}, component="data"),
        Node("account", "aws:index/getCallerIdentity:getCallerIdentity", {}, Kind.LOOKUP),
        Node(
            "fit/template", "kubernetes:batch/v1:CronJob", {"metadata": {"name": "fit"}, "spec": spec}, component="fit"
        ),
        Node(
            "fit/config",
            "kubernetes:core/v1:ConfigMap",
            {"data": {"config.json": Document({"lr": 0.1})}},
            component="fit",
        ),
        Node("fit/service-account", "kubernetes:core/v1:ServiceAccount", {"metadata": {"name": "x"}}, component="fit"),
        Node("fit", "mlinfra:component:TrainingJob", {}, Kind.COMPONENT),
    ]
    return Graph("b", "1.0.0", "dev", {node.name: node for node in nodes})


def urn(name: str, token: str) -> str:
    return f"urn:pulumi:dev::b::{token}::{name}"


def resources() -> list[dict[str, Any]]:
    """The state after an `up` of the graph."""
    names = {"ACCOUNT": "111122223333", "IMAGE": "one", "URI": "s3://b/x"}
    container = {"env": [{"name": key, "value": item} for key, item in names.items()]}
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    return [
        {"urn": urn("data/bucket", "aws:s3/bucket:Bucket"), "id": "b", "outputs": {"bucket": "b"}},
        {
            "urn": urn("fit/template", "kubernetes:batch/v1:CronJob"),
            "id": "ns/fit",
            "inputs": {"metadata": {"name": "fit", "labels": {"version": "0.9"}}, "spec": spec},
            "outputs": {"metadata": {"generation": 3.0}},
        },
        {
            "urn": urn("fit/config", "kubernetes:core/v1:ConfigMap"),
            "id": "ns/fit-config",
            "inputs": {"data": {"config.json": '{"lr": 0.1}'}},
            "outputs": {},
        },
    ]


def test_after_an_up_nothing_is_pending() -> None:
    assert pending(graph(), JOB, resources()) == [], "what is looked up is not known, and labels do not count"


@pytest.mark.parametrize(
    ("declared", "changed"),
    [
        (graph(IMAGE="two"), ["fit/template"]),
        (graph(MORE="x"), ["fit/template"]),
        (graph(URI="s3://c/x"), ["fit/template"]),
        (graph(IMAGE=Secret("two")), []),
    ],
)
def test_what_the_blueprint_says_otherwise_is_pending(declared: Graph, changed: list[str]) -> None:
    assert pending(declared, JOB, resources()) == changed


def test_values_of_other_resources_count() -> None:
    state = resources()
    state[0]["outputs"]["bucket"] = "another"
    assert pending(graph(), JOB, state) == ["fit/template"]


def test_a_config_counts_and_so_does_what_is_new() -> None:
    state = resources()
    state[2]["inputs"]["data"]["config.json"] = '{"lr": 0.2}'
    assert pending(graph(), JOB, state) == ["fit/config"]
    assert pending(graph(), JOB, state[:2]) == ["fit/config"]


def test_of_secrets_nothing_is_told() -> None:
    state = copy.deepcopy(resources())
    state[0]["outputs"]["bucket"] = SECRET
    containers = state[1]["inputs"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    containers[0]["env"][2]["value"] = SECRET
    assert pending(graph(), JOB, state) == []


@pytest.mark.parametrize(("generation", "changed"), [(3, False), (4, True), (None, False)])
def test_a_template_that_somebody_changed_has_another_generation(generation: int | None, changed: bool) -> None:
    live = {"metadata": {"generation": generation} if generation else {}}
    assert drifted(JOB, resources(), live) is changed
    assert drifted(JOB, [], live) is False
