"""`JobQueue`: training jobs wait in it until there is room for a whole run, by Kueue."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from mlinfra import naming
from mlinfra.authoring import Component, Many
from mlinfra.components.network_policies import NAMESPACE_LABEL
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.quantities import GPU, cores, gibibytes
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.workload import placement
from mlinfra.expansion import Scope, component_type
from mlinfra.graph import Ref, Value

API: Final = "kueue.x-k8s.io/v1beta1"
"""Every version of Kueue since 0.3 serves it, those with v1beta2 too."""

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
"""The label by which a Job or RayJob says in which LocalQueue it waits (Kueue, "Run A Kubernetes Job")."""

_MOST_LABELS: Final = 8
"""Labels and taints that a ResourceFlavor takes (Kueue API reference, "ResourceFlavorSpec")."""


class JobQueue(Component):
    """A queue for training runs, kept by Kueue:

        cluster = TrainingCluster("train", pools=[cpu, gpu], kueue=True)
        research = JobQueue("research", cluster=cluster, pools=[gpu])
        fit = TrainingJob("fit", cluster=cluster, pool=gpu, ranks=Ranks(count=4), queue=research, …)

    A run waits in it until its pools have room for all of its pods at once; then it begins. Runs are let in in the
    order in which they came, and one that does not fit yet does not hold up others that do. A run with high priority
    goes first, and takes the place of runs with low priority.

    What there is to give out are all machines that the pools may have. What else runs on them is not counted, so
    endpoints should have pools of their own. Kueue has to run in the cluster already: this makes its ResourceFlavors,
    ClusterQueue and LocalQueue.
    """

    cluster: TrainingCluster
    """The cluster whose jobs wait in it; it has to say `kueue=True`."""

    teams: Many[Team] = ()
    """Teams in the cluster whose jobs wait in it, too. What each may have is bounded by its quota."""

    pools: Annotated[Many[NodePool], Field(min_length=1, max_length=64)]
    """The machines that it gives out, pools of the cluster; each pool is in one queue. Kueue takes 64 at most."""

    @property
    def places(self) -> tuple[Place, ...]:
        """The namespaces whose jobs may wait in it."""
        return (self.cluster, *self.teams)

    def local_queue_in(self, place: Place) -> Ref:
        """The name of the LocalQueue of a cluster or team."""
        return self.output(_local(place), "metadata", "name")

    @property
    def cluster_queue(self) -> Ref:
        """The name of the ClusterQueue."""
        return self.output("cluster-queue", "metadata", "name")

    def expand(self, scope: Scope) -> None:
        """A ResourceFlavor for each pool, a ClusterQueue with what they have, and a LocalQueue in each namespace."""
        if not needs_kubernetes(scope):
            return
        self._check(scope)
        scope.describe(pools=[pool.name for pool in self.pools])
        flavors = [self._flavor(scope, pool) for pool in self.pools]
        namespaces = [place.namespace for place in self.places]
        open_to = {"key": NAMESPACE_LABEL, "operator": "In", "values": namespaces}
        spec = {
            "namespaceSelector": {"matchExpressions": [open_to]},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [self._resources(flavors)],
        }
        queue = scope.kubernetes("cluster-queue", API, "ClusterQueue", scope.label_name(), {"spec": spec})
        local = {"spec": {"clusterQueue": Ref(queue.node, ("metadata", "name"))}}
        for place in self.places:
            scope.kubernetes(_local(place), API, "LocalQueue", self.identity, local, namespace=place.namespace)

    def _flavor(self, scope: Scope, pool: NodePool) -> Ref:
        """The machines of a pool, as Kueue knows them: by the labels that jobs choose them by, and by their taints."""
        chosen = placement(scope, pool).get("nodeSelector", {})
        taints = [{"key": key, "value": value, "effect": effect} for key, value, effect in pool.all_taints]
        spec: dict[str, Value] = {}
        if chosen:
            spec["nodeLabels"] = dict(sorted(chosen.items())[:_MOST_LABELS])
        if taints:
            spec["nodeTaints"] = taints[:_MOST_LABELS]
        # Flavors belong to no namespace, so their names tell clusters apart.
        name = naming.dns_label(scope.expansion.blueprint, scope.environment.name, self.cluster.identity, pool.identity)
        flavor = scope.kubernetes(f"flavor-{pool.identity}", API, "ResourceFlavor", name, {"spec": spec})
        return Ref(flavor.node, ("metadata", "name"))

    def _resources(self, flavors: list[Ref]) -> dict[str, Any]:
        """What each pool's machines leave to pods when all of them run; each flavor lists the same resources."""
        with_gpus = any(pool.machine.gpus for pool in self.pools)
        offers = [
            {
                "cpu": cores(pool.machine.cpu * pool.max),
                "memory": gibibytes(pool.machine.memory * pool.max),
                **({GPU: str(pool.machine.gpus * pool.max)} if with_gpus else {}),
            }
            for pool in self.pools
        ]
        return {
            "coveredResources": list(offers[0]),
            "flavors": [
                {
                    "name": flavor,
                    "resources": [{"name": what, "nominalQuota": amount} for what, amount in offer.items()],
                }
                for flavor, offer in zip(flavors, offers, strict=True)
            ],
        }

    def _check(self, scope: Scope) -> None:
        if not self.cluster.kueue:
            scope.problem(
                f"{self.name} is a queue of cluster {self.cluster.name!r}, which does not say that it has Kueue",
                detail="Without Kueue nothing would ever let a run begin.",
                remedy="Where Kueue runs in the cluster, say so: `TrainingCluster(…, kueue=True)`. Else leave the "
                "queue out.",
                code="queue-without-kueue",
            )
        for team in (team for team in self.teams if team.cluster is not self.cluster):
            scope.problem(
                f"{self.name} is a queue of cluster {self.cluster.name!r}, and team {team.name!r} is in another one",
                remedy="Leave the team out, or declare a queue of its own cluster.",
                code="queue-other-cluster",
            )
        for pool in self.pools:
            if pool not in self.cluster.pools:
                scope.problem(
                    f"{self.name} gives out pool {pool.name!r}, which is no pool of cluster {self.cluster.name!r}",
                    remedy=f"Add it to the cluster: `pools=[…, {pool.name}]`.",
                    code="placement-other-cluster",
                )
            for other in _queues_of(scope, pool):
                scope.problem(
                    f"{self.name} and {other} both give out pool {pool.name!r}",
                    detail="Each would let in as many runs as fit all of its machines.",
                    remedy="Let one of them have it, and let jobs of both wait in that one.",
                    code="queue-pool-taken",
                )


def cluster_of(place: Place) -> TrainingCluster | None:
    """The cluster that a place is, or is in."""
    if isinstance(place, Team):
        return place.cluster
    return place if isinstance(place, TrainingCluster) else None


def _local(place: Place) -> str:
    return f"local-queue-{place.identity}"


def _queues_of(scope: Scope, pool: NodePool) -> Iterator[str]:
    """The other queues, declared before, that have a pool."""
    kind = component_type(scope.component)
    for node in scope.expansion.nodes.values():
        if node.type == kind and node.name != scope.component.name and pool.name in node.inputs.get("pools", ()):
            yield node.name
