"""What authors of blueprints write with: components, parameters, and the function that ties them together.

A blueprint is a Python function from an `Environment` and its parameters to a `Blueprint`. While it runs, every
component that it makes is noted with the line that made it, and a component that is not valid is noted as such instead
of ending the run: all mistakes of a blueprint are told together.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import typing
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PrivateAttr,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError
from mlinfra.documented import Documented
from mlinfra.environment import Environment
from mlinfra.graph import Ref, Value, to_json
from mlinfra.validation import diagnostics_of

if TYPE_CHECKING:
    from mlinfra.expansion import Scope

Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$")]
"""Identity of a component: lower-case letters, digits and hyphens, at most 30, so that physical names stay readable."""

CheckName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{2,119}$")]
"""The name of a scanner's check, such as `s3_bucket_object_lock` or `CKV_K8S_22`."""

Reason = Annotated[str, Field(min_length=10, max_length=500)]
"""Why a check is waived, for whoever audits it: a sentence."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")

T = TypeVar("T")
if TYPE_CHECKING:
    Many: TypeAlias = Sequence[T]
else:
    Many = Annotated[tuple[T, ...], BeforeValidator(lambda items: tuple(items) if isinstance(items, list) else items)]
"""Several values, written as a list or a tuple."""

_PACKAGE = str(Path(__file__).parent)
_HIDDEN = (_PACKAGE + os.sep, str(Path(inspect.getfile(BaseModel)).parent) + os.sep)


_made: ContextVar[type | None] = ContextVar("made", default=None)
"""The kind of component whose validator is being made. That is when the kind is used for the first time, since a
blueprint uses few of those that its kinds can refer to: `mlinfra validate` takes 0.04 of its 0.6 s less."""


class Params(Documented):
    """Base of a blueprint's parameters: strict, no unknown field, frozen."""


class Component(Documented):
    """Base of everything that a blueprint declares.

    The first argument is the component's identity for ever: resource names come from it. To rename a component without
    replacing what it made, keep the first name in `moved_from`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    holds_data: ClassVar[bool] = False
    """Whether losing the component loses data: such a component can be protected by a stack."""

    name: Name = Field(kw_only=False)  # type checkers read from this that the name is the first argument
    """Identity within the blueprint: lower-case letters, digits and hyphens, a letter first, at most 30."""

    moved_from: Name | None = None
    """The component's first name, if it was renamed since: physical names stay as they were."""

    waive: dict[CheckName, Reason] = Field(default_factory=dict)
    """Checks of a security scanner (Prowler, Checkov) that this component's resources fail on purpose, by the scanner's
    names for them, each with the reason: `waive={"s3_bucket_object_lock": "what is in it can be made again"}`. It
    changes nothing that is made; a scan of the stack leaves these findings out and shows the reasons."""

    _source: Location | None = PrivateAttr(default=None)
    _recording: Recording | None = PrivateAttr(default=None)

    def __init__(self, name: str, /, **fields: Any) -> None:
        recording = _active.get()
        source = _caller()
        try:
            super().__init__(**{"name": name, **fields})
        except ValidationError as error:
            if recording is None:
                raise
            recording.problems += diagnostics_of(
                error,
                {"name": name, **fields},
                type(self),
                lambda _: source,
                f"{type(self).__name__} {name!r}",
                component=name if isinstance(name, str) else None,
            )
            _fill(self, {**fields, "name": str(name)})
        self._source = source
        self._recording = recording
        if recording is not None:
            recording.add(self)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """As pydantic does it, when the class is used for the first time."""
        before = _made.set(cls)
        try:
            return super().model_rebuild(**options)
        finally:
            _made.reset(before)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As a field's type, a component is the object itself, never a dict from which one could be made."""
        if _made.get() is cls:
            return handler(source)
        said_as = cls.__dict__.get("said_as", cls.__name__)
        metadata = {"pydantic_js_functions": [lambda *_: _in_json(cls)]}
        return core_schema.is_instance_schema(cls, cls_repr=said_as, metadata=metadata)

    @property
    def identity(self) -> str:
        """The name that physical names are made from: the first one that the component had."""
        return self.moved_from or self.name

    @property
    def source(self) -> Location | None:
        """Where the blueprint declares the component."""
        return self._source

    @abstractmethod
    def expand(self, scope: Scope) -> None:
        """Add the nodes that this component comes to."""

    def node(self, local: str) -> str:
        """The name in the graph of a node of this component."""
        return f"{self.name}/{local}"

    def output(self, local: str, *path: str | int) -> Ref:
        """A reference to an output of one of this component's nodes; without a path, to its id."""
        return Ref(self.node(local), path or ("id",))

    def parts(self) -> Iterator[Component]:
        """The components that this one refers to, directly, in the order of its fields."""
        for key in type(self).model_fields:
            yield from _components(getattr(self, key, None))

    def __repr__(self) -> str:
        """Kind and name; fields may hold much, and secrets."""
        return f"{type(self).__name__}({self.name!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Two components are one only if they are the same object: identity is what references go by."""
        return self is other

    def __hash__(self) -> int:
        """By object, as `__eq__`."""
        return id(self)


def _components(value: Any) -> Iterator[Component]:
    match value:
        case Component():
            yield value
        case BaseModel():
            for key in type(value).model_fields:
                yield from _components(getattr(value, key))
        case Mapping():
            for item in value.values():
                yield from _components(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _components(item)


@dataclass
class Recording:
    """What happened while a blueprint function ran."""

    components: list[Component] = field(default_factory=list)
    named: dict[str, Component] = field(default_factory=dict)
    """The components by their names; of two that share one, the later."""
    problems: list[Diagnostic] = field(default_factory=list)
    environment: Environment | None = None
    """What the blueprint is compiled for; None until its function is called."""

    def add(self, component: Component) -> None:
        """Note a component that was made."""
        self.components.append(component)
        self.named[component.name] = component


_active: ContextVar[Recording | None] = ContextVar("mlinfra_recording", default=None)


@contextmanager
def recording() -> Iterator[Recording]:
    """Note the components that are made within the block."""
    notes = Recording()
    token = _active.set(notes)
    try:
        yield notes
    finally:
        _active.reset(token)


def active_recording() -> Recording | None:
    """The notes of the blueprint function that runs; None where none does."""
    return _active.get()


def _caller() -> Location | None:
    """The nearest frame outside mlinfra and pydantic: the line of the blueprint."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_HIDDEN) and not file.startswith("<"):
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return None


def _in_json(kind: type[Component]) -> dict[str, Any]:
    """The JSON Schema of a field that takes a component: which kind it is, and nothing of what is in it."""
    return {"title": kind.__name__, "type": "object", "properties": {}, "description": inspect.getdoc(kind)}


def _fill(component: Component, fields: Mapping[str, Any]) -> None:
    """Give a component that is not valid what was written, so that the blueprint can go on to its next mistake."""
    known = {key: item for key, item in fields.items() if key in type(component).model_fields}
    stand_in = type(component).model_construct(**known)
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(component, slot, getattr(stand_in, slot))


class Blueprint:
    """What a blueprint function returns: the components that matter, and the outputs for people and other stacks.

    Everything that the components refer to, directly or through others, is part of it.
    """

    def __init__(self, *components: Component, outputs: Mapping[str, Value] | None = None) -> None:
        for position, component in enumerate(components, start=1):
            if not isinstance(component, Component):
                raise TypeError(f"argument {position} of Blueprint is a {type(component).__name__}, not a component")
        self.components = components
        self.outputs: dict[str, Value] = dict(outputs or {})
        for key, value in self.outputs.items():
            if key.startswith("mlinfra:"):
                raise TypeError(f"output {key!r}: the prefix `mlinfra:` is reserved")
            try:
                to_json(value)
            except TypeError as error:
                raise TypeError(f"output {key!r}: {error}; give one of the component's outputs, or a value") from None

    def reached(self) -> list[Component]:
        """Every component that is part of the blueprint, each after those it refers to."""
        order: list[Component] = []
        seen: set[int] = set()
        stack: list[tuple[Component, bool]] = [(item, False) for item in reversed(self.components)]
        while stack:
            component, done = stack.pop()
            if done:
                order.append(component)
            elif id(component) not in seen:
                seen.add(id(component))
                stack.append((component, True))
                stack += [(part, False) for part in reversed(list(component.parts()))]
        return order


P = TypeVar("P", bound=Params)
Body = Callable[[Environment, P], Blueprint]


@dataclass(frozen=True)
class BlueprintFunction(Generic[P]):
    """A blueprint as the library knows it: its name, version, parameters and function."""

    name: str
    version: str
    params: type[P]
    body: Body[P]
    source: Location

    def __call__(self, environment: Environment, params: P) -> Blueprint:
        """Run the function."""
        if (notes := _active.get()) is not None:
            notes.environment = environment
        return self.body(environment, params)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.body) or "").partition("\n")[0]


def blueprint(name: str, *, version: str) -> Callable[[Body[P]], BlueprintFunction[P]]:
    """Declare a function to be the blueprint `name` at `version` (semantic versioning: major.minor.patch).

    The function's first argument is annotated `Environment`, its second with a subclass of `Params`.
    """

    def declare(body: Body[P]) -> BlueprintFunction[P]:
        code = body.__code__
        source = Location(code.co_filename, code.co_firstlineno)
        _check_version(name, version, source)
        return BlueprintFunction(name, version, _params_of(name, body, source), body, source)

    return declare


def _check_version(name: str, version: str, source: Location) -> None:
    if _VERSION.fullmatch(version):
        return
    raise MlinfraError(
        Diagnostic(
            f"blueprint {name!r} has the version {version!r}, which is not of the form major.minor.patch",
            detail="Stacks name it, and it becomes a label of what is made.",
            remedy='Write a version such as "1.0.0".',
            location=source,
            code="blueprint-version-form",
        )
    )


def _params_of(name: str, body: Body[P], source: Location) -> type[P]:
    try:
        hints = typing.get_type_hints(body)
        annotated = [hints.get(argument) for argument in inspect.signature(body).parameters]
    except Exception as error:
        annotated, reason = [], str(error)
    else:
        reason = (
            "It takes " + (", ".join(str(getattr(item, "__name__", item)) for item in annotated) or "nothing") + "."
        )
    if len(annotated) == 2 and annotated[0] is Environment and _is_params(annotated[1]):
        return typing.cast("type[P]", annotated[1])
    raise MlinfraError(
        Diagnostic(
            f"blueprint {name!r} has the wrong arguments",
            detail=reason,
            remedy=f"Write it as `def {name}(env: Environment, p: YourParams) -> Blueprint`.",
            location=source,
            code="blueprint-signature",
        )
    )


def _is_params(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Params)
