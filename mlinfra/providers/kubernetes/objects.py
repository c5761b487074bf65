"""The shapes of things: type tokens, ids, inputs, manifests and the state that the engine keeps.

State has the shape of the official provider's (github.com/pulumi/pulumi-kubernetes, provider/pkg/provider), so that a
stack can move from one to the other: the live object, `__inputs`, `__initialApiVersion` and `__fieldManager` in the
outputs, `apiVersion` and `kind` in the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.kubernetes.client import Object

INPUTS: Final = "__inputs"
API_VERSION: Final = "__initialApiVersion"
MANAGER: Final = "__fieldManager"
_EXACT: Final = 2**53  # doubles hold every integer up to here
IMPORTED: Final = "__imported"
"""Marks the state of an object that was imported and has not been applied since. The official provider ignores it."""

AUTONAMED: Final = "pulumi.com/autonamed"
PATCH_FORCE: Final = "pulumi.com/patchForce"
SKIP_AWAIT: Final = "pulumi.com/skipAwait"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
WAIT_FOR: Final = "pulumi.com/waitFor"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
"""Annotations with the official provider's meaning:
https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/"""


def lookup(value: Any, *path: str | int, default: Any = None) -> Any:
    """What is at a path within JSON data, or `default` where there is nothing."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return default
    return value


def annotation(value: Mapping[str, Any], name: str) -> str:
    """An annotation of an object or of inputs, or an empty text."""
    found = lookup(value, "metadata", "annotations", name)
    return found if isinstance(found, str) else ""


def label(value: Mapping[str, Any], name: str) -> str:
    """A label of an object or of inputs, or an empty text."""
    found = lookup(value, "metadata", "labels", name)
    return found if isinstance(found, str) else ""


def kind_of(type_token: str) -> tuple[str, str]:
    """The apiVersion and kind of a type token: `kubernetes:core/v1:Secret` is `("v1", "Secret")`."""
    _, group_version, kind = type_token.split(":")
    return group_version.removeprefix("core/"), kind


def object_id(item: Mapping[str, Any]) -> str:
    """The id of an object: `namespace/name`, or `name` for a kind without namespaces."""
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def split_id(identity: str) -> tuple[str | None, str]:
    """The namespace and the name in an id."""
    namespace, _, name = identity.rpartition("/")
    return namespace or None, name


def manifest(inputs: Mapping[str, Any]) -> Object:
    """What is sent to the server: the inputs without the engine's own keys, and without what only the server says."""
    return {key: value for key, value in inputs.items() if not key.startswith("__") and key != "status"}


def state(live: Mapping[str, Any], inputs: Mapping[str, Any], manager: str) -> Object:
    """The outputs that the engine keeps: the live object without managedFields, which is a third of its bytes."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    kept: Object = _storable({**live, "metadata": metadata})
    return {
        **kept,
        INPUTS: dict(inputs),
        API_VERSION: live["apiVersion"],
        MANAGER: manager,
    }


def _storable(value: Any) -> Any:
    """A copy in which integers that the engine's numbers cannot hold are texts; status is where such may stand."""
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > _EXACT else value
