"""Which jobs a stack has, and how its cluster is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Graph, Kind, Node, Ref
from mlinfra.workflow import runs_access
from mlinfra.workflow.request import Request
from mlinfra.workflow.runs_access import Job, jobs_of, opened_stage

BLUEPRINT = '''
from mlinfra import Blueprint, Environment, NodePool, Params, Ray, TrainingCluster, TrainingJob, blueprint

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


@blueprint("jobs", version="1.0.0")
def jobs(env: Environment, p: Params) -> Blueprint:
    """Three jobs, of which one has no image."""
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=8)
    train = TrainingCluster("train", pools=[pool])
    same = {"cluster": train, "pool": pool, "command": ["train"]}
    return Blueprint(
        TrainingJob("fit", moved_from="fit-model", image=IMAGE, **same),
        TrainingJob("tune", image=IMAGE, ray=Ray(workers=2), **same),
        TrainingJob("later", **same),
    )
'''
STACK = """\
blueprint: jobs
environment: {{name: dev, tier: dev}}
owner: {{team: tests, cost_center: none}}
target: {target}
"""
AWS = '{kind: aws, account: "111122223333", region: eu-west-1, cluster: research}'


def request(project: Any, target: str = "{kind: local}") -> Request:
    return Request(project({"dev": STACK.format(target=target)}, {"jobs": BLUEPRINT}), "dev")


def test_the_jobs_of_a_stack(project: Any) -> None:
    with opened_stage(request(project)) as stage:
        assert stage.jobs == {
            "fit": Job("fit", "fit-model", "jobs-dev-train", "fit-model", "fit/template"),
            "tune": Job("tune", "tune", "jobs-dev-train", "tune-template", "tune/template", ray=True),
        }
        assert stage.local


def test_other_templates_are_no_jobs() -> None:
    nodes = [
        Node("a/template", "kubernetes:core/v1:ConfigMap", {"metadata": {"name": "a"}}, component="a"),
        Node("b/other", "kubernetes:batch/v1:CronJob", {"metadata": {"name": "b"}}, component="b"),
        Node("c/template", "aws:s3/bucket:Bucket", {}, component="c"),
        Node("d/template", "kubernetes:batch/v1:CronJob", {"metadata": {"name": "d"}}, Kind.LOOKUP, component="d"),
    ]
    assert jobs_of(Graph("b", "1.0.0", "dev", {node.name: node for node in nodes})) == []


def test_a_namespace_may_be_named_by_another_node() -> None:
    nodes = [
        Node("team/namespace", "kubernetes:core/v1:Namespace", {"metadata": {"name": "search"}}, component="team"),
        Node(
            "fit/template",
            "kubernetes:batch/v1:CronJob",
            {
                "metadata": {
                    "name": "fit",
                    "namespace": Ref("team/namespace", ("metadata", "name")),
                    "labels": {"mlinfra.dev/component": "fit"},
                }
            },
            component="fit",
        ),
    ]
    [job] = jobs_of(Graph("b", "1.0.0", "dev", {node.name: node for node in nodes}))
    assert job.namespace == "search"


def test_a_local_target_that_does_not_run_is_told(project: Any) -> None:
    with opened_stage(request(project)) as stage, pytest.raises(MlinfraError) as error:
        stage.cluster(stage.job("fit"))
    assert error.value.diagnostics[0].code == "local-stopped"


class Session:
    """A state with these resources."""

    def __init__(self, *resources: dict[str, Any]) -> None:
        self._resources = resources

    def whole(self) -> list[dict[str, Any]]:
        return list(self._resources)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


def provider(name: str, kubeconfig: Any) -> dict[str, Any]:
    token = "pulumi:providers:kubernetes"
    return {"urn": f"urn:pulumi:dev::jobs::{token}::{name}", "type": token, "inputs": {"kubeconfig": kubeconfig}}


def kubeconfig(command: str) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"exec": {"command": command, "args": []}}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        ([], "run-no-cluster", "Bring it up first: mlinfra up --stack dev"),
        ([provider("@other", kubeconfig("true"))], "run-no-cluster", "nothing is known yet"),
        ([provider("@kubernetes", {"ciphertext": "x"})], "run-no-cluster", "kept encrypted"),
        ([provider("@kubernetes", kubeconfig("no-such-program"))], "run-no-login", "'no-such-program'"),
        ([provider("@kubernetes", "broken: [")], "kubeconfig-invalid", "cannot be used"),
    ],
)
def test_on_aws_the_way_to_the_cluster_is_in_the_state_or_it_is_said_what_is_missing(
    state: list[dict[str, Any]], code: str, says: str, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_access, "reading_state", lambda *_: Session(*state))
    with opened_stage(request(project, AWS)) as stage, pytest.raises(MlinfraError) as error:
        stage.cluster(stage.job("fit"))
    (item,) = error.value.diagnostics
    assert item.code == code
    assert says in f"{item.summary} {item.detail} {item.remedy}"


def test_each_job_is_in_the_cluster_of_its_provider(
    project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = [provider("@kubernetes", kubeconfig("true"))]
    monkeypatch.setattr(runs_access, "reading_state", lambda *_: Session(*state))
    with opened_stage(request(project, AWS)) as stage:
        cluster = stage.cluster(stage.job("fit"))
        assert cluster.server == "http://127.0.0.1:1"
        assert stage.cluster(stage.job("tune")) is cluster
        nodes = dict(stage.compiled.graph.nodes)
        assert nodes["fit/template"].options.provider == "@kubernetes"


def test_a_kubeconfig_is_the_stacks_own(project: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig("true"))
    with opened_stage(request(project, f"{{kind: kubeconfig, path: {path}}}")) as stage:
        assert not stage.local
        assert stage.cluster(stage.job("fit")).server == "http://127.0.0.1:1"
