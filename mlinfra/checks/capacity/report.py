"""The report on capacity, put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mlinfra.checks.capacity.amounts import PODS, less, times
from mlinfra.checks.capacity.findings import findings
from mlinfra.checks.capacity.ground import Ground, Setting
from mlinfra.checks.capacity.machines import Machine, offer
from mlinfra.checks.capacity.record import HOURS, CapacityReport, LimitUse, PoolUse, Range, WorkloadUse
from mlinfra.checks.capacity.survey import Survey
from mlinfra.checks.capacity.vcpus import vcpu_uses
from mlinfra.checks.capacity.workloads import Use, Workload
from mlinfra.components.quantities import GPU
from mlinfra.graph import Graph, Pool


def capacity_report(graph: Graph, setting: Setting) -> CapacityReport:
    """The report on a graph in its setting. Nobody is asked; AWS's quotas are named, without what they allow."""
    ground = Ground(graph, setting)
    survey = Survey(ground)
    uses = [_workload(ground, survey, item) for item in ground.workloads]
    vcpus, unknown = vcpu_uses(setting.pools, ground.symbols)
    notes = [*ground.notes, *(f"no quota of AWS is known here for {item}" for item in unknown)]
    if not setting.pools:
        notes.append("the stack declares no machines, so that only what it asks for is shown")
    return CapacityReport(
        graph.blueprint,
        graph.version,
        graph.environment,
        tuple(_pool(ground, survey, pool) for pool in setting.pools),
        tuple(sorted(uses, key=lambda item: (item.use == Use.RUN, item.use == Use.EACH, item.name))),
        tuple(_limits(ground)),
        tuple(vcpus),
        tuple(notes),
        tuple(findings(ground, survey, uses)),
    )


# ------------------------------------------------------------------------------------------------ pools and workloads


def _pool(ground: Ground, survey: Survey, pool: Pool) -> PoolUse:
    daemons = [pod for _, pod in ground.daemons]
    emptiest = survey.fewest.emptiest(pool.name)
    bare = next((machine for machine in ground.samples.machines if machine.pool.name == pool.name), None)
    hours = HOURS * pool.gpus
    return PoolUse(
        pool.name,
        pool.instance_type,
        pool.spot,
        pool.min,
        pool.max,
        each=offer(pool),
        daemons={key: count for key, count in less(bare.whole, bare.room).items() if count} if bare else {},
        whole=times(offer(pool), pool.max),
        asked_fewest=survey.fewest.asked(pool.name),
        asked_most=survey.most.asked(pool.name),
        machines_fewest=survey.fewest.floor.used(daemons)[pool.name],
        machines_most=survey.most.floor.used(daemons)[pool.name],
        largest=_left(emptiest) if emptiest else {},
        gpu_hours=Range(pool.min * hours, pool.max * hours),
    )


def _left(machine: Machine) -> dict[str, int]:
    """What one more pod could ask for; nothing where a machine has as many pods as it may."""
    if machine.room.get(PODS, 0) < 1:
        return {}
    return {key: max(0, left) for key, left in machine.room.items() if key != PODS}


def _workload(ground: Ground, survey: Survey, item: Workload) -> WorkloadUse:
    made = _counted(ground, item)
    if item.use is not Use.RUN or not ground.setting.pools or not item.groups:
        if not ground.setting.pools:
            return made
        return replace(made, missing=Range(survey.fewest.missed[item.name], survey.most.missed[item.name]))
    there = survey.at_once(item, survey.fewest)
    spread = survey.at_once(item, survey.spread)
    return replace(
        made,
        missing=Range(survey.missing(item, survey.fewest), survey.missing(item, survey.most)),
        at_once=there,
        at_once_most=survey.at_once(item, survey.most, most=True),
        at_once_spread=spread if spread != there else None,
    )


def _counted(ground: Ground, item: Workload) -> WorkloadUse:
    homes = {name for group in item.groups for name in ground.homes(group.pod)}
    pods = Range(item.total(most=False), item.total(most=True))
    if item.use is Use.EACH:
        machines = sum(pool.max for pool in ground.setting.pools if pool.name in homes)
        pods = Range(machines, machines)
    return WorkloadUse(
        ground.names[item.node.name],
        item.node.name,
        item.node.component,
        item.kind,
        str(item.use),
        pods,
        {group.role: {key: count for key, count in group.pod.requests.items() if key != PODS} for group in item.groups},
        tuple(sorted(homes)),
        Range(0, 0),
        hours=item.hours,
        gpu_hours=_gpu_hours(item, pods),
        problem=item.problem,
    )


def _gpu_hours(item: Workload, pods: Range) -> Range | None:
    """Of a month for what is always there, of one run for a job; None where nothing bounds a run."""
    gpus = [group.pod.requests.get(GPU, 0) for group in item.groups]
    if not any(gpus):
        return None
    if item.use is Use.EACH:
        return Range(pods.fewest * sum(gpus) * HOURS, pods.most * sum(gpus) * HOURS)
    hours = item.hours if item.use is Use.RUN else HOURS
    if hours is None:
        return None
    fewest = sum(count * group.fewest for count, group in zip(gpus, item.groups, strict=True))
    most = sum(count * group.most for count, group in zip(gpus, item.groups, strict=True))
    return Range(fewest * hours, most * hours)


def _limits(ground: Ground) -> Iterator[LimitUse]:
    for limit in ground.limits:
        fewest, most = ground.taken(limit), ground.taken(limit, most=True)
        if limit.scopes and not any(most.values()):
            continue  # it is for pods of which there are none
        name = limit.node.component or limit.name
        yield LimitUse(name, limit.kind, limit.namespace, limit.hard, fewest, most)
