"""What a stack imports: outputs of other stacks, read from their states before the blueprint is compiled.

And the other way round: a stack that others import is not destroyed under them.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Problems, Severity
from mlinfra.report import Note
from mlinfra.stack import ImportSection, Stack, load_stack, stack_names
from mlinfra.workflow.given import Given, given_by, is_up, opened
from mlinfra.workflow.places import NEAR
from mlinfra.workflow.request import Request


@dataclass(frozen=True)
class Imported:
    """An output of another stack, `Secret` at any depth.

    `source` says where it comes from, as messages name it. `missing` says why there is no value: nothing is known yet
    of the stack that is to make it.
    """

    source: str
    value: Any = None
    missing: Diagnostic | None = None


def read_imports(request: Request, stack: Stack, *, look_far: bool = True) -> dict[str, Imported]:
    """What a stack imports, by the names of its parameters.

    What comes of a stack that is not up is `missing`; without `look_far`, so is what comes of one whose state is not
    within the project. Raises `MlinfraError` with everything else that is wrong: a stack that is not there or cannot be
    read, a circle, an output that is not there, a version that will not do.
    """
    problems = Problems()
    if circle := _circle(request, [stack]):
        problems.error(
            f"stack {stack.name} imports from itself: {' → '.join(circle)}",
            detail="None of these stacks can be brought up before the others.",
            remedy="Take one of these imports away, or move what both need to a stack of its own.",
            location=_place_of(stack, circle[1]),
            code="import-cycle",
        )
        problems.raise_errors()
    reading = _Reading(request, stack, look_far, problems)
    found = {name: reading.read(name) for name in stack.file.imports}
    problems.raise_errors()
    return {name: item for name, item in found.items() if item is not None}


def _circle(request: Request, path: list[Stack]) -> list[str]:
    """The names of stacks that import from each other in a circle, from the first of them to itself again.

    Files that cannot be read are told of elsewhere.
    """
    for name in dict.fromkeys(section.stack for section in path[-1].file.imports.values()):
        if name == path[0].name:
            return [*(stack.name for stack in path), name]
        if name not in (stack.name for stack in path):
            with suppress(MlinfraError):
                if found := _circle(request, [*path, load_stack(request.project, name)]):
                    return found
    return []


def _place_of(stack: Stack, other: str) -> Location:
    """Where a stack imports from another."""
    return next(stack.place("imports", name) for name, item in stack.file.imports.items() if item.stack == other)


class _Reading:
    """The imports of one stack as they are read; each other stack is read once."""

    def __init__(self, request: Request, stack: Stack, look_far: bool, problems: Problems) -> None:
        self.request, self.stack = request, stack
        self.look_far = look_far
        self.problems = problems
        self.others: dict[str, tuple[Stack, Given | None] | None] = {}

    def read(self, name: str) -> Imported | None:
        """One import; None where a problem was noted."""
        section = self.stack.file.imports[name]
        # A rehearsal imports from a rehearsal: everything goes where this stack is sent.
        other = replace(self.request, stack_name=section.stack)
        if section.stack not in self.others:
            self.others[section.stack] = self._given(other, name)
        match self.others[section.stack]:
            case None:
                what = f"imports {name!r} from stack {section.stack}, which cannot be read"
                self._problem(name, what, code="import-unreadable")
            case theirs, None:
                return Imported(f"stack {other.state_name}", missing=self._not_up(name, other, theirs))
            case theirs, Given() as given:
                if self._will_do(name, section, other, given):
                    if gone := given.gone.get(section.output):
                        return Imported(f"stack {other.state_name}", missing=self._not_up(name, other, theirs, gone))
                    made_by = f" ({given.made_by})" if given.made_by else ""
                    source = f"output {section.output} of stack {other.state_name}{made_by}"
                    return Imported(source, opened(other, theirs, given, section.output))
        return None

    def _given(self, other: Request, name: str) -> tuple[Stack, Given | None] | None:
        try:
            theirs = other.stack()
            near = theirs.file.state.backend in NEAR
            return theirs, given_by(other, theirs) if near or self.look_far else None
        except MlinfraError as error:
            here = self.stack.place("imports", name)
            self.problems.extend(item if item.location else replace(item, location=here) for item in error.diagnostics)
            return None

    def _not_up(self, name: str, other: Request, theirs: Stack, gone: Sequence[str] = ()) -> Diagnostic:
        backend = theirs.file.state.backend
        if gone:
            which = "is not up any more"
            detail = f"What the output is made of was destroyed, or was found to be gone: {', '.join(gone)}."
            remedy = f"Bring it up again: {other.command('up')}"
        elif backend in NEAR or self.look_far:
            which = "is not up"
            detail = f"Its state ({backend}) has nothing here: it was not updated yet, or is on another machine."
            remedy = f"Bring it up first: {other.command('up')}"
        else:
            which = "was not asked"
            detail, remedy = f"Its state is at {backend}, and what only checks a stack needs no network.", ""
        return Diagnostic(
            f"stack {self.request.state_name} imports {name!r} from stack {other.state_name}, which {which}",
            detail=detail,
            remedy=remedy,
            location=self.stack.place("imports", name),
            code="import-not-up",
        )

    def _will_do(self, name: str, section: ImportSection, other: Request, given: Given) -> bool:
        """Whether the output is there, of a version that will do."""
        made_by = given.made_by or "a version of mlinfra that did not note the blueprint"
        if section.version and not (given.version and section.admits(given.version)):
            self._problem(
                name,
                f"imports {name!r} from stack {other.state_name} at {section.version}, "
                f"but what that stack gives out was made by {made_by}",
                remedy=f"Bring it to a version that will do: {other.command('up')}",
                code="import-version",
            )
            return False
        if section.output in given.outputs:
            return True
        known = ", ".join(sorted(given.outputs)) or "none"
        close = difflib.get_close_matches(section.output, given.outputs, n=1)
        self._problem(
            name,
            f"imports {name!r} from stack {other.state_name}, which has no output {section.output!r}",
            detail=f"Its outputs are {known}. They were made by {made_by}.",
            remedy=f"Did you mean {close[0]!r}?"
            if close
            else f"Let the blueprint of {section.stack} give it out, then: {other.command('up')}",
            code="import-no-output",
        )
        return False

    def _problem(self, name: str, what: str, **fields: Any) -> None:
        place = self.stack.place("imports", name)
        self.problems.error(f"stack {self.request.state_name} {what}", location=place, **fields)


# ------------------------------------------------------------------------------------------------ the other way round


def importers(request: Request) -> list[tuple[str, Location]]:
    """The stacks of the project that import from this one and are up, as their states are called, and where they do so.

    Stacks whose files cannot be read are not among them. Raises `MlinfraError` where a state cannot be read.
    """
    found = []
    for name in stack_names(request.project):
        other = replace(request, stack_name=name)
        with suppress(MlinfraError):
            theirs = load_stack(request.project, name)
            if any(section.stack == request.stack_name for section in theirs.file.imports.values()):
                found.append((other, theirs))
    return [
        (other.state_name, _place_of(theirs, request.stack_name)) for other, theirs in found if is_up(other, theirs)
    ]


def refuse_imported(request: Request, *, force: bool) -> None:
    """Raise `MlinfraError` for the destruction of a stack that others import and stand on; warn where it is forced."""
    users = importers(request)
    if not users:
        return
    names = ", ".join(name for name, _ in users)
    told = Diagnostic(
        f"stack {request.state_name} is imported by {names}, which {'is' if len(users) == 1 else 'are'} up",
        detail="What they were made with would be gone under them.",
        remedy=f"Destroy them first. If this is meant: {request.command('destroy')} --force",
        location=users[0][1],
        code="imported",
    )
    if not force:
        raise MlinfraError(told)
    request.emit(Note(replace(told, remedy="", severity=Severity.WARNING)))
