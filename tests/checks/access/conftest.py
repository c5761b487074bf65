"""Graphs of AWS resources, written down short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

from mlinfra.graph import Document, Graph, Kind, Node, Options

Build: TypeAlias = Callable[[Mapping[str, Any]], Graph]
TYPES = {
    "alias": "aws:kms/alias:Alias",
    "bucket": "aws:s3/bucket:Bucket",
    "grant": "aws:kms/grant:Grant",
    "group": "aws:iam/group:Group",
    "groupMembership": "aws:iam/groupMembership:GroupMembership",
    "groupPolicy": "aws:iam/groupPolicy:GroupPolicy",
    "key": "aws:kms/key:Key",
    "keyPolicy": "aws:kms/keyPolicy:KeyPolicy",
    "policy": "aws:iam/policy:Policy",
    "policyAttachment": "aws:iam/policyAttachment:PolicyAttachment",
    "role": "aws:iam/role:Role",
    "rolePolicy": "aws:iam/rolePolicy:RolePolicy",
    "rolePolicyAttachment": "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "user": "aws:iam/user:User",
    "userGroupMembership": "aws:iam/userGroupMembership:UserGroupMembership",
    "userPolicy": "aws:iam/userPolicy:UserPolicy",
}


def policy(*statements: Mapping[str, Any]) -> Document:
    return Document({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: Any = "*", **fields: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **fields}


@pytest.fixture(scope="session")
def build() -> Build:
    """A graph of nodes by `type name`, such as `role fit`, with their inputs."""

    def made(nodes: Mapping[str, Any]) -> Graph:
        provider = Node("@aws", "pulumi:providers:aws", {"region": "eu-west-1"}, Kind.PROVIDER)
        found = {"@aws": provider}
        for written, inputs in nodes.items():
            kind, _, name = written.partition(" ")
            found[name] = Node(name, TYPES[kind], inputs, options=Options(provider="@aws"))
        return Graph("sample", "1.0.0", "test", found)

    return made
