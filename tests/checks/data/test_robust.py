"""Whatever stands in a graph, there is a report: inputs of any form, references to anything, policies of any kind."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.checks.access.principals import KINDS
from mlinfra.checks.data import data_report
from mlinfra.checks.data.buckets import BUCKETS
from mlinfra.checks.data.cluster import CLAIM, SECRET, STATEFUL_SET
from mlinfra.checks.data.services import ROWS
from mlinfra.graph import Document, Graph, Join, Kind, Node, Options, Ref, Secret

TYPES = [
    *(*BUCKETS, *ROWS, *KINDS, CLAIM, SECRET, STATEFUL_SET),
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/groupMembership:GroupMembership",
    "aws:kms/key:Key",
    "aws:kms/alias:Alias",
    "aws:kms/grant:Grant",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:rbac.authorization.k8s.io/v1:Role",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
    "mlinfra:component:Dataset",
]
KEYS = st.sampled_from(
    [
        *("bucket", "name", "tags", "policy", "role", "roles", "users"),
        *("rules", "rule", "filter", "prefix", "expiration", "destination", "defaultRetention"),
        *(
            "mode",
            "assumeRolePolicy",
            "inlinePolicies",
            "managedPolicyArns",
            "group",
            "policyArn",
            "permissionsBoundary",
        ),
        *("kmsKeyId", "operations", "targetKeyId", "keyId", "metadata", "spec", "template"),
        *("volumes", "secret", "secretName", "subjects", "roleRef", "Statement", "Effect"),
        *(
            "Action",
            "status",
            "Principal",
            "Condition",
            "pointInTimeRecovery",
            "messageRetentionSeconds",
            "volumeClaimTemplates",
        ),
        *("acl",),
    ]
)
NAMES = ["a", "b", "c"]
PLAIN = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "x", "*", "Enabled", "Allow", "s3:*"])
REFS = st.builds(Ref, st.sampled_from([*NAMES, "gone"]), st.sampled_from([("id",), ("arn",), ("x", 0, "y")]))
VALUES = st.recursive(
    PLAIN | REFS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(Document, inner)
        | st.builds(Secret, inner)
        | st.builds(lambda parts: Join(tuple(parts)), st.lists(inner, max_size=2))
    ),
    max_leaves=8,
)
INPUTS = st.dictionaries(KEYS, VALUES, max_size=6)


def without_circles(found: dict[str, Any]) -> dict[str, Any]:
    """References to nodes before, as in a graph whose references were checked."""

    def clean(value: Any, allowed: list[str]) -> Any:
        match value:
            case Ref(name, path):
                return Ref(name if name in [*allowed, "gone"] else "gone", path)
            case dict():
                return {key: clean(item, allowed) for key, item in value.items()}
            case list():
                return [clean(item, allowed) for item in value]
            case Document(inner):
                return Document(clean(inner, allowed))
            case Secret(inner):
                return Secret(clean(inner, allowed))
            case Join(parts):
                return Join(tuple(clean(part, allowed) for part in parts))
            case _:
                return value

    return {name: clean(inputs, NAMES[:index]) for index, (name, inputs) in enumerate(found.items())}


@given(types=st.lists(st.sampled_from(TYPES), min_size=3, max_size=3), inputs=st.lists(INPUTS, min_size=3, max_size=3))
def test_there_is_always_a_report(types: list[str], inputs: list[dict[str, Any]]) -> None:
    nodes = {"@aws": Node("@aws", "pulumi:providers:aws", {"region": "eu-west-1"}, Kind.PROVIDER)}
    found = without_circles(dict(zip(NAMES, inputs, strict=True)))
    for kind, (name, values) in zip(types, found.items(), strict=True):
        what = Kind.COMPONENT if kind.startswith("mlinfra:") else Kind.RESOURCE
        nodes[name] = Node(name, kind, values, what, options=Options(provider="@aws"))
    report = data_report(Graph("sample", "1.0.0", "test", nodes))
    assert json.dumps(report.as_json())
    assert all(store.retention.text for store in report.stores)
