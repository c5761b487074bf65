"""What `validate` takes from capacity, and in which setting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlinfra.checks.capacity.check import check_capacity
from mlinfra.checks.capacity.ground import Setting
from mlinfra.environment import Environment, Owner
from mlinfra.graph import Call, Kind, Node
from mlinfra.tiers import Tier
from tests.checks.capacity.conftest import Made, pod_spec, pool

LOCAL = Environment("test", Tier.DEV, Owner("a", "b"), "local", "us-east-1", "local")
NAMED = replace(LOCAL, account="111122223333", region="eu-west-1", cluster="ml")


def with_provider(made: Made) -> Made:
    """A provider instance that leads to an EKS cluster."""
    kubeconfig = Call("eks_kubeconfig", ("ml", "https://x", "ca", "eu-west-1"))
    made.nodes["@k8s"] = Node("@k8s", "pulumi:providers:kubernetes", {"kubeconfig": kubeconfig}, Kind.PROVIDER)
    return made


@pytest.mark.parametrize(
    ("made", "environment", "whole", "existing"),
    [
        (Made(), LOCAL, True, False),
        (Made(), replace(LOCAL, account="", region="", cluster=""), False, False),
        (with_provider(Made()), NAMED, False, True),
        (with_provider(Made()), replace(NAMED, cluster=""), False, True),
        (with_provider(Made()).node("c", "aws:eks/cluster:Cluster", {}), replace(NAMED, cluster=""), True, False),
    ],
)
def test_settings(made: Made, environment: Environment, whole: bool, existing: bool) -> None:
    found = Setting.of(made.graph(), environment)
    assert (found.whole, found.existing, found.region) == (whole, existing, environment.region)


def test_only_what_is_certain_is_refused() -> None:
    """No placement that was merely not found, no maximum, no job that waits for room."""
    made = Made(pool("gpu", cpu=8, gpus=4, max=2)).deployment("api", pod_spec("1", gpus=4), None).scaled("api", 2, 9)
    made.cron_job("fit", pod_spec("1", gpus=1))
    assert [item.code for item in made.report().problems] == ["capacity-replicas", "capacity-no-room"]
    assert check_capacity(made.graph(), LOCAL) == []


def test_what_is_certain_is() -> None:
    made = Made(pool("cpu", cpu=4)).deployment("api", pod_spec("5")).cron_job("fit", pod_spec("1", gpus=1))
    found = check_capacity(made.quota(pods=0).graph(), LOCAL)
    assert [(item.code, item.resource) for item in found] == [
        ("capacity-quota", "quota"),
        ("capacity-never-fits", "api"),
        ("capacity-never-fits", "fit"),
    ]


def test_quotas_need_no_machines() -> None:
    made = Made().deployment("api", pod_spec("5")).quota(pods=0)
    assert [item.code for item in check_capacity(made.graph(), LOCAL)] == ["capacity-quota"]
    assert check_capacity(Made().deployment("api", pod_spec("5")).graph(), LOCAL) == []
