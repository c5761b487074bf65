"""`Team`: a namespace of its own for a team, in a cluster that several share."""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from mlinfra.components.access import Grant
from mlinfra.components.image_repository import PULL, PUSH, ImageRepository
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place, Priority
from mlinfra.components.quantities import counted
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.expansion import Scope
from mlinfra.graph import Ref

_UNITS = {"cpu": "cores", "memory": "GiB of memory", "gpus": "GPUs", "pods": "pods"}


class Team(Place):
    """A team in a cluster: a namespace with a quota, limits, a closed network and roles for people.

    Workloads name it where they would name the cluster, and run in its namespace on the cluster's pools, with the
    cluster's priorities. Nothing of another team is within reach, but endpoints that name this team as a caller:

        cluster = TrainingCluster("train", pools=[cpu, gpu])
        search = Team("search", cluster=cluster, admins=["ml-leads"], developers=["search-devs"], quota=Quota(gpus=4))
        fit = TrainingJob("fit", cluster=search, pool=gpu, gpus=1)

    Its quota is a bound and no reservation: quotas of several teams may come to more than there is, and then the
    scheduler goes by priorities. Pods of the service account that is named like the team may pull images from the
    cluster's repository, and push to the team's own, if it has one.
    """

    cluster: TrainingCluster
    """The cluster that it is in."""

    repository: ImageRepository | None = None
    """Where builds in the team's namespace push images; by default nowhere."""

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if not (self.admins or self.developers or self.viewers):
            raise ValueError(
                "admins, developers and viewers name no group, so that nobody could use the team's namespace; name one "
                'as the identity provider does: `developers=["search-devs"]`'
            )
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def pools(self) -> Sequence[NodePool]:
        """The cluster's machines."""
        return self.cluster.pools

    def priority_class(self, priority: Priority) -> Ref:
        """The name of a priority class, which is the cluster's: priorities belong to no namespace."""
        return self.cluster.priority_class(priority)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The namespace with all that bounds it, and the identity of builds."""
        if not needs_kubernetes(scope):
            return
        self._check_quota(scope)
        self.add_namespace(scope)
        pushed = [Grant((*PULL, *PUSH), (self.repository.arn,))] if self.repository else []
        self.add_builders(scope, Grant(PULL, (self.cluster.repository_arn,)), *pushed)

    def _check_quota(self, scope: Scope) -> None:
        """Note as an error a quota that the cluster could never fill."""
        given, offered = self.quota.model_dump(exclude_none=True), self.offered
        for what, most in offered.items():
            if given.get(what, 0) > most:
                scope.problem(
                    f"the quota of team {self.name!r} is {counted(given[what], _UNITS[what])}, more than cluster "
                    f"{self.cluster.name!r} can have",
                    detail=f"Its pools offer {counted(most, _UNITS[what])} to pods when all of their machines run.",
                    remedy=f"Ask for less, or raise `max` of a pool: {', '.join(pool.name for pool in self.pools)}.",
                    code="team-quota",
                )
