"""What becomes of a bucket's objects with time, as S3's lifecycle rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mlinfra.components.bucket_options import CHARGED_DAYS, Transition
from mlinfra.graph import Value

ABORT_UPLOAD_DAYS: Final = 7
ERASE_TAG: Final = ("mlinfra:erase", "true")
"""The tag by which an object, or one version of it, asks to be erased."""

ERASE_DAYS: Final = 1


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """When objects and their old versions move and go, in days; None for never. `erases` is for personal data."""

    old_version_days: int
    expire_days: int | None = None
    transitions: tuple[Transition, ...] = ()
    old_version_transitions: tuple[Transition, ...] = ()
    erases: bool = False

    def rules(self, *, versioning: bool) -> list[Value]:
        """The rules, of which an empty prefix means every object.

        Sources: S3 user guide, "Lifecycle configuration elements", and "Examples of S3 Lifecycle configurations" for
        delete markers: a marker that is all that is left of an object goes by a rule of its own.
        """
        everything = {"status": "Enabled", "filter": {"prefix": ""}}
        tidy: dict[str, Value] = {
            "id": "tidy",
            **everything,
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": ABORT_UPLOAD_DAYS},
            "noncurrentVersionExpiration": {"noncurrentDays": self.old_version_days},
        }
        if self.old_version_transitions:
            tidy["noncurrentVersionTransitions"] = _moves(self.old_version_transitions, "noncurrentDays")
        rules: list[Value] = [tidy]
        if self.transitions:
            rules.append({"id": "move", **everything, "transitions": _moves(self.transitions, "days")})
        if self.expire_days:
            rules.append({"id": "expire", **everything, "expiration": {"days": self.expire_days}})
        if self.erases:
            rules.append(_erase(versioning))
        if versioning and (self.expire_days or self.erases):
            rules.append({"id": "markers", **everything, "expiration": {"expiredObjectDeleteMarker": True}})
        return rules

    def charged_in_vain(self) -> Iterator[str]:
        """What leaves a class earlier than S3 stops charging for it, in words."""
        for what, transitions, end in (
            ("objects", self.transitions, self.expire_days),
            ("old versions", self.old_version_transitions, self.old_version_days),
        ):
            ordered = sorted(transitions, key=lambda item: item.days)
            stays = [(one, other.days) for one, other in pairwise(ordered)]
            stays += [(ordered[-1], end)] if ordered and end else []
            for one, until in stays:
                least = CHARGED_DAYS.get(one.to, 0)
                if until - one.days < least:
                    yield (
                        f"{what} are in {one.to} for {until - one.days} days, and S3 charges each for {least} at least"
                    )


def _moves(transitions: Iterable[Transition], unit: str) -> list[Value]:
    ordered = sorted(transitions, key=lambda item: item.days)
    return [{unit: item.days, "storageClass": item.to} for item in ordered]


def _erase(versioning: bool) -> dict[str, Value]:
    """Versions bear tags one by one, so an old version goes by its own tag, and no other version of the object does.

    S3 looks once a day, and counts whole days: what bears the tag is overwritten by a delete marker within a day, and
    as an old version gone two days later at the latest (S3 user guide, "Lifecycle configuration elements").
    """
    key, value = ERASE_TAG
    rule: dict[str, Value] = {
        "id": "erase",
        "status": "Enabled",
        "filter": {"tag": {"key": key, "value": value}},
        "expiration": {"days": ERASE_DAYS},
    }
    if versioning:
        rule["noncurrentVersionExpiration"] = {"noncurrentDays": ERASE_DAYS}
    return rule
