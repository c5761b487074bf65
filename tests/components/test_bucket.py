from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import CorsRule, ObjectLock, Replica, Transition
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

ALL = {"bucket", "encryption", "public-access-block", "ownership", "policy", "versioning", "lifecycle"}
KEYED = ALL | {"key", "alias", "account"}
LOGGED = {f"logs-{name}" for name in ALL} | {"logging"}
ARN = Ref("data/bucket", ("arn",))
ROLE = "arn:aws:iam::444455556666:role/audit"


def pii(**fields: Any) -> Bucket:
    return Bucket("data", classification="pii", **{"expire_days": 400, **fields})


def statements(result: Any, node: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.inputs(node)["policy"].value["Statement"]
    return found


def test_what_a_bucket_comes_to(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", tags={"project": "recs"}))
    assert result.names_of("data") == ALL
    bucket = result.inputs("data/bucket")
    assert bucket["bucket"].startswith("sample-test-data-")
    assert bucket["tags"]["mlinfra:classification"] == "internal"
    assert bucket["tags"]["project"] == "recs"
    assert "objectLockEnabled" not in bucket
    assert set(result.inputs("data/public-access-block").values()) == {Ref("data/bucket"), True}
    assert result.node("data/policy").options.depends_on == ("data/public-access-block",)
    assert result.node("data/lifecycle").options.depends_on == ("data/versioning",)


@pytest.mark.parametrize(
    ("classification", "names"),
    [("public", ALL), ("internal", ALL), ("confidential", KEYED | LOGGED), ("pii", KEYED | LOGGED)],
)
def test_what_a_classification_switches_on(expanded: Any, classification: Any, names: set[str]) -> None:
    result = expanded(lambda: Bucket("data", classification=classification, expire_days=30))
    assert result.names_of("data") == names
    assert result.inputs("data/bucket")["tags"]["mlinfra:classification"] == classification


@pytest.mark.parametrize(
    ("tier", "protect", "empties", "protected", "days"),
    [
        (Tier.DEV, (), True, False, 7),
        (Tier.DEV, ("data",), True, True, 7),
        (Tier.STAGING, (), True, False, 30),
        (Tier.PROD, (), False, True, 365),
    ],
)
def test_tiers_and_protection(
    expanded: Any, tier: Tier, protect: tuple[str, ...], empties: bool, protected: bool, days: int
) -> None:
    result = expanded(lambda: Bucket("data"), tier=tier, protect=protect)
    assert result.inputs("data/bucket")["forceDestroy"] is empties
    assert result.node("data/bucket").options.protect is protected
    (rule,) = result.inputs("data/lifecycle")["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": days}


@pytest.mark.parametrize(
    ("tier", "given", "days"),
    [(Tier.DEV, None, 7), (Tier.STAGING, None, 30), (Tier.PROD, None, 30), (Tier.PROD, 90, 90)],
)
def test_old_versions_of_personal_data_go_within_a_month(
    expanded: Any, tier: Tier, given: int | None, days: int
) -> None:
    rules = expanded(lambda: pii(old_version_days=given), tier=tier).inputs("data/lifecycle")["rules"]
    assert rules[0]["noncurrentVersionExpiration"] == {"noncurrentDays": days}


# ------------------------------------------------------------------------------------------------ keys


def test_a_key_of_its_own_is_for_the_account_by_default(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", key="own"), "eks")
    assert result.names_of("data") == ALL | {"key", "alias"}
    used = statements(result, "data/key")[1]
    assert used["Sid"] == "UsedByTheAccount"
    assert used["Condition"] == {"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com"]}}
    assert result.inputs("data/alias")["name"] == "alias/sample-test-data"


def test_a_shared_key_is_not_made_again(expanded: Any) -> None:
    def declare() -> list[Any]:
        keys = Key("keys")
        return [Bucket("data", key=keys), Bucket("more", classification="confidential", key=keys)]

    result = expanded(declare)
    assert not {"key", "alias"} & (result.names_of("data") | result.names_of("more"))
    for name in ("data", "more"):
        (rule,) = result.inputs(f"{name}/encryption")["rules"]
        default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": Ref("keys/key", ("arn",))}
        assert rule == {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}


def reader(store: Bucket, *, writes: bool = False) -> Endpoint:
    access: dict[str, Any] = {"writes": [store]} if writes else {"reads": [store]}
    return Endpoint("api", cluster=TrainingCluster("train"), **access)


@pytest.mark.parametrize(
    ("writes", "actions"), [(False, ["kms:Decrypt"]), (True, ["kms:Decrypt", "kms:GenerateDataKey"])]
)
def test_who_refers_to_personal_data_is_all_whom_its_key_admits(
    expanded: Any, writes: bool, actions: list[str]
) -> None:
    administered, admitted = statements(expanded(lambda: reader(pii(), writes=writes)), "data/key")
    assert admitted["Action"] == actions
    assert admitted["Principal"] == administered["Principal"]
    assert admitted["Condition"]["ArnEquals"] == {"aws:PrincipalArn": Ref("api/role", ("arn",))}
    assert administered["Sid"] == "AdministeredByTheAccount"


def test_without_readers_nobody_can_decrypt_personal_data(expanded: Any) -> None:
    (administered,) = statements(expanded(pii), "data/key")
    assert administered["Sid"] == "AdministeredByTheAccount"


def test_a_reader_of_what_is_confidential_is_a_matter_of_iam(expanded: Any) -> None:
    result = expanded(lambda: reader(Bucket("data", classification="confidential")))
    assert [item["Sid"] for item in statements(result, "data/key")] == [
        "AdministeredByTheAccount",
        "UsedByTheAccount",
        "GrantsByServices",
    ]
    assert statements(result, "api/policy")[-1]["Action"] == ["kms:Decrypt"]
    assert statements(result, "api/policy")[-1]["Resource"] == [Ref("data/key", ("arn",))]


def test_other_stacks_readers_come_in_by_a_key_that_names_them(expanded: Any) -> None:
    result = expanded(lambda: pii(key=Key("keys", users="references", readers=[ROLE], via=["s3"])))
    assert [item["Action"] for item in statements(result, "keys/key")][1:] == [["kms:Decrypt"]]


# ------------------------------------------------------------------------------------------------ grants


def test_grants_name_the_key_only_where_there_is_one() -> None:
    plain, keyed = Bucket("data"), Bucket("data", key="own")
    assert [grant.actions for grant in plain.read_grants()] == [("s3:GetObject",), ("s3:ListBucket",)]
    assert keyed.read_grants()[:2] == plain.read_grants()
    assert keyed.write_grants()[:2] == plain.write_grants()
    (read,), (write,) = keyed.read_grants()[2:], keyed.write_grants()[2:]
    assert (read.actions, write.actions) == (("kms:Decrypt",), ("kms:Decrypt", "kms:GenerateDataKey"))
    assert read.resources == write.resources == (Ref("data/key", ("arn",)),)
    assert read.condition == {"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com"]}}


@pytest.mark.parametrize(
    ("fields", "versions", "bypass", "buckets"),
    [
        ({}, True, False, ["data/bucket"]),
        ({"versioning": False}, False, False, ["data/bucket"]),
        ({"lock": ObjectLock(mode="governance", days=1)}, True, True, ["data/bucket"]),
        ({"replica": Replica(region="eu-central-1")}, True, False, ["data/bucket", "data/replica-bucket"]),
    ],
)
def test_erasing_takes_every_version_and_every_copy_and_reads_nothing(
    fields: dict[str, Any], versions: bool, bypass: bool, buckets: list[str]
) -> None:
    objects, listing = pii(**fields).erase_grants()
    assert ("s3:DeleteObjectVersion" in objects.actions) is versions
    assert ("s3:PutObjectVersionTagging" in objects.actions) is versions
    assert ("s3:ListBucketVersions" in listing.actions) is versions
    assert ("s3:BypassGovernanceRetention" in objects.actions) is bypass
    assert listing.resources == tuple(Ref(name, ("arn",)) for name in buckets)
    assert objects.resources == tuple(Join((Ref(name, ("arn",)), "/*")) for name in buckets)
    assert not {"s3:GetObject", "s3:GetObjectVersion"} & set(objects.actions)


# ------------------------------------------------------------------------------------------------ the rest


def test_a_lock_is_there_from_the_start(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", lock=ObjectLock(mode="compliance", days=10)))
    assert result.inputs("data/bucket")["objectLockEnabled"] is True
    assert result.inputs("data/lock")["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 10}}
    assert result.node("data/lock").options.depends_on == ("data/versioning",)


def test_cors(expanded: Any) -> None:
    rules = [
        CorsRule(
            origins=["https://a.example.com"],
            methods=["GET", "PUT"],
            headers=["content-type"],
            exposed_headers=["ETag"],
            max_age_seconds=60,
        ),
        CorsRule(origins=["*"], methods=["HEAD"]),
    ]
    assert expanded(lambda: Bucket("data", cors=rules)).inputs("data/cors")["corsRules"] == [
        {
            "id": "rule-1",
            "allowedOrigins": ["https://a.example.com"],
            "allowedMethods": ["GET", "PUT"],
            "allowedHeaders": ["content-type"],
            "exposeHeaders": ["ETag"],
            "maxAgeSeconds": 60,
        },
        {"id": "rule-2", "allowedOrigins": ["*"], "allowedMethods": ["HEAD"], "maxAgeSeconds": 3600},
    ]


def test_a_reason_to_keep_is_a_tag(expanded: Any) -> None:
    reason = "labels are needed for as long as models are trained"
    result = expanded(lambda: pii(expire_days=None, keep_forever=reason))
    assert result.inputs("data/bucket")["tags"]["mlinfra:keep-forever"] == reason
    assert "expire" not in {rule["id"] for rule in result.inputs("data/lifecycle")["rules"]}


def test_outputs() -> None:
    bucket = Bucket("data")
    assert bucket.arn == ARN
    assert bucket.bucket_name == Ref("data/bucket", ("id",))
    assert bucket.uri == Join(("s3://", Ref("data/bucket", ("id",))))
    assert bucket.key_arn is None
    assert bucket.replica_name == Ref("data/replica-bucket", ("id",))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"classification": "secret"}, "classification: should be 'public', 'internal', 'confidential' or 'pii'"),
        ({"tags": {"aws:x": "y"}}, "prefixes `aws:` and `mlinfra:` are reserved"),
        ({"tags": {"a&b": "y"}}, "tags"),
        ({"tags": {f"t{number}": "" for number in range(41)}}, "tags: "),
        ({"versoning": True}, "there is no field 'versoning'"),
        ({"versioning": "yes"}, "versioning: should be a valid boolean"),
        ({"key": "mine"}, "key"),
        ({"key": Bucket("other")}, "key"),
        ({"expire_days": 0}, "expire_days: should be greater than or equal to 1"),
        ({"expire_days": 9, "keep_forever": "for the audit"}, "cannot both go after 9 days and be kept for ever"),
        ({"keep_forever": "why not"}, "keep_forever: string should have at least 10 characters"),
        ({"classification": "pii"}, "is kept for no longer than it is needed (GDPR, article 5(1)(e))"),
        ({"versioning": False, "lock": ObjectLock(mode="governance", days=1)}, "lock needs versioning"),
        ({"versioning": False, "replica": Replica(region="eu-west-1")}, "replica needs versioning"),
        (
            {"versioning": False, "old_version_transitions": [Transition(days=0, to="GLACIER")]},
            "old_version_transitions needs versioning",
        ),
        (
            {"classification": "pii", "expire_days": 9, "lock": ObjectLock(mode="compliance", days=1)},
            "locked in compliance mode cannot be erased on request",
        ),
        ({"classification": "pii", "expire_days": 9, "key": Key("k")}, 'write `Key(…, users="references")`'),
        ({"access_logs": Bucket("l", key="own")}, "Bucket('l') has a KMS key; S3 delivers logs to S3's own keys only"),
        ({"access_logs": Bucket("l", classification="confidential")}, "Bucket('l') has a KMS key"),
        ({"access_logs": Bucket("l", lock=ObjectLock(mode="governance", days=1))}, "Bucket('l') has a lock"),
        ({"access_logs": "theirs"}, "access_logs"),
        (
            {"classification": "confidential", "cors": [CorsRule(origins=["*"], methods=["GET"])]},
            "pages of any origin cannot use what is confidential",
        ),
        ({"key": Key("k", via=["sqs"])}, "key 'k', which may be used through sqs alone"),
        ({"replica": Replica(region="us-east-1")}, "has its replica in us-east-1, where it is itself"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    found = expanded(lambda: Bucket("data", **fields)).diagnostics
    assert found
    assert says in found[0].summary
    assert found[0].location is not None
    assert found[0].location.file == __file__


def test_a_replica_in_the_buckets_region_is_refused_where_the_region_is_known(expanded: Any) -> None:
    declare = lambda: Bucket("data", replica=Replica(region="eu-west-1"))  # noqa: E731 — the same twice
    assert expanded(declare, "eks").codes == ["bucket-replica-region"]
    assert expanded(declare).codes == []


def test_renamed_keeps_its_physical_names(expanded: Any) -> None:
    def confidential(name: str, moved_from: str | None = None) -> Bucket:
        replica = Replica(region="eu-west-1")
        return Bucket(name, classification="confidential", replica=replica, moved_from=moved_from)

    old = expanded(lambda: confidential("old"))
    new = expanded(lambda: confidential("new", "old"))
    for local, key in (
        ("bucket", "bucket"),
        ("logs-bucket", "bucket"),
        ("replica-bucket", "bucket"),
        ("alias", "name"),
    ):
        assert new.inputs(f"new/{local}")[key] == old.inputs(f"old/{local}")[key]
        assert new.node(f"new/{local}").options.aliases == (f"old/{local}",)
    assert new.inputs("new/logging")["targetPrefix"] == old.inputs("old/logging")["targetPrefix"] == "old/"


def test_without_aws(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", place="aws"), "kubeconfig")
    (diagnostic,) = result.diagnostics
    assert diagnostic.code == "target-without-aws"
    assert "needs AWS, and this target has none" in diagnostic.summary
    assert result.names_of("data") == set()
