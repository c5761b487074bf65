from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_store import only_over_tls, only_this_key
from mlinfra.graph import Join, Ref

ARN = Ref("data/bucket", ("arn",))
KEY = "arn:aws:kms:eu-west-1:111122223333:key/ours"
SSE = "s3:x-amz-server-side-encryption"


def test_requests_without_tls_are_refused() -> None:
    statement = only_over_tls(ARN)
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [ARN, Join((ARN, "/*"))]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def denies(statement: dict[str, Any], context: dict[str, str]) -> bool:
    """Whether a statement's condition holds, as IAM has it: every operator, and negated ones without the key too."""

    def holds(operator: str, key: str, value: str) -> bool:
        match operator:
            case "Null":
                return (key not in context) is (value == "true")
            case "StringEquals":
                return context.get(key) == value
            case "StringNotEquals" | "ArnNotEquals":
                return context.get(key) != value
        raise AssertionError(operator)

    return all(
        holds(operator, key, value) for operator, keys in statement["Condition"].items() for key, value in keys.items()
    )


@pytest.mark.parametrize(
    ("headers", "refused_by"),
    [
        ({}, []),
        ({SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}, []),
        ({SSE: "AES256"}, ["OnlyByKMS"]),
        ({SSE: "aws:kms:dsse", f"{SSE}-aws-kms-key-id": KEY}, ["OnlyByKMS"]),
        ({SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY + "-not"}, ["OnlyByThisKey"]),
        ({SSE: "aws:kms"}, ["NotByTheDefaultKey"]),
        ({f"{SSE}-customer-algorithm": "AES256"}, ["NotByKeysOfClients"]),
    ],
)
def test_which_uploads_a_bucket_with_a_key_takes(headers: dict[str, str], refused_by: list[str]) -> None:
    assert [item["Sid"] for item in only_this_key(ARN, KEY) if denies(item, headers)] == refused_by


def test_every_upload_is_meant_and_nothing_else() -> None:
    for statement in only_this_key(ARN, KEY):
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:PutObject")
        assert statement["Resource"] == Join((ARN, "/*"))


@pytest.mark.parametrize(("key", "statements"), [(None, 1), ("own", 5)])
def test_only_a_bucket_with_a_key_asks_for_it(expanded: Any, key: Any, statements: int) -> None:
    result = expanded(lambda: Bucket("data", key=key))
    assert len(result.inputs("data/policy")["policy"].value["Statement"]) == statements
    (rule,) = result.inputs("data/encryption")["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == ("aws:kms" if key else "AES256")
    assert rule.get("bucketKeyEnabled", False) is (key is not None)


def test_without_versions_nothing_waits_for_them(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", versioning=False))
    assert "versioning" not in result.names_of("data")
    assert result.node("data/lifecycle").options.depends_on == ()
