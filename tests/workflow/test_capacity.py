"""Capacity of a project's stack, as its files are: what `capacity` tells, and what `validate` refuses."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.aws import quotas
from mlinfra.workflow.capacity import capacity
from mlinfra.workflow.compile import compile_request
from mlinfra.workflow.request import Request
from tests.conftest import MakeProject

IMAGE = "registry.example.com/app@sha256:" + "ab" * 32
BLUEPRINT = f"""
from mlinfra import Autoscale, Blueprint, Endpoint, Environment, NodePool, Params, TrainingCluster, TrainingJob
from mlinfra import blueprint


class Values(Params):
    replicas: int = 2
    most: int = 4
    machines: int = 2
    pools: bool = True


@blueprint("shop", version="1.0.0")
def shop(env: Environment, p: Values) -> Blueprint:
    cpu = NodePool("cpu", instance_type="m6i.xlarge", min=1, max=p.machines)
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    cluster = TrainingCluster("train", pools=[cpu, gpu] if p.pools else [])
    api = Endpoint(
        "api", cluster=cluster, image="{IMAGE}", cpu=1.5, memory=2, pool=cpu if p.pools else None,
        scale=Autoscale(min=p.replicas, max=p.most),
    )
    jobs = [TrainingJob("fit", cluster=cluster, pool=gpu, gpus=2, image="{IMAGE}", command=["fit"])] if p.pools else []
    return Blueprint(api, *jobs)
"""
STACK = """\
blueprint: shop
environment: {{name: dev, tier: dev}}
owner: {{team: tests, cost_center: none}}
target: {target}
params: {params}
"""
AWS = '{kind: aws, account: "111122223333", region: eu-west-1, cluster: ml}'


def request(project: MakeProject, params: dict[str, Any], target: str = "{kind: local}") -> Request:
    stack = STACK.format(target=target, params=str(params).replace("True", "true").replace("False", "false"))
    return Request(project({"dev": stack}, {"shop": BLUEPRINT}), "dev")


def codes(problems: Any) -> list[str]:
    return [f"{item.severity}:{item.code}" for item in problems]


def test_a_stack_that_fits(project: MakeProject) -> None:
    report, warnings = capacity(request(project, {}))
    assert (warnings, report.problems) == ([], ())
    assert [item.name for item in report.pools] == ["cpu", "gpu"]
    by_name = {item.name: item for item in report.workloads}
    assert (by_name["api"].pods.fewest, by_name["api"].pods.most, by_name["api"].pools) == (2, 4, ("cpu",))
    assert by_name["fit"].at_once is not None
    assert (by_name["fit"].at_once.pods, by_name["fit"].at_once.gpus) == (4, 8)
    assert "AWS's quotas were not asked for: the local AWS has none of machines" in report.notes


@pytest.mark.parametrize(
    ("params", "told", "refused"),
    [
        ({"replicas": 5, "most": 5}, ["error:capacity-replicas"], True),
        # The most replicas are a promise for later: validate lets them pass, capacity does not.
        ({"replicas": 2, "most": 50}, ["error:capacity-replicas"], False),
    ],
)
def test_replicas_beyond_the_machines(
    project: MakeProject, params: dict[str, Any], told: list[str], refused: bool
) -> None:
    asked = request(project, params)
    report, _ = capacity(asked)
    assert codes(report.problems) == told
    assert report.pools, "the report is there all the same"
    if not refused:
        compile_request(asked)
        return
    with pytest.raises(MlinfraError) as raised:
        compile_request(asked)
    (problem,) = [item for item in raised.value.diagnostics if item.code == "capacity-replicas"]
    assert problem.component == "api"
    assert str(problem.location).startswith("blueprints/shop.py:")
    assert "All machines of pool cpu together take 4 pods of this kind" in problem.detail


def test_a_stack_without_machines_gets_the_local_targets_own(project: MakeProject) -> None:
    report, _ = capacity(request(project, {"pools": False}))
    assert [item.name for item in report.pools] == ["default"]
    assert "the stack declares no machines: the local target has one plain machine then" in report.notes


def test_an_existing_cluster_of_eks_has_its_own_pods_on_every_machine(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "read_quotas", lambda *_: quotas.Quotas(reason="there are no AWS credentials"))
    report, _ = capacity(request(project, {}, AWS))
    assert report.pools[0].daemons == {"cpu": 150, "pods": 3}
    assert "AWS's quotas are not all known: there are no AWS credentials" in report.notes
    assert [item.value for item in report.vcpus] == [None, None]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"L-DB2E81BA": 96, "L-1216C47A": 8}, []),
        ({"L-DB2E81BA": 95, "L-1216C47A": 8}, ["warning:capacity-aws-quota"]),
        ({"L-DB2E81BA": 0, "L-1216C47A": 3}, ["error:capacity-aws-quota", "warning:capacity-aws-quota"]),
    ],
)
def test_machines_against_the_accounts_quotas(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, values: dict[str, float], told: list[str]
) -> None:
    asked: list[Any] = []

    def read(*arguments: Any) -> quotas.Quotas:
        asked.append(arguments)
        return quotas.Quotas(values)

    monkeypatch.setattr(quotas, "read_quotas", read)
    report, _ = capacity(request(project, {}, AWS))
    assert asked == [("111122223333", "eu-west-1", "ec2", ["L-DB2E81BA", "L-1216C47A"])]
    assert codes(report.problems) == told
    assert [item.value for item in report.vcpus] == list(values.values())
    for problem in report.problems:
        assert isinstance(problem, Diagnostic)
        assert "request-service-quota-increase" in problem.remedy


def test_a_cluster_that_is_no_aws_has_no_quotas_of_aws(project: MakeProject) -> None:
    report, _ = capacity(request(project, {"pools": False}, "{kind: kubeconfig, path: k}"))
    assert report.vcpus == ()
    assert "the stack declares no machines, so that only what it asks for is shown" in report.notes
