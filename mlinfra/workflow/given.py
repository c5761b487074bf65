"""What a stack gave out: the outputs of its last update and the blueprint that made them, read from its state.

A state in the project's own service or files is read where it is, in milliseconds and without an engine; one in another
place is asked of the engine. Nothing is made or locked by looking: an update that runs at this moment does not hinder,
and what is read is what the update before it gave out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlinfra.engine.session import ORIGIN, moved_away, real
from mlinfra.graph import Secret
from mlinfra.naming import name_of
from mlinfra.stack import Stack
from mlinfra.state.backend import SERVICE
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow.outputs import outputs, root_of
from mlinfra.workflow.places import reading_state
from mlinfra.workflow.request import Request


@dataclass(frozen=True)
class Given:
    """What a stack's last update gave out.

    `outputs` are as they stand in the state, with secrets encrypted: `opened` opens those that are wanted. `blueprint`
    and `version` are empty where the state is older than their being noted. `gone` has for an output the resources that
    it is made of and that the state has no more: they were destroyed, or found to be gone, since the update.
    """

    outputs: Mapping[str, Any]
    blueprint: str = ""
    version: str = ""
    gone: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sealed_by: str = ""

    @property
    def made_by(self) -> str:
        """Blueprint and version as people write them; empty where they are not known."""
        return f"{self.blueprint}@{self.version}" if self.version else ""


def given_by(request: Request, stack: Stack) -> Given | None:
    """What a stack gave out; None where its state has nothing. Raises `MlinfraError` where it cannot be read."""
    held = state_of(request, stack)
    resources = held.get("resources") or []
    root = root_of(resources)
    if root is None:
        return None
    found = dict(root.get("outputs") or {})
    origin = found.pop(ORIGIN, {})
    there = {name_of(item["urn"]) for item in resources}
    gone = {name: [node for node in nodes if node not in there] for name, nodes in origin.get("resources", {}).items()}
    sealed_by = str((held.get("secrets_providers") or {}).get("type", ""))
    gone = {name: nodes for name, nodes in gone.items() if nodes}
    return Given(found, origin.get("blueprint", ""), origin.get("version", ""), gone, sealed_by)


def is_up(request: Request, stack: Stack) -> bool:
    """Whether a stack has made something that its state still has. Raises `MlinfraError` where that cannot be read."""
    resources = state_of(request, stack).get("resources") or []
    return bool(real(resources))


def opened(request: Request, stack: Stack, given: Given, name: str) -> Any:
    """An output with each of its secrets as a `Secret`. Raises `MlinfraError` where they cannot be decrypted."""
    value = given.outputs[name]
    if not _has_secret(value):
        return value
    if given.sealed_by != "service" or stack.file.state.backend != SERVICE:
        return _beside(value, outputs(request, show_secrets=True)[name])
    from mlinfra.state.service import states_of

    with states_of(request.project) as states:
        return _decrypted(value, lambda text: states.decrypt(stack.blueprint, request.state_name, text))


def state_of(request: Request, stack: Stack) -> Mapping[str, Any]:
    """A stack's state as the engine exports it, its secrets encrypted; empty where there is none."""
    with reading_state(request, stack) as session:
        if session is None:
            return {}
        if place := session.moved_to():
            raise moved_away(request.state_name, place)
        return session.export()


# ------------------------------------------------------------------------------------------------ secrets


def is_secret(value: Any) -> bool:
    """Whether a value of the state is a secret, encrypted or not."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET


def _has_secret(value: Any) -> bool:
    match value:
        case Mapping():
            return is_secret(value) or any(map(_has_secret, value.values()))
        case list():
            return any(map(_has_secret, value))
        case _:
            return False


def _decrypted(value: Any, decrypt: Callable[[bytes], str]) -> Any:
    """A value of the state with its secrets opened; within each is JSON."""
    match value:
        case Mapping() if is_secret(value):
            return Secret(json.loads(decrypt(base64.b64decode(value["ciphertext"]))))
        case Mapping():
            return {key: _decrypted(item, decrypt) for key, item in value.items()}
        case list():
            return [_decrypted(item, decrypt) for item in value]
        case _:
            return value


def _beside(value: Any, shown: Any) -> Any:
    """A value as the engine shows it, with a `Secret` wherever one stands in the state."""
    match value:
        case Mapping() if is_secret(value):
            return Secret(shown)
        case Mapping():
            return {key: _beside(item, shown[key]) for key, item in value.items()}
        case list():
            return [_beside(item, part) for item, part in zip(value, shown, strict=True)]
        case _:
            return shown
