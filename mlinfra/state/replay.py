"""Replay of an update's journal onto the deployment that the update began with.

    base deployment + journal entries → the deployment that the engine would have stored itself

While an update runs, the engine sends an entry before each step and one after it, and nothing else: what a stack holds
is its last whole deployment and the journal since. An entry points at resources in two ways: fields that end in `Old`
hold an index into the base's resources, from 0; fields that end in `New` hold the id of an operation of this journal,
and mean the resource that the operation ended with.

The rules are those of `JournalReplayer` in pkg/backend/journal.go and of `NormalizeURNReferences` in
sdk/go/common/apitype/core.go of pulumi/pulumi, version 3.222.0; the tests replay thousands of journals both ways and
ask for equal deployments. Where that replayer would go on with an entry that points at nothing, and so remove or mark
some other resource, this one refuses the journal.

Everything here is pure: no clock, no files, and what is passed in is never changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.state.entries import (
    Json,
    Kind,
    ReplayError,
    as_list,
    as_object,
    as_operation,
    as_resource,
    in_order,
    whole_number,
)
from mlinfra.state.references import normalize, prune

__all__ = ["ZERO_TIME", "ReplayError", "Replayed", "replay"]

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""How the engine writes that a time is not known."""

_SCHEMA: Final = 3
_SCHEMA_WITH_FEATURES: Final = 4
_FEATURES: Final = {
    "refreshBeforeUpdate": "refreshBeforeUpdate",
    "viewOf": "views",
    "resourceHooks": "hooks",
    "taint": "taint",
    "replaceWith": "replaceWith",
}
"""Fields of a resource that want schema version 4, and what the feature is called: `ApplyFeatures` in
pkg/resource/stack/deployment.go."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A deployment as the engine stores it: its schema version, the features it uses, sorted, and itself.

    `deployment` is plain JSON that shares parts with the base and the entries: to be read or written out, not changed.
    """

    version: int
    features: list[str]
    deployment: Json


def replay(base: Json | None, entries: Iterable[Json], cli_version: str = "", time: str = ZERO_TIME) -> Replayed:
    """The deployment that `base` and the entries of one update's journal come to.

    `base` is None for a stack without a state. Entries are taken in the order of their sequence ids, whatever order
    they come in; ids may be missing, since a journal can end anywhere. The journal of an update that is still running,
    or died, gives what is known of it: operations without an end are in `pending_operations`. The manifest says
    `cli_version`, the engine's version as it writes it (`v3.222.0`), and `time`, in RFC 3339. Raises `ReplayError`.

    Takes time in proportion to the base and the journal: 10,000 entries in 0.07 s.
    """
    journal = _Journal(base)
    for sequence, entry in in_order(entries):
        try:
            journal.add(entry)
        except ReplayError as error:
            raise ReplayError(error.reason, sequence) from None
    deployment, features = journal.deployment()
    magic = hashlib.sha256(cli_version.encode()).hexdigest() if cli_version else ""
    manifest = {"time": time, "magic": magic, "version": cli_version}
    version = _SCHEMA_WITH_FEATURES if features else _SCHEMA
    return Replayed(version, features, {"manifest": manifest, **deployment})


class _Journal:
    """A base, and what the entries so far have done to it. `add` every entry in order, then ask for `deployment`."""

    def __init__(self, base: Json | None) -> None:
        self.refreshed = False
        self.ended = False
        self._rebase({} if base is None else base)

    def _rebase(self, base: Json) -> None:
        """Begin anew on `base`."""
        self._set_base(base)
        self.new: list[Json] = []
        self.removed_new: set[int] = set()
        self.place: dict[int, int] = {}  # by operation id: where in `new` its resource is
        self.open: dict[int, Json | None] = {}  # by operation id: what it is about, if it is to be told
        self.removed: set[int] = set()
        self.replaced: dict[int, Json] = {}
        self.deleted: set[int] = set()
        self.pending_replacement: set[int] = set()

    def _set_base(self, base: Any) -> None:
        self.base: Json = as_object(base, "the base")
        self.old = [as_resource(state) for state in as_list(self.base, "resources")]
        self.pending = [as_operation(item) for item in as_list(self.base, "pending_operations")]

    def add(self, entry: Json) -> None:
        """Take the next entry."""
        if self.ended:
            # The engine's indices after this count its own resources of old alone, the base's count the new ones too.
            raise ReplayError("it follows a rebuilt base state that had new resources in it, which must be the last")
        operation = whole_number(entry, "operationID") or 0
        state = None if entry.get("state") is None else as_resource(entry["state"])
        match whole_number(entry, "kind"):
            case Kind.BEGIN:
                began = entry.get("operation")
                self.open[operation] = None if began is None else as_operation(began)
            case Kind.SUCCESS:
                self.open.pop(operation, None)
                self._succeed(entry, operation, state)
            case Kind.FAILURE:
                self.open.pop(operation, None)
            case Kind.REFRESH_SUCCESS:
                self.open.pop(operation, None)
                self.refreshed = True
                self._put(entry, state)
            case Kind.OUTPUTS:
                if state is not None:
                    self._put(entry, state)
            case Kind.WRITE:
                self._write(entry)
            case Kind.SECRETS_MANAGER:
                self._use_secrets_provider(entry.get("secretsProvider"))
            case Kind.REBUILT_BASE_STATE:
                self.ended = bool(self.new)
                self._rebase(self.deployment()[0])
            case kind:
                raise ReplayError(f"there is no kind {kind!r} of entries")

    def _succeed(self, entry: Json, operation: int, state: Json | None) -> None:
        """A step that is done: its resource is new, and resources that it did away with are gone or marked."""
        if state is not None:
            if operation in self.place:
                raise ReplayError(f"operation {operation} has ended with a resource already")
            self.place[operation] = len(self.new)
            self.new.append(state)
        if (old := self._old(entry, "removeOld")) is not None:
            self.removed.add(old)
        if (new := self._new(entry, "removeNew")) is not None:
            self.removed_new.add(new)
        if (old := self._old(entry, "deleteOld")) is not None:
            self.deleted.add(old)
        if (new := self._new(entry, "deleteNew")) is not None:
            self.new[new] = {**self.new[new], "delete": True}
        if (old := self._old(entry, "pendingReplacementOld")) is not None:
            self.pending_replacement.add(old)
        if (new := self._new(entry, "pendingReplacementNew")) is not None:
            self.new[new] = {**self.new[new], "pendingReplacement": True}
        self.refreshed = self.refreshed or bool(entry.get("isRefresh"))

    def _put(self, entry: Json, state: Json | None) -> None:
        """Put a state in the place of what the entry removes; None leaves the place empty."""
        old, new = self._old(entry, "removeOld"), self._new(entry, "removeNew")
        if old is not None:
            if state is None:
                self.removed.add(old)
            else:
                self.replaced[old] = state
        if new is not None:
            if state is None:
                self.removed_new.add(new)
            else:
                self.new[new] = state

    def _write(self, entry: Json) -> None:
        if self.removed or self.replaced or self.deleted or self.pending_replacement:
            raise ReplayError("it changes the base after other entries have pointed into it")
        self._set_base(entry.get("newSnapshot"))

    def _use_secrets_provider(self, provider: Any) -> None:
        if provider is not None:
            self.base = {**self.base, "secrets_providers": as_object(provider, "a secrets provider")}
        elif self.base.get("secrets_providers"):
            raise ReplayError("it takes the secrets provider away")

    def _old(self, entry: Json, field: str) -> int | None:
        """An index into the base; raises `ReplayError` where the base has no such resource."""
        index = whole_number(entry, field)
        if index is not None and not 0 <= index < len(self.old):
            raise ReplayError(f"its {field} is {index}, and the base has {len(self.old)} resources")
        return index

    def _new(self, entry: Json, field: str) -> int | None:
        """Where in `new` the resource of an operation is; raises `ReplayError` for one that made none."""
        operation = whole_number(entry, field)
        if operation is None:
            return None
        if operation not in self.place:
            raise ReplayError(f"its {field} is {operation}, and no such operation has ended with a resource")
        return self.place[operation]

    def deployment(self) -> tuple[Json, list[str]]:
        """The deployment without its manifest, and the features that it uses."""
        resources = [state for place, state in enumerate(self.new) if place not in self.removed_new]
        resources += self._survivors()
        operations = [operation for operation in self.open.values() if operation is not None]
        # A create that nobody knows the end of stays until a person, or a repair, has looked for what it made.
        operations += [operation for operation in self.pending if operation["type"] == "creating"]
        used = [*resources, *(operation["resource"] for operation in operations)]
        features = sorted(name for field, name in _FEATURES.items() if any(state.get(field) for state in used))
        if self.refreshed:
            prune(resources)
        normalize(resources)
        parts = {
            "secrets_providers": self.base.get("secrets_providers"),
            "resources": resources,
            "pending_operations": operations,
        }
        metadata = self.base.get("metadata") or {}
        return {name: part for name, part in parts.items() if part} | {"metadata": metadata}, features

    def _survivors(self) -> Iterator[Json]:
        """What is left of the base's resources; marks are not carried over to a state that took another's place."""
        for index, state in enumerate(self.old):
            if index in self.removed:
                continue
            if index in self.replaced:
                yield self.replaced[index]
                continue
            marks = {"delete": True} if index in self.deleted else {}
            if index in self.pending_replacement:
                marks["pendingReplacement"] = True
            yield {**state, **marks} if marks else state
