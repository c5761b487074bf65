"""Copies of job templates for a trial: the pods that a run would have at once, to be placed and not to be run.

A template is a suspended CronJob, whose `jobTemplate` is the whole Job, or a ConfigMap with the manifest of a RayJob.
Of a Job the controller makes the pods, as it does of a run. KubeRay is not here: the pods of a Ray cluster are made as
its manifest says.

A copy differs from a run in what would disturb the trial: its pods stay where they were placed (`HELD`), neither push
others out nor are pushed out (a priority class of the rehearsal's own), and are gone at once when they are deleted.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mlinfra.components.job_queue import QUEUE_LABEL
from mlinfra.components.job_template import MANIFEST, RAY_JOB, TEMPLATE_LABEL
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.expansion import DOMAIN
from mlinfra.local.kwokctl import HELD
from mlinfra.naming import dns_label
from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import label, lookup

TRIAL: Final = f"{DOMAIN}/trial"
"""The label of everything that a trial makes; its value names the template."""

STAND_IN: Final = f"{DOMAIN}/stand-in"
"""The label of what stands in for objects whose controller is not here; its value names the object."""

RAY: Final = f"{TEMPLATE_LABEL}={RAY_JOB}"
"""The label by which ConfigMaps that hold a RayJob are found."""

PRIORITY: Final = "mlinfra-trial"
_NAME_LIMIT: Final = 52  # a Job's name is part of its pods' names and labels, with an index and five letters after it

PRIORITY_CLASS: Final[Object] = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": PRIORITY, "labels": {TRIAL: "all"}},
    "value": 1_000_000_000,
    "preemptionPolicy": "Never",
    "description": "Pods of a rehearsal's trial: beside what always runs, not in its place",
}
"""The highest value that users may give, so that nobody takes the place of a pod on trial; and it takes nobody's:
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/"""


@dataclass(frozen=True, slots=True)
class Template:
    """A job template on trial.

    `objects` are what to make for it, `pods` how many pods come of that. `queue` is the LocalQueue that a run would
    wait in; `shapes` are the pods' specs, each with how many there are, for whoever counts what a queue has to admit.
    `manifest` is the object that a run would be, where the controller that makes its pods is not here.
    """

    name: str
    namespace: str
    component: str
    kind: str
    objects: tuple[Object, ...]
    pods: int
    queue: str = ""
    shapes: tuple[tuple[Mapping[str, Any], int], ...] = ()
    manifest: Object | None = None

    @property
    def key(self) -> str:
        """The value of the trial's label: of this template alone."""
        return dns_label(self.kind, self.namespace, self.name)

    def admitted(self, labels: Mapping[str, str], tolerations: Iterable[Mapping[str, Any]]) -> Template:
        """The same, with what Kueue adds to the pods of a job that it admits: a flavor's labels and tolerations.

        Source: https://kueue.sigs.k8s.io/docs/concepts/resource_flavor/
        """
        given = list(tolerations)

        def add(item: Object) -> Object:
            changed = copy.deepcopy(item)
            spec = changed["spec"]["template"]["spec"] if changed["kind"] == "Job" else changed["spec"]
            spec["nodeSelector"] = {**labels, **(spec.get("nodeSelector") or {})}
            spec["tolerations"] = [*(spec.get("tolerations") or []), *given]
            return changed

        return replace(self, objects=tuple(add(item) for item in self.objects))


def templates(cron_jobs: Iterable[Object], ray: Iterable[Object]) -> list[Template]:
    """The templates in a cluster, by name; `ray` are the ConfigMaps that hold one."""
    found = [_of_cron_job(item) for item in cron_jobs] + [_of_ray(item) for item in ray]
    return sorted(found, key=lambda item: (item.namespace, item.name))


def _of_cron_job(cron_job: Object) -> Template:
    job = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    found = _template(cron_job, "Job", label(job, QUEUE_LABEL))
    spec = job["spec"]
    spec["suspend"] = False  # with Kueue a Job begins suspended, and Kueue lets it go
    spec.pop("managedBy", None)  # a controller that is not here
    _hold(spec["template"], found.key)
    pods = int(spec.get("parallelism", 1))
    if spec.get("completions") is not None:
        pods = min(pods, int(spec["completions"]))
    made: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": dns_label(found.name, "trial", limit=_NAME_LIMIT),
            "namespace": found.namespace,
            "labels": {**(lookup(job, "metadata", "labels") or {}), TRIAL: found.key},
            "annotations": lookup(job, "metadata", "annotations") or {},
        },
        "spec": spec,
    }
    return replace(found, objects=(made,), pods=pods, shapes=((spec["template"]["spec"], pods),))


def _of_ray(config_map: Object) -> Template:
    manifest = json.loads(config_map["data"][MANIFEST])
    found = _template(config_map, "RayJob", label(manifest, QUEUE_LABEL))
    found = replace(found, name=manifest["metadata"].get("name") or found.name)
    objects: list[Object] = []
    shapes = []
    for role, template, count in _ray_pods(manifest["spec"]):
        held = copy.deepcopy(template)
        _hold(held, found.key)
        shapes.append((held["spec"], count))
        for index in range(count):
            metadata = {
                **(held.get("metadata") or {}),
                "name": dns_label(found.name, role, str(index), limit=_NAME_LIMIT),
                "namespace": found.namespace,
            }
            objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": held["spec"]})
    return replace(found, objects=tuple(objects), pods=len(objects), shapes=tuple(shapes), manifest=manifest)


def _ray_pods(spec: Mapping[str, Any]) -> Iterator[tuple[str, Object, int]]:
    """The pods of a RayJob: a role, a template, how many. Of workers as many as it begins with.

    Source: KubeRay API reference, RayJobSpec and RayClusterSpec (`replicas`, `numOfHosts`, `submitterPodTemplate`).
    """
    cluster = spec["rayClusterSpec"]
    yield "head", cluster["headGroupSpec"]["template"], 1
    for group in cluster.get("workerGroupSpecs") or []:
        replicas = group.get("replicas")
        count = int(group.get("minReplicas") or 0) if replicas is None else int(replicas)
        yield str(group["groupName"]), group["template"], count * int(group.get("numOfHosts") or 1)
    if submitter := spec.get("submitterPodTemplate"):
        yield "submitter", submitter, 1


def _template(item: Object, kind: str, queue: str) -> Template:
    metadata = item["metadata"]
    component = label(item, COMPONENT_LABEL) or metadata["name"]
    return Template(metadata["name"], metadata["namespace"], component, kind, (), 0, queue)


def _hold(template: Object, key: str) -> None:
    """Change a pod template so that its pods take part in a trial."""
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), TRIAL: key}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), HELD: "true"}
    spec = template["spec"]
    spec["terminationGracePeriodSeconds"] = 0
    spec["priorityClassName"] = PRIORITY
    for name in ("priority", "preemptionPolicy"):
        spec.pop(name, None)
