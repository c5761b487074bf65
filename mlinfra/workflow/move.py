"""`state move`: a stack's state to another place, secrets encrypted anew, nothing lost on the way.

    mark the new place → export, secrets shown → import → read back, compare → mark the old place → unmark the new one

A place that is marked says where the state is instead, and mlinfra refuses to run on it: at no moment can two places
be used, and whatever cuts a move off, the next one goes on from there. The old place keeps what it has, its history
above all.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.session import Session, moved_away
from mlinfra.engine.transfer import comparable, export_whole, import_whole
from mlinfra.stack import PLACE, Stack
from mlinfra.tools.install import ensure
from mlinfra.workflow.lock import stack_lock
from mlinfra.workflow.places import using_state
from mlinfra.workflow.request import Request

Confirm = Callable[[str], bool]
"""Asked with a sentence that says what is moved, from where and to where."""

_VERB: Final = "state move"
_DEFAULT_PROVIDER: Final = "passphrase"


def move(
    request: Request, to: str, confirm: Confirm, *, origin: str | None = None, secrets_provider: str | None = None
) -> str | None:
    """Move a stack's state from `origin`, by default where its file says, to another place.

    `secrets_provider` encrypts the secrets there, by default what the stack file names. Returns the line for the stack
    file; None when `confirm` turned it down. Raises `MlinfraError`, and then the state is where it was.
    """
    stack = request.stack()
    origin = origin or stack.file.state.backend
    provider = secrets_provider or stack.file.state.secrets_provider
    for place in (origin, to):
        _check_place(place)
    if origin == to:
        raise _refused(f"the state of stack {request.state_name} is in {to} already", "Name another place with --to.")
    with _both(request, stack, origin, to, provider) as (old, new):
        resuming = _is_half_done(request, old, new, origin, to)
        count = len(old.resources())
        if not confirm(f"Move the state of {request.state_name}, {count} resources, from {origin} to {to}?"):
            return None
        whole = export_whole(old, show_secrets=True)
        if not resuming:
            new.open(take_back=True)
            new.mark(origin)
            import_whole(new, whole)
        _compare(request, whole, export_whole(new, show_secrets=True), to)
        _compare(request, whole, export_whole(old, show_secrets=True), origin)
        old.mark(to)
        new.mark("")
        _take_settings(new)
    # JSON is YAML, and quotes what has to be.
    backend = json.dumps(to) if "://" in to else to
    extra = "" if provider == _DEFAULT_PROVIDER else f", secrets_provider: {json.dumps(provider)}"
    return f"state: {{backend: {backend}{extra}}}"


@contextmanager
def _both(request: Request, stack: Stack, origin: str, to: str, provider: str) -> Iterator[tuple[Session, Session]]:
    """Both places, each with settings of its own, held for as long as the block lasts."""
    with ExitStack() as opened:
        binary = ensure(["pulumi"], request.emit)["pulumi"]
        old = opened.enter_context(using_state(request, stack, place=origin, workspace="moving-from", binary=binary))
        new = opened.enter_context(
            using_state(request, stack, place=to, secrets_provider=provider, workspace="moving-to", binary=binary)
        )
        opened.enter_context(stack_lock(request, old, _VERB))
        if (old.backend.states is None) != (new.backend.states is None):
            opened.enter_context(stack_lock(request, new, _VERB))  # else it is the same lock
        for session in (old, new):
            session.settings.unlink(missing_ok=True)
            opened.callback(shutil.rmtree, session.folder, ignore_errors=True)
        replace(old, workspace="").running.end_left_over()
        old.settle()
        yield old, new


def _is_half_done(request: Request, old: Session, new: Session, origin: str, to: str) -> bool:
    """Whether a move before this one was cut off when all was there; raises `MlinfraError` when it cannot be moved."""
    if old.tags() is None:
        raise _refused(
            f"stack {request.state_name} has no state in {origin}", "Name the place that has it with --from."
        )
    gone, back = old.moved_to(), new.moved_to()
    if gone:
        if (gone, back) == (to, origin):
            return True
        raise moved_away(request.state_name, gone)
    if not back and new.resources():
        raise _refused(
            f"{to} has a state of stack {request.state_name} already",
            f"Look at it with `{request.command('state show')} --at {to}`. It is not written over.",
        )
    if old.export().get("pending_operations"):
        raise _refused(
            f"the last run on stack {request.state_name} was cut off in the middle of operations",
            f"Let {request.command('up')} finish them first.",
        )
    return False


def _compare(request: Request, whole: dict[str, Any], other: dict[str, Any], place: str) -> None:
    if comparable(whole) != comparable(other):
        raise _refused(
            f"the state of stack {request.state_name}, read back from {place}, is not what was moved",
            "Nothing was changed at the old place, and the new one is marked as not to be used. See that nobody else "
            "runs on the stack, then move it again.",
        )


def _take_settings(new: Session) -> None:
    """Let the next run have the settings that the new place's secrets are opened with."""
    usual = replace(new, workspace="")
    usual.prepare()
    shutil.copyfile(new.settings, usual.settings)


def _check_place(place: str) -> None:
    if not re.fullmatch(PLACE, place) or re.match(r"file://[^/~]", place):
        raise _refused(
            f"{place!r} is no place for a state",
            "Name service, files, or the URL of one of Pulumi's backends: s3://bucket, file:///path, …",
        )


def _refused(summary: str, remedy: str) -> MlinfraError:
    return MlinfraError(Diagnostic(summary, remedy=remedy, code="state-move"))
