"""What a component that serves a model has released: the image, the model and whatever else makes out its version.

The graph has it on the component's own node, so that each version of a state knows what was released then: that is what
`mlinfra rollback` goes back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from mlinfra.authoring import Component
from mlinfra.expansion import Scope

RELEASE: Final = "release"
"""The fact about a component."""

FIELDS: Final = ("image", "model", "runtime", "variants", "shadow", "env", "command", "config")
"""The fields that make out a version, of those that a component has. How much of it runs is not among them: going back
to an older version is no reason to run it with fewer replicas."""

_NOT_OF_A_VERSION: Final = frozenset({"scale"})


def describe(component: Component, scope: Scope) -> None:
    """Note what a component has released; to be called where all of it is there."""
    found = {name: _plain(getattr(component, name, None)) for name in FIELDS}
    scope.describe(**{RELEASE: {name: value for name, value in found.items() if value not in (None, {}, [])}})


def _plain(value: Any) -> Any:
    """A field's value as plain data: components by their names, of values what differs from their defaults."""
    match value:
        case Component():
            return value.name
        case BaseModel():
            fields = type(value).model_fields
            said = {name: getattr(value, name) for name in fields if name not in _NOT_OF_A_VERSION}
            return {name: _plain(item) for name, item in said.items() if item != fields[name].default}
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)
