"""The pod of a `TrainingJob`: its container, what its environment says, what is mounted, where it goes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mlinfra.components import job_ranks
from mlinfra.components.access import data_variables
from mlinfra.components.job_data import INDEX, RUN, locations, stores
from mlinfra.components.workload import (
    SHARED_MEMORY,
    Request,
    container_security,
    placement,
    pod_security,
    shared_memory,
    variables,
)
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.node_pool import NodePool
    from mlinfra.components.training_job import TrainingJob

CONTAINER: Final = "train"
OURS: Final = "MLINFRA_"
"""How the variables begin that only we set."""

CONFIG: Final = "MLINFRA_CONFIG"
CONFIG_FILE: Final = "/etc/mlinfra/config.json"
CONFIG_VOLUME: Final = "config"
"""The volume with the job's config; a run with a config of its own has another ConfigMap in it."""

CONFIG_KEY: Final = "config.json"

SWEEP: Final = "MLINFRA_SWEEP"
SWEEP_FILE: Final = "/etc/mlinfra/sweep.json"
_COMBINATION: Final = "sweep"

_PATHS: Final = {CONFIG_VOLUME: CONFIG_FILE, _COMBINATION: SWEEP_FILE, job_ranks.TASK: job_ranks.TASK_FILE}
"""Where the volumes of `files` are mounted."""

_SHARED: Final = 0.25
"""Share of a pod's memory for `/dev/shm`."""


def taken_names(job: TrainingJob) -> frozenset[str]:
    """The variables beside ours that the job's form sets, and `env` may not."""
    numbered = {INDEX} if job.ranks or job.sweep else set()
    return frozenset(numbered | (job_ranks.names(job, job.ranks) if job.ranks else set()))


def environment(job: TrainingJob, scope: Scope, *, run: Value = None) -> list[Value]:
    """The container's `env`.

    What others refer to comes first: Kubernetes fills in `$(NAME)` from what stands before ("Define Dependent
    Environment Variables"). The author's own come last, so that they may refer to all of ours. `run` is the run's name
    where the pod's labels do not tell it.
    """
    label = {"fieldRef": {"fieldPath": f"metadata.labels['{job_ranks.JOB_NAME}']"}}
    number = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    first = {RUN: label if run is None else run, **({INDEX: number} if job.ranks or job.sweep else {})}
    held = stores(job)
    data = data_variables(scope, job.cluster.namespace, held.reads, (*held.writes, *job.erases))
    made: dict[str, Value] = {
        **({CONFIG: CONFIG_FILE} if job.config is not None else {}),
        **({SWEEP: SWEEP_FILE} if job.sweep else {}),
        **(job_ranks.variables(job, job.ranks) if job.ranks else {}),
        **locations(job, scope),
    }
    given = {name: value for name, value in (data | made).items() if name not in job.env}
    return [*variables(first), *variables(given), *variables(job.env)]


def container(
    job: TrainingJob, request: Request, env: list[Value], maps: Iterable[str], name: str = CONTAINER, **more: Value
) -> dict[str, Value]:
    """A container with the job's image and the files in `maps`; `more` are fields of it."""
    found: dict[str, Value] = {
        "name": name,
        "image": job.image,
        "env": env,
        "resources": request.resources(),
        "securityContext": container_security(read_only=False),
        "volumeMounts": _mounts(maps),
    }
    return found | more


def spec(
    job: TrainingJob,
    scope: Scope,
    account: Ref,
    pool: NodePool,
    containers: Sequence[Mapping[str, Value]],
    *,
    maps: Mapping[str, Ref],
    shared: float,
) -> dict[str, Value]:
    """The spec of a pod that runs these containers. `maps` names the ConfigMaps of `files`; `shared` is in GiB."""
    high = job.priority == "high"
    return {
        **placement(scope, pool),
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": job.cluster.priority_class("training-high" if high else "training-low"),
        "terminationGracePeriodSeconds": job.grace,
        "securityContext": pod_security(job.run_as_user),
        "containers": [dict(item) for item in containers],
        "volumes": [
            shared_memory(shared),
            *({"name": volume, "configMap": {"name": name}} for volume, name in maps.items()),
        ],
    }


def single(
    job: TrainingJob, scope: Scope, account: Ref, maps: Mapping[str, Ref], service: Ref | None
) -> dict[str, Value]:
    """The spec of the pods of a Job: one, the ranks, or those of a sweep. `service` is the ranks' own."""
    train = container(job, job.request, environment(job, scope), maps)
    if job.command:
        given = list(job.command)
        train["command"] = job_ranks.command(job.ranks, given) if job.ranks else given
    whole = spec(job, scope, account, job.pool, [train], maps=maps, shared=job.request.memory * _SHARED)
    whole["restartPolicy"] = "Never"
    if job.ranks and service is not None:
        whole |= {"subdomain": service, "affinity": job_ranks.affinity(scope, job.ranks)}
    return whole


def files(job: TrainingJob) -> dict[str, dict[str, str]]:
    """The job's ConfigMaps: their data, by the end of their names, which is the volume's name too."""
    found: dict[str, dict[str, str]] = {}
    if job.config is not None:
        text = json.dumps(job.config, sort_keys=True, indent=2, ensure_ascii=False)
        found[CONFIG_VOLUME] = {CONFIG_KEY: f"{text}\n"}
    if job.sweep:
        found[_COMBINATION] = _numbered(job.sweep.texts)
    if job.ranks and (tasks := job_ranks.tasks(job.ranks)):
        found[job_ranks.TASK] = _numbered(tasks)
    return found


def _numbered(texts: Sequence[str]) -> dict[str, str]:
    return {f"{index}.json": text for index, text in enumerate(texts)}


def _mounts(maps: Iterable[str]) -> list[Value]:
    """Each file by itself: a folder that is mounted read-only could not take another mount within it.

    Of files for each number, a pod is shown the one with its own.
    """
    found: list[Value] = [SHARED_MEMORY]
    for name in maps:
        own = {"subPath": CONFIG_KEY} if name == CONFIG_VOLUME else {"subPathExpr": f"$({INDEX}).json"}
        found.append({"name": name, "mountPath": _PATHS[name], **own, "readOnly": True})
    return found
