from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_lifecycle import Lifecycle
from mlinfra.components.bucket_options import Transition
from mlinfra.tiers import Tier

IA, ONEZONE = Transition(days=30, to="STANDARD_IA"), Transition(days=30, to="ONEZONE_IA")
GLACIER = Transition(days=90, to="GLACIER")


def rules(lifecycle: Lifecycle, *, versioning: bool = True) -> dict[str, Any]:
    found = lifecycle.rules(versioning=versioning)
    return {rule["id"]: rule for rule in found}


def test_every_bucket_is_tidied_up() -> None:
    (tidy,) = rules(Lifecycle(old_version_days=7)).values()
    assert tidy["filter"] == {"prefix": ""}
    assert tidy["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert tidy["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert "noncurrentVersionTransitions" not in tidy


def test_objects_move_in_order_then_go() -> None:
    found = rules(Lifecycle(old_version_days=7, expire_days=400, transitions=(GLACIER, IA)))
    assert list(found) == ["tidy", "move", "expire", "markers"]
    assert found["move"]["transitions"] == [
        {"days": 30, "storageClass": "STANDARD_IA"},
        {"days": 90, "storageClass": "GLACIER"},
    ]
    assert found["expire"]["expiration"] == {"days": 400}
    assert found["markers"]["expiration"] == {"expiredObjectDeleteMarker": True}


def test_old_versions_move_too() -> None:
    tidy = rules(Lifecycle(old_version_days=90, old_version_transitions=(ONEZONE,)))["tidy"]
    assert tidy["noncurrentVersionTransitions"] == [{"noncurrentDays": 30, "storageClass": "ONEZONE_IA"}]


@pytest.mark.parametrize("versioning", [True, False])
def test_what_bears_the_tag_is_erased_with_its_old_versions(versioning: bool) -> None:
    found = rules(Lifecycle(old_version_days=7, erases=True), versioning=versioning)
    erase = found["erase"]
    assert erase["filter"] == {"tag": {"key": "mlinfra:erase", "value": "true"}}
    assert erase["expiration"] == {"days": 1}
    assert ("noncurrentVersionExpiration" in erase) is versioning
    assert "abortIncompleteMultipartUpload" not in erase  # S3 takes no such action with a filter by tags
    assert ("markers" in found) is versioning


@pytest.mark.parametrize(
    ("lifecycle", "told"),
    [
        (Lifecycle(old_version_days=7, transitions=(GLACIER,)), []),
        (Lifecycle(old_version_days=7, transitions=(GLACIER,), expire_days=180), []),
        (
            Lifecycle(old_version_days=7, transitions=(GLACIER,), expire_days=100),
            ["objects are in GLACIER for 10 days, and S3 charges each for 90 at least"],
        ),
        (
            Lifecycle(old_version_days=40, old_version_transitions=(IA,)),
            ["old versions are in STANDARD_IA for 10 days, and S3 charges each for 30 at least"],
        ),
        (
            Lifecycle(
                old_version_days=7,
                transitions=(Transition(days=0, to="GLACIER_IR"), Transition(days=10, to="DEEP_ARCHIVE")),
            ),
            ["objects are in GLACIER_IR for 10 days, and S3 charges each for 90 at least"],
        ),
        (Lifecycle(old_version_days=7, transitions=(Transition(days=0, to="INTELLIGENT_TIERING"),), expire_days=1), []),
    ],
)
def test_what_is_paid_for_in_vain(lifecycle: Lifecycle, told: list[str]) -> None:
    assert list(lifecycle.charged_in_vain()) == told


def test_a_bucket_warns_of_it_and_says_where_it_was_written(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", transitions=[GLACIER], expire_days=100))
    (warning,) = result.diagnostics
    assert warning.code == "bucket-early-deletion"
    assert warning.severity == "warning"
    assert warning.location is not None
    assert warning.location.file == __file__


@pytest.mark.parametrize(("tier", "codes"), [(Tier.DEV, ["bucket-old-versions"]), (Tier.PROD, [])])
def test_old_versions_must_move_before_they_go_as_the_tier_says(expanded: Any, tier: Tier, codes: list[str]) -> None:
    result = expanded(lambda: Bucket("data", old_version_transitions=[IA]), tier=tier)
    assert [item.code for item in result.diagnostics if item.severity == "error"] == codes
