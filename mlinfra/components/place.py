"""`Place`: a namespace that workloads run in, be it a cluster's own or a team's, and what bounds and separates it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from mlinfra.authoring import Many
from mlinfra.components import network_policies
from mlinfra.components.access import Grant, service_account
from mlinfra.components.image_repository import SIGN_IN
from mlinfra.components.network_policies import Egress
from mlinfra.components.people import Groups, add_roles
from mlinfra.components.quantities import GPU, cores, gibibytes
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.values import Quota
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.node_pool import NodePool

Priority = Literal["training-low", "training-high", "serving"]

SYSTEM_PRIORITIES: Final = ("system-cluster-critical", "system-node-critical")
"""Kubernetes' own classes: their pods take the place of any other (Kubernetes, "Pod Priority and Preemption")."""


class Place(Watched):
    """A namespace of its own for workloads: a `TrainingCluster`, or a `Team` in one."""

    said_as: ClassVar[str] = "TrainingCluster or Team"
    holds_data: ClassVar[bool] = True

    quota: Quota = Quota()
    """Most that all pods may ask for together, where it is not what the pools offer."""

    pod_security: Literal["baseline", "restricted"] = "baseline"
    """The level of Kubernetes' Pod Security Standards that pods must meet; what fails `restricted` is warned of."""

    network: Literal["closed", "open"] = "closed"
    """Whether network policies refuse what no reference asks for. In a `closed` namespace pods look up names of hosts;
    workloads reach what they read and write; endpoints are reached from their own namespace and from their callers;
    and nothing else goes in or out. `open` has no such policies: it is for what has to move in step by step."""

    egress: Many[Egress] = ()
    """What all pods may also connect to, where the network is closed: `[Egress(cidr="10.20.0.0/16", ports=[5432])]`."""

    admins: Groups = ()
    """Groups of people who may change all that is in the namespace, Secrets and roles included, but not its quota, its
    network policies or the namespace itself. Groups are named as the identity provider names them, by OpenID Connect
    or LDAP: `["ml-leads"]`."""

    developers: Groups = ()
    """Groups of people who may start and stop runs, read logs, and forward ports to their own machine. They get no
    shell in a pod and read no Secrets, but a run that they start has what its service account has."""

    viewers: Groups = ()
    """Groups of people, such as auditors, who may see what there is, how it is and who may do what; no logs and no
    Secrets."""

    # ------------------------------------------------------------------------------------ outputs

    if TYPE_CHECKING:

        @property
        def pools(self) -> Sequence[NodePool]:
            """The machines that its pods run on."""

    @property
    def namespace(self) -> Ref:
        """The name of the namespace."""
        return self.output("namespace", "metadata", "name")

    @abstractmethod
    def priority_class(self, priority: Priority) -> Ref:
        """The name of a priority class."""

    def signals(self) -> tuple[Signal, ...]:
        """A quota that is nearly used up, pods that find no machine.

        The metrics are kube-state-metrics' ("ResourceQuota Metrics", "Pod Metrics").
        """
        quota = 'kube_resourcequota{resourcequota="%s",type="%s"}'
        used, hard = (quota % (self.identity, what) for what in ("used", "hard"))
        full = f"{used} / ignoring (type) ({hard} > 0) > 0.9"
        waiting = "sum(kube_pod_status_unschedulable) > 0"
        nearly = f"Pods in {self.name} have nine tenths of a part of its quota"
        return (
            Signal("QuotaNearlyFull", "warning", full, 15, nearly),
            Signal("PodsWaiting", "warning", waiting, 60, f"Pods in {self.name} have found no machine for an hour"),
        )

    # ------------------------------------------------------------------------------------ expansion

    def add_namespace(self, scope: Scope) -> None:
        """The namespace, what bounds it, what closes it, and who may do what in it."""
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
        if self.network == "closed":
            network_policies.close(scope, self.namespace, self.egress)
        add_roles(scope, self.namespace, {"admin": self.admins, "developer": self.developers, "viewer": self.viewers})

    def add_builders(self, scope: Scope, *grants: Grant) -> None:
        """The service account of pods that build images, named like the place; on AWS they may do what the grants say,
        besides signing in to ECR."""
        service_account(scope, self.namespace, (SIGN_IN, *grants))
        if scope.environment.has_aws:
            network_policies.let_out(scope, self.namespace, *network_policies.aws(), labels=network_policies.BUILD)

    def _limits(self, scope: Scope) -> None:
        """The quota, and defaults for containers that ask for nothing: a quota refuses pods that say nothing."""

        def bound(local: str, kind: str, name: str, spec: dict[str, Value]) -> None:
            scope.kubernetes(local, "v1", kind, name, {"spec": spec}, namespace=self.namespace)

        if hard := self.hard_quota:
            bound("quota", "ResourceQuota", self.identity, {"hard": hard})
        # Pods with these priorities would take the place of everybody's (Kubernetes, "Resource Quotas", "Resource quota
        # per PriorityClass").
        priorities = {"scopeName": "PriorityClass", "operator": "In", "values": list(SYSTEM_PRIORITIES)}
        forbidden = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [priorities]}}
        bound("quota-system", "ResourceQuota", f"{self.identity}.system", forbidden)
        defaults = {
            "type": "Container",
            "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
            "default": {"memory": "1Gi"},
        }
        bound("limits", "LimitRange", self.identity, {"limits": [defaults]})

    @property
    def offered(self) -> dict[str, float]:
        """What the pools' machines leave to pods when all of them run; empty where there are no pools."""
        if not self.pools:
            return {}
        # A machine's facts have the names of the quota's fields.
        return {what: sum(getattr(pool.machine, what) * pool.max for pool in self.pools) for what in Quota.model_fields}

    @property
    def hard_quota(self) -> dict[str, str]:
        """The quota's `hard`: what the pools offer, unless it is given.

        Source of the keys: Kubernetes, "Resource Quotas".
        """
        most = {**self.offered, **self.quota.model_dump(exclude_none=True)}
        keys = {"cpu": "requests.cpu", "memory": "requests.memory", "gpus": f"requests.{GPU}", "pods": "pods"}
        form = {"cpu": cores, "memory": gibibytes}
        return {keys[what]: form.get(what, str)(amount) for what, amount in most.items()}
