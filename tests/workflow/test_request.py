"""A stack of a project, sent where its file says or elsewhere, each with a state of its own."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget
from mlinfra.workflow.request import Request

AWS = """\
blueprint: case
environment: {name: prod, tier: prod}
owner: {team: t, cost_center: c}
target: {kind: aws, account: "111122223333", region: eu-west-1}
"""


@pytest.mark.parametrize(
    ("options", "target", "state"),
    [
        ({}, AwsTarget(kind="aws", account="111122223333", region="eu-west-1"), "prod"),
        ({"rehearse": True}, LocalTarget(region="eu-west-1"), "prod-rehearsal"),
        ({"target": "local"}, LocalTarget(region="eu-west-1"), "prod-local"),
        ({"rehearse": True, "target": "kubeconfig:x"}, LocalTarget(region="eu-west-1"), "prod-rehearsal"),
    ],
)
def test_where_a_stack_goes(options: dict[str, Any], target: Any, state: str, project: Any) -> None:
    request = Request(project(stacks={"prod": AWS}), "prod", **options)
    assert request.stack().file.target == target
    assert request.state_name == state


@pytest.mark.parametrize(
    ("stack", "options", "account"),
    [
        ("prod", {}, "shared"),
        ("other", {}, "shared"),
        ("prod", {"rehearse": True}, "shared-rehearsal"),
        ("other", {"rehearse": True}, "shared-rehearsal"),
        ("prod", {"target": "local"}, "shared-local"),
        ("alone", {}, "alone"),
    ],
)
def test_stacks_of_one_environment_share_an_account(
    stack: str, options: dict[str, Any], account: str, project: Any
) -> None:
    text = AWS.replace("name: prod", "name: shared")
    stacks = {"prod": text, "other": text, "alone": AWS.replace("name: prod", "name: alone")}
    request = Request(project(stacks=stacks), stack, **options)
    assert request.account_name(request.stack()) == account


def test_each_cluster_has_a_state_of_its_own(project: Any) -> None:
    own = project(stacks={"prod": AWS})
    requests = {path: Request(own, "prod", target=f"kubeconfig:{path}") for path in ("kc", "./kc", "other", "/etc/kc")}
    assert requests["kc"].stack().file.target == KubeconfigTarget(kind="kubeconfig", path="kc")
    names = {path: request.state_name for path, request in requests.items()}
    assert names["kc"] == names["./kc"]
    assert len(set(names.values())) == 3
    assert all(name.startswith("prod-kubeconfig-") for name in names.values())


@pytest.mark.parametrize("target", ["aws", "kubeconfig", "kubeconfig:", "local:x", "111122223333"])
def test_what_is_no_target(target: str, project: Any) -> None:
    with pytest.raises(MlinfraError, match="is no target") as caught:
        Request(project(stacks={"prod": AWS}), "prod", target=target).stack()
    assert caught.value.diagnostics[0].code == "target-unknown"


def test_no_two_stacks_share_a_state(project: Any, hold_against: Any) -> None:
    own = project(stacks={"prod": AWS, "prod-rehearsal": AWS})
    assert Request(own, "prod-rehearsal").stack().name == "prod-rehearsal"
    with pytest.raises(MlinfraError) as caught:
        Request(own, "prod", rehearse=True).stack()
    hold_against(caught.value.diagnostics, [{"code": "state-name"}], "stacks/prod-rehearsal.yaml")
