"""Access entries, their policies, and pod identity associations, against the local EKS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.providers.aws.types.clusters import a_cluster, a_role
from tests.providers.aws.types.unknowns import judged

ENTRY = "aws:eks/accessEntry:AccessEntry"
POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
POD = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"


def found(call: Any, **where: str) -> Any:
    try:
        return call(**where)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def a_place(world: Any) -> dict[str, Any]:
    words = a_cluster(world)
    return {
        **words,
        "others": a_role(world, "others", "pods.eks.amazonaws.com"),
        "far": "arn:aws:iam::999999999999:role/far",
    }


# ------------------------------------------------------------------------------------------------ access entries


def an_entry(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusterName": "train",
        "principalArn": words["people"],
        "kubernetesGroups": ["ml-developers"],
        "userName": "developer",
        "tags": {"team": "ml"},
    }


def entry(world: Any, resource_id: str) -> Any:
    cluster, _, principal = resource_id.partition(":")
    answer = found(world.boto("eks").describe_access_entry, clusterName=cluster, principalArn=principal)
    live = (answer or {}).get("accessEntry")
    return live and (live["type"], sorted(live["kubernetesGroups"]), live["username"], live["tags"])


def test_access_entry(lifecycle: Any) -> None:
    lifecycle(
        ENTRY,
        prepare=a_place,
        inputs=an_entry,
        look=entry,
        made=lambda words: ("STANDARD", ["ml-developers"], "developer", {"team": "ml"}),
        change=lambda words: {
            "kubernetesGroups": ["ml-admins", "ml-viewers"],
            "userName": "admin",
            "tags": {"tier": "prod"},
        },
        changed=lambda words: ("STANDARD", ["ml-admins", "ml-viewers"], "admin", {"tier": "prod"}),
        replaces=lambda words: [{"clusterName": "other"}, {"principalArn": words["others"]}],
        drift=lambda world, resource_id: world.boto("eks").update_access_entry(
            clusterName="train", principalArn=resource_id.partition(":")[2], kubernetesGroups=["ml-admins", "root"]
        ),
        drifted={"kubernetesGroups": ["ml-admins", "root"]},
    )


def test_the_type_of_an_entry_is_for_ever(world: Any) -> None:
    words = a_place(world)
    inputs = world.engine.checked(ENTRY, {"clusterName": "train", "principalArn": words["nodes"], "type": "EC2_LINUX"})
    resource_id, state = world.engine.create(ENTRY, inputs)
    assert entry(world, resource_id)[:3] == ("EC2_LINUX", ["system:nodes"], "system:node:{{EC2PrivateDNSName}}")
    assert world.engine.read(ENTRY, resource_id, inputs, state) == (inputs, state)
    difference = world.engine.diff(ENTRY, inputs, {**inputs, "type": "STANDARD"}, state)
    assert (list(difference.replaces), difference.deleteBeforeReplace) == (["type"], True)


def test_groups_that_are_no_longer_asked_for_go(world: Any) -> None:
    words = a_place(world)
    inputs = world.engine.checked(ENTRY, an_entry(words))
    resource_id, state = world.engine.create(ENTRY, inputs)
    without = {name: value for name, value in inputs.items() if name != "kubernetesGroups"}
    world.engine.update(ENTRY, resource_id, inputs, without, state)
    assert entry(world, resource_id)[1] == []


def test_a_user_name_that_is_not_given_is_awss(world: Any) -> None:
    words = a_place(world)
    inputs = world.engine.checked(ENTRY, {"clusterName": "train", "principalArn": words["people"]})
    resource_id, state = world.engine.create(ENTRY, inputs)
    name = f"arn:aws:sts::{world.account}:assumed-role/people/{{{{SessionName}}}}"
    assert entry(world, resource_id)[2] == name
    assert world.engine.read(ENTRY, resource_id, inputs, state) == (inputs, state)


# ------------------------------------------------------------------------------------------------ policies


def a_policy(words: dict[str, Any]) -> dict[str, Any]:
    scope = {"type": "namespace", "namespaces": ["train-ml", "train-dev"]}
    return {"clusterName": "train", "principalArn": words["people"], "policyArn": EDIT, "accessScope": scope}


def with_an_entry(world: Any) -> dict[str, Any]:
    words = a_place(world)
    for role in ("people", "others"):
        world.boto("eks").create_access_entry(clusterName="train", principalArn=words[role])
    return words


def policy(world: Any, resource_id: str) -> Any:
    cluster, principal, arn = resource_id.split("#")
    answer = found(world.boto("eks").list_associated_access_policies, clusterName=cluster, principalArn=principal)
    live = next((item for item in (answer or {}).get("associatedAccessPolicies", ()) if item["policyArn"] == arn), None)
    return live and (live["accessScope"]["type"], sorted(live["accessScope"]["namespaces"]))


def test_policy(lifecycle: Any) -> None:
    lifecycle(
        POLICY,
        prepare=with_an_entry,
        inputs=a_policy,
        look=policy,
        made=lambda words: ("namespace", ["train-dev", "train-ml"]),
        replaces=lambda words: [
            {"clusterName": "other"},
            {"principalArn": words["others"]},
            {"policyArn": VIEW},
            {"accessScope": {"type": "cluster"}},
        ],
    )


def test_a_scope_that_was_changed_is_drift(world: Any) -> None:
    words = with_an_entry(world)
    inputs = world.engine.checked(POLICY, a_policy(words))
    resource_id, state = world.engine.create(POLICY, inputs)
    world.boto("eks").associate_access_policy(
        clusterName="train", principalArn=words["people"], policyArn=EDIT, accessScope={"type": "cluster"}
    )
    live, live_state = world.engine.read(POLICY, resource_id, inputs, state)
    assert live["accessScope"] == {"type": "cluster", "namespaces": []}
    assert list(world.engine.diff(POLICY, live, inputs, live_state).replaces) == ["accessScope"]


def test_a_policy_goes_with_its_entry(world: Any) -> None:
    words = with_an_entry(world)
    inputs = world.engine.checked(POLICY, a_policy(words))
    resource_id, state = world.engine.create(POLICY, inputs)
    world.boto("eks").delete_access_entry(clusterName="train", principalArn=words["people"])
    assert world.engine.read(POLICY, resource_id, inputs, state) is None
    world.engine.delete(POLICY, resource_id, inputs, state)


# ------------------------------------------------------------------------------------------------ pod identity


def a_pod(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusterName": "train",
        "namespace": "train-ml",
        "serviceAccount": "fit",
        "roleArn": words["pods"],
        "tags": {"team": "ml"},
    }


def pod(world: Any, resource_id: str) -> Any:
    cluster, association = resource_id.split(",")
    answer = found(world.boto("eks").describe_pod_identity_association, clusterName=cluster, associationId=association)
    live = (answer or {}).get("association")
    return live and {
        "of": (live["namespace"], live["serviceAccount"]),
        "roles": (live["roleArn"], live.get("targetRoleArn")),
        "policy": (live["disableSessionTags"], live.get("policy")),
        "tags": live["tags"],
    }


STATEMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def test_pod_identity(lifecycle: Any) -> None:
    lifecycle(
        POD,
        prepare=a_place,
        inputs=a_pod,
        look=pod,
        made=lambda words: {
            "of": ("train-ml", "fit"),
            "roles": (words["pods"], None),
            "policy": (False, None),
            "tags": {"team": "ml"},
        },
        change=lambda words: {
            "roleArn": words["others"],
            "targetRoleArn": words["far"],
            "disableSessionTags": True,
            "policy": json.dumps(STATEMENT, sort_keys=True),
            "tags": {"tier": "prod"},
        },
        changed=lambda words: {
            "of": ("train-ml", "fit"),
            "roles": (words["others"], words["far"]),
            "policy": (True, json.dumps(STATEMENT, sort_keys=True)),
            "tags": {"tier": "prod"},
        },
        drift=lambda world, resource_id: world.boto("eks").update_pod_identity_association(
            clusterName="train", associationId=resource_id.split(",")[1], policy='{"Statement": []}'
        ),
        drifted={"policy": '{"Statement": []}'},
    )


def test_what_moves_an_association_replaces_it(world: Any) -> None:
    words = a_place(world)
    target = {"targetRoleArn": words["far"]}
    inputs = world.engine.checked(POD, {**a_pod(words), **target})
    _, state = world.engine.create(POD, inputs)
    assert state["externalId"]
    for change in ({"clusterName": "other"}, {"namespace": "b"}, {"serviceAccount": "b"}, {"targetRoleArn": None}):
        changed = {name: value for name, value in {**inputs, **change}.items() if value is not None}
        difference = world.engine.diff(POD, inputs, changed, state)
        assert list(difference.replaces) == list(change)
        assert difference.deleteBeforeReplace == ("targetRoleArn" in change)


def test_an_id_of_the_official_plugin_is_understood(world: Any) -> None:
    words = a_place(world)
    inputs = world.engine.checked(POD, a_pod(words))
    resource_id, state = world.engine.create(POD, inputs)
    assert resource_id == f"train,{state['associationId']}"
    assert world.engine.read(POD, state["associationId"], inputs, state) == (inputs, state)
    world.engine.delete(POD, state["associationId"], inputs, state)
    assert pod(world, resource_id) is None


# ------------------------------------------------------------------------------------------------ all three


@pytest.mark.parametrize(("token", "inputs"), [(ENTRY, an_entry), (POLICY, a_policy), (POD, a_pod)])
def test_what_was_cut_off_is_taken_over(elsewhere: Any, unfinished: Any, token: str, inputs: Any) -> None:
    words = with_an_entry(elsewhere) if token == POLICY else a_place(elsewhere)
    given = elsewhere.engine.checked(token, inputs(words))
    made, state = elsewhere.engine.create(token, given)
    unfinished[f"urn:pulumi:dev::tests::{token}::thing"] = set()
    assert elsewhere.engine.create(token, given) == (made, state)


@pytest.mark.parametrize(("token", "inputs"), [(ENTRY, an_entry), (POLICY, a_policy), (POD, a_pod)])
def test_what_somebody_else_made_is_left_alone(world: Any, failure: Any, token: str, inputs: Any) -> None:
    words = with_an_entry(world) if token == POLICY else a_place(world)
    given = world.engine.checked(token, inputs(words))
    world.engine.create(token, given)
    error, _ = failure(world.engine.create, token, given)
    assert "belongs to somebody else" in error.details()


@pytest.mark.parametrize(
    ("token", "inputs", "change", "says"),
    [
        (ENTRY, an_entry, {"principalArn": "arn:aws:iam::{account}:role/nobody"}, "invalid principal"),
        (ENTRY, an_entry, {"clusterName": "nowhere"}, "No cluster found"),
        (POLICY, a_policy, {"policyArn": VIEW.replace("View", "Wish")}, "policyArn could not be found"),
        (POLICY, a_policy, {}, "The specified principalArn could not be found"),
        (POD, a_pod, {"roleArn": "{people}"}, "the trusted entity is not correct"),
        (POD, a_pod, {"roleArn": "{far}"}, "Cross-account pass role"),
    ],
)
def test_what_the_local_eks_refuses_as_aws_does(
    world: Any, failure: Any, token: str, inputs: Any, change: dict[str, Any], says: str
) -> None:
    words = with_an_entry(world) if "policyArn" in change else a_place(world)
    filled = {name: value.format(**words, account=world.account) for name, value in change.items()}
    error, _ = failure(world.engine.create, token, world.engine.checked(token, {**inputs(words), **filled}))
    assert says in error.details()


def test_entries_want_a_cluster_that_takes_them(world: Any, failure: Any) -> None:
    words = a_cluster(world, accessConfig={"authenticationMode": "CONFIG_MAP"})
    error, _ = failure(world.engine.create, ENTRY, world.engine.checked(ENTRY, an_entry(words)))
    assert "authentication mode must be set to one of [API, API_AND_CONFIG_MAP]" in error.details()


SOMEWHERE = dict.fromkeys(("people", "pods"), "arn:aws:iam::111122223333:role/one")


@pytest.mark.parametrize(
    ("token", "inputs", "says"),
    [
        (ENTRY, {"principalArn": "arn:aws:sts::111122223333:assumed-role/a/b"}, "an IAM role or user"),
        (ENTRY, {"kubernetesGroups": ["system:masters"]}, "must not begin with system:"),
        (ENTRY, {"type": "EC2_LINUX"}, "for entries of type STANDARD"),
        (ENTRY, {"type": "ROOT"}, "must be one of STANDARD"),
        (POLICY, {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, "an EKS access policy"),
        (POLICY, {"accessScope": {"type": "namespace"}}, "is required where the type is namespace"),
        (POLICY, {"accessScope": {"type": "cluster", "namespaces": ["a"]}}, "is for the type namespace"),
        (POD, {"policy": "{}"}, "must be true where there is a policy"),
        (POD, {"roleArn": "fit"}, "the ARN of an IAM role"),
    ],
)
def test_what_aws_refuses(world: Any, token: str, inputs: dict[str, Any], says: str) -> None:
    base = {ENTRY: an_entry, POLICY: a_policy, POD: a_pod}[token](SOMEWHERE)
    (failed,) = world.engine.check(token, {**base, **inputs}).failures
    assert says in failed.reason


@pytest.mark.parametrize(("token", "inputs"), [(ENTRY, an_entry), (POLICY, a_policy), (POD, a_pod)])
def test_nothing_unknown_is_judged(world: Any, token: str, inputs: Any) -> None:
    assert judged(world, token, inputs(SOMEWHERE)) >= len(inputs(SOMEWHERE))
