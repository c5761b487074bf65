"""Tags that authors add to what a component makes on AWS."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

TagValue = Annotated[str, Field(max_length=256, pattern=r"^[\w\s.:/=+@-]*$")]
TagKey = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w\s.:/=+@-]+$")]

MOST_TAGS: Final = 40
"""AWS takes 50 tags on a resource (S3 user guide, "Using cost allocation S3 bucket tags"; KMS and SQS API references,
`TagResource` and `TagQueue`); the rest are for our own."""


def _not_reserved(tags: dict[str, str]) -> dict[str, str]:
    reserved = sorted(key for key in tags if key.lower().startswith(("aws:", "mlinfra:")))
    if reserved:
        raise ValueError(f"{', '.join(reserved)}: the prefixes `aws:` and `mlinfra:` are reserved")
    return tags


Tags = Annotated[dict[TagKey, TagValue], Field(max_length=MOST_TAGS), AfterValidator(_not_reserved)]
"""The type of fields that take further tags."""
