"""Drift put in by hand: one setting in AWS, one field in the cluster, changed past the engine.

What is changed is chosen from what the state holds: of S3 the block of public access, the versioning or the tags; else
the tags of whatever is there; in the cluster the data of a ConfigMap, a quota, else a label that every object of ours
has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from mlinfra.expansion import DOMAIN
from mlinfra.local.target import LocalAccess
from mlinfra.naming import name_of
from mlinfra.providers.aws.configuration import ENDPOINTS, Configuration
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.registry import RESOURCES
from mlinfra.providers.aws.resource import Aws, Change
from mlinfra.providers.aws.session import Api, Session
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import kind_of, lookup, split_id

Resource = Mapping[str, Any]
"""A resource as the state has it: `urn`, `type`, `id`, `inputs`."""

HAND: Final = "by-hand"
"""Who changes: the name of the field manager in the cluster, the value of what is changed."""

_OWNER: Final = f"{DOMAIN}/owner"


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that was changed by hand: which node, what, how it was, and how it is looked at."""

    node: str
    what: str
    before: Any
    look: Callable[[], Any]

    def repaired(self) -> bool:
        """Whether it is as it was."""
        return bool(self.look() == self.before)


@dataclass(frozen=True, slots=True)
class _Setting:
    """Something that can be changed: how it is read, and what changes it, given how it is."""

    what: str
    look: Callable[[], Any]
    change: Callable[[Any], Any]

    def drift(self, node: str) -> Drift:
        before = self.look()
        self.change(before)
        return Drift(node, self.what, before, self.look)


def in_aws(access: LocalAccess, resources: Sequence[Resource]) -> Drift | None:
    """Change a setting in the local AWS; None where the state holds nothing there that can be changed."""
    configuration = Configuration(
        access.region, access.access_key, access.secret_key, endpoints=dict.fromkeys(ENDPOINTS, access.aws_endpoint)
    )
    session = Session(configuration)
    for item, setting in _aws_settings(session, resources):
        try:
            return setting.drift(name_of(item["urn"]))
        except (AwsError, NotImplementedError):  # such as a lock that keeps versioning on: take another
            continue
    return None


def in_cluster(cluster: Cluster, resources: Sequence[Resource]) -> Drift | None:
    """Change a field in the cluster; None where the state holds nothing there that can be changed."""
    for item, setting in _cluster_settings(cluster, resources):
        try:
            return setting.drift(name_of(item["urn"]))
        except ApiError:  # such as a ConfigMap that cannot be changed
            continue
    return None


# ------------------------------------------------------------------------------------------------ AWS


def _aws_settings(session: Session, resources: Sequence[Resource]) -> Iterator[tuple[Resource, _Setting]]:
    for token, setting in _S3:
        for item in resources:
            if item["type"] == token:
                region = item["inputs"].get("region") or session.configuration.region
                yield item, setting(session.api("s3", region), item["id"])
    for item in resources:
        kind = RESOURCES.get(item["type"])
        if kind and kind.tagged and item["inputs"].get("tags"):
            yield item, _tags(session, item)


def _public_access(api: Api, bucket: str) -> _Setting:
    key = "PublicAccessBlockConfiguration"

    def change(before: Any) -> None:
        api.call("put_public_access_block", Bucket=bucket, **{key: {**before, "BlockPublicAcls": False}})

    what = f"bucket {bucket} no longer blocks public ACLs"
    return _Setting(what, lambda: api.call("get_public_access_block", Bucket=bucket)[key], change)


def _versioning(api: Api, bucket: str) -> _Setting:
    def change(before: Any) -> None:
        other = "Suspended" if before == "Enabled" else "Enabled"
        api.call("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": other})

    what = f"the versioning of bucket {bucket} is switched"
    return _Setting(what, lambda: api.call("get_bucket_versioning", Bucket=bucket).get("Status"), change)


def _bucket_tags(api: Api, bucket: str) -> _Setting:
    def look() -> Any:
        return {item["Key"]: item["Value"] for item in api.call("get_bucket_tagging", Bucket=bucket)["TagSet"]}

    def change(before: Any) -> None:
        tags = [{"Key": key, "Value": value} for key, value in _retagged(before).items()]
        api.call("put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": tags})

    return _Setting(f"a tag of bucket {bucket} has another value", look, change)


def _tags(session: Session, item: Resource) -> _Setting:
    """The tags of a resource of any type that the provider knows, by the type's own calls."""
    kind, inputs = RESOURCES[item["type"]], item["inputs"]
    aws = Aws(session, inputs.get("region") or session.configuration.region, threading.Event())

    def look() -> Any:
        live = kind.read(aws, item["id"], inputs)
        return dict((live.tags if live else None) or {})

    def change(before: Any) -> None:
        old, new = {**inputs, "tags": before}, {**inputs, "tags": _retagged(before)}
        kind.update(aws, Change(item["id"], old, new, item.get("outputs") or {}, frozenset({"tags"})))

    return _Setting(f"a tag of {item['type'].rpartition(':')[2]} {item['id']} has another value", look, change)


def _retagged(tags: Mapping[str, str]) -> dict[str, str]:
    return {**tags, min(tags): HAND} if tags else {HAND: HAND}


_S3: Final[tuple[tuple[str, Callable[[Api, str], _Setting]], ...]] = (
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", _public_access),
    ("aws:s3/bucketVersioning:BucketVersioning", _versioning),
    ("aws:s3/bucket:Bucket", _bucket_tags),
)
"""The settings of S3 that somebody might change at the console, the one that matters most first."""


# ------------------------------------------------------------------------------------------------ the cluster


def _cluster_settings(cluster: Cluster, resources: Sequence[Resource]) -> Iterator[tuple[Resource, _Setting]]:
    objects = [item for item in resources if item["type"].startswith("kubernetes:") and item.get("id")]
    for wanted, path, other in _FIELDS:
        for item in objects:
            given = lookup(item["inputs"], *path)
            if wanted in ("", kind_of(item["type"])[1]) and given:
                yield item, _field(cluster, item, (*path, min(given)) if isinstance(given, Mapping) else path, other)


def _field(cluster: Cluster, item: Resource, path: tuple[str, ...], other: Callable[[Any], str]) -> _Setting:
    """A text within an object; `other` gives another one for it."""
    api_version, kind = kind_of(item["type"])
    namespace, name = split_id(item["id"])

    def look() -> Any:
        return lookup(cluster.get(api_version, kind, name, namespace), *path)

    def change(before: Any) -> None:
        value: Any = other(before)
        for part in reversed(path):
            value = {part: value}
        where = f"{cluster.path(api_version, kind, namespace, name)}?{urlencode({'fieldManager': HAND})}"
        cluster.merge(where, value)

    return _Setting(f"{'.'.join(path[:-1])} {path[-1]} of {kind} {item['id']} has another value", look, change)


_FIELDS: Final[tuple[tuple[str, tuple[str, ...], Callable[[Any], str]], ...]] = (
    ("ConfigMap", ("data",), lambda _: HAND),
    ("ResourceQuota", ("spec", "hard"), lambda before: "2" if before == "1" else "1"),
    ("", ("metadata", "labels", _OWNER), lambda _: HAND),
)
"""Kind (any, where empty), path of a text or of texts by name, what to change one to: those that matter most first."""
