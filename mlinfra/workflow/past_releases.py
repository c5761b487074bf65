"""What the versions of a stack's state had released, and which of them a rollback goes back to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.engine.session import ORIGIN, Session
from mlinfra.engine.transfer import export_whole
from mlinfra.state.states import ServiceStates
from mlinfra.state.versions import Version
from mlinfra.workflow import rollback_problems
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.history import moment
from mlinfra.workflow.outputs import root_of
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import Release, RolledBack, in_state, released_in

_UPDATE: Final = "update"
_WELL: Final = "succeeded"

Resources = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Good:
    """A version to go back to: what the components had released then that go back, and the stack's parameters."""

    version: int
    time: str
    who: str
    blueprint: str
    then: Mapping[str, Release]
    params: Mapping[str, Any]


@dataclass
class Past:
    """The versions of a stack's state, newest first; what is released now, and what was rolled back.

    `opened` gives the resources of a version with their secrets decrypted.
    """

    states: ServiceStates
    name: tuple[str, str]
    versions: Sequence[Version]
    applied: Mapping[str, Release]
    rolled_back: Sequence[RolledBack]
    opened: Callable[[Version], Resources]

    @classmethod
    def of(cls, request: Request, compiled: Compiled, session: Session) -> Past:
        """Those of a stack; raises `MlinfraError` where its state has no versions."""
        states, name = session.backend.states, (compiled.stack.blueprint, request.state_name)
        if states is None:
            raise rollback_problems.no_versions(request, compiled.stack)
        versions = states.versions(*name)
        if not versions:
            raise rollback_problems.nothing_there(request)
        now = states.show(*name, versions[0].number).get("resources") or []

        def opened(version: Version) -> Resources:
            whole = export_whole(session, show_secrets=True, version=version.number)
            return whole["deployment"].get("resources") or []

        return cls(states, name, versions, released_in(now), in_state(now), opened)

    def resources(self, version: Version) -> Resources:
        """What was in the state then."""
        return self.states.show(*self.name, version.number).get("resources") or []

    @property
    def good(self) -> list[Version]:
        """The versions that an update led to which ended well."""
        return [item for item in self.versions if item.kind == _UPDATE and item.status == _WELL]

    def left(self, component: str, declared: Mapping[str, Release]) -> Release:
        """The release that is withdrawn: the one that is there, or the one that the last update did not get as far as.

        An update that failed before it came to the component has left it as it was; what is meant then is what that
        update was to bring, which the stack file says.
        """
        applied = self.applied.get(component, {})
        newest = next((item for item in self.versions if item.kind == _UPDATE), None)
        if newest is None or newest.status == _WELL or not self.good:
            return applied
        untouched = released_in(self.resources(self.good[0])).get(component) == applied
        return declared.get(component, applied) if untouched else applied


def last_good(
    request: Request, past: Past, names: Sequence[str], declared: Mapping[str, Release], version: int | None
) -> Good:
    """The version that components go back to: the one that is asked for, or the last that ended well in which one of
    them had released something that is neither there now nor was withdrawn. Raises `MlinfraError` where there is none.
    """
    left = {name: past.left(name, declared) for name in names}
    withdrawn = {item.component: item.withdrawn for item in past.rolled_back}
    wanted = [item for item in past.good if version is None or item.number == version]
    if version is not None and not wanted:
        raise rollback_problems.no_such_version(request, version, [item.number for item in past.good])
    for item in wanted:
        resources = past.resources(item)
        then = {
            name: release
            for name, release in released_in(resources).items()
            if name in left
            and release != left[name]
            and (version is not None or release not in withdrawn.get(name, ()))
        }
        if then:
            return _good(request, past, item, then)
    raise rollback_problems.nothing_older(request, names, version)


def _good(request: Request, past: Past, version: Version, then: Mapping[str, Release]) -> Good:
    root = root_of(past.opened(version)) or {}
    origin = (root.get("outputs") or {}).get(ORIGIN, {})
    if "params" not in origin:
        raise rollback_problems.not_noted(request, version.number)
    who = f"{version.author}@{version.host}" if version.author else ""
    made_by = f"{origin.get('blueprint')}@{origin.get('version')}"
    params = json.loads(json.loads(origin["params"]["plaintext"]))  # within a secret is JSON, here a text of JSON
    return Good(version.number, moment(version.made), who, made_by, then, params)
