"""A part of a bucket that is a store of its own: what is under one prefix, with permissions for that alone.

A dataset and a model store are such parts; several are on one bucket and share its key, versions and classification.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

from pydantic import Field

from mlinfra.components.access import Classification, DataStore, Grant
from mlinfra.components.bucket import Bucket
from mlinfra.expansion import Scope
from mlinfra.graph import Join, Kind, Ref, Value, join

_FOLDER: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
FOLDER: Final = re.compile(_FOLDER)
"""The name of one folder, in characters that need no care anywhere (S3 user guide, "Naming Amazon S3 objects"). A `*`
would be a wildcard in a policy."""

Prefix = Annotated[str, Field(max_length=512, pattern=f"^{_FOLDER}(/{_FOLDER})*$")]
"""Folders with slashes between them. Keys have 1,024 bytes; half of them are left to what is inside."""

_LISTS: Final = ("s3:ListBucket", "s3:ListBucketVersions")
"""The actions on a bucket that know the prefix that is asked for (Service Authorization Reference, "Actions, resources,
and condition keys for Amazon S3"). A part gives none of the others."""


class BucketPart(DataStore):
    """Base of what lies under one prefix of a bucket."""

    bucket: Bucket
    """The bucket that it is on. Whether data is personal or confidential is said there and holds for all of it."""

    prefix: Prefix | None = None
    """The folder that it is in, without a slash at the end. It is part of its identity: with another prefix it is
    empty, and what was there stays where it is."""

    description: str = Field(default="", max_length=256, pattern=r"^[^\x00-\x1f]*$")
    """What it holds, in a sentence that `mlinfra report data` shows."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def folder(self) -> str:
        """The prefix, as keys begin: with a slash at the end."""
        return f"{self.prefix or self._default_prefix()}/"

    @property
    def uri(self) -> Value:
        """Where it is: `s3://bucket/prefix`."""
        return join(self.bucket.uri, f"/{self.folder.removesuffix('/')}")

    @property
    def classification(self) -> Classification:
        """How sensitive the data is: as the bucket says."""
        return self.bucket.classification

    @property
    def personal(self) -> bool:
        """Whether it is meant for personal data: as the bucket is."""
        return self.bucket.personal

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """What reading the bucket takes, for this prefix alone."""
        return tuple(self._narrowed(self.bucket.read_grants()))

    def write_grants(self) -> tuple[Grant, ...]:
        """What writing to the bucket takes, for this prefix alone."""
        return tuple(self._narrowed(self.bucket.write_grants()))

    def erase_grants(self) -> tuple[Grant, ...]:
        """What erasing objects for good takes, for this prefix alone."""
        return tuple(self._narrowed(self.bucket.erase_grants()))

    def variables(self) -> dict[str, Value]:
        """`CLICKS_URI` for a dataset `clicks`."""
        return {f"{self.identity.replace('-', '_').upper()}_URI": self.uri}

    def variables_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:
        """`variables`; in the cluster also how to reach the bucket's store."""
        if self.by_iam:
            return super().variables_in(scope, namespace)
        return {**self.variables(), **self.bucket.access_in(scope, namespace)}

    @property
    def by_iam(self) -> bool:
        """As with the bucket."""
        return self.bucket.by_iam

    def open_to(self, scope: Scope, namespace: Value) -> None:
        """The bucket's ways."""
        self.bucket.open_to(scope, namespace)

    def admit_pods(self, scope: Scope, grants: Iterable[Grant]) -> None:
        """By the bucket's policy, for this prefix alone."""
        self.bucket.admit_pods(scope, grants)

    def _narrowed(self, grants: tuple[Grant, ...]) -> Iterator[Grant]:
        """Grants on the bucket's objects become grants on those under the prefix; lists have to ask for it.

        What lists uploads that were begun cannot be bound to a prefix, and adding data does not need it.
        """
        for grant in grants:
            if not grant.actions[0].startswith("s3:"):
                yield grant
                continue
            objects = tuple(
                Join((*resource.parts[:-1], f"/{self.folder}*"))
                for resource in grant.resources
                if _of_objects(resource)
            )
            if objects:
                yield Grant(grant.actions, objects, grant.condition)
            buckets = tuple(resource for resource in grant.resources if not _of_objects(resource))
            lists = tuple(action for action in grant.actions if action in _LISTS)
            if buckets and lists:
                yield Grant(lists, buckets, {**grant.condition, "StringLike": {"s3:prefix": [f"{self.folder}*"]}})

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Nothing of its own: S3 knows no folders. The graph learns which part of which bucket it is."""
        if self.by_iam and not scope.environment.has_aws:
            return  # the bucket has said so
        for other, folder in _parts_of(scope, self.bucket.bucket_name):
            if self.folder.startswith(folder) or folder.startswith(self.folder):
                scope.problem(
                    f"{self!r} is in {self.folder} of {self.bucket!r}, and {other} is in {folder} of it",
                    detail="Who may read or write one of them could read or write the other.",
                    remedy='Give one of them a prefix of its own: `prefix="…"`.',
                    code="prefix-shared",
                )
        scope.describe(bucket=self.bucket.bucket_name, prefix=self.folder, description=self.description)

    def _default_prefix(self) -> str:
        raise NotImplementedError


def _of_objects(resource: Value) -> bool:
    return isinstance(resource, Join) and resource.parts[-1] == "/*"


def _parts_of(scope: Scope, bucket: Ref) -> Iterator[tuple[str, str]]:
    """The parts of a bucket that are there already, with their folders."""
    for node in scope.expansion.nodes.values():
        if node.kind is Kind.COMPONENT and node.name != scope.component.name and node.inputs.get("bucket") == bucket:
            yield node.name, node.inputs["prefix"]


def folder_name(text: str, what: str) -> str:
    """A text that is a folder's name; raises `ValueError` where it is none."""
    if not FOLDER.fullmatch(text):
        raise ValueError(f"{text!r} is no {what}: letters, digits and `_.-`, a letter or digit first, at most 128")
    return text
