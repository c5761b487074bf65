"""Renaming a stack in its own state: every URN begins with the stack and the project.

The rules are those of `RenameStack` in pkg/resource/edit/operations.go of pulumi/pulumi, version 3.222.0, and
`viewOf`, which that leaves out, besides.
"""

from __future__ import annotations

from typing import Any, Final

from mlinfra.state.deployments import SERVICE
from mlinfra.state.entries import Json
from mlinfra.state.stacks import Name

_ROOT: Final = "pulumi:pulumi:Stack"
_SINGLE: Final = ("urn", "parent", "provider", "deletedWith", "viewOf")
_LISTS: Final = ("dependencies", "replaceWith")


def renamed(deployment: Json, old: Name, new: Name) -> Json:
    """The deployment as it is for a stack of another name; what was passed in is not changed."""
    changed: Json = dict(deployment)
    if resources := deployment.get("resources"):
        changed["resources"] = [_resource(state, new) for state in resources]
    if pending := deployment.get("pending_operations"):
        changed["pending_operations"] = [{**item, "resource": _resource(item["resource"], new)} for item in pending]
    if manager := deployment.get("secrets_providers"):
        changed["secrets_providers"] = _manager(manager, old, new)
    return changed


def _resource(state: Json, new: Name) -> Json:
    changed = dict(state)
    for key in _SINGLE:
        if state.get(key):
            changed[key] = _urn(state[key], new)
    for key in _LISTS:
        if state.get(key):
            changed[key] = [_urn(item, new) for item in state[key]]
    if by_property := state.get("propertyDependencies"):
        changed["propertyDependencies"] = {
            key: None if urns is None else [_urn(item, new) for item in urns] for key, urns in by_property.items()
        }
    return changed


def _urn(text: str, new: Name) -> str:
    """`urn:pulumi:STACK::PROJECT::TYPES::NAME`; in a reference to a provider `::ID` follows."""
    parts = text.split("::", 3)
    if len(parts) < 4 or not parts[0].startswith("urn:pulumi:"):
        return text
    _, _, types, name = parts
    if types == _ROOT:  # the stack's own resource is called after both
        name = f"{new.project}-{new.stack}"
    return f"urn:pulumi:{new.stack}::{new.project}::{types}::{name}"


def _manager(manager: Any, old: Name, new: Name) -> Any:
    """The secrets manager: the service's own names the stack whose key it uses, which is the same one, renamed."""
    state = manager.get("state") if isinstance(manager, dict) and manager.get("type") == SERVICE else None
    if not isinstance(state, dict):
        return manager
    if (state.get("owner"), state.get("project"), state.get("stack")) != (old.organization, old.project, old.stack):
        return manager
    names = {"owner": new.organization, "project": new.project, "stack": new.stack}
    return {**manager, "state": {**state, **names}}
