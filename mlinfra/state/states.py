"""The states of a service, from within this process: read, held, repaired, and every version of them.

What the workflow asks for between two runs of the engine, and what `mlinfra state` shows: no engine is needed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.state import api_stacks, deployments, holds, stacks, updates, versions
from mlinfra.state.context import Context, Redactor
from mlinfra.state.deployments import Untyped
from mlinfra.state.refused import RefusedError
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Transaction
from mlinfra.state.updates import Asked
from mlinfra.state.versions import Change, Version

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

    def settle(self, project: str, stack: str) -> list[Diagnostic]:
        """End what was cut off: an update without an engine gives the stack back, its journal becomes the state.

        To be called after every run of the engine, and before the first. Says what it found, nothing when all was
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

    def forget_pending(self, project: str, stack: str) -> None:
        """Take the operations that were cut off out of a stack's state, once it is known what became of them."""
        with _told("the state cannot be repaired"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            updates.free(tx, found)
            whole = api_stacks.current(tx, found)
            left = {key: item for key, item in whole.deployment.items() if key != "pending_operations"}
            asked = Asked("import", dry=False, author="mlinfra", message="operations that were cut off are taken out")
            updates.replace(tx, found, Untyped(whole.schema, whole.features, left), asked)

    @contextmanager
    def hold(
        self, project: str, stack: str, verb: str, *, wait: bool = False, waiting: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Hold a stack for the block: nobody else can run on it, on this machine or another.

        Raises `MlinfraError` that says who holds it, since when and from where; with `wait`, waits instead, and tells
        `waiting` the same once. A holder that is known to have ended counts for nothing.
        """
        token = secrets.token_urlsafe(16)
        name = Name(ORGANIZATION, project, stack)
        identity = self._take(name, token, verb, wait, waiting)
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(identity, token, ended), name="state-hold", daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
            with suppress(RefusedError), self.store.transaction() as tx:
                holds.give_back(tx, identity, token)

    def cancel(self, project: str, stack: str) -> str | None:
        """Take the stack from whoever has it: their engine stops at its next step. Who that was, None if nobody."""
        with _told(f"stack {stack} cannot be cancelled"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            holder = holds.holder(tx, found.id)
            holds.drop(tx, found.id)
            if found.active is None:
                return None if holder is None else str(holder)
            running = updates.find(tx, found, found.active)
            updates.finish(tx, running, updates.CANCELLED)
            return str(running.owner)

    def versions(self, project: str, stack: str) -> list[Version]:
        """Every version of a stack that is kept, newest first."""
        with _told("the versions cannot be listed"), self.store.transaction() as tx:
            return versions.listed(tx, self._need(tx, project, stack))

    def show(self, project: str, stack: str, version: int) -> dict[str, Any]:
        """The whole deployment of a version, secrets encrypted."""
        with _told(f"there is no version {version}", "state-version"), self.store.transaction() as tx:
            return versions.shown(tx, self._need(tx, project, stack), version).deployment

    def diff(self, project: str, stack: str, older: int, newer: int) -> list[Change]:
        """What differs between two versions, resource by resource."""
        with _told("the versions cannot be compared", "state-version"), self.store.transaction() as tx:
            found = self._need(tx, project, stack)
            before, after = (versions.shown(tx, found, number).deployment for number in (older, newer))
        return versions.compare(before, after)

    def restore(self, project: str, stack: str, version: int) -> int:
        """Make an older version the newest, as a version of its own; its number. The resources are not touched.

        An update whose journal cannot be replayed is given up with it.
        """
        with _told("the version cannot be restored", "state-version"), self.store.transaction() as tx:
            return versions.restore(tx, self._need(tx, project, stack), version)

    def prune(self, project: str, stack: str, *, count: int, seconds: float) -> int:
        """Drop the versions beyond the newest `count`, or older than `seconds`; how many there were."""
        with _told("the versions cannot be dropped"), self.store.transaction() as tx:
            return deployments.prune(tx, self._need(tx, project, stack).id, count=count, seconds=seconds)

    def verify(self) -> list[Diagnostic]:
        """All that is wrong with the database: its files, and whatever in it does not open."""
        problems = self.store.database.check()
        if not problems:
            problems = versions.unreadable(self.store)
        return [Diagnostic("the state's database is damaged", detail=text, code="state-damaged") for text in problems]

    def _need(self, tx: Transaction, project: str, stack: str) -> StackRow:
        return stacks.need(tx, Name(ORGANIZATION, project, stack))

    def _take(self, name: Name, token: str, verb: str, wait: bool, waiting: Callable[[str], None] | None) -> int:
        told = False
        while True:
            try:
                with self.store.transaction() as tx:
                    found = stacks.find(tx, name) or stacks.create(tx, name, {})
                    holds.take(tx, found.id, token, verb)
                    return found.id
            except RefusedError as refused:
                if refused.status != 409 or not wait:
                    raise refused.as_error(f"stack {name.stack} is in use", "locked", _WAIT) from None
                if waiting and not told:
                    waiting(refused.message)
                    told = True
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
