from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

ALL = {"bucket", "encryption", "public-access-block", "ownership", "policy", "versioning", "lifecycle"}


def test_what_a_bucket_comes_to(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", classification="pii", tags={"project": "recs"}))
    assert result.names_of("data") == ALL
    bucket = result.inputs("data/bucket")
    assert bucket["bucket"].startswith("sample-test-data-")
    assert bucket["tags"]["mlinfra:classification"] == "pii"
    assert bucket["tags"]["project"] == "recs"
    assert set(result.inputs("data/public-access-block").values()) == {Ref("data/bucket"), True}
    (statement,) = result.inputs("data/policy")["policy"].value["Statement"]
    arn = Ref("data/bucket", ("arn",))
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [arn, Join((arn, "/*"))]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert result.node("data/policy").options.depends_on == ("data/public-access-block",)
    assert result.node("data/lifecycle").options.depends_on == ("data/versioning",)


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


def test_lifecycle_options(expanded: Any) -> None:
    result = expanded(
        lambda: Bucket("data", versioning=False, old_version_days=3, infrequent_days=30, expire_days=90),
        tier=Tier.PROD,
    )
    rules = {rule["id"]: rule for rule in result.inputs("data/lifecycle")["rules"]}
    assert rules["tidy"]["noncurrentVersionExpiration"] == {"noncurrentDays": 3}
    assert rules["infrequent"]["transitions"] == [{"days": 30, "storageClass": "STANDARD_IA"}]
    assert rules["expire"]["expiration"] == {"days": 90}
    assert "versioning" not in result.names_of("data")


def test_outputs(expanded: Any) -> None:
    bucket = Bucket("data")
    assert bucket.arn == Ref("data/bucket", ("arn",))
    assert bucket.bucket_name == Ref("data/bucket", ("id",))
    assert bucket.uri == Join(("s3://", Ref("data/bucket", ("id",))))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"classification": "secret"}, "classification: should be 'public', 'internal', 'confidential' or 'pii'"),
        ({"infrequent_days": 7}, "greater than or equal to 30"),
        ({"infrequent_days": 90, "expire_days": 60}, "but are gone after 60"),
        ({"tags": {"aws:x": "y"}}, "prefixes `aws:` and `mlinfra:` are reserved"),
        ({"tags": {"a&b": "y"}}, "tags"),
        ({"versoning": True}, "there is no field 'versoning'"),
        ({"versioning": "yes"}, "versioning: should be a valid boolean"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: Bucket("data", **fields)).diagnostics
    assert says in diagnostic.summary
    assert diagnostic.location is not None
    assert diagnostic.location.file == __file__


def test_renamed_keeps_its_physical_name(expanded: Any) -> None:
    old = expanded(lambda: Bucket("old"))
    new = expanded(lambda: Bucket("new", moved_from="old"))
    assert new.inputs("new/bucket")["bucket"] == old.inputs("old/bucket")["bucket"]
    assert new.node("new/bucket").options.aliases == ("old/bucket",)


def test_without_aws(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data"), "kubeconfig")
    (diagnostic,) = result.diagnostics
    assert diagnostic.code == "target-without-aws"
    assert "needs AWS, and this target has none" in diagnostic.summary
    assert result.names_of("data") == set()
