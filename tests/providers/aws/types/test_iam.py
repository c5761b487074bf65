"""Roles and policies, against moto."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

ROLE, INLINE = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT, POLICY = "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/policy:Policy"


def trust(service: str) -> dict[str, Any]:
    principal = {"Service": f"{service}.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


def allow(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def found(world: Any, operation: str, **parameters: Any) -> Any:
    try:
        return getattr(world.boto("iam"), operation)(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return None


def role(world: Any, resource_id: str) -> Any:
    answer = found(world, "get_role", RoleName=resource_id)
    if answer is None:
        return None
    live = answer["Role"]
    return (
        live["Path"],
        live["AssumeRolePolicyDocument"],
        live.get("Description") or "",
        live["MaxSessionDuration"],
        live.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        {tag["Key"]: tag["Value"] for tag in live.get("Tags", [])},
    )


def a_policy(world: Any) -> dict[str, Any]:
    iam = world.boto("iam")
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=json.dumps(trust("ec2")))
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(trust("ec2")))
    arn = iam.create_policy(PolicyName="limit", PolicyDocument=json.dumps(allow("s3:*")))["Policy"]["Arn"]
    return {"policy": arn}


def test_role(lifecycle: Any) -> None:
    lifecycle(
        ROLE,
        prepare=a_policy,
        inputs=lambda words: {
            "name": "train",
            "path": "/ml/",
            "assumeRolePolicy": json.dumps(trust("ec2")),
            "description": "trains",
            "tags": {"team": "ml"},
        },
        look=role,
        made=lambda words: ("/ml/", trust("ec2"), "trains", 3600, None, {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:iam::{words['account']}:role/ml/train"},
        change=lambda words: {
            "assumeRolePolicy": json.dumps(trust("eks")),
            "description": None,
            "maxSessionDuration": 7200,
            "permissionsBoundary": words["policy"],
            "tags": {"team": "data", "tier": "dev"},
        },
        changed=lambda words: (
            "/ml/",
            trust("eks"),
            "",
            7200,
            words["policy"],
            {"team": "data", "tier": "dev"},
        ),
        replaces=lambda words: [{"name": "other"}, {"path": "/"}],
        drift=lambda world, resource_id: (
            world.boto("iam").update_role(RoleName=resource_id, Description="mine now", MaxSessionDuration=3600),
            world.boto("iam").delete_role_permissions_boundary(RoleName=resource_id),
            world.boto("iam").untag_role(RoleName=resource_id, TagKeys=["tier"]),
        ),
        drifted={
            "description": "mine now",
            "maxSessionDuration": 3600,
            "permissionsBoundary": None,
            "tags": {"team": "data"},
        },
    )


def test_a_role_with_policies_goes_only_when_told_so(world: Any, failure: Any) -> None:
    words = a_policy(world)
    careful = world.engine.checked(ROLE, {"name": "busy", "assumeRolePolicy": trust("ec2")})
    resource_id, state = world.engine.create(ROLE, careful)
    world.boto("iam").attach_role_policy(RoleName=resource_id, PolicyArn=words["policy"])
    world.boto("iam").put_role_policy(RoleName=resource_id, PolicyName="in", PolicyDocument=json.dumps(allow("s3:*")))
    error, _ = failure(world.engine.delete, ROLE, resource_id, careful, state)
    assert "DeleteConflict" in error.details()
    world.engine.delete(ROLE, resource_id, {**careful, "forceDetachPolicies": True}, state)
    assert role(world, resource_id) is None


def test_a_role_name_that_is_taken(world: Any, failure: Any) -> None:
    a_policy(world)
    inputs = world.engine.checked(ROLE, {"name": "runner", "assumeRolePolicy": trust("ec2")})
    error, _ = failure(world.engine.create, ROLE, inputs)
    assert error.details().startswith("thing: CreateRole failed: EntityAlreadyExists")
    assert "choose another name, or import it" in error.details()


def test_role_policy(lifecycle: Any) -> None:
    def look(world: Any, resource_id: str) -> Any:
        name, _, policy = resource_id.partition(":")
        answer = found(world, "get_role_policy", RoleName=name, PolicyName=policy)
        return answer and answer["PolicyDocument"]

    def drift(world: Any, resource_id: str) -> None:
        world.boto("iam").put_role_policy(RoleName="runner", PolicyName="reads", PolicyDocument=json.dumps(allow("*")))

    lifecycle(
        INLINE,
        prepare=a_policy,
        inputs=lambda words: {"role": "runner", "name": "reads", "policy": allow("s3:GetObject")},
        look=look,
        made=lambda words: allow("s3:GetObject"),
        change=lambda words: {"policy": json.dumps(allow("s3:List*"))},
        changed=lambda words: allow("s3:List*"),
        replaces=lambda words: [{"name": "writes"}, {"role": "other"}],
        drift=drift,
        drifted={"policy": json.dumps(allow("*"))},
    )


def test_a_role_policy_that_somebody_wrote_is_not_overwritten(world: Any, failure: Any) -> None:
    a_policy(world)
    theirs = json.dumps(allow("*"))
    world.boto("iam").put_role_policy(RoleName="runner", PolicyName="reads", PolicyDocument=theirs)
    inputs = world.engine.checked(INLINE, {"role": "runner", "name": "reads", "policy": allow("s3:*")})
    error, _ = failure(world.engine.create, INLINE, inputs)
    assert "runner:reads exists already" in error.details()


def test_attachment(lifecycle: Any) -> None:
    def look(world: Any, resource_id: str) -> Any:
        attached = world.boto("iam").list_attached_role_policies(RoleName="runner")["AttachedPolicies"]
        return [item["PolicyArn"] for item in attached] or None

    lifecycle(
        ATTACHMENT,
        prepare=a_policy,
        inputs=lambda words: {"role": "runner", "policyArn": words["policy"]},
        look=look,
        made=lambda words: [words["policy"]],
        replaces=lambda words: [{"role": "other"}, {"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
    )


def managed(world: Any, resource_id: str) -> Any:
    answer = found(world, "get_policy", PolicyArn=resource_id)
    if answer is None:
        return None
    live = answer["Policy"]
    version = found(world, "get_policy_version", PolicyArn=resource_id, VersionId=live["DefaultVersionId"])
    return (
        live["Path"],
        version["PolicyVersion"]["Document"],
        {tag["Key"]: tag["Value"] for tag in live.get("Tags", [])},
    )


def test_policy(lifecycle: Any) -> None:
    def drift(world: Any, resource_id: str) -> None:
        world.boto("iam").create_policy_version(
            PolicyArn=resource_id, PolicyDocument=json.dumps(allow("*")), SetAsDefault=True
        )

    lifecycle(
        POLICY,
        inputs=lambda words: {
            "name": "reads",
            "description": "to read",
            "policy": allow("s3:GetObject"),
            "tags": {"team": "ml"},
        },
        look=managed,
        made=lambda words: ("/", allow("s3:GetObject"), {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:iam::{words['account']}:policy/reads", "attachmentCount": 0},
        change=lambda words: {"policy": allow("s3:List*"), "tags": {"tier": "dev"}},
        changed=lambda words: ("/", allow("s3:List*"), {"tier": "dev"}),
        replaces=lambda words: [{"name": "other"}, {"path": "/ml/"}, {"description": "other"}],
        drift=drift,
        drifted={"policy": json.dumps(allow("*"))},
    )


def test_more_changes_of_a_policy_than_it_has_versions(world: Any) -> None:
    old = world.engine.checked(POLICY, {"name": "busy", "policy": allow("s3:0")})
    resource_id, state = world.engine.create(POLICY, old)
    for number in range(1, 8):
        new = world.engine.checked(POLICY, {"name": "busy", "policy": allow(f"s3:{number}")})
        state = world.engine.update(POLICY, resource_id, old, new, state)
        old = new
    assert managed(world, resource_id)[1] == allow("s3:7")
    world.engine.delete(POLICY, resource_id, old, state)
    assert managed(world, resource_id) is None
