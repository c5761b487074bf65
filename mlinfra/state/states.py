"""The states of a service, from within this process: read, held, repaired, and every version of them.

What the workflow asks for between two runs of the engine, and what `mlinfra state` shows: no engine is needed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.state import api_stacks, deployments, holds, stacks, updates, versions
from mlinfra.state.compare import Change, compare
from mlinfra.state.context import Context, Redactor
from mlinfra.state.deployments import Untyped
from mlinfra.state.keys import UnreadableError
from mlinfra.state.refused import RefusedError
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Transaction
from mlinfra.state.updates import Asked
from mlinfra.state.versions import Version

ORGANIZATION: Final = "organization"
"""What the engine's own backends call theirs, so that a stack's full name is the same wherever its state is."""

_WAIT_SECONDS: Final = 0.5
_WAIT: Final = "Wait until it has ended, then run the command again."


class ServiceStates:
    """The states of one store."""

    def __init__(self, context: Context) -> None:
        self.store = context.store
        self._context = context

    def redact_with(self, redactor: Redactor) -> None:
        """Pass what the engine tells through `redactor` before it is kept."""
        self._context.redactor = redactor

    def exists(self, project: str, stack: str) -> bool:
        """Whether there is a stack of this name."""
        with _told("the state cannot be read"), self.store.transaction() as tx:
            return stacks.find(tx, Name(ORGANIZATION, project, stack)) is not None

    def read(self, project: str, stack: str) -> dict[str, Any]:
        """A stack's deployment as far as it is known, secrets encrypted; empty when there is none."""
        with _told("the state cannot be read"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            return {} if found is None else dict(api_stacks.current(tx, found).deployment)

    def decrypt(self, project: str, stack: str, ciphertext: bytes) -> str:
        """A secret of a stack's state, which the service has encrypted: JSON."""
        with _told("a secret of the state cannot be read"), self.store.transaction() as tx:
            try:
                return tx.keys.decrypt(ciphertext, self._need(tx, project, stack).id).decode()
            except UnreadableError:
                raise RefusedError(400, f"It is not a secret of stack {stack}.") from None

    def tags(self, project: str, stack: str) -> dict[str, str] | None:
        """What is noted beside a stack's state; None when there is no such stack."""
        with _told("the state cannot be read"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            return None if found is None else dict(found.tags)

    def tag(self, project: str, stack: str, name: str, value: str) -> None:
        """Note something beside a stack's state."""
        with _told("the state cannot be marked"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            stacks.set_tags(tx, found.id, {**found.tags, name: value})

    def settle(self, project: str, stack: str) -> list[Diagnostic]:
        """End what was cut off: an update without an engine gives the stack back, its journal becomes the state.

        To be called by whoever holds the stack, before the engine runs on it. Says what it found, nothing when all was
        well. Raises `MlinfraError` when another process has the stack.
        """
        with _told("what the last run did cannot be put into the state"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            if found is None or found.active is None:
                return []
            running = updates.find(tx, found, found.active)
            if running.owner.is_me():
                updates.finish(tx, running, updates.FAILED)
            else:
                updates.free(tx, found)
        return [
            Diagnostic(
                f"the {running.kind} before this one was cut off: what it had done is in the state",
                code="repaired",
                severity=Severity.WARNING,
            )
        ]

    def give_back(self, project: str, stack: str) -> None:
        """After a run of the engine: end its update, if the engine could not. What others have is left alone."""
        with _told("what the last run did cannot be put into the state"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            running = updates.find(tx, found, found.active) if found is not None and found.active else None
            if running is not None and running.owner.is_me():
                updates.finish(tx, running, updates.FAILED)

    def forget_pending(self, project: str, stack: str) -> None:
        """Take the operations that were cut off out of a stack's state, once it is known what became of them."""
        with _told("the state cannot be repaired"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            updates.free(tx, found)
            whole = api_stacks.current(tx, found)
            left = {key: item for key, item in whole.deployment.items() if key != "pending_operations"}
            asked = Asked("import", dry=False, author="mlinfra", message="operations that were cut off are taken out")
            updates.replace(tx, found, Untyped(whole.schema, whole.features, left), asked)

    def unprotect(self, project: str, stack: str, urns: Collection[str]) -> None:
        """Take the engine's protection off resources, as `pulumi state unprotect` does."""
        with _told("the protection cannot be taken away"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            whole = api_stacks.current(tx, found)
            wanted = set(urns)
            resources = [
                {key: value for key, value in item.items() if key != "protect" or item["urn"] not in wanted}
                for item in whole.deployment.get("resources") or []
            ]
            asked = Asked("import", dry=False, author="mlinfra", message="the protection of what is given up is lifted")
            left = Untyped(whole.schema, whole.features, {**whole.deployment, "resources": resources})
            updates.free(tx, found)
            updates.replace(tx, found, left, asked)

    @contextmanager
    def hold(
        self, project: str, stack: str, verb: str, *, wait: bool = False, waiting: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Hold a stack for the block: nobody else can run on it, on this machine or another.

        Raises `MlinfraError` that says who holds it, since when and from where; with `wait`, waits instead, and tells
        `waiting` the same, once for each holder. A holder that is known to have ended counts for nothing. No engine of
        this process starts on the stack once it was taken away by `cancel`.
        """
        token = secrets.token_urlsafe(16)
        name = Name(ORGANIZATION, project, stack)
        identity = self._take(name, token, verb, wait, waiting)
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(identity, token, ended), name="state-hold", daemon=True)
        heart.start()
        self._context.hold = (identity, token)
        try:
            yield
        finally:
            self._context.hold = None
            ended.set()
            heart.join()
            with suppress(RefusedError), self.store.transaction() as tx:
                holds.give_back(tx, identity, token)

    def holder(self, project: str, stack: str) -> str:
        """Who has a stack, what for and since when; empty when nobody does, or there is no such stack."""
        with _told("the state cannot be read"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            return "" if found is None else self._holder(tx, found)

    def cancel(self, project: str, stack: str) -> str:
        """Take the stack from whoever has it: their engine stops at its next step.

        Says who that was, what for and since when; empty when nobody had it.
        """
        with _told(f"stack {stack} cannot be cancelled"), self.store.transaction() as tx:
            found = stacks.find(tx, Name(ORGANIZATION, project, stack))
            if found is None:
                return ""
            holder = self._holder(tx, found)
            holds.drop(tx, found.id)
            if found.active is not None:
                updates.finish(tx, updates.find(tx, found, found.active), updates.CANCELLED)
            return holder

    def versions(self, project: str, stack: str) -> list[Version]:
        """Every version of a stack that is kept, newest first."""
        with _told("the versions cannot be listed"), self.store.transaction() as tx:
            return versions.listed(tx, self._need(tx, project, stack))

    def show(self, project: str, stack: str, version: int) -> dict[str, Any]:
        """The whole deployment of a version, secrets encrypted."""
        with _told(f"there is no version {version}", "state-version"), self.store.transaction() as tx:
            return versions.shown(tx, self._need(tx, project, stack), version).deployment

    def diff(self, project: str, stack: str, older: int, newer: int) -> list[Change]:
        """What differs between two versions, resource by resource, property by property; secrets redacted."""
        with _told("the versions cannot be compared", "state-version"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            before, after = (versions.readable(tx, found, number) for number in (older, newer))
        return compare(before, after)

    def replace(self, project: str, stack: str, whole: Untyped, message: str) -> int:
        """Give a stack another state as a version of its own, made where it is not there; the version's number."""
        name = Name(ORGANIZATION, project, stack)
        with _told("the state cannot be written"), self.store.transaction() as tx:
            found = stacks.find(tx, name) or stacks.create(tx, name, {})
            updates.free(tx, found)
            return updates.replace(tx, found, whole, Asked("import", dry=False, author="mlinfra", message=message))[1]

    def restore(self, project: str, stack: str, version: int) -> int:
        """Make an older version the newest, as a version of its own; its number. The resources are not touched.

        An update whose journal cannot be replayed is given up with it.
        """
        with _told("the version cannot be restored", "state-version"), self.store.transaction() as tx:
            return versions.restore(tx, self._need(tx, project, stack), version)

    def prune(self, project: str, stack: str, *, count: int, seconds: float) -> int:
        """Drop the versions beyond the newest `count`, or older than `seconds`; how many there were.

        Done without being asked for whenever an update ends, by what `serve_state` was told.
        """
        with _told("the versions cannot be dropped"), self.store.transaction() as tx:
            return deployments.prune(tx, self._need(tx, project, stack).id, count=count, seconds=seconds)

    def verify(self) -> list[Diagnostic]:
        """All that is wrong with the database: its files, what in it does not open, deployments that are not sound."""
        problems = self.store.database.check()
        if not problems:
            problems = versions.unreadable(self.store)
        return [Diagnostic("the state's database is damaged", detail=text, code="state-damaged") for text in problems]

    def _need(self, tx: Transaction, project: str, stack: str) -> StackRow:
        return stacks.need(tx, Name(ORGANIZATION, project, stack))

    def _holder(self, tx: Transaction, found: StackRow) -> str:
        if described := holds.described(tx, found.id):
            return described
        running = updates.find(tx, found, found.active) if found.active else None
        return "" if running is None or running.is_dead(tx.now) else updates.described(running)

    def _take(self, name: Name, token: str, verb: str, wait: bool, waiting: Callable[[str], None] | None) -> int:
        told = ""
        while True:
            try:
                with self.store.transaction() as tx:
                    found = stacks.find(tx, name) or stacks.create(tx, name, {})
                    holds.take(tx, found.id, token, verb)
                    return found.id
            except RefusedError as refused:
                if refused.status != 409 or not wait:
                    raise refused.as_error(f"stack {name.stack} is in use", "locked", _WAIT) from None
                if waiting and told != refused.message:
                    told = refused.message
                    waiting(told)
            time.sleep(_WAIT_SECONDS)

    def _beat(self, identity: int, token: str, ended: threading.Event) -> None:
        while not ended.wait(holds.HOLD_SECONDS / 4):
            with suppress(RefusedError), self.store.transaction() as tx:
                holds.renew(tx, identity, token)


@contextmanager
def _told(summary: str, code: str = "state") -> Iterator[None]:
    """What the store refuses, as an error for the person."""
    try:
        yield
    except RefusedError as refused:
        if refused.status == 409:
            raise refused.as_error("the stack is in use", "locked", _WAIT) from None
        raise refused.as_error(summary, code) from None
