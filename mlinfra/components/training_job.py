"""`TrainingJob`: a template from which training runs are made, with an identity of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlinfra.authoring import Many
from mlinfra.components.access import (
    Anonymizes,
    Data,
    Erasable,
    check_flow,
    data_grants,
    data_variables,
    open_ways,
    service_account,
)
from mlinfra.components.node_pool import NodePool
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image
from mlinfra.components.workload import (
    COMPONENT_LABEL,
    Request,
    check_placement,
    container_security,
    placement,
    pod_labels,
    pod_security,
    variables,
)
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

SHARE = 0.9
"""How much of a machine's offer jobs take by default; the rest is for what runs on every machine, such as agents."""


class TrainingJob(Watched):
    """A training job's template; it starts nothing.

    A run is made from the template by whoever starts one: a person, a workflow, a queue. The job's service account may
    read and write exactly what `reads` and `writes` name. Without an image there is the identity only.

    Containers get `<NAME>_URI` for each bucket that they read or write, and shared memory for data loaders at
    `/dev/shm`.
    """

    cluster: TrainingCluster
    """Where it runs."""

    pool: NodePool
    """On which machines it runs."""

    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of one pod."""

    cpu: float | None = Field(default=None, gt=0)
    """Cores of one pod; by default its share of the machine by GPUs, or 1 core without GPUs."""

    memory: float | None = Field(default=None, gt=0)
    """GiB of one pod; by default its share of the machine by GPUs, or 4 GiB without GPUs."""

    image: Image | None = None
    """The image, by digest; None: not built yet."""

    command: Many[str] | None = None
    """Command and arguments; by default the image's own."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables. Not for secrets: they are stored as plain text."""

    reads: Many[Data] = ()
    """What its pods may read."""

    writes: Many[Data] = ()
    """What its pods may write; it includes neither reading nor deleting."""

    erases: Many[Erasable] = ()
    """Buckets in which its pods may delete objects with all their old versions, or tag them to be erased, such as for
    people who want their data erased (GDPR, article 17); it includes listing names, but not reading."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more, such as `counts per item only, none below
    20`. A workload that reads a store marked `pii` may write to one that is not marked so only if it says this."""

    priority: Literal["low", "high"] = "low"
    """Whether it waits for room, or takes the place of jobs with low priority."""

    deadline_hours: int = Field(default=24, ge=1, le=720)
    """Hours after which a run is stopped."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    @property
    def service_account(self) -> Ref:
        """The name of the service account that runs use."""
        return self.output("service-account", "metadata", "name")

    @property
    def role_arn(self) -> Ref:
        """The ARN of the role of its pods; on AWS, where it reads or writes something."""
        return self.output("role", "arn")

    @property
    def request(self) -> Request:
        """What one pod asks for."""
        machine = self.pool.machine
        share = SHARE * self.gpus / machine.gpus if self.gpus and machine.gpus else 0.0
        cpu = self.cpu or (round(machine.cpu * share, 1) if share else 1.0)
        memory = self.memory or (float(int(machine.memory * share)) if share else 4.0)
        return Request(cpu, memory, self.gpus)

    def signals(self) -> tuple[Signal, ...]:
        """A run that failed, a run that is about to meet its deadline.

        The metrics are kube-state-metrics' ("Pod Metrics"); pods are known by the label that the template gives them.
        """
        if self.image is None:
            return ()
        label = COMPONENT_LABEL.replace(".", "_").replace("/", "_")
        mine = f'on (namespace, pod) group_left () kube_pod_labels{{label_{label}="{self.identity}"}}'
        seconds = self.deadline_hours * 3600
        running = 'kube_pod_status_phase{phase="Running"}'
        return (
            Signal(
                "Failed",
                "warning",
                f'sum(kube_pod_status_phase{{phase="Failed"}} * {mine}) > 0',
                1,
                f"A run of training job {self.name} failed",
            ),
            Signal(
                "NearDeadline",
                "warning",
                f"max((time() - kube_pod_start_time) * on (namespace, pod) {running} * {mine}) > {seconds * 9 // 10}",
                5,
                f"A run of training job {self.name} has used nine tenths of its {self.deadline_hours} hours",
            ),
        )

    def expand(self, scope: Scope) -> None:
        """The identity, and the template where there is an image."""
        if not needs_kubernetes(scope):
            return
        check_placement(scope, self.cluster, self.pool, self.request)
        namespace = self.cluster.namespace
        check_flow(scope, self.reads, self.writes, self.anonymizes)
        grants = data_grants(self.reads, self.writes, self.erases)
        account = service_account(scope, namespace, grants, anonymizes=self.anonymizes)
        open_ways(scope, namespace, self.reads, self.writes, self.erases)
        if self.image is None:
            return
        template = {"metadata": {"labels": pod_labels(scope)}, "spec": self._pod(scope, account)}
        scope.kubernetes("template", "v1", "PodTemplate", self.identity, {"template": template}, namespace=namespace)

    def _pod(self, scope: Scope, account: Ref) -> dict[str, Value]:
        request = self.request
        data = data_variables(scope, self.cluster.namespace, self.reads, (*self.writes, *self.erases))
        container: dict[str, Value] = {
            "name": "train",
            "image": self.image,
            "env": variables(data, self.env),
            "resources": request.resources(),
            "securityContext": container_security(read_only=False),
            "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],  # noqa: S108 — where PyTorch looks
        }
        if self.command:
            container["command"] = list(self.command)
        # The default of 64 MiB is too small for data loaders with several workers. It counts as the pod's memory.
        shared = {"medium": "Memory", "sizeLimit": f"{max(64, int(request.memory * 1024 / 4))}Mi"}
        return {
            **placement(scope, self.pool),
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "priorityClassName": self.cluster.priority_class(
                "training-high" if self.priority == "high" else "training-low"
            ),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": self.deadline_hours * 3600,
            "securityContext": pod_security(self.run_as_user),
            "containers": [container],
            "volumes": [{"name": "shared-memory", "emptyDir": shared}],
        }
