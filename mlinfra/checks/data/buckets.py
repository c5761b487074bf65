"""Buckets, and the parts of them that are stores of their own: datasets, model stores.

Source of what reads an object: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mlinfra.checks.access.deciding import Question
from mlinfra.checks.access.policies import ANYONE, Statement
from mlinfra.checks.access.symbols import at
from mlinfra.checks.data.held import Held, Sources, days, facts, space, title
from mlinfra.checks.data.record import Retention, Store
from mlinfra.graph import Kind, Node

BUCKETS: Final = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
READING: Final = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersionTorrent",
    "s3:GetObjectVersionForReplication",
)
PARTS: Final = {"Dataset": "dataset", "ModelStore": "model store"}
"""Components that are a part of a bucket: their nodes say of which, and under which prefix."""

_ENCRYPTION: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_REPLICATION: Final = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
_BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_PUBLIC_ACLS: Final = ("public-read", "public-read-write", "authenticated-read")


def buckets(sources: Sources) -> Iterator[Held]:
    """Every bucket, each followed by its parts."""
    for node in sources.symbols.of_type(*BUCKETS):
        bucket = _Bucket(sources, node)
        yield bucket.held("*", bucket.facts("bucket", _rules_of(bucket.rules, "")))
        yield from bucket.parts()


class _Bucket:
    """A bucket with its settings, which are nodes of their own."""

    def __init__(self, sources: Sources, node: Node) -> None:
        self.sources, self.node = sources, node
        self.name = str(sources.symbols.output(node, "id"))
        self.arn = sources.symbols.arn(node)
        self.rules: list[Mapping[str, Any]] = [
            rule
            for setting in self._settings(_LIFECYCLE)
            for rule in sources.symbols.items(setting, "rules")
            if at(rule, "status") == "Enabled"
        ]
        self.key, self.encrypted_with, self.by_bucket_key = self._encryption()
        self.closed = any(
            sources.symbols.input(setting, "restrictPublicBuckets") is True for setting in self._settings(_BLOCK)
        )
        self.statements = [
            *sources.statements("aws:s3/bucketPolicy:BucketPolicy", "bucket", self.name, self.arn),
            *sources.own_statements(node),
            *self._public_acl(),
        ]

    def held(self, part: str, told: Store) -> Held:
        """The bucket, or a part of it, as something to be read."""
        account = self.sources.symbols.account
        context = {"aws:resourceaccount": account, "s3:resourceaccount": account}
        question = Question(READING, space(f"{self.arn}/{part}"), self.statements, context)
        sealed = {"kms:viaservice": f"s3.{told.where}.amazonaws.com"}
        if self.by_bucket_key:
            sealed["kms:encryptioncontext:aws:s3:arn"] = self.arn
        return Held(
            told, f"{self.arn}/{part}".removesuffix("*").removesuffix("/"), (question,), self.key, sealed, self.closed
        )

    def facts(self, kind: str, rules: list[Mapping[str, Any]]) -> Store:
        """What is told of it."""
        made_up = "⟨" in self.name
        note = "its name is made up when it is made: policies that name it by a pattern are not seen"
        return facts(
            self.sources.symbols,
            self.node,
            kind,
            place=f"s3://{self.name}",
            retention=self._retention(rules),
            copies=tuple(self._copies()),
            encrypted_with=self.encrypted_with,
            key=self.sources.key_name(self.key),
            notes=(note,) if made_up else (),
        )

    def parts(self) -> Iterator[Held]:
        """The datasets and model stores on it."""
        symbols = self.sources.symbols
        for node in symbols.graph:
            kind = PARTS.get(node.type.rpartition(":")[2]) if node.kind is Kind.COMPONENT else None
            if kind is None or symbols.input(node, "bucket") != self.name:
                continue
            prefix = str(symbols.input(node, "prefix"))
            told = replace(
                self.facts(kind, _rules_of(self.rules, prefix)),
                name=node.name,
                component=node.name,
                place=f"s3://{self.name}/{prefix}",
                holds=str(symbols.input(node, "description") or ""),
                within=title(self.sources.symbols, self.node),
            )
            yield self.held(f"{prefix}*", told)

    # ------------------------------------------------------------------------------------ settings

    def _settings(self, token: str) -> list[Node]:
        return self.sources.settings(token, "bucket", self.name, self.arn)

    def _encryption(self) -> tuple[str, str, bool]:
        """The key that readers need, what to call it, and whether S3 uses it once for the bucket.

        Since January 2023 S3 encrypts what nobody says anything about with its own keys (S3 user guide, "Setting
        default server-side encryption behavior"). AWS's managed key lets in whoever S3 lets in, in its own account.
        """
        symbols = self.sources.symbols
        given: Any = [rule for setting in self._settings(_ENCRYPTION) for rule in symbols.items(setting, "rules")] or [
            symbols.input(self.node, "serverSideEncryptionConfiguration", "rule")
        ]
        for rule in given:
            default = at(rule, "applyServerSideEncryptionByDefault")
            if not str(at(default, "sseAlgorithm")).startswith("aws:kms"):
                continue
            key = str(at(default, "kmsMasterKeyId") or "")
            if not key or key.endswith("alias/aws/s3"):
                return "", "AWS's key for S3 in this account (aws/s3)", False
            return key, "a KMS key", at(rule, "bucketKeyEnabled") is True
        return "", "S3's own keys", False

    def _public_acl(self) -> list[Statement]:
        """What an access control list gives to everybody, as a statement; nothing where lists are off or ignored."""
        symbols = self.sources.symbols
        ignored = any(symbols.input(setting, "ignorePublicAcls") is True for setting in self._settings(_BLOCK))
        off = any(
            symbols.input(setting, "rule", "objectOwnership") == "BucketOwnerEnforced"
            for setting in self._settings("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
        )
        lists = [
            *(
                (setting.name, symbols.input(setting, "acl"))
                for setting in self._settings("aws:s3/bucketAcl:BucketAcl")
            ),
            (self.node.name, symbols.input(self.node, "acl")),
        ]
        return [
            Statement(True, ("s3:GetObject",), principals=frozenset({ANYONE}), origin=name)
            for name, acl in lists
            if acl in _PUBLIC_ACLS and not ignored and not off
        ]

    def _retention(self, rules: list[Mapping[str, Any]]) -> Retention:
        symbols = self.sources.symbols
        versioned = any(
            symbols.input(setting, "versioningConfiguration", "status") == "Enabled"
            for setting in self._settings("aws:s3/bucketVersioning:BucketVersioning")
        )
        old = days(at(rule, "noncurrentVersionExpiration", "noncurrentDays") for rule in rules)
        return Retention(
            days=days(at(rule, "expiration", "days") for rule in rules),
            old_version_days=old if versioned else 0,
            lock="; ".join(self._locks()),
            reason=str(symbols.input(self.node, "tags", KEPT_BECAUSE) or ""),
        )

    def _locks(self) -> Iterator[str]:
        for setting in self._settings(_LOCK):
            default = self.sources.symbols.input(setting, "rule", "defaultRetention")
            if mode := at(default, "mode"):
                length = f"{at(default, 'days')} days" if at(default, "days") else f"{at(default, 'years')} years"
                yield f"{str(mode).lower()}, {length}"

    def _copies(self) -> Iterator[str]:
        symbols = self.sources.symbols
        for setting in self._settings(_REPLICATION):
            places = {symbols.arn(node): symbols.region(node) for node in symbols.of_type(*BUCKETS)}
            for rule in symbols.items(setting, "rules"):
                target = str(at(rule, "destination", "bucket") or "")
                name = target.rpartition(":")[2]
                yield f"{name} in {places[target]}" if target in places else name


KEPT_BECAUSE: Final = "mlinfra:keep-forever"
"""The tag that says why a bucket keeps what it holds for ever."""


def _rules_of(rules: list[Mapping[str, Any]], prefix: str) -> list[Mapping[str, Any]]:
    """The lifecycle rules that every object with a prefix comes under; those for some tags or sizes are left out."""
    return [rule for rule in rules if (covered := _covers(rule)) is not None and prefix.startswith(covered)]


def _covers(rule: Mapping[str, Any]) -> str | None:
    """The prefix that a rule is for, empty for everything; None where it is for some of these objects only."""
    if any(at(rule, "filter", key) for key in ("tag", "objectSizeGreaterThan", "objectSizeLessThan", "and")):
        return None
    return str(at(rule, "filter", "prefix") or at(rule, "prefix") or "")
