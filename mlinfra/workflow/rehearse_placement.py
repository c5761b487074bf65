"""Placement: every pod of what always runs, and those of a copy of every job template, placed by the real scheduler.

Templates are tried *each alone*, beside what always runs: they start nothing, so how many of them run at once is
nobody's promise. Copies are made many at a time all the same: what was placed in a crowd has room alone. Those that
found none are tried again without those that did, and where a crowd places nobody, in smaller ones, at the end one by
one. So the verdict on each is the scheduler's, for the job alone, and a thousand jobs take a few rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import label, lookup
from mlinfra.workflow.rehearse_reasons import machines, placed, reason, refused
from mlinfra.workflow.rehearse_templates import PRIORITY, PRIORITY_CLASS, STAND_IN, TRIAL, Template

Tell = Callable[[str, float], None]
"""Called with what is being done, and how far it is, from 0 to 1."""

_THREADS: Final = 8
_CROWD: Final = 100
_PAUSE: Final = 0.3
_SMALLER: Final = 4
_SECONDS: Final = 60.0
_SECONDS_A_POD: Final = 0.2
_PATIENCE: Final = 1.0
_PATIENCE_ALONE: Final = 10.0
"""Seconds that the controllers have to make pods which a quota has refused, in a crowd and alone."""
_PROPAGATION: Final = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}


JOBS: Final = ("Job", "RayJob")
"""The kinds that job templates make."""


@dataclass(slots=True)
class Placed:
    """A workload or a job template, and where its pods are.

    `pods` is how many it has, `on` how many of them each pool has; `reasons` are those of the pods without a machine,
    by pod, and `scheduler` what it says of the first of them in its own words. `simulated` names the controller that
    is not here, and whose part was played.
    """

    name: str
    component: str
    kind: str
    pods: int
    on: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    simulated: str = ""
    scheduler: str = ""

    @property
    def well(self) -> bool:
        """Whether all of its pods have a machine."""
        return not self.reasons and sum(self.on.values()) >= self.pods

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        record = {"name": self.name, "component": self.component, "kind": self.kind, "pods": self.pods}
        record |= {"placed": self.well, "pools": self.on}
        part = "admission_simulated" if self.kind in JOBS else "controller_simulated"
        more = {"reasons": self.reasons, "scheduler": self.scheduler, part: self.simulated}
        return record | {key: value for key, value in more.items() if value}


def standing(cluster: Cluster, pods: Sequence[Object], owners: Iterable[Object]) -> list[Placed]:
    """Every workload that runs, with where its pods are.

    `owners` are the objects that want pods (`WORKLOADS`): one whose pods were not even made is told of, too.
    """
    there = machines(cluster.list("v1", "Node"), pods)
    pool_of = {machine.name: machine.pool for machine in there}
    found: dict[tuple[str, str, str], Placed] = {}
    wanted = {_key(item): item for item in owners}
    for pod in pods:
        key = _top(pod, wanted)
        entry = found.setdefault(key, Placed(key[2], _component(pod, key[2]), key[0], 0))
        entry.pods += 1
        _note(entry, pod, pool_of, lambda pod: reason(pod, there))
    for key, item in wanted.items():
        missing = _wants(item) - (found[key].pods if key in found else 0)
        if missing > 0:
            entry = found.setdefault(key, Placed(key[2], _component(item, key[2]), key[0], 0))
            entry.pods += missing
            entry.reasons[f"{missing} of {entry.pods}"] = _failure(item)
    return sorted(found.values(), key=lambda entry: (entry.kind, entry.name))


def _note(entry: Placed, pod: Object, pool_of: dict[str, str], why: Callable[[Object], str]) -> None:
    if placed(pod):
        pool = pool_of.get(pod["spec"]["nodeName"], pod["spec"]["nodeName"])
        entry.on[pool] = entry.on.get(pool, 0) + 1
    else:
        entry.reasons[pod["metadata"]["name"]] = why(pod)
        entry.scheduler = entry.scheduler or refused(pod)


# ------------------------------------------------------------------------------------------------ who wants pods

WORKLOADS: Final = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
)
"""The kinds that have pods made."""


def _key(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _top(item: Object, wanted: dict[tuple[str, str, str], Object]) -> tuple[str, str, str]:
    """The workload that a pod is of: the end of the chain of its controllers; itself where it has none."""
    key = _key(item)
    while owner := next((it for it in lookup(item, "metadata", "ownerReferences") or [] if it.get("controller")), None):
        key = owner["kind"], key[1], owner["name"]
        item = wanted.get(key, {})
    return key


def _wants(item: Object) -> int:
    """How many pods an object has made itself, as far as it says so; what another one makes for it counts there."""
    spec = item.get("spec") or {}
    if label(item, STAND_IN):
        return 0
    match item["kind"]:
        case "Deployment" | "StatefulSet" | "Rollout":
            return int(spec.get("replicas", 1))
        case "DaemonSet":
            return int(lookup(item, "status", "desiredNumberScheduled", default=0))
        case "Job" if not spec.get("suspend") and not lookup(item, "status", "conditions"):
            return int(spec.get("parallelism", 1))
    return 0


def _failure(item: Object) -> str:
    """Why pods could not even be made, in the words of the API server: a quota, a policy."""
    for entry in lookup(item, "status", "conditions") or []:
        if entry.get("type") in ("ReplicaFailure", "FailedCreate") and entry.get("status") == "True":
            return f"it could not be made: {entry.get('message')}"
    return "its controller has not made it"


def _component(item: Object, name: str) -> str:
    return label(item, COMPONENT_LABEL) or label(item, "app.kubernetes.io/name") or name


# ------------------------------------------------------------------------------------------------ job templates


@dataclass
class Trials:
    """The trials of job templates in one cluster."""

    cluster: Cluster
    tell: Tell
    _made: set[str] = field(default_factory=set)
    """The uids of what the present crowd has made: a controller may be late with pods of the one before."""

    def run(self, templates: Sequence[Template]) -> list[Placed]:
        """The verdict on each template, in their order. Nothing that was made for it is left, however it ends."""
        verdicts: dict[str, Placed] = {}
        left, size = list(templates), _CROWD
        self._priority_class()
        try:
            while left:
                crowd = left[:size]
                tried = self._crowd(crowd)
                good = {key: verdict for key, verdict in tried.items() if verdict.well}
                verdicts |= good if len(crowd) > 1 else tried
                left = [item for item in left if item.key not in verdicts]
                if not good:  # those that are many pods may be in each other's way, each with some of them placed
                    size = max(1, len(crowd) // _SMALLER)
                self.tell(f"{len(verdicts)} of {len(templates)} jobs tried", len(verdicts) / len(templates))
        finally:
            self.clear()
        return [verdicts[item.key] for item in templates]

    def clear(self) -> None:
        """Take away everything that trials have made."""
        self._remove()
        self.cluster.delete("scheduling.k8s.io/v1", "PriorityClass", PRIORITY)

    def _priority_class(self) -> None:
        if self.cluster.get("scheduling.k8s.io/v1", "PriorityClass", PRIORITY) is None:
            self.cluster.request(
                "POST", self.cluster.path("scheduling.k8s.io/v1", "PriorityClass", None), PRIORITY_CLASS
            )

    def _crowd(self, templates: Sequence[Template]) -> dict[str, Placed]:
        """Try templates side by side; what was made is gone afterwards."""
        self._made.clear()
        with ThreadPoolExecutor(_THREADS) as threads:
            refusals = dict(zip((item.key for item in templates), threads.map(self._make, templates), strict=True))
        try:
            return self._verdicts(templates, refusals)
        finally:
            self._remove()

    def _make(self, template: Template) -> str:
        """Make a template's objects; what the API server refuses, in its words."""
        for item in template.objects:
            where = item["apiVersion"], item["kind"]
            path = self.cluster.path(*where, template.namespace)
            try:
                made = self.cluster.request("POST", path, item)
            except ApiError as error:
                name = item["metadata"]["name"]
                there = self.cluster.get(*where, name, template.namespace) if error.status == 409 else None
                if there is None or label(there, TRIAL) != template.key:
                    return f"it could not be made: {error.message}"
                made = there  # by this request, whose answer was lost
            self._made.add(made["metadata"]["uid"])
        return ""

    def _verdicts(self, templates: Sequence[Template], refusals: dict[str, str]) -> dict[str, Placed]:
        """Wait until the scheduler has decided on every pod, and see what it says."""
        begun, count = time.monotonic(), sum(item.pods for item in templates)
        patience = _PATIENCE_ALONE if len(templates) == 1 else _PATIENCE
        while True:
            pods, took = self._pods(), time.monotonic() - begun
            undecided = [item for item in templates if not refusals[item.key] and not _decided(item, pods)]
            # A quota is late to learn that what was there is gone: the Job controller tries again, and so it may.
            failures = self._failures() if undecided and took > patience else {}
            if all(item.key in failures for item in undecided) or took > _SECONDS + _SECONDS_A_POD * count:
                break
            time.sleep(_PAUSE)
        told = {item.key: refusals[item.key] or failures.get(item.key, "") for item in templates}
        there = machines(self.cluster.list("v1", "Node"), self.cluster.list("v1", "Pod"))
        pool_of = {machine.name: machine.pool for machine in there}

        def why(pod: Object) -> str:
            # In a crowd it does not matter: a job that found no room there is tried again.
            return reason(pod, there) if len(templates) == 1 else refused(pod)

        return {item.key: _verdict(item, pods.get(item.key, []), told[item.key], pool_of, why) for item in templates}

    def _pods(self) -> dict[str, list[Object]]:
        """The pods of the present crowd, by template."""
        found: dict[str, list[Object]] = {}
        for pod in self.cluster.list("v1", "Pod", labels=TRIAL):
            metadata = pod["metadata"]
            uids = {metadata["uid"], *(owner["uid"] for owner in metadata.get("ownerReferences") or [])}
            if uids & self._made:
                found.setdefault(metadata["labels"][TRIAL], []).append(pod)
        return found

    def _failures(self) -> dict[str, str]:
        """Why the pods of Jobs could not be made, by template: the Job controller tells it in events alone.

        Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
        """
        query = urlencode({"fieldSelector": "reason=FailedCreate,involvedObject.kind=Job"})
        events = self.cluster.request("GET", f"/api/v1/events?{query}")["items"]
        told = {event["involvedObject"]["uid"]: str(event.get("message") or "") for event in events}
        jobs = self.cluster.list("batch/v1", "Job", labels=TRIAL)
        return {
            job["metadata"]["labels"][TRIAL]: f"a pod of it could not be made: {told[job['metadata']['uid']]}"
            for job in jobs
            if job["metadata"]["uid"] in told
        }

    def _remove(self) -> None:
        """Delete Jobs and pods on trial, and wait until they are gone."""
        deadline = time.monotonic() + _SECONDS
        query = urlencode({"labelSelector": TRIAL})
        namespaces = {item["metadata"]["namespace"] for item in self._on_trial()}
        for namespace in sorted(namespaces):
            for version, kind in (("batch/v1", "Job"), ("v1", "Pod")):
                path = self.cluster.path(version, kind, namespace)
                self.cluster.request("DELETE", f"{path}?{query}", _PROPAGATION)
        while any(self._on_trial()) and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def _on_trial(self) -> Iterator[Object]:
        for version, kind in (("batch/v1", "Job"), ("v1", "Pod")):
            yield from self.cluster.list(version, kind, labels=TRIAL)


def _decided(template: Template, pods: dict[str, list[Object]]) -> bool:
    mine = pods.get(template.key, [])
    return len(mine) >= template.pods and all(placed(pod) or refused(pod) for pod in mine)


def _verdict(
    template: Template,
    pods: Sequence[Object],
    refusal: str,
    pool_of: dict[str, str],
    why: Callable[[Object], str],
) -> Placed:
    entry = Placed(template.name, template.component, template.kind, template.pods)
    for pod in pods:
        _note(entry, pod, pool_of, why)
    if len(pods) < template.pods:
        entry.reasons[f"{template.pods - len(pods)} of {template.pods}"] = (
            refusal or "no controller has made it in time"
        )
    return entry
