"""`rollback`: what components released in the last version of the state that ended well, as an ordinary change.

Each version of a state knows what its components had released, and with which parameters it was made. A rollback gives
those parameters again to the blueprint as it is now, as few of them as it takes, and so goes through all that any
change goes through: checks, preview, the guard of data, the engine, the state's own history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.session import Session
from mlinfra.engine.verb import Verb
from mlinfra.report import Note, Report
from mlinfra.workflow import rollback_problems
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.given_params import Path, at, differences
from mlinfra.workflow.opening import opened
from mlinfra.workflow.past_releases import Good, Past, last_good
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import (
    Pin,
    Release,
    RolledBack,
    compiled_given,
    compiled_with,
    holding,
    releases,
    to_write,
)

Confirm = Callable[["Chosen", Report], bool]
"""Asked with what the rollback is about, and the plan."""


@dataclass(frozen=True, slots=True)
class Back:
    """A component that goes back: what it has released, and what it releases after."""

    component: str
    now: Release
    then: Release

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each field that changes."""
        for name in sorted({*self.now, *self.then}):
            now, then = self.now.get(name), self.then.get(name)
            if now != then:
                yield {"component": self.component, "field": name, "now": now, "then": then}


@dataclass
class Chosen:
    """What a rollback comes to. `version` is that of the state, made at `time` by `who`; 0 for one that is undone.

    `write` is what makes the stack file agree.
    """

    version: int = 0
    time: str = ""
    who: str = ""
    back: list[Back] = field(default_factory=list)
    write: str = ""

    @property
    def names(self) -> str:
        """The components, as a sentence has them."""
        return " and ".join(item.component for item in self.back)

    @property
    def told(self) -> str:
        """What is done, in a few words."""
        if not self.version:
            return f"rollback of {self.names} undone"
        return f"rollback of {self.names} to what version {self.version} had"

    def rows(self) -> list[dict[str, Any]]:
        """All that changes of the releases."""
        return [row for item in self.back for row in item.rows()]


def rollback(
    request: Request,
    components: Sequence[str] = (),
    *,
    version: int | None = None,
    undo: bool = False,
    confirm: Confirm | None = None,
    show: Callable[[Chosen, Report], None] | None = None,
) -> tuple[Chosen, Report | None]:
    """Roll components back, by default all that release something; None in place of a report when it was turned down.

    `version` is a version of the state, by default the last that ended well and had released something else. With
    `undo` what the stack file says is made again. With `show` the plan is shown and nothing changed. Raises
    `MlinfraError` where there is nothing to go back to, and where data would be lost, whatever `allow_loss` says.
    """
    chosen = Chosen()

    def settle(request: Request, compiled: Compiled, session: Session) -> Compiled:
        past = Past.of(request, compiled, session)
        names = _named(request, compiled, past, components)
        decide = _undone if undo else _chosen
        return _without_loss(decide(request, compiled, past, names, version, chosen))

    with opened(request, "rollback", settle) as run:
        plan = run.plan()
        report = run.report(plan, "rollback")
        if not plan.succeeded:
            return chosen, report
        if show is not None:
            show(chosen, report)
            return chosen, report
        if confirm is not None and not confirm(chosen, report):
            return chosen, None
        return chosen, run.finish(run.engine(Verb.UP, message=chosen.told), "rollback")


def _named(request: Request, compiled: Compiled, past: Past, components: Sequence[str]) -> list[str]:
    known = sorted({*releases(compiled.graph), *past.applied})
    if strange := [name for name in components if name not in known]:
        raise rollback_problems.unknown(request, compiled, strange[0], known)
    return list(components) or known


def _without_loss(compiled: Compiled) -> Compiled:
    """The stack without what it gives up: a rollback is made in haste, and nobody reads that list then."""
    stack = compiled.stack
    file = stack.file.model_copy(update={"allow_loss": []})
    return replace(compiled, stack=type(stack)(stack.name, file, stack.positions))


# ------------------------------------------------------------------------------------------------ back


def _chosen(
    request: Request, compiled: Compiled, past: Past, names: list[str], version: int | None, chosen: Chosen
) -> Compiled:
    held = holding(past.rolled_back, compiled)
    before = compiled_with(request, compiled, held)
    good = last_good(request, past, names, releases(compiled.graph), version)
    needed, after = _needed(request, before, good)
    notes = [_note(name, good, needed, compiled, before, held, past) for name in good.then]
    notes = [item for item in notes if item.holds(compiled.params)]
    others = [item for item in held if item.component not in good.then]
    chosen.version, chosen.time, chosen.who = good.version, good.time, good.who
    chosen.back = [Back(name, past.applied.get(name, {}), release) for name, release in good.then.items()]
    chosen.write = to_write(needed)
    _tell_shared(request, good, needed, releases(before.graph), releases(after.graph))
    return compiled_with(request, compiled, [*others, *notes])


def _needed(request: Request, before: Compiled, good: Good) -> tuple[dict[Path, Any], Compiled]:
    """The fewest parameters that, given again, make the releases what they were; and the stack with them.

    All that differ come first. Then each is left as it is now, if the releases are the same without it.
    """
    wanted = differences(before.params, good.params)
    after = _tried(request, before, wanted)
    if after is None or not _is_there(after, good.then):
        raise rollback_problems.not_by_parameters(request, before, good, after)
    for path in list(wanted):
        fewer = {key: value for key, value in wanted.items() if key != path}
        found = _tried(request, before, fewer)
        if found is not None and _is_there(found, good.then):
            wanted, after = fewer, found
    return wanted, after


def _tried(request: Request, before: Compiled, values: Mapping[Path, Any]) -> Compiled | None:
    try:
        return compiled_given(request, before, values)
    except MlinfraError:
        return None  # parameters that exclude each other without those that belong to them


def _is_there(compiled: Compiled, wanted: Mapping[str, Release]) -> bool:
    found = releases(compiled.graph)
    return all(found.get(name) == release for name, release in wanted.items())


def _note(
    name: str,
    good: Good,
    needed: Mapping[Path, Any],
    compiled: Compiled,
    before: Compiled,
    held: Sequence[RolledBack],
    past: Past,
) -> RolledBack:
    """What is noted of a component: its parameters, those of a rollback before this one too, and what is withdrawn."""
    earlier = next((item for item in held if item.component == name), None)
    known = {pin.path: pin for pin in earlier.pins} if earlier else {}
    pins = []
    for path, value in {**{path: pin.value for path, pin in known.items()}, **needed}.items():
        said = [*(known[path].instead_of if path in known else ()), at(compiled.params, path), at(before.params, path)]
        pins.append(Pin(path, value, tuple(_once(item for item in said if item != value))))
    withdrawn = _once([*(earlier.withdrawn if earlier else ()), past.left(name, releases(compiled.graph))])
    return RolledBack(name, good.version, tuple(pins), tuple(item for item in withdrawn if item))


def _once(items: Any) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _tell_shared(
    request: Request,
    good: Good,
    needed: Mapping[Path, Any],
    before: Mapping[str, Release],
    after: Mapping[str, Release],
) -> None:
    """Warn of what goes back, too, because it has the same parameters."""
    shared = sorted(name for name in after if name not in good.then and after[name] != before.get(name))
    if shared:
        request.emit(
            Note(
                Diagnostic(
                    f"{' and '.join(shared)} goes back, too: it has the same parameters as {' and '.join(good.then)}",
                    detail=f"They are {', '.join('.'.join(path) for path in needed)}.",
                    remedy="To tell them apart, give each a parameter of its own in the blueprint.",
                    code="rollback-shared",
                    severity=Severity.WARNING,
                )
            )
        )


# ------------------------------------------------------------------------------------------------ and forth


def _undone(
    request: Request,
    compiled: Compiled,
    past: Past,
    names: list[str],
    version: int | None,  # noqa: ARG001 — there is one way forth
    chosen: Chosen,
) -> Compiled:
    held = holding(past.rolled_back, compiled)
    undone = [item for item in held if item.component in names]
    if not undone:
        raise rollback_problems.nothing_to_undo(request)
    declared = releases(compiled.graph)
    chosen.back = [
        Back(item.component, past.applied.get(item.component, {}), declared[item.component]) for item in undone
    ]
    return compiled_with(request, compiled, [item for item in held if item not in undone])
