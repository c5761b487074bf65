"""Whether the template that a run is made from is the one that the blueprint declares now, and the one that `up` made.

The engine's state has what the last update gave the cluster. What the blueprint declares is put together with the same
values as the engine would, so that the two can be compared before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.functions import UNKNOWN, MissingOutputError, UnusableValueError, resolve
from mlinfra.graph import REDACTED, Graph, Node, Secret
from mlinfra.naming import name_of
from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import lookup
from mlinfra.state.compare import redacted
from mlinfra.workflow.places import NEAR, reading_state
from mlinfra.workflow.runs_access import CONFIG_MAP, CRON_JOB, Job, Stage

_COMPARED: Final = {CRON_JOB: "spec", CONFIG_MAP: "data"}
"""What of a job's objects runs depend on. Labels change with each version of a blueprint."""


def behind(stage: Stage, job: Job, source: Object) -> Diagnostic | None:
    """A warning: an `up` is pending for the job, or somebody has changed its template behind the state's back.

    `source` is the template as it is in the cluster. Nothing can be said where the state is not within the project: it
    is not fetched for this.
    """
    stack = stage.compiled.stack
    if stack.file.state.backend not in NEAR:
        return None
    try:
        with reading_state(stage.request, stack) as session:
            resources = session.resources() if session else []
    except MlinfraError:  # a run needs no state: whoever does will hear what is wrong with it
        return None
    if not resources:
        return None
    if changed := pending(stage.compiled.graph, job, resources):
        return Diagnostic(
            f"job {job.name} is run as the last update left it, which is not what the blueprint says now",
            detail=f"Not the same: {', '.join(changed)}.",
            remedy=f"To run what the blueprint says, first: {stage.request.command('up')}",
            component=job.name,
            severity=Severity.WARNING,
            code="run-up-pending",
        )
    if drifted(job, resources, source):
        return Diagnostic(
            f"the template of job {job.name} was changed in the cluster since the last update, and is run so",
            remedy=f"See how with `{stage.request.command('refresh')}`; "
            f"`{stage.request.command('up')}` makes it again what the blueprint says.",
            component=job.name,
            severity=Severity.WARNING,
            code="run-template-drifted",
        )
    return None


def pending(graph: Graph, job: Job, resources: Iterable[Mapping[str, Any]]) -> list[str]:
    """The nodes of a job that the blueprint declares otherwise than the state has them."""
    known = {name_of(item["urn"]): item for item in resources}
    outputs = _Outputs(known)
    made_from = [node for node in graph if node.component == job.name and node.type in _COMPARED]
    return [node.name for node in made_from if _changed(node, known.get(node.name), outputs)]


def drifted(job: Job, resources: Iterable[Mapping[str, Any]], source: Object) -> bool:
    """Whether the template in the cluster has another generation than in the state: its spec was changed since.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (generation).
    """
    for item in resources:
        if name_of(item["urn"]) == job.node:
            before = lookup(item, "outputs", "metadata", "generation")
            now = lookup(source, "metadata", "generation")
            return before is not None and now is not None and int(before) != int(now)
    return False


class _Outputs(dict[str, Any]):
    """The outputs of nodes, once they are asked for; of those that the state does not have nothing is known."""

    def __init__(self, resources: Mapping[str, Mapping[str, Any]]) -> None:
        self._resources = resources

    def __missing__(self, name: str) -> Any:
        item = self._resources.get(name)
        if item is None:
            return UNKNOWN
        self[name] = found = redacted({**(item.get("outputs") or {}), "id": item.get("id"), "urn": item["urn"]})
        return found


def _changed(node: Node, found: Mapping[str, Any] | None, outputs: Mapping[str, Any]) -> bool:
    if found is None:
        return True
    key = _COMPARED[node.type]
    try:
        declared = resolve(node.inputs.get(key), outputs)
    except (MissingOutputError, UnusableValueError):
        return False  # an update would say so
    return _differs(declared, redacted((found.get("inputs") or {}).get(key)))


def _differs(declared: Any, noted: Any) -> bool:
    """Whether two values differ for all that is known; secrets are not looked at."""
    if declared is UNKNOWN or isinstance(declared, Secret) or REDACTED in (declared, noted):
        return False
    if isinstance(declared, Mapping):
        if not isinstance(noted, Mapping) or declared.keys() != noted.keys():
            return True
        return any(_differs(item, noted[key]) for key, item in declared.items())
    if isinstance(declared, list):
        if not isinstance(noted, list) or len(declared) != len(noted):
            return True
        return any(_differs(*pair) for pair in zip(declared, noted, strict=True))
    return bool(declared != noted)
