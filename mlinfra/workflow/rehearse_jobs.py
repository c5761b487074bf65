"""What there is to be placed in a cluster, and who plays the part of the controllers that are not here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlinfra.components.rollout_argo import KIND
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.workflow.rehearse_placement import WORKLOADS, Placed, Tell, Trials, standing
from mlinfra.workflow.rehearse_queues import GROUP, KINDS, Queues
from mlinfra.workflow.rehearse_rollouts import CONTROLLER, stood_in
from mlinfra.workflow.rehearse_templates import RAY, Template, templates

_VERSIONS = ("v1beta2", "v1beta1")


@dataclass(frozen=True, slots=True)
class _Entrant:
    """A template, as it goes to the scheduler; or why it does not get that far."""

    template: Template
    simulated: str = ""
    refusal: str = ""


def place(cluster: Cluster, tell: Tell) -> tuple[list[Placed], list[Placed]]:
    """Where every pod of a workload is, and where those of each job template would be.

    What trials make is gone afterwards.
    """
    with stood_in(cluster) as rollouts:
        owners = [*rollouts, *(item for kind in WORKLOADS for item in cluster.list(*kind))]
        workloads = standing(cluster, cluster.list("v1", "Pod"), owners)
        jobs = _jobs(cluster, tell)
    return [replace(entry, simulated=CONTROLLER) if entry.kind == KIND else entry for entry in workloads], jobs


def _jobs(cluster: Cluster, tell: Tell) -> list[Placed]:
    """Where the pods of each job template would be, beside what always runs."""
    found = templates(cluster.list("batch/v1", "CronJob"), cluster.list("v1", "ConfigMap", labels=RAY))
    queues = Queues.of(_kueue(cluster))
    entrants = [_entrant(cluster, template, queues) for template in found]
    tried = [entrant.template for entrant in entrants if not entrant.refusal]
    placed = dict(zip((item.key for item in tried), Trials(cluster, tell).run(tried), strict=True)) if tried else {}
    return [_placed(entrant, placed) for entrant in entrants]


def _kueue(cluster: Cluster) -> list[Object]:
    """Kueue's objects, in the newest version that the cluster has of them."""
    found: list[Object] = []
    for kind in KINDS:
        versions = [f"{GROUP}/{version}" for version in _VERSIONS]
        version = next((name for name in versions if cluster.discovery.find(name, kind)), None)
        found += cluster.list(version, kind) if version else []
    return found


def _entrant(cluster: Cluster, template: Template, queues: Queues) -> _Entrant:
    ray = "KubeRay" if template.kind == "RayJob" else ""
    if template.manifest and (refusal := _refused(cluster, template.manifest)):
        return _Entrant(template, ray, refusal)
    if not template.queue:
        return _Entrant(template, ray)
    admission = queues.admit(template)
    flavors = f" by {', '.join(admission.flavors)}" if admission.flavors else ""
    played = " and ".join(filter(None, (f"Kueue (queue {template.queue}{flavors})", ray)))
    if admission.refusal:
        return _Entrant(template, played, admission.refusal)
    return _Entrant(template.admitted(admission.labels, admission.tolerations), played)


def _refused(cluster: Cluster, manifest: Object) -> str:
    """Why the API server would not take an object, held against the schema that it has of it; empty where it would."""
    try:
        path = cluster.path(manifest["apiVersion"], manifest["kind"], manifest["metadata"].get("namespace"))
        cluster.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    except ApiError as error:
        return f"the API server would not take it: {error.message}"
    return ""


def _placed(entrant: _Entrant, placed: dict[str, Placed]) -> Placed:
    template = entrant.template
    if entrant.refusal:
        found = Placed(template.name, template.component, template.kind, template.pods)
        found.reasons[f"all {template.pods}"] = entrant.refusal
    else:
        found = placed[template.key]
    return replace(found, simulated=entrant.simulated)
