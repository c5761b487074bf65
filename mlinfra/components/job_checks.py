"""What keeps a `TrainingJob`'s runs from ever starting, or from ending well: told before anything is made."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from mlinfra.components import job_pod
from mlinfra.components.job_queue import cluster_of
from mlinfra.components.job_values import plain
from mlinfra.components.quantities import counted
from mlinfra.components.workload import Request, check_placement
from mlinfra.expansion import Scope

if TYPE_CHECKING:
    from mlinfra.components.node_pool import NodePool
    from mlinfra.components.training_job import TrainingJob

MOST_CONFIG: Final = 1024 * 1024 - 1024
"""Bytes of a config: a ConfigMap holds 1 MiB (Kubernetes, "ConfigMaps"), with a little for the rest of it."""

SPOT_SECONDS: Final = 110
"""The longest that a pod on a spot machine can take to end. EC2 takes the machine two minutes after its notice (EC2
user guide, "Spot Instance interruption notices"), of which a few seconds pass until the pod hears of it."""


def check_fields(job: TrainingJob) -> None:
    """Raise `ValueError` for fields that do not go together, whatever the target is."""
    forms = [name for name in ("ranks", "sweep", "ray") if getattr(job, name) is not None]
    if len(forms) > 1:
        raise ValueError(f"{' and '.join(forms)} exclude each other: a run is one pod, ranks, a sweep or a Ray cluster")
    if not job.command and (why := _needs_command(job)):
        raise ValueError(f"command: {why}, so it has to be given")
    if job.ray and job.fatal_exit_codes:
        raise ValueError("fatal_exit_codes: KubeRay does not look at exit codes; leave them out of a job with ray")
    if job.fresh_days is not None and job.fresh_days >= job.keep_days:
        raise ValueError(
            f"fresh_days is {job.fresh_days}, and runs that have ended are kept for {job.keep_days} days: nobody could "
            "tell; raise keep_days"
        )
    names = job_pod.taken_names(job)
    taken = sorted(name for name in job.env if name in names or name.startswith(job_pod.OURS))
    if taken:
        raise ValueError(f"env: {' and '.join(taken)} cannot be set, as mlinfra sets what has this name")
    if job.config is not None and len(json.dumps(plain(dict(job.config), "config")).encode()) > MOST_CONFIG:
        raise ValueError("config: it has more than 1 MiB as JSON, which a ConfigMap does not hold")


def _needs_command(job: TrainingJob) -> str:
    if job.ray:
        return "the head of the Ray cluster runs it"
    if job.ranks and job.ranks.parameter_servers:
        return "TF_CONFIG is set just before it starts"
    return ""


def check(job: TrainingJob, scope: Scope) -> None:
    """Note as errors what does not fit the pool, the queue or the machines' kind."""
    before = len(scope.problems.found)
    check_placement(scope, job.cluster, job.pool, job.request)
    if job.ray:
        check_placement(scope, job.cluster, job.ray.head_pool or job.pool, job.ray.head_request)
    if len(scope.problems.found) == before:
        _check_count(job, scope)
    _check_queue(job, scope)
    if job.pool.spot and job.grace > SPOT_SECONDS:
        scope.problem(
            f"{job.name} takes {job.grace} s to end, and runs on spot machines, which are gone after two minutes",
            detail='EC2 user guide, "Spot Instance interruption notices".',
            remedy=f"Say `grace_seconds={SPOT_SECONDS}` or less, or run it on a pool without spot machines.",
            code="grace-too-long",
        )


def _check_count(job: TrainingJob, scope: Scope) -> None:
    """Whether all pods that a run has at once fit the pool's machines, when nothing else is on them."""
    if job.ranks:
        wanted, what = job.ranks.count, "ranks"
        each = 1 if job.ranks.one_per_machine else _per_machine(job.pool, job.request)
    elif job.ray:
        wanted, what, each = job.ray.workers, "workers", _per_machine(job.pool, job.request)
    else:
        return
    machines, most = math.ceil(wanted / each), job.pool.max
    if machines <= most:
        return
    told = "one for each" if each == 1 else f"{each} on each"
    scope.problem(
        f"{job.name} has {counted(wanted, what)}, {told} machine: pool {job.pool.name!r} has "
        f"{counted(most, 'machines')} at most, and they need {machines}",
        detail="All of them have to run at the same time, so no run would ever begin.",
        remedy=f"Ask for fewer, or let the pool have more: `NodePool({job.pool.name!r}, max={machines}, …)`.",
        code="placement-too-many",
    )


def _per_machine(pool: NodePool, request: Request) -> int:
    """How many of these pods a machine takes; one at the least, as `check_placement` has seen."""
    machine = pool.machine
    rooms = [machine.cpu / request.cpu, machine.memory / request.memory, float(machine.pods)]
    rooms += [machine.gpus / request.gpus] if request.gpus else []
    return max(1, math.floor(min(rooms) + 1e-9))


def _check_queue(job: TrainingJob, scope: Scope) -> None:
    if job.queue is None:
        cluster = cluster_of(job.cluster)
        if cluster is not None and cluster.kueue:
            scope.problem(
                f"{job.name} names no queue, and cluster {cluster.name!r} has Kueue",
                detail="It would take machines that Kueue gives to others.",
                remedy=f'Name one: `queue=JobQueue("jobs", cluster={cluster.name}, pools=[{job.pool.name}])`.',
                code="job-without-queue",
            )
        return
    if job.cluster not in job.queue.places:
        scope.problem(
            f"{job.name} runs in {job.cluster.name!r}, which queue {job.queue.name!r} is not for",
            detail=f"The queue is for {', '.join(place.name for place in job.queue.places)}.",
            remedy=f"Name a queue of its own cluster; for a team, `JobQueue(…, teams=[{job.cluster.name}])`.",
            code="queue-other-cluster",
        )
    pools = [job.pool, *([job.ray.head_pool] if job.ray and job.ray.head_pool else [])]
    for pool in (pool for pool in pools if pool not in job.queue.pools):
        scope.problem(
            f"{job.name} runs on pool {pool.name!r}, which queue {job.queue.name!r} does not give out",
            detail="It would wait for ever.",
            remedy=f"Add the pool to the queue: `pools=[…, {pool.name}]`, or name the pool's own queue.",
            code="queue-other-pool",
        )
