"""From a stack to its graph: load the blueprint, check the parameters, run it, expand it, check the graph.

All of it is pure but for running the blueprint's own code: no engine, no network, no credentials.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlinfra.authoring import Blueprint, BlueprintFunction, Component, Params, Recording, recording
from mlinfra.checks import run_checks
from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Problems
from mlinfra.emit import Emit, silent
from mlinfra.environment import Environment
from mlinfra.expansion import expand
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.stack import Stack
from mlinfra.validation import diagnostics_of
from mlinfra.workflow.given_params import plain_params
from mlinfra.workflow.library import guarded, lint_blueprint, load_blueprint, relative
from mlinfra.workflow.request import Request

if TYPE_CHECKING:
    from mlinfra.workflow.imports import Imported


@dataclass(frozen=True)
class Compiled:
    """A stack with its graph, and the warnings that were found on the way."""

    stack: Stack
    environment: Environment
    graph: Graph
    warnings: tuple[Diagnostic, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    """The parameters that the blueprint got, defaults included, as plain data; those that hold secrets are left out."""


def compile_request(
    request: Request,
    stack: Stack | None = None,
    *,
    stand_in: bool = False,
    look_far: bool = True,
    capacity: bool = True,
    given: Mapping[str, Any] | None = None,
) -> Compiled:
    """The graph of the stack that a request is about, with what it imports from other stacks.

    `stack` is the request's, from whoever has read its file already. With `stand_in`, what comes of a stack that is not
    up is a warning, and the rest is checked with a value of the parameter's shape. Without `look_far`, so is what comes
    of a stack whose state is not within the project. Raises as `compile_stack`, to which `capacity` and `given` are
    handed on.
    """
    stack = stack or request.stack()
    if not stack.file.imports:
        return compile_stack(request.project, stack, request.emit, capacity=capacity, given=given)
    from mlinfra.workflow.imports import read_imports  # it needs the states, which most stacks do not

    imported = read_imports(request, stack, look_far=look_far)
    return compile_stack(
        request.project, stack, request.emit, imported=imported, stand_in=stand_in, capacity=capacity, given=given
    )


def compile_stack(
    project: Project,
    stack: Stack,
    emit: Emit = silent,
    *,
    imported: Mapping[str, Imported] | None = None,
    stand_in: bool = False,
    capacity: bool = True,
    given: Mapping[str, Any] | None = None,
) -> Compiled:
    """The graph of a stack; raises `MlinfraError` with every problem found, in the stack file and in the blueprint.

    `imported` has what the stack imports, which a compiler does not read by itself: it has neither states nor
    credentials. A stack that imports cannot be compiled without. Without `capacity` what its machines have is not
    asked, for whoever tells of that in full. `given` are parameters that take the place of the stack's own.
    """
    if stack.file.imports and imported is None:
        raise ValueError(f"stack {stack.name} has imports, and nobody has read them")
    function = load_blueprint(project, stack.blueprint, stack.place("blueprint"))
    problems = Problems()
    _check_version(function, stack, problems)
    values = _imports(function, stack, imported or {}, problems, stand_in=stand_in)
    problems.raise_errors()
    params = _params(function, stack, values, given or {}, problems)
    problems.raise_errors()
    assert params is not None
    environment = stack.environment()
    path = Path(function.source.file)
    problems.extend(lint_blueprint(project, path).warnings)
    with recording() as notes:
        try:
            with guarded(project, path, f"running blueprint {function.name}"):
                result = function(environment, params)
        except MlinfraError as error:
            # What a component reported first is the cause; what the blueprint ran into next is usually its effect.
            raise MlinfraError(*(relative(project, notes.problems) or error.diagnostics), debug=error.debug) from None
    problems.extend(notes.problems)
    problems.extend(_structure(function, result, notes, stack))
    problems.extend(_unwatched(result, environment))
    _raise_relative(project, problems)
    with guarded(project, path, f"expanding blueprint {function.name}"):
        graph, found = expand(function, result, environment, frozenset(stack.file.protect))
    graph = replace(graph, sources={name: _shown(project, place) for name, place in graph.sources.items()})
    problems.extend(found.found)
    told = run_checks(graph, emit)
    # What belongs to no component, such as an output of the blueprint, was written in the blueprint's function.
    problems.extend(item if item.location else replace(item, location=function.source) for item in told)
    if capacity and not problems.errors:  # what a component refused is told once
        problems.extend(_capacity(graph, environment))
    _raise_relative(project, problems)
    return Compiled(stack, environment, graph, tuple(relative(project, problems.warnings)), plain_params(params))


def _capacity(graph: Graph, environment: Environment) -> list[Diagnostic]:
    """What can never find room; many stacks have nothing that asks for any."""
    if not graph.pools and not any(node.type.endswith(":ResourceQuota") for node in graph.nodes.values()):
        return []
    from mlinfra.checks.capacity.check import check_capacity

    return check_capacity(graph, environment)


def _unwatched(result: object, environment: Environment) -> list[Diagnostic]:
    """What serves people and is watched by nobody, where that matters."""
    if not environment.tier.protected or not isinstance(result, Blueprint):
        return []
    from mlinfra.checks.watching import check_watching  # it knows kinds of components, which stacks may have none of

    return check_watching(result.reached(), environment)


def _check_version(function: BlueprintFunction[Any], stack: Stack, problems: Problems) -> None:
    wanted = stack.blueprint_version
    if wanted is not None and wanted != function.version:
        problems.error(
            f"stack {stack.name} is written for {function.name} {wanted}, but the library has {function.version}",
            remedy=f"Review what changed since {wanted}, then write `blueprint: {function.name}@{function.version}`.",
            location=stack.place("blueprint"),
            code="blueprint-version",
        )


def _imports(
    function: BlueprintFunction[Any],
    stack: Stack,
    imported: Mapping[str, Imported],
    problems: Problems,
    *,
    stand_in: bool,
) -> dict[str, Any]:
    """The parameters that are imported, by name."""
    if not stack.file.imports:
        return {}
    from mlinfra.workflow.import_values import fill

    return fill(function.params, stack, imported, problems, stand_in=stand_in)


def _params(
    function: BlueprintFunction[Any],
    stack: Stack,
    imported: Mapping[str, Any],
    given: Mapping[str, Any],
    problems: Problems,
) -> Params | None:
    values = {**stack.file.params, **imported, **given}

    def place(path: tuple[str | int, ...]) -> Location:
        return stack.place("imports" if path and path[0] in imported else "params", *path)

    try:
        params: Params = function.params.model_validate_json(json.dumps(values))
    except ValidationError as error:
        subject = f"parameters of {function.name}"
        problems.extend(diagnostics_of(error, values, function.params, place, subject))
        return None
    return params


def _structure(function: BlueprintFunction[Any], result: object, notes: Recording, stack: Stack) -> list[Diagnostic]:
    """What is wrong with the components as a whole: names used twice, strangers, what nothing leads to."""
    if not isinstance(result, Blueprint):
        detail = f"It returned {'nothing' if result is None else f'a {type(result).__name__}'}."
        remedy = "End the function with `return Blueprint(component, …)`."
        return [
            Diagnostic(
                f"blueprint {function.name} returned no Blueprint",
                detail=detail,
                remedy=remedy,
                location=function.source,
                code="blueprint-result",
            )
        ]
    problems = Problems()
    reached = result.reached()
    _twice(notes.components, problems)
    own = {id(component) for component in notes.components}
    for component in reached:
        if id(component) not in own:
            problems.error(
                f"{component!r} is used, but was not made by this blueprint",
                detail="It was made when the file was loaded, or by another blueprint, so it belongs to no stack.",
                remedy="Make it inside the blueprint function.",
                location=component.source or function.source,
                component=component.name,
                code="component-outside",
            )
    within = {id(component) for component in reached}
    for component in notes.components:
        if id(component) not in within:
            problems.warning(
                f"{component!r} is declared, but nothing leads to it, so it is not part of the blueprint",
                remedy="Refer to it from another component, give it to Blueprint(…), or remove it.",
                location=component.source,
                component=component.name,
                code="component-unused",
            )
    _check_protect(reached, stack, problems)
    return problems.found


def _twice(components: list[Component], problems: Problems) -> None:
    seen: dict[str, Component] = {}
    for component in components:
        for name in {component.name, component.moved_from} - {None}:
            assert name is not None
            first = seen.setdefault(name, component)
            if first is not component:
                problems.error(
                    f"the name {name!r} is used by two components, {first!r} and {component!r}",
                    detail=f"The first is at {first.source}. A name is a component's identity.",
                    remedy="Give one of them another name.",
                    location=component.source,
                    component=name,
                    code="component-duplicate",
                )


def _check_protect(reached: list[Component], stack: Stack, problems: Problems) -> None:
    names = {component.name for component in reached}
    for index, name in enumerate(stack.file.protect):
        if name not in names:
            problems.error(
                f"stack {stack.name} protects {name!r}, but the blueprint has no such component",
                detail=f"The components are {', '.join(sorted(names))}.",
                location=stack.place("protect", index),
                code="protect-unknown",
            )
        elif not any(component.name == name and component.holds_data for component in reached):
            problems.warning(
                f"stack {stack.name} protects {name!r}, which holds nothing that could be lost",
                detail="Only components that hold data are protected: buckets, image repositories, raw resources.",
                remedy="Take it out of the list.",
                location=stack.place("protect", index),
                component=name,
                code="protect-useless",
            )


def _shown(project: Project, place: Location) -> Location:
    return replace(place, file=project.relative(Path(place.file)))


def _raise_relative(project: Project, problems: Problems) -> None:
    if problems.errors:
        raise MlinfraError(*relative(project, problems.found))
