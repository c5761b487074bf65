"""Why a rollback cannot be, and what to do instead."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.stack import Stack
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import releases

if TYPE_CHECKING:
    from mlinfra.workflow.past_releases import Good


def no_versions(request: Request, stack: Stack) -> MlinfraError:
    """Of a state that is kept where older versions cannot be had."""
    return _error(
        f"the state of stack {request.state_name} has no versions to go back to",
        detail=f"It is kept by {stack.file.state.backend}, of which the newest version alone can be had.",
        remedy="Put the parameters of the good release into the stack file, and run "
        f"{request.command('up')}\nOr move the state to where versions are kept: {request.command('state move')} "
        "--to service",
        location=stack.place("state", "backend"),
        code="state-version",
    )


def nothing_there(request: Request) -> MlinfraError:
    """Of a stack that was never brought up."""
    return _error(
        f"stack {request.state_name} has no state yet",
        detail="It has not been updated, or its state is in another place than its file says.",
        remedy=f"Run {request.command('up')}.",
        code="state-none",
    )


def unknown(request: Request, compiled: Compiled, name: str, known: Sequence[str]) -> MlinfraError:
    """Of a component that is not there, or releases nothing."""
    what = f"{name} releases nothing" if name in compiled.graph.nodes else f"there is no component {name!r}"
    return _error(
        f"{what} in stack {request.state_name}, so it cannot be rolled back",
        detail=f"What can is {', '.join(known)}."
        if known
        else "It has no endpoint that serves, and no batch inference.",
        code="rollback-component",
    )


def no_such_version(request: Request, version: int, good: Sequence[int]) -> MlinfraError:
    """Of a version that is not kept, or did not end well."""
    return _error(
        f"version {version} of stack {request.state_name} is none that can be gone back to",
        detail=f"Those that are kept and ended well are {', '.join(map(str, good))}." if good else "There is none yet.",
        remedy=f"See which there are: {request.command('state list')}",
        code="rollback-version",
    )


def nothing_older(request: Request, names: Sequence[str], version: int | None) -> MlinfraError:
    """Of components that have been as they are for as long as is known."""
    which = f"version {version} had the same release" if version else "no version that ended well had another release"
    return _error(
        f"there is nothing to roll {' and '.join(names) or 'back'} {'back' if names else ''} to: {which}".replace(
            "  ", " "
        ),
        detail="Releases that were withdrawn by a rollback before this one do not count.",
        remedy=f"See what there was: {request.command('state list')}, then name one with --to.",
        code="rollback-none",
    )


def not_noted(request: Request, version: int) -> MlinfraError:
    """Of a version that is older than parameters' being noted."""
    return _error(
        f"version {version} of stack {request.state_name} does not say with which parameters it was made",
        detail="An older mlinfra has made it.",
        remedy=f"See what it had with {request.command('state show')} {version}, put it into the stack file, and run "
        f"{request.command('up')}",
        code="rollback-no-parameters",
    )


def not_by_parameters(request: Request, before: Compiled, good: Good, after: Compiled | None) -> MlinfraError:
    """Of releases that parameters alone do not bring back: the blueprint itself has changed since."""
    blueprint = f"{before.graph.blueprint}@{before.graph.version}"
    same = good.blueprint == blueprint
    made = "from another text of the blueprint" if same else f"by {good.blueprint}, and this is {blueprint}"
    told = list(_differing(after, good)) if after else ["With those parameters this blueprint is not valid any more."]
    return _error(
        f"the parameters of version {good.version} do not bring back what {' and '.join(good.then)} had released",
        detail="\n".join([f"That version was made {made}.", *told]),
        remedy="Go back to the blueprint of then with your version control, and run "
        f"{request.command('up')}\nA release that arrives as a parameter can be rolled back without that.",
        code="rollback-blueprint",
    )


def nothing_to_undo(request: Request) -> MlinfraError:
    """Of a stack in which nothing is rolled back."""
    return _error(
        f"nothing of stack {request.state_name} is rolled back",
        detail="The stack file and what runs agree, or the file has said something new since.",
        code="rollback-none",
    )


def _differing(after: Compiled, good: Good) -> Iterator[str]:
    found = releases(after.graph)
    for name, then in good.then.items():
        now = found.get(name, {})
        for key in sorted({*now, *then}):
            if now.get(key) != then.get(key):
                was, would = (json.dumps(item.get(key), ensure_ascii=False) for item in (then, now))
                yield f"The {key} of {name} was {was}, and would be {would}."


def _error(summary: str, **fields: object) -> MlinfraError:
    return MlinfraError(Diagnostic(summary, **fields))  # type: ignore[arg-type]
