"""The frame of a resource type: its fields, and how it is created, read, updated and deleted.

A type is one small class (or one row, for families such as the settings of a bucket) in `types/`. Everything that is
alike for all of them is elsewhere: validation, defaults, differences, previews, secrets, default tags, waiting, errors.
"""

# ruff: noqa: ARG002 — what a method says by default needs fewer arguments than what a type may say

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Any

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.session import Api, Session
from mlinfra.providers.aws.waiting import until
from mlinfra.providers.base import autoname

SECONDS = 600.0
"""How long one operation may wait, where the stack sets no timeout."""


@dataclass(frozen=True, slots=True)
class Aws:
    """AWS as one call sees it: a region, and how long it may take."""

    session: Session
    region: str
    cancelled: threading.Event
    seconds: float = SECONDS

    def api(self, service: str) -> Api:
        """The client for a service in this region."""
        return self.session.api(service, self.region)

    @property
    def account(self) -> str:
        """The account's number."""
        ask = self.api("sts").call
        return str(self.session.remember("caller", lambda: ask("get_caller_identity"))["Account"])

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """The ARN of what the account has in this region; services without regions want `region=""`.

        Source: IAM user guide, "Identify AWS resources with Amazon Resource Names (ARNs)".
        """
        where = self.region if region is None else region
        return f"arn:{_partition(self.region)}:{service}:{where}:{self.account}:{resource}"


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


@dataclass(frozen=True, slots=True)
class Made:
    """A resource that was created: its id, and the outputs that its inputs do not hold."""

    id: str
    outputs: Mapping[str, Any] = with_default(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Live:
    """A resource as AWS has it now.

    `inputs` are the settings in effect: None for what AWS does not have; what is left out was not looked at and is
    taken to be as before. `tags` are all tags, None if it has none by nature. `pending` says what it still waits for.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = with_default(default_factory=dict)
    tags: Mapping[str, str] | None = None
    pending: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What an update changes: the inputs before and after, and the names of those that differ."""

    id: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    outputs: Mapping[str, Any]
    names: frozenset[str]

    def touches(self, *names: str) -> bool:
        """Whether one of these inputs differs."""
        return not self.names.isdisjoint(names)


class Resource(ABC):
    """A resource type.

    - `token`: Pulumi's type token; `service`: botocore's name of the service.
    - `outputs`: what AWS adds to the inputs, to an object among them by `vpcConfig.vpcId`; `volatile`: those of them
      that any update may change.
    - `names`: the inputs that make up its name in AWS. The first is made up where it is not given and not required.
    - `upserts`: AWS's create call overwrites what has the same name, so that `read` has to look first.
    - `marked`: AWS chooses its id and nothing of it is unique, so it bears a mark to be found by (`identifying`).
    - `resumes`: `complete` starts where a create was cut off, so that it is called for what is taken over too.
    - `exclusive`: inputs of which AWS lets one resource alone have the same, though they are not its name: where a
      replacement keeps them, what it replaces has to go first.
    - `longest`: the most characters that a name may have.
    """

    token: str
    service: str
    fields: tuple[Field, ...]
    outputs: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    upserts: bool = False
    marked: bool = False
    resumes: bool = False
    exclusive: tuple[str, ...] = ()
    longest: int = 63

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What AWS refuses of inputs that are right one by one, as (path, reason): what excludes or needs what.

        Defaults are filled in. Unknown values are not judged: they are looked at again when they are known.
        """
        yield from ()

    @abstractmethod
    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Make it, with as few calls as can be; whatever else it needs is for `complete`."""

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Make the settings that the create call does not take; gives outputs that are only there after it.

        When this fails the resource is kept in the state, and the next update calls it again: it must bear that.
        """
        return None

    @abstractmethod
    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """It as AWS has it now, None if it is gone. `known` are its inputs, {} for an import."""

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Make a change in place; gives the outputs that are other than before."""
        raise NotImplementedError(f"every change of {self.token} is a replacement")

    @abstractmethod
    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take it away; that it is gone already is no error."""

    def autoname(self, name: str, seed: bytes, inputs: Mapping[str, Any]) -> str:
        """A physical name for the resource called `name`, where the user gives none."""
        return autoname(name, seed, self.longest)

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """The id of what `inputs` would make, for types whose create call overwrites (`upserts`)."""
        return str(inputs[self.names[0]])

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """The id that the resource which `inputs` would make has, if it is there; not asked of types that are marked.

        Every type without `names` says how it is found, here or by `bearing`.
        """
        return self.identity(inputs)

    def bearing(self, aws: Aws, mark: str) -> list[str]:
        """The ids of all that bear the mark and are not being deleted; asked of types that are `marked` alone."""
        raise NotImplementedError(f"{self.token} is found by its name")

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """Why this change of `field` forces a replacement; empty where it can be made in place."""
        return field.replaces

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """Whether two different values of an input mean the same to AWS, such as a key's id and its ARN."""
        return False

    def wait(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Wait until nothing is pending. Raises `NotReadyError`."""

        def probe() -> str:
            live = self.read(aws, resource_id, inputs)
            return "it to appear" if live is None else live.pending

        until(probe, aws.seconds, aws.cancelled)

    @property
    def regional(self) -> bool:
        """Whether it lives in a region; IAM does not."""
        return any(item.name == "region" for item in self.fields)

    @property
    def tagged(self) -> bool:
        """Whether it bears tags."""
        return any(item.name == "tags" for item in self.fields)

    @property
    def secrets(self) -> frozenset[str]:
        """The inputs that are always secret in the state."""
        return frozenset(item.name for item in self.fields if item.secret)
