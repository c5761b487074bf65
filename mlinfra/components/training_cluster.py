"""`TrainingCluster`: a team's place in a Kubernetes cluster: machines, limits, priorities, image repository."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlinfra.authoring import Component, Many
from mlinfra.components.access import Grant, service_account
from mlinfra.components.image_repository import PULL, PUSH, SIGN_IN, ImageRepository, add_repository
from mlinfra.components.node_pool import NodePool
from mlinfra.components.quantities import GPU, cores, gibibytes
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Quota
from mlinfra.expansion import Scope
from mlinfra.graph import Ref

Priority = Literal["training-low", "training-high", "serving"]
PRIORITIES: dict[Priority, tuple[int, str, str]] = {
    "training-low": (1_000, "Never", "Training that waits for room"),
    "training-high": (10_000, "PreemptLowerPriority", "Training that takes the place of training-low"),
    "serving": (100_000, "PreemptLowerPriority", "Endpoints that people wait for"),
}
"""Priority value, preemption policy and meaning. Values of users' classes end at 1,000,000,000 (Kubernetes, "Pod
Priority and Preemption")."""


class TrainingCluster(Component):
    """A namespace for training and serving.

    It has a quota that follows from its pools, limits for containers that name none, three priorities, and on AWS an
    image repository whose tags cannot be moved. Pods of the service account that is named like the cluster may push
    images to that repository and pull from it: builds within the cluster use it.
    """

    holds_data: ClassVar[bool] = True

    pools: Many[NodePool] = ()
    """The machines that its pods run on; none: whatever the cluster has."""

    quota: Quota = Quota()
    """Most that all pods may ask for together, where it is not what the pools offer."""

    pod_security: Literal["baseline", "restricted"] = "baseline"
    """The level of Kubernetes' Pod Security Standards that pods must meet; what fails `restricted` is warned of."""

    repository: ImageRepository | None = None
    """Where builds within the cluster push images; by default a repository of its own."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def namespace(self) -> Ref:
        """The name of the namespace."""
        return self.output("namespace", "metadata", "name")

    @property
    def repository_url(self) -> Ref:
        """Where images are pushed to; on AWS only."""
        return self.repository.url if self.repository else self.output("repository", "repositoryUrl")

    def priority_class(self, priority: Priority) -> Ref:
        """The name of a priority class."""
        return self.output(f"priority-{priority}", "metadata", "name")

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The namespace and what bounds it, then the image repository."""
        if not needs_kubernetes(scope):
            return
        levels = {"enforce": self.pod_security, "warn": "restricted", "audit": "restricted"}
        scope.kubernetes(
            "namespace",
            "v1",
            "Namespace",
            scope.label_name(),
            {},
            labels={f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()},
        )
        self._limits(scope)
        for name, (value, preemption, meaning) in PRIORITIES.items():
            body = {"value": value, "preemptionPolicy": preemption, "globalDefault": False, "description": meaning}
            # Priority classes belong to no namespace, so their names tell stacks apart.
            scope.kubernetes(f"priority-{name}", "scheduling.k8s.io/v1", "PriorityClass", scope.label_name(name), body)
        service_account(scope, self.namespace, self._builders(scope))

    def _limits(self, scope: Scope) -> None:
        if hard := self._quota():
            body = {"spec": {"hard": hard}}
            scope.kubernetes("quota", "v1", "ResourceQuota", self.identity, body, namespace=self.namespace)
        # A quota on requests refuses pods that request nothing, so requests have defaults.
        defaults = {
            "type": "Container",
            "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
            "default": {"memory": "1Gi"},
        }
        limits = {"spec": {"limits": [defaults]}}
        scope.kubernetes("limits", "v1", "LimitRange", self.identity, limits, namespace=self.namespace)

    def _quota(self) -> dict[str, str]:
        """The quota's `hard`: what the pools' machines leave to pods when all of them run, unless it is given.

        Source of the keys: Kubernetes, "Resource Quotas".
        """
        counted = [(pool.machine, pool.max) for pool in self.pools]
        offered = {
            "cpu": sum(machine.cpu * count for machine, count in counted),
            "memory": sum(machine.memory * count for machine, count in counted),
            "gpus": sum(machine.gpus * count for machine, count in counted),
            "pods": sum(machine.pods * count for machine, count in counted),
        }
        given = self.quota.model_dump(exclude_none=True)
        most = {**(offered if self.pools else {}), **given}
        keys = {"cpu": "requests.cpu", "memory": "requests.memory", "gpus": f"requests.{GPU}", "pods": "pods"}
        form = {"cpu": cores, "memory": gibibytes}
        return {keys[what]: form.get(what, str)(amount) for what, amount in most.items()}

    def _builders(self, scope: Scope) -> list[Grant]:
        """What pushing images and pulling them takes; adds the repository where none is given."""
        if not scope.environment.has_aws:
            return []
        if self.repository is not None:
            return [SIGN_IN, Grant((*PULL, *PUSH), (self.repository.arn,))]
        repository = add_repository(scope)
        return [SIGN_IN, Grant((*PULL, *PUSH), (Ref(repository.node, ("arn",)),))]
