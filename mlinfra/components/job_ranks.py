"""The ranks of a `TrainingJob`: how each pod of a run learns who it is, where the others are, and where it may run.

A run is an Indexed Job: Kubernetes gives each of its pods a number, and the host name `<run>-<number>`. With the
headless Service of the job, pods find each other by `<run>-<number>.<service>` (Kubernetes, "Jobs", "Pod-to-Pod
communication with Job"). The run's name is known only once a run is made. Pods read it from their own labels, and
Kubernetes puts it into the variables that refer to it ("Define Dependent Environment Variables"), so that the template
is the same for all runs and no image has to hold anything of ours.

TensorFlow's roles are the exception. Which role a number has cannot be said in that way: the pod finds its role in a
file, which is chosen by its number, and a line of shell makes `TF_CONFIG` of it before the command starts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mlinfra.components.job_data import INDEX, RUN
from mlinfra.components.network_policies import among
from mlinfra.components.workload import selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.job_values import Ranks
    from mlinfra.components.training_job import TrainingJob

JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""The label that Kubernetes puts on a Job's pods: the Job's name, which is the run's."""

TASK: Final = "task"
TASK_FILE: Final = "/etc/mlinfra/task.json"
TF_CLUSTER: Final = "TF_CLUSTER"
"""Where `TF_CONFIG` gets the hosts from, when it is put together in the pod."""

_SET_TF_CONFIG: Final = (
    f'read -r task < {TASK_FILE} || [ -n "$task" ] || exit 1\n'
    f'export TF_CONFIG="{{\\"cluster\\": ${TF_CLUSTER}, \\"task\\": $task}}"\n'
    'exec "$@"'
)
"""`read` tells of a file that does not end with a new line, as these do not, and has read it all the same."""


def variables(job: TrainingJob, ranks: Ranks) -> dict[str, str]:
    """What the ranks' environment says, in terms of the run's name and the pod's number."""
    if ranks.framework == "pytorch":
        return _pytorch(job, ranks)
    cluster: dict[str, list[str]] = {}
    for index, (role, _) in enumerate(ranks.roles):
        cluster.setdefault(role, []).append(f"{_host(job, index)}:{ranks.port}")
    text = json.dumps(cluster)
    if ranks.parameter_servers:
        return {TF_CLUSTER: text}
    return {"TF_CONFIG": f'{{"cluster": {text}, "task": {{"type": "worker", "index": $({INDEX})}}}}'}


def names(job: TrainingJob, ranks: Ranks) -> set[str]:
    """The variables that ranks get, those that are set in the pod included."""
    return {"TF_CONFIG", TF_CLUSTER} if ranks.framework == "tensorflow" else set(_pytorch(job, ranks))


def _pytorch(job: TrainingJob, ranks: Ranks) -> dict[str, str]:
    """`torchrun` takes its options from variables that begin with `PET_` (PyTorch, `torch.distributed.argparse_util`),
    and sets `RANK` and the like anew for each process that it starts."""
    rank, first, port = f"$({INDEX})", _host(job, 0), str(ranks.port)
    return {
        "MASTER_ADDR": first,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(ranks.count),
        "RANK": rank,
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "NODE_RANK": rank,
        "PET_NNODES": str(ranks.count),
        "PET_NODE_RANK": rank,
        "PET_NPROC_PER_NODE": str(max(1, job.gpus)),
        "PET_MASTER_ADDR": first,
        "PET_MASTER_PORT": port,
    }


def _host(job: TrainingJob, index: int) -> str:
    return f"$({RUN})-{index}.{job.identity}"


def tasks(ranks: Ranks) -> list[str]:
    """The contents of `TASK_FILE` for each rank; nothing where no role has to be told."""
    if not ranks.parameter_servers:
        return []
    return [json.dumps({"type": role, "index": index}) for role, index in ranks.roles]


def command(ranks: Ranks, given: list[str]) -> list[str]:
    """The command of a rank, which first sets `TF_CONFIG` where that takes a file."""
    return ["/bin/sh", "-c", _SET_TF_CONFIG, "sh", *given] if ranks.parameter_servers else given


# ------------------------------------------------------------------------------------------------ network, places


def add_service(scope: Scope, ranks: Ranks, namespace: Value) -> Ref:
    """The Service by which ranks find each other, and the opening of a closed network; returns the Service's name.

    Addresses are told before a pod is ready, since ranks wait for each other when they start. NCCL and Gloo choose
    their ports as they like, so that all are open among the job's own pods.
    """
    name = scope.component.identity
    ports = [{"name": "rendezvous", "port": ranks.port, "targetPort": ranks.port, "protocol": "TCP"}]
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector(scope), "ports": ports}
    service = scope.kubernetes("service", "v1", "Service", name, {"spec": spec}, namespace=namespace)
    among(scope, namespace)
    return Ref(service.node, ("metadata", "name"))


def affinity(scope: Scope, ranks: Ranks) -> dict[str, Value]:
    """Ranks of a run in one zone if that can be, and where it is wanted each on a machine of its own.

    Traffic between zones is slower, and AWS charges for it. The selector holds for pods of the same run only, by
    `matchLabelKeys` (Kubernetes, "Assigning Pods to Nodes").
    """
    run = {"labelSelector": {"matchLabels": selector(scope)}, "matchLabelKeys": [JOB_NAME]}
    near = {"weight": 100, "podAffinityTerm": {**run, "topologyKey": "topology.kubernetes.io/zone"}}
    found: dict[str, Value] = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [near]}}
    if ranks.one_per_machine:
        apart = {**run, "topologyKey": "kubernetes.io/hostname"}
        found["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    return found
