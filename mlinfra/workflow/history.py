"""`state list`, `state show`, `state diff`, `state verify`: what a stack's state is and was; nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.session import STACK_TYPE
from mlinfra.engine.transfer import export_whole
from mlinfra.naming import component_of, name_of
from mlinfra.project import Project
from mlinfra.report import Operation, State, Step
from mlinfra.stack import Stack
from mlinfra.state.backend import SERVICE
from mlinfra.workflow.places import DATABASE, states_folder, using_state
from mlinfra.workflow.request import Request

if TYPE_CHECKING:
    from mlinfra.state.compare import Change
    from mlinfra.state.states import ServiceStates

Row = Mapping[str, Any]

_VERBS = {"update": "up"}
_MANAGED = "secrets_providers"
_OPERATIONS = {"added": Operation.CREATE, "removed": Operation.DELETE, "changed": Operation.UPDATE}


@dataclass(frozen=True)
class Shown:
    """A version of a stack's state; `number` is None where the place does not number them.

    `resources` has a name, a type and an id for each; `deployment` is what the engine stores.
    """

    number: int | None
    resources: tuple[Row, ...]
    deployment: Row


def versions(request: Request, place: str | None = None) -> list[Row]:
    """The versions of a stack's state, newest first: number, time, who, verb, result, resources, changes, message.

    What a place does not know is None. `place` is another one than the stack file names.
    """
    stack = request.stack()
    if _place(stack, place) == SERVICE:
        with service(request, stack) as states:
            found = states.versions(stack.blueprint, request.state_name)
        return [
            {
                "version": item.number,
                "time": moment(item.made),
                "who": f"{item.author}@{item.host}" if item.author else None,
                "verb": _VERBS.get(item.kind, item.kind),
                "result": item.status,
                "resources": item.resources,
                "changes": dict(item.changes),
                "message": item.message,
            }
            for item in found
        ]
    with using_state(request, stack, place=place) as session:
        asked = session.ask("stack", "history", "--json", "--full-dates", "--stack", session.stack)
    if asked.returncode:
        raise _unread(request, asked.stderr)
    told = asked.stdout.strip()
    entries = json.loads(told) if told.startswith(b"[") else []  # a stack without a history is told of in a sentence
    return [
        {
            "version": item.get("version") or len(entries) - index,
            "time": item.get("startTime"),
            "who": (item.get("environment") or {}).get("git.author"),
            "verb": _VERBS.get(item["kind"], item["kind"]),
            "result": item.get("result"),
            "resources": None,
            "changes": item.get("resourceChanges") or {},
            "message": item.get("message") or "",
        }
        for index, item in enumerate(entries)
    ]


def show(request: Request, version: int | None = None, *, place: str | None = None, raw: bool = False) -> Shown:
    """A version of a stack's state, by default the newest. `raw` leaves secrets in it, encrypted; else they are out.

    Raises `MlinfraError` when there is none, or the place keeps no older ones.
    """
    from mlinfra.state.compare import redacted

    stack = request.stack()
    if _place(stack, place) == SERVICE:
        with service(request, stack) as states:
            version = version or _newest(request, states, stack)
            deployment = states.show(stack.blueprint, request.state_name, version)
    else:
        deployment = _exported(request, stack, version, place)
    if not raw:
        manager = deployment.get(_MANAGED)
        deployment = redacted({**deployment, **({_MANAGED: {"type": manager.get("type")}} if manager else {})})
    found = [item for item in deployment.get("resources") or [] if item["type"] != STACK_TYPE]
    rows = (
        {"name": name_of(item["urn"]), "type": item["type"], "id": item.get("id", ""), **_marks(item)} for item in found
    )
    return Shown(version, tuple(rows), deployment)


def diff(request: Request, older: int, newer: int | None = None, *, place: str | None = None) -> list[Step]:
    """What differs between two versions of a stack's state, the newer one by default the newest: a step a resource.

    A secret that differs is told as one, without either value. Raises `MlinfraError` for a version that is not kept.
    """
    from mlinfra.state.compare import compare

    stack = request.stack()
    if _place(stack, place) == SERVICE:
        with service(request, stack) as states:
            newer = newer or _newest(request, states, stack)
            return steps(states.diff(stack.blueprint, request.state_name, older, newer))
    return steps(compare(*(_exported(request, stack, number, place) for number in (older, newer))))


def verify(project: Project, request: Request | None = None) -> list[Diagnostic]:
    """All that is wrong with the project's states: the service's database, every version in it, the engine's files.

    With a request, the state of that stack where its file says it is.
    """
    from mlinfra.state.service import states_of
    from mlinfra.state.versions import unsound

    stack = request.stack() if request else None
    if request and stack and stack.file.state.backend != SERVICE:
        problems = unsound(_exported(request, stack, None, None), f"the state of stack {request.state_name}")
        return [_damaged(text) for text in problems]
    found: list[Diagnostic] = []
    folder = project.home / "state"
    if (folder / DATABASE).exists():
        with states_of(project) as states:
            found += states.verify()
    for path in [] if request else sorted(folder.glob(".pulumi/stacks/*/*.json")):
        try:
            deployment = json.loads(path.read_bytes())["checkpoint"].get("latest") or {}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            found.append(_damaged(f"{project.relative(path)} cannot be read: {error}"))
        else:
            found += [_damaged(text) for text in unsound(deployment, project.relative(path))]
    return found


def steps(changes: list[Change]) -> list[Step]:
    """Differences between two states as steps, which the views know how to show."""
    return [
        Step(
            node=name_of(item.urn),
            type=item.type,
            component=component_of(name_of(item.urn)),
            operation=_OPERATIONS[item.what],
            state=State.DONE,
            changes=item.properties,
        )
        for item in changes
    ]


@contextmanager
def service(request: Request, stack: Stack) -> Iterator[ServiceStates]:
    """The service's states without the service; raises `MlinfraError` when this stack has none there."""
    if (states_folder(request) / DATABASE).exists():
        from mlinfra.state.service import states_of

        with states_of(request.project) as states:
            if states.exists(stack.blueprint, request.state_name):
                yield states
                return
    raise _none(request)


def _place(stack: Stack, place: str | None) -> str:
    return place or stack.file.state.backend


def _newest(request: Request, states: ServiceStates, stack: Stack) -> int:
    found = states.versions(stack.blueprint, request.state_name)
    if not found:
        raise _none(request)
    return found[0].number


def _exported(request: Request, stack: Stack, version: int | None, place: str | None) -> dict[str, Any]:
    with using_state(request, stack, place=place) as session:
        try:
            return dict(export_whole(session, version=version)["deployment"])
        except MlinfraError as error:
            told = error.diagnostics[0].detail
            if version is None or "previous deployments" not in told:
                raise
    raise MlinfraError(
        Diagnostic(
            f"there is no version {version} of stack {request.state_name} to be had",
            detail=f"Its state is kept by {_place(stack, place)}, which gives out the newest version alone.",
            remedy="With `state: {backend: service}` every version is kept.",
            code="state-version",
        )
    )


def _marks(resource: Row) -> dict[str, bool]:
    return {key: True for key in ("protect", "delete", "external") if resource.get(key)}


def moment(seconds: float) -> str:
    """A time as people and programs read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _damaged(text: str) -> Diagnostic:
    return Diagnostic(
        "a state is damaged",
        detail=text,
        remedy="Go back to an older version with `mlinfra state restore`, or to a backup of .mlinfra/state/.",
        code="state-damaged",
    )


def _none(request: Request) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"stack {request.state_name} has no state yet",
            detail="It has not been updated, or its state is in another place than its file says.",
            remedy=f"Run {request.command('up')}.",
            code="state-none",
        )
    )


def _unread(request: Request, told: bytes) -> MlinfraError:
    text = told.decode(errors="replace").strip()
    return MlinfraError(
        Diagnostic(f"the history of stack {request.state_name} cannot be read", detail=text, code="state-transfer")
    )
