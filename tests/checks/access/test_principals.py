from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.access.principals import Principals
from mlinfra.checks.access.symbols import Symbols
from mlinfra.graph import Ref, Secret
from tests.checks.access.conftest import Build, allow, policy

ACCOUNT = "111122223333"
READ = policy(allow("s3:GetObject"))


def principals(build: Build, nodes: Any) -> Principals:
    return Principals(Symbols(build(nodes), ACCOUNT))


def actions(found: Principals, kind: str, name: str) -> list[str]:
    (one,) = [item for item in found if (item.kind, item.name) == (kind, name)]
    return [action for statement in one.identity for action in statement.actions]


ROLE = {"role r": {"name": "fit", "assumeRolePolicy": policy(allow("sts:AssumeRole", Principal={"AWS": ACCOUNT}))}}


@pytest.mark.parametrize(
    "nodes",
    [
        {"rolePolicy p": {"role": Ref("r"), "policy": READ}},
        {"rolePolicy p": {"role": "fit", "policy": '{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}'}},
        {"rolePolicy p": {"role": Ref("r", ("name",)), "policy": READ}},
        {
            "policy p": {"name": "read", "policy": READ},
            "rolePolicyAttachment a": {"role": Ref("r"), "policyArn": Ref("p", ("arn",))},
        },
        {
            "policy p": {"name": "read", "path": "/x/", "policy": READ},
            "rolePolicyAttachment a": {"role": "fit", "policyArn": f"arn:aws:iam::{ACCOUNT}:policy/x/read"},
        },
        {
            "policy p": {"name": "read", "policy": READ},
            "policyAttachment a": {"name": "a", "roles": [Ref("r")], "policyArn": Ref("p")},
        },
    ],
)
def test_every_way_to_give_a_role_a_policy(build: Build, nodes: Any) -> None:
    assert actions(principals(build, {**ROLE, **nodes}), "role", "fit") == ["s3:GetObject"]


def test_policies_within_the_role(build: Build) -> None:
    inline = {"inlinePolicies": [{"name": "x", "policy": READ}], "managedPolicyArns": [Ref("p", ("arn",))]}
    nodes = {"role r": {**ROLE["role r"], **inline}, "policy p": {"name": "list", "policy": policy(allow("s3:List*"))}}
    found = principals(build, nodes)
    assert actions(found, "role", "fit") == ["s3:GetObject", "s3:List*"]
    (role,) = found
    assert role.trust[0].principals == {("AWS", ACCOUNT)}
    assert role.context["aws:principalarn"] == f"arn:aws:iam::{ACCOUNT}:role/fit"


def test_a_role_that_the_graph_does_not_make_counts_too(build: Build) -> None:
    found = principals(build, {"rolePolicy p": {"role": "admin", "policy": READ}})
    assert actions(found, "role", "admin") == ["s3:GetObject"]
    assert next(iter(found)).node == ""


@pytest.mark.parametrize(
    "member",
    [
        {"groupMembership m": {"name": "m", "group": Ref("g"), "users": [Ref("u")]}},
        {"userGroupMembership m": {"user": "ann", "groups": ["team"]}},
    ],
)
def test_members_may_what_their_group_may(build: Build, member: Any) -> None:
    nodes = {
        "group g": {"name": "team"},
        "user u": {"name": "ann"},
        "groupPolicy p": {"group": Ref("g"), "policy": READ},
        "userPolicy q": {"user": Ref("u"), "policy": policy(allow("s3:List*"))},
        **member,
    }
    found = principals(build, nodes)
    assert actions(found, "user", "ann") == ["s3:List*", "s3:GetObject"]
    assert actions(found, "group", "team") == ["s3:GetObject"]


def test_aws_own_policies(build: Build) -> None:
    def given(name: str) -> Any:
        arn = f"arn:aws:iam::aws:policy/{name}"
        return principals(build, {**ROLE, "rolePolicyAttachment a": {"role": Ref("r"), "policyArn": arn}})

    assert actions(given("AmazonS3FullAccess"), "role", "fit") == ["s3:*", "s3-object-lambda:*"]
    assert actions(given("AmazonEKSClusterPolicy"), "role", "fit") == []
    (unknown,) = given("SomethingNew")
    assert unknown.unseen == ["arn:aws:iam::aws:policy/SomethingNew"]


def test_boundaries(build: Build) -> None:
    inside = {"role r": {**ROLE["role r"], "permissionsBoundary": Ref("b", ("arn",))}}
    (role,) = principals(build, {**inside, "policy b": {"name": "bound", "policy": READ}})
    assert role.boundary is not None
    assert [statement.actions for statement in role.boundary] == [("s3:GetObject",)]
    elsewhere = {"role r": {**ROLE["role r"], "permissionsBoundary": "arn:aws:iam::aws:policy/None"}}
    (role,) = principals(build, elsewhere)
    assert (role.boundary, role.unseen) == (None, ["arn:aws:iam::aws:policy/None (permissions boundary)"])


@pytest.mark.parametrize(("document", "says"), [(Secret("{}"), "is secret"), ("{", "cannot be read: it is not JSON")])
def test_what_cannot_be_read_is_told(build: Build, document: Any, says: str) -> None:
    found = principals(build, {**ROLE, "rolePolicy p": {"role": Ref("r"), "policy": document}})
    (problem,) = found.problems
    assert says in problem
    assert "policy of p" in problem
