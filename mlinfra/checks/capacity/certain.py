"""What can never be, told as diagnostics: pods that no machine takes, replicas and ranks beyond what the pools may
have, pods beyond a quota. Nothing here depends on how pods happen to be placed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mlinfra.checks.capacity.amounts import Amounts, added, lacking, listed, plural, said
from mlinfra.checks.capacity.bounds import Bounds, Overflow, Share
from mlinfra.checks.capacity.ground import Ground
from mlinfra.checks.capacity.limits import Limit
from mlinfra.checks.capacity.requests import says_nothing_of
from mlinfra.checks.capacity.workloads import Group, Use, Workload
from mlinfra.diagnostics import Diagnostic, Severity

NEVER: Final = "capacity-never-fits"
REPLICAS: Final = "capacity-replicas"
TOGETHER: Final = "capacity-together"
QUOTA: Final = "capacity-quota"
MACHINES: Final = "Give a pool more machines or a larger instance type, or ask for less."


class Certain:
    """The certain problems of a graph in its setting."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.bounds = Bounds(ground.pools, ground.rooms)

    def problems(self) -> list[Diagnostic]:
        """All that `validate` tells."""
        found = list(self.quotas())
        if self.ground.setting.pools:
            found += [*self.daemons(), *self.pods(), *self.replicas(most=False), *self.ranks()]
        return found

    # ------------------------------------------------------------------------------------ machines

    def daemons(self) -> Iterator[Diagnostic]:
        """Pods for every machine that some machine has no room for."""
        for workload, pod, machine in self.ground.missed:
            name = self.ground.title(workload, pod)
            lacks = lacking(pod.requests, machine.room)
            yield self.about(
                workload,
                f"{name} is to run on every machine, and those of pool {machine.pool.name} have no room for it",
                f"A {machine.pool.instance_type} has {listed(machine.whole)} for pods; {listed(lacks)} too little is "
                "left for this one.",
                MACHINES,
                NEVER,
            )

    def pods(self) -> Iterator[Diagnostic]:
        """Pods that no machine of any pool takes, even an empty one."""
        for workload, group in self._groups():
            if group.most and not self.ground.homes(group.pod):
                yield self.never(workload, group)

    def never(self, workload: Workload, group: Group) -> Diagnostic:
        """A pod that no machine takes, with what each pool lacks. Where the cluster may have other machines than the
        pools, and the pod may go there, it is a warning.
        """
        refused = self.ground.refused(group.pod)
        name = self.ground.title(workload, group.pod)
        lacks = {key: group.pod.requests[key] for item in refused for key in item.lacks or ()}
        asks = ", ".join(said(key, count) for key, count in lacks.items())
        summary = f"{name} asks for {asks} on one machine, and none has that for it"
        sure = self.ground.is_bound(group.pod)
        remedy = MACHINES if lacks else "Let the pod name labels and taints that a pool has."
        return self.about(
            workload,
            summary if lacks else f"{name} may run on no machine of the pools",
            "\n".join(str(item) for item in refused),
            remedy if sure else f"{remedy} The cluster may have other machines, of which the stack says nothing.",
            NEVER,
            severity=Severity.ERROR if sure else Severity.WARNING,
        )

    def replicas(self, *, most: bool) -> Iterator[Diagnostic]:
        """The fewest replicas of all that is always there, or the most, are more than all machines take."""
        shares = [
            Share(*wanted, self.ground.homes(wanted.pod))
            for _, wanted in self.ground.always(most=most)
            if self.ground.is_bound(wanted.pod)
        ]
        if overflow := self.bounds.overflow(shares):
            which = "most" if most else "fewest"
            yield self._overflow(f"The {which} replicas", overflow, REPLICAS)

    def ranks(self) -> Iterator[Diagnostic]:
        """Jobs whose pods need each other, and can never all be there at once."""
        for workload in self.ground.runs:
            shares = [Share(item.pod, item.fewest, self.ground.homes(item.pod)) for item in workload.groups]
            bound = all(self.ground.is_bound(item.pod) for item in shares)
            if workload.together and bound and (overflow := self.bounds.overflow(shares)):
                name = self.ground.names[workload.node.name]
                yield self._overflow(
                    f"A run of {name}, which needs all its pods at once,", overflow, TOGETHER, workload
                )

    def _overflow(self, who: str, overflow: Overflow, code: str, workload: Workload | None = None) -> Diagnostic:
        owners = {id(group.pod): item for item in self.ground.workloads for group in item.groups}
        names = [self.ground.title(owners.get(id(pod)), pod) for pod in overflow.pods]
        first = next((owners[id(pod)] for pod in overflow.pods if id(pod) in owners), None)
        pools = f"{plural('pool', len(overflow.pools))} {', '.join(overflow.pools)}"
        if overflow.what == "pods":
            asked = f"{overflow.asked} pods of {names[0]}"
            detail = f"All machines of {pools} together take {said('pods', overflow.offered)} of this kind."
        elif overflow.what == "machines":
            asked = f"{overflow.asked} machines of {pools}"
            detail = f"Each of these pods takes over half of a machine, and there are at most {overflow.offered}: "
            detail += f"{', '.join(names)}."
        else:
            asked = f"{said(overflow.what, overflow.asked)} of {pools}"
            detail = f"At most there are {said(overflow.what, overflow.offered)}, without what is on every machine. "
            detail += f"They are asked for by {', '.join(names)}."
        summary = f"{who} ask{'s' if workload else ''} for {asked}, more than there are"
        return self.about(workload or first, summary, detail, MACHINES, code)

    # ------------------------------------------------------------------------------------ quotas

    def quotas(self, *, most: bool = False) -> Iterator[Diagnostic]:
        """What is always there goes beyond a quota, a run does beside it, or a pod leaves out what a quota counts."""
        for limit in self.ground.limits:
            there = self.ground.taken(limit, most=most)
            if beyond := lacking(there, limit.hard):
                which = "the most replicas" if most else "the fewest replicas"
                yield self._beyond(limit, None, which, there, beyond)
                continue
            for workload in self.ground.workloads if not most else ():
                if limit.concerns(workload):
                    yield from self._against(limit, workload, there)

    def _against(self, limit: Limit, workload: Workload, there: Amounts) -> Iterator[Diagnostic]:
        wants = limit.wants
        for group in workload.groups if wants else ():
            defaults = self.ground.defaults(workload)
            spec = group.pod.spec
            missing = [f"{part}.{key}" for key, part in wants if says_nothing_of(spec, key, part, defaults)]
            if missing:
                name = self.ground.title(workload, group.pod)
                yield self.about(
                    workload,
                    f"{name} does not say its {', '.join(missing)}, and the quota {limit.name} refuses such pods",
                    'A quota on an amount wants every container to name it (Kubernetes, "Resource Quotas").',
                    "Name it for each container, or give the namespace a limit range with a default.",
                    QUOTA,
                )
        if workload.use is Use.RUN:
            # Of pods that do not need each other, one is enough to go on.
            run = limit.of(workload) if workload.together else added(*(limit.charge(item) for item in workload.groups))
            if beyond := lacking(added(there, run), limit.hard):
                yield self._beyond(limit, workload, f"a run of {self.ground.names[workload.node.name]}", run, beyond)

    def _beyond(self, limit: Limit, workload: Workload | None, who: str, asked: Amounts, beyond: Amounts) -> Diagnostic:
        what = ", ".join(said(key, asked[key]) for key in beyond)
        have = ", ".join(said(key, limit.hard[key]) for key in beyond)
        beside = " beside what is always there" if workload else ""
        where = f"namespace {limit.namespace}" if not limit.queue else f"queue {limit.queue}"
        asks = f"ask{'s' if workload else ''} for {what}{beside}"
        return self.about(
            workload,
            f"{who[0].upper()}{who[1:]} in {where} {asks}, more than its quota allows",
            f"{limit.name} allows {have}; that is {listed(beyond)} too little.",
            "Raise the quota, or ask for less.",
            QUOTA,
            **({} if workload else {"resource": limit.name}),
        )

    # ------------------------------------------------------------------------------------ telling

    def _groups(self) -> Iterator[tuple[Workload, Group]]:
        for workload in self.ground.workloads:
            if workload.use is not Use.EACH:
                for group in workload.groups:
                    yield workload, group

    def about(
        self, workload: Workload | None, summary: str, detail: str, remedy: str, code: str, **fields: Any
    ) -> Diagnostic:
        """A diagnostic that points at a workload, where it is about one."""
        node = workload.node if workload else None
        given = {"resource": node.name if node else None, **fields}
        return Diagnostic(
            summary,
            detail=detail,
            remedy=remedy,
            location=self.ground.graph.source_of(node.name) if node else None,
            component=node.component if node else None,
            code=code,
            **given,
        )
