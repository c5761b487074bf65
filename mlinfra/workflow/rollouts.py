"""`rollout`: how far an endpoint's new version is, and steering it. The controller does the work; this asks it to.

What is written are the patches of Argo Rollouts' own kubectl plugin (Argo Rollouts, "Kubectl Plugin").
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from mlinfra.components.rollout_gates import API
from mlinfra.components.rollout_plain import NODE as DEPLOYMENT
from mlinfra.components.rollout_plain import VERSION_LABEL
from mlinfra.components.signals import VARIANT_LABEL
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.graph import Graph, Kind, Node
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import kind_of, label, lookup
from mlinfra.rollouts import Progress, RolloutState
from mlinfra.workflow.record import append
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept
from mlinfra.workflow.rollout_state import of_deployment, of_rollout
from mlinfra.workflow.runs_access import Reached, known

ENDPOINT: Final = "mlinfra:component:Endpoint"
ROLLOUT: Final = f"kubernetes:{API}:Rollout"
_APPS: Final = "kubernetes:apps/v1:Deployment"
_CONFLICT: Final = 409
_ATTEMPTS: Final = 5
_PAUSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """What makes the pods of an endpoint, or of one of its variants: its node, and where it is in the cluster."""

    endpoint: str
    node: str
    type: str
    namespace: str
    name: str
    variant: str = ""
    strategy: str = "rolling"

    @property
    def steered(self) -> bool:
        """Whether a controller progresses it, which can be told to go on or back."""
        return self.type == ROLLOUT


@dataclass
class Rollouts(Reached):
    """A stack whose rollouts somebody asks for."""

    found: tuple[Served, ...]

    def of(self, endpoint: str | None) -> list[Served]:
        """What an endpoint's pods are made by, or without a name those of all.

        Raises `MlinfraError` where there is none.
        """
        if endpoint is None:
            return list(self.found)
        chosen = [item for item in self.found if item.endpoint == endpoint]
        if not chosen:
            raise _unknown(self.request, self.compiled.graph, self.found, endpoint)
        return chosen

    def steered(self, endpoint: str | None, verb: str) -> Served:
        """The one rollout that can be steered. Raises `MlinfraError` where there is none, or more than one."""
        chosen = [item for item in self.of(endpoint) if item.steered]
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            names = ", ".join(item.endpoint for item in chosen)
            raise MlinfraError(
                Diagnostic(
                    f"stack {self.request.state_name} has rollouts of several endpoints: {names}",
                    remedy=f"Name one: {self.request.command(f'rollout {verb} {chosen[0].endpoint}')}",
                    code="rollout-ambiguous",
                )
            )
        raise MlinfraError(
            Diagnostic(
                f"no controller rolls out {endpoint or f'the endpoints of stack {self.request.state_name}'}: there is "
                f"nothing to {verb}",
                detail="Kubernetes itself rolls out a Deployment, pod by pod, and `mlinfra up` waits for it.",
                remedy="To go back, give the stack the version before and bring it up. Steps, gates and a word of a "
                "person come with `rollout=Canary(…)`, or `BlueGreen(…)` in a cluster with `argo_rollouts=True`.",
                code="rollout-not-steered",
            )
        )


@contextmanager
def opened(request: Request) -> Iterator[Rollouts]:
    """The rollouts of a stack, for as long as the block lasts. Nothing is locked: they are no part of the state."""
    compiled = compile_kept(request, stand_in=True)
    stage = Rollouts(request, compiled, tuple(served_of(compiled.graph)))
    try:
        yield stage
    finally:
        stage.close()


def served_of(graph: Graph) -> Iterator[Served]:
    """What makes the pods of a graph's endpoints."""
    for node in graph:
        if node.kind is not Kind.RESOURCE or node.type not in (ROLLOUT, _APPS) or node.component is None:
            continue
        # What stands before the endpoint, such as the proxy of a failover, has a component's name with a dot.
        part = "." in label(lookup(node.inputs, "spec", "template", default={}), COMPONENT_LABEL)
        if graph.nodes[node.component].type == ENDPOINT and not part:
            yield _served(graph, node, node.component)


def _served(graph: Graph, node: Node, endpoint: str) -> Served:
    metadata = node.inputs["metadata"]
    pods = lookup(node.inputs, "spec", "template", default={})
    versioned = bool(label(node.inputs, VERSION_LABEL)) and node.name.startswith(f"{endpoint}/{DEPLOYMENT}-")
    return Served(
        endpoint,
        node.name,
        node.type,
        known(graph, metadata.get("namespace")),
        str(metadata["name"]),
        label(pods, VARIANT_LABEL),
        "blue-green" if versioned else "rolling",
    )


# ------------------------------------------------------------------------------------------------ looking


def states(stage: Rollouts, endpoint: str | None = None) -> list[RolloutState]:
    """How far the rollouts are, of one endpoint or of all. What `up` has not made yet is left out."""
    return [state for served in stage.of(endpoint) if (state := look(stage, served)) is not None]


def look(stage: Rollouts, served: Served) -> RolloutState | None:
    """How far it is just now; None where it is not in the cluster."""
    cluster = stage.cluster(served)
    live = cluster.get(*kind_of(served.type), served.name, served.namespace)
    if live is None:
        return None
    live = {**live, "kind": kind_of(served.type)[1]}
    if not served.steered:
        return of_deployment(served.endpoint, live, strategy=served.strategy, variant=served.variant)
    state = of_rollout(served.endpoint, live, _runs(cluster, live))
    if state.progress is Progress.UNSEEN and stage.local:
        return replace(state, message="no controller has looked at it: none runs on the local target by itself")
    return state


def _runs(cluster: Cluster, live: Object) -> list[Object]:
    """The AnalysisRuns that the controller made for a rollout."""
    uid = live["metadata"]["uid"]
    found = cluster.list(API, "AnalysisRun", live["metadata"]["namespace"])
    owned = (item for item in found if any(owner.get("uid") == uid for owner in _owners(item)))
    return list(owned)


def _owners(item: Object) -> list[Mapping[str, Any]]:
    return list(item["metadata"].get("ownerReferences") or [])


def follow(stage: Rollouts, endpoint: str | None, tell: Callable[[RolloutState], None]) -> list[RolloutState]:
    """Tell of rollouts whenever something changes, until all have ended or wait for a person; how they are then."""
    last: dict[str, tuple[Any, ...]] = {}
    while True:
        found = states(stage, endpoint)
        for state in found:
            if state.looks() != last.get(state.name):
                last[state.name] = state.looks()
                tell(state)
        if all(state.progress.ended or state.waits_for_person for state in found):
            return found
        time.sleep(_PAUSE)


# ------------------------------------------------------------------------------------------------ steering


def promote(stage: Rollouts, served: Served, *, full: bool = False) -> RolloutState:
    """Let a rollout go on: to its next step, or with `full` to its end, past all gates. How it is after that.

    Raises `MlinfraError` where there is nothing to promote.
    """
    return _steer(stage, served, "promote", lambda live: _promotion(live, full=full), full=full)


def abort(stage: Rollouts, served: Served) -> RolloutState:
    """Take all traffic back to the version before; how it is after that.

    Raises `MlinfraError` where there is nothing to abort.
    """
    return _steer(stage, served, "abort", lambda _: {"abort": True})


def _steer(
    stage: Rollouts, served: Served, verb: str, patch: Callable[[Object], Mapping[str, Any]], **said: Any
) -> RolloutState:
    cluster = stage.cluster(served)
    path = cluster.path(*kind_of(served.type), served.namespace, served.name)
    for attempt in range(_ATTEMPTS):
        live = cluster.get(*kind_of(served.type), served.name, served.namespace)
        if live is None:
            raise _not_there(stage.request, served)
        _check_going(stage.request, served, live, verb)
        version = {"resourceVersion": live["metadata"]["resourceVersion"]}  # of what was looked at, and nothing newer
        try:
            _write(cluster, path, live, version, patch(live), verb)
            break
        except ApiError as error:
            if error.status != _CONFLICT or attempt == _ATTEMPTS - 1:
                raise
    fields = {"endpoint": served.endpoint, "rollout": served.name, "namespace": served.namespace, **said}
    append(stage.request, f"rollout {verb}", {"target": stage.compiled.stack.file.target.kind, **fields})
    state = look(stage, served)
    if state is None:
        raise _not_there(stage.request, served)
    return state


def _write(
    cluster: Cluster, path: str, live: Object, version: Mapping[str, str], status: Mapping[str, Any], verb: str
) -> None:
    if status:
        cluster.merge(f"{path}/status", {"metadata": dict(version), "status": dict(status)})
    if verb == "promote" and lookup(live, "spec", "paused"):
        cluster.merge(path, {"spec": {"paused": False}})


def _promotion(live: Object, *, full: bool) -> dict[str, Any]:
    """What is written into the status of a rollout to let it go on."""
    status = live.get("status") or {}
    if full:
        return {"promoteFull": True}
    steps = lookup(live, "spec", "strategy", "canary", "steps", default=[]) or []
    following = min(int(status.get("currentStepIndex") or 0) + 1, len(steps))
    unclear = lookup(status, "canary", "currentStepAnalysisRunStatus", "status") == "Inconclusive"
    paused = bool(status.get("pauseConditions"))
    if unclear and paused and status.get("controllerPause"):
        return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": following}
    if paused:
        return {"pauseConditions": None}
    if steps:
        return {"pauseConditions": None, "currentStepIndex": following}
    return {}


def _check_going(request: Request, served: Served, live: Object, verb: str) -> None:
    """Raise `MlinfraError` for a rollout that does not go on."""
    state = of_rollout(served.endpoint, {**live, "kind": "Rollout"}, ())
    if state.progress is Progress.ABORTED:
        raise MlinfraError(
            Diagnostic(
                f"the rollout of {served.endpoint} was aborted: the version before has the traffic",
                detail=state.message,
                remedy=f"Give the stack another version, or the one before, and bring it up: {request.command('up')}",
                code="rollout-aborted",
            )
        )
    if state.progress is Progress.DONE or (state.new and state.new == state.stable):
        raise MlinfraError(
            Diagnostic(
                f"there is nothing to {verb}: {served.endpoint} has one version, which has all the traffic",
                remedy=f"See it: {request.command(f'rollout status {served.endpoint}')}",
                code="rollout-done",
            )
        )


def _not_there(request: Request, served: Served) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"the cluster has no rollout of {served.endpoint} yet",
            remedy=f"Bring the stack up first: {request.command('up')}",
            code="rollout-not-up",
        )
    )


def _unknown(request: Request, graph: Graph, found: tuple[Served, ...], name: str) -> MlinfraError:
    node = graph.nodes.get(name)
    if node is not None and node.type == ENDPOINT:
        return MlinfraError(
            Diagnostic(
                f"endpoint {name} waits for its first version: there is no rollout yet",
                remedy=f"Give the stack its image, then: {request.command('up')}",
                code="rollout-no-version",
            )
        )
    names = sorted({item.endpoint for item in found})
    close = difflib.get_close_matches(name, names, n=1)
    return MlinfraError(
        Diagnostic(
            f"stack {request.state_name} has no endpoint {name!r}",
            detail=f"Its endpoints are {', '.join(names)}." if names else "It has none that runs.",
            remedy=f"Did you mean {close[0]}?" if close else "",
            code="rollout-unknown",
        )
    )
