"""Admission as Kueue would give it, simulated: a rehearsal has Kueue's objects and schemas, not its controllers.

A job is tried alone, so what is asked is whether its queue could ever admit it: every pod within the quota of one
flavor for each group of resources, the flavor's labels and taints agreeing with the pod's. Fair sharing, preemption and
partial admission decide on when, not on whether. Source: https://kueue.sigs.k8s.io/docs/concepts/cluster_queue/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlinfra.checks.capacity.amounts import PODS, Amounts, added, amount, said, times
from mlinfra.checks.capacity.choosing import tolerated
from mlinfra.providers.kubernetes.client import Object
from mlinfra.workflow.rehearse_reasons import demand
from mlinfra.workflow.rehearse_templates import Template

GROUP: Final = "kueue.x-k8s.io"
KINDS: Final = ("LocalQueue", "ClusterQueue", "ResourceFlavor")


@dataclass(frozen=True, slots=True)
class Admission:
    """What a queue would do with a job: why it would never admit it, or what admission adds to its pods."""

    refusal: str = ""
    flavors: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Queues:
    """Kueue's objects in a cluster, by name; local queues by namespace and name."""

    local: Mapping[tuple[str, str], Object]
    cluster: Mapping[str, Object]
    flavors: Mapping[str, Object]

    @classmethod
    def of(cls, objects: Iterable[Object]) -> Queues:
        """Those among objects."""
        found = list(objects)
        named = {kind: [item for item in found if item["kind"] == kind] for kind in KINDS}
        return cls(
            {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in named["LocalQueue"]},
            {item["metadata"]["name"]: item for item in named["ClusterQueue"]},
            {item["metadata"]["name"]: item for item in named["ResourceFlavor"]},
        )

    def admit(self, template: Template) -> Admission:
        """What a template's queue would do with a run of it, were the queue empty."""
        local = self.local.get((template.namespace, template.queue))
        if local is None:
            return Admission(
                f"waits in queue {template.queue}, and namespace {template.namespace} has no such LocalQueue"
            )
        name = str(local["spec"]["clusterQueue"])
        queue = self.cluster.get(name)
        if queue is None:
            return Admission(f"waits in queue {template.queue} of ClusterQueue {name}, which is not there")
        return self._into(queue, template)

    def _into(self, queue: Object, template: Template) -> Admission:
        groups = queue["spec"].get("resourceGroups") or []
        covered = {str(resource) for group in groups for resource in group["coveredResources"]}
        used: dict[str, Amounts] = {}
        chosen: dict[str, None] = {}
        for spec, count in template.shapes:
            asks = times(demand(spec), count)
            asks = {key: number for key, number in asks.items() if number and (key != PODS or PODS in covered)}
            if missing := sorted(set(asks) - covered):
                return Admission(f"ClusterQueue {queue['metadata']['name']} has no quota for {', '.join(missing)}")
            for group in groups:
                part = {key: asks[key] for key in group["coveredResources"] if key in asks}
                flavor, why = self._flavor(queue, group, part, spec, used)
                if why:
                    return Admission(f"ClusterQueue {queue['metadata']['name']} never admits it: {why}")
                used[flavor] = added(used.get(flavor, {}), part)
                if part:
                    chosen[flavor] = None
        specs = [(self.flavors[name].get("spec") or {}) for name in chosen]
        labels = {key: str(value) for spec in specs for key, value in (spec.get("nodeLabels") or {}).items()}
        tolerations = tuple(item for spec in specs for item in spec.get("tolerations") or [])
        return Admission("", tuple(chosen), labels, tolerations)

    def _flavor(
        self,
        queue: Object,
        group: Mapping[str, Any],
        part: Amounts,
        pod: Mapping[str, Any],
        used: Mapping[str, Amounts],
    ) -> tuple[str, str]:
        """The first flavor of a group that takes a part, or why none does."""
        why = []
        for entry in group["flavors"]:
            name = str(entry["name"])
            told = self._disagrees(name, pod) or _short_of(
                added(used.get(name, {}), part), self._quota(queue, name, entry), name
            )
            if not told:
                return name, ""
            why.append(told)
        return "", "; ".join(why) or "it has no flavor"

    def _disagrees(self, name: str, pod: Mapping[str, Any]) -> str:
        """Why a pod and a flavor's machines do not go together."""
        flavor = self.flavors.get(name)
        if flavor is None:
            return f"flavor {name} is not there"
        spec = flavor.get("spec") or {}
        wanted = pod.get("nodeSelector") or {}
        for key, value in (spec.get("nodeLabels") or {}).items():
            if wanted.get(key, value) != value:
                return f"flavor {name} is for {key}={value}, the pod wants {wanted[key]}"
        accepted = {"tolerations": [*(pod.get("tolerations") or []), *(spec.get("tolerations") or [])]}
        for taint in spec.get("nodeTaints") or []:
            marks = (str(taint["key"]), str(taint.get("value") or ""), str(taint["effect"]))
            if taint["effect"] != "PreferNoSchedule" and not tolerated(accepted, marks):
                return f"flavor {name} has the taint {taint['key']}, which the pod does not tolerate"
        return ""

    def _quota(self, queue: Object, flavor: str, entry: Mapping[str, Any]) -> dict[str, int]:
        """Most that a queue may use of a flavor: its own quota, and what its cohort's queues may lend it."""
        found = {}
        for resource in entry["resources"]:
            name = str(resource["name"])
            own = amount(name, resource["nominalQuota"])
            lent = self._lent(queue, flavor, name)
            if (limit := resource.get("borrowingLimit")) is not None:
                lent = min(lent, amount(name, limit))
            found[name] = own + lent
        return found

    def _lent(self, queue: Object, flavor: str, resource: str) -> int:
        cohort = _cohort(queue)
        others = [item for item in self.cluster.values() if cohort and item is not queue and _cohort(item) == cohort]
        return sum(
            amount(resource, item.get("lendingLimit", item["nominalQuota"]))
            for other in others
            for group in other["spec"].get("resourceGroups") or []
            for entry in group["flavors"]
            for item in entry["resources"]
            if entry["name"] == flavor and item["name"] == resource
        )


def _cohort(queue: Object) -> str:
    """A queue's cohort, as `v1beta1` and as `v1beta2` call it."""
    return str(queue["spec"].get("cohort") or queue["spec"].get("cohortName") or "")


def _short_of(asks: Amounts, quota: Amounts, flavor: str) -> str:
    lacking = [
        f"{said(key, count)}, and its quota of flavor {flavor} is {said(key, quota.get(key, 0))}"
        for key, count in asks.items()
        if count > quota.get(key, 0)
    ]
    return f"asks for {' and '.join(lacking)}" if lacking else ""
