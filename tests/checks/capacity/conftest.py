"""Graphs of workloads and machines, out of short descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.checks.capacity.ground import Setting
from mlinfra.checks.capacity.record import CapacityReport, WorkloadUse
from mlinfra.checks.capacity.report import capacity_report
from mlinfra.graph import Graph, Kind, Node, Options, Pool

GPU = "nvidia.com/gpu"
GPU_TAINT = ((GPU, "present", "NoSchedule"),)
TOLERATES = [{"key": GPU, "operator": "Exists"}]
APPS, CORE, BATCH = "kubernetes:apps/v1", "kubernetes:core/v1", "kubernetes:batch/v1"


def pool(name: str, cpu: float = 4, memory: float = 16, gpus: int = 0, max: int = 1, **more: Any) -> Pool:  # noqa: A002
    """Machines; those with GPUs are tainted, as `NodePool` has them."""
    given = {"instance_type": "m6i.xlarge", "taints": GPU_TAINT if gpus else (), "labels": {"pool": name}, **more}
    return Pool(name, cpu=cpu, memory=memory, gpus=gpus, max=max, **given)


def pod_spec(cpu: Any = None, memory: Any = None, gpus: int = 0, **more: Any) -> dict[str, Any]:
    """A pod of one container."""
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    resources: dict[str, Any] = {"requests": requests}
    if gpus:
        resources["limits"] = {GPU: str(gpus)}
        more.setdefault("tolerations", TOLERATES)
    return {"containers": [{"name": "main", "image": "x", "resources": resources}], **more}


def template(name: str, spec: Mapping[str, Any], **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": name, **labels}}, "spec": dict(spec)}


class Made:
    """A graph that is put together, a call for each node."""

    def __init__(self, *pools: Pool) -> None:
        self.pools = pools
        self.nodes: dict[str, Node] = {}

    def node(
        self, name: str, token: str, inputs: Mapping[str, Any], component: str | None = None, provider: str = "@k8s"
    ) -> Made:
        metadata = {"name": name.rpartition("/")[2], "namespace": "ml", **inputs.get("metadata", {})}
        options = Options(provider=provider)
        self.nodes[name] = Node(name, token, {**inputs, "metadata": metadata}, Kind.RESOURCE, component, options)
        return self

    def deployment(self, name: str, spec: Mapping[str, Any], replicas: int | None = 1, **more: Any) -> Made:
        inputs = {"replicas": replicas, "template": template(name, spec)}
        return self.node(name, f"{APPS}:Deployment", {"spec": inputs}, **more)

    def scaled(self, name: str, least: int, most: int, kind: str = "Deployment") -> Made:
        target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
        inputs = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}
        return self.node(f"{name}-scaler", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler", {"spec": inputs})

    def daemons(self, name: str, spec: Mapping[str, Any]) -> Made:
        return self.node(name, f"{APPS}:DaemonSet", {"spec": {"template": template(name, spec)}})

    def cron_job(self, name: str, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None, **job: Any) -> Made:
        """A job's template, as a training job has it: a suspended CronJob."""
        made = {"metadata": {"labels": dict(labels or {})}, "spec": {**job, "template": template(name, spec)}}
        inputs = {"suspend": True, "schedule": "0 0 1 1 *", "jobTemplate": made}
        return self.node(name, f"{BATCH}:CronJob", {"spec": inputs})

    def quota(self, name: str = "quota", **hard: Any) -> Made:
        return self.node(name, f"{CORE}:ResourceQuota", {"spec": {"hard": {key: str(it) for key, it in hard.items()}}})

    def graph(self) -> Graph:
        return Graph("b", "1.0.0", "test", self.nodes, pools=self.pools)

    def setting(self, **more: Any) -> Setting:
        return Setting(self.pools, **more)

    def report(self, **more: Any) -> CapacityReport:
        return capacity_report(self.graph(), self.setting(**more))


def use(report: CapacityReport, name: str) -> WorkloadUse:
    return next(item for item in report.workloads if item.name == name)


def codes(report: CapacityReport) -> list[str]:
    return [f"{item.severity}:{item.code}" for item in report.problems]
