from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks import run_checks
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import ObjectLock, Replica
from mlinfra.components.key import Key
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

REPLICA = Replica(region="eu-central-1")
SETTINGS = {"bucket", "encryption", "public-access-block", "ownership", "policy", "versioning", "lifecycle"}
REPLICATION = {"replication", "replication-role", "replication-policy"}
SOURCE, COPY = Ref("data/bucket", ("arn",)), Ref("data/replica-bucket", ("arn",))


def allowed(result: Any) -> set[tuple[str, Any]]:
    statements = result.inputs("data/replication-policy")["policy"].value["Statement"]
    return {(action, resource) for item in statements for action in item["Action"] for resource in item["Resource"]}


def objects(arn: Ref) -> Join:
    return Join((arn, "/*"))


PLAIN = {
    ("s3:GetReplicationConfiguration", SOURCE),
    ("s3:ListBucket", SOURCE),
    ("s3:GetObjectVersionForReplication", objects(SOURCE)),
    ("s3:GetObjectVersionAcl", objects(SOURCE)),
    ("s3:GetObjectVersionTagging", objects(SOURCE)),
    ("s3:ReplicateObject", objects(COPY)),
    ("s3:ReplicateDelete", objects(COPY)),
    ("s3:ReplicateTags", objects(COPY)),
}


def test_the_copy_is_a_bucket_like_the_first_in_the_other_region(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", replica=REPLICA, expire_days=30), tier=Tier.PROD)
    assert result.names_of("data") == SETTINGS | {f"replica-{name}" for name in SETTINGS} | REPLICATION
    for name in SETTINGS:
        first, copy = result.inputs(f"data/{name}"), result.inputs(f"data/replica-{name}")
        assert "region" not in first
        assert copy["region"] == "eu-central-1"
        assert set(first) == set(copy) - {"region"}
    assert result.inputs("data/replica-lifecycle")["rules"] == result.inputs("data/lifecycle")["rules"]
    assert result.inputs("data/replica-bucket")["tags"] == result.inputs("data/bucket")["tags"]
    assert result.node("data/replica-bucket").options.protect
    assert run_checks(result.graph) == []


def test_everything_is_copied_deletions_too(expanded: Any) -> None:
    replication = expanded(lambda: Bucket("data", replica=REPLICA))
    inputs = replication.inputs("data/replication")
    assert inputs["role"] == Ref("data/replication-role", ("arn",))
    (rule,) = inputs["rules"]
    assert rule["filter"] == {"prefix": ""}
    assert rule["deleteMarkerReplication"] == {"status": "Enabled"}
    assert rule["destination"] == {"bucket": COPY, "storageClass": "STANDARD_IA"}
    assert "sourceSelectionCriteria" not in rule
    after = replication.node("data/replication").options.depends_on
    assert set(after) == {"data/versioning", "data/replica-versioning", "data/replication-policy"}


def test_the_role_can_do_exactly_what_copying_takes(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", replica=REPLICA))
    assert allowed(result) == PLAIN
    (trust,) = result.inputs("data/replication-role")["assumeRolePolicy"].value["Statement"]
    assert trust["Principal"] == {"Service": "s3.amazonaws.com"}


def test_with_a_key_there_is_one_in_each_region(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", key="own", replica=REPLICA))
    key, copy = Ref("data/key", ("arn",)), Ref("data/replica-key", ("arn",))
    assert (
        result.inputs("data/replica-key")["region"] == result.inputs("data/replica-alias")["region"] == REPLICA.region
    )
    assert result.inputs("data/replica-encryption")["rules"][0]["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": copy,
    }
    (rule,) = result.inputs("data/replication")["rules"]
    assert rule["destination"]["encryptionConfiguration"] == {"replicaKmsKeyId": copy}
    assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    assert allowed(result) == PLAIN | {("kms:Decrypt", key), ("kms:Decrypt", copy), ("kms:Encrypt", copy)}
    for item in result.inputs("data/replication-policy")["policy"].value["Statement"]:
        if item["Action"][0].startswith("kms:"):
            assert item["Condition"] == {"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com"]}}


@pytest.mark.parametrize(("classification", "admits"), [("confidential", False), ("pii", True)])
def test_the_keys_of_personal_data_admit_the_role(expanded: Any, classification: Any, admits: bool) -> None:
    result = expanded(lambda: Bucket("data", classification=classification, expire_days=9, replica=REPLICA))
    for local, actions in (("key", ["kms:Decrypt"]), ("replica-key", ["kms:Decrypt", "kms:Encrypt"])):
        found = result.inputs(f"data/{local}")["policy"].value["Statement"]
        roles = [item for item in found if "ArnEquals" in item.get("Condition", {})]
        assert [item["Action"] for item in roles] == ([actions] if admits else [])


def test_the_copys_key_is_for_whom_the_given_one_is_for(expanded: Any) -> None:
    role = "arn:aws:iam::444455556666:role/audit"

    def statements(**fields: Any) -> list[dict[str, Any]]:
        result = expanded(lambda: Bucket("data", key=Key("keys", **fields), replica=REPLICA))
        found: list[dict[str, Any]] = result.inputs("data/replica-key")["policy"].value["Statement"]
        return [item for item in found if item["Action"] != ["kms:Decrypt", "kms:Encrypt"]]  # of the replication's role

    assert [item["Sid"] for item in statements()][1:] == ["UsedByTheAccount", "GrantsByServices"]
    assert statements(users="references")[1:] == []
    (reader,) = statements(users="references", readers=[role])[1:]
    assert reader["Condition"]["ArnEquals"] == {"aws:PrincipalArn": role}


def test_a_lock_goes_with_the_copies(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", replica=REPLICA, lock=ObjectLock(mode="governance", days=3)))
    assert result.inputs("data/replica-bucket")["objectLockEnabled"] is True
    assert allowed(result) == PLAIN | {
        ("s3:GetObjectRetention", objects(SOURCE)),
        ("s3:GetObjectLegalHold", objects(SOURCE)),
    }
