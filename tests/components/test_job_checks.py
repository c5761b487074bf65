"""What is wrong with a training job is said before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import Ranks, Ray, Sweep
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32
SWEEP = Sweep(parameters={"lr": [0.1, 0.2]})


def declared(*, kueue: bool = False, spot: bool = False, machines: int = 2, **fields: Any) -> TrainingJob:
    """A job on GPU machines, of which there are two, in a cluster that has CPU machines, too."""
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=machines, spot=spot)
    cpu = NodePool("cpu", instance_type="m6i.xlarge")
    cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=kueue)
    places = {"gpu": gpu, "cpu": cpu, "cluster": cluster}
    made = {key: value(places) if callable(value) else value for key, value in fields.items()}
    return TrainingJob("fit", **{"cluster": cluster, "pool": gpu, "image": IMAGE, **made})


def queue(*pools: str) -> Callable[[Any], JobQueue]:
    return lambda places: JobQueue("jobs", cluster=places["cluster"], pools=[places[name] for name in pools])


def elsewhere(_: Any) -> JobQueue:
    pool = NodePool("other", instance_type="m6i.xlarge")
    return JobQueue("jobs", cluster=TrainingCluster("far", pools=[pool], kueue=True), pools=[pool])


EXCLUDED = "exclude each other"
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "sweep with ranks": ({"sweep": SWEEP, "ranks": Ranks(count=2)}, f"ranks and sweep {EXCLUDED}"),
    "ray with ranks": ({"ray": Ray(workers=2), "ranks": Ranks(count=2)}, f"ranks and ray {EXCLUDED}"),
    "ray with a sweep": ({"ray": Ray(workers=2), "sweep": SWEEP}, f"sweep and ray {EXCLUDED}"),
    "ray without a command": ({"ray": Ray(workers=2)}, "command: the head of the Ray cluster runs it"),
    "ray with exit codes": (
        {"ray": Ray(workers=2), "command": ["x"], "fatal_exit_codes": [3]},
        "does not look at exit",
    ),
    "parameter servers without a command": (
        {"ranks": Ranks(count=3, framework="tensorflow", parameter_servers=1)},
        "command: TF_CONFIG is set just before it starts",
    ),
    "a reserved name": ({"ranks": Ranks(count=2), "env": {"RANK": "1"}}, "env: RANK cannot be set"),
    "several reserved names": (
        {"ranks": Ranks(count=2), "env": {"WORLD_SIZE": "1", "MASTER_ADDR": "a", "PET_NNODES": "2"}},
        "env: MASTER_ADDR and PET_NNODES and WORLD_SIZE cannot be set",
    ),
    "TensorFlow's name": (
        {"ranks": Ranks(count=2, framework="tensorflow"), "env": {"TF_CONFIG": "{}"}},
        "env: TF_CONFIG cannot be set",
    ),
    "the index": ({"sweep": SWEEP, "env": {"JOB_COMPLETION_INDEX": "1"}}, "env: JOB_COMPLETION_INDEX cannot be set"),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_fields_that_do_not_go_together(expanded: Any, case: tuple[dict[str, Any], str]) -> None:
    fields, says = case
    (diagnostic,) = expanded(lambda: declared(**fields)).diagnostics
    assert says in f"{diagnostic.summary} {diagnostic.detail}"
    assert diagnostic.component == "fit"


def test_names_that_another_form_sets_are_free() -> None:
    assert declared(env={"RANK": "0", "TF_CONFIG": "{}", "MASTER_ADDR": "localhost"}).env
    assert declared(ranks=Ranks(count=2), env={"PET_MAX_RESTARTS": "3", "NCCL_DEBUG": "INFO"}).env


PROBLEMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a GPU job on a CPU pool": (
        {"pool": lambda places: places["cpu"], "gpus": 1},
        "placement-too-large",
        "asks for 1 GPU, more than one machine of pool 'cpu' has",
    ),
    "more ranks than machines": (
        {"ranks": Ranks(count=3), "gpus": 1},
        "placement-too-many",
        "fit has 3 ranks, one for each machine: pool 'gpu' has 2 machines at most, and they need 3",
    ),
    "more ranks than the one machine": (
        {"machines": 1, "ranks": Ranks(count=2), "gpus": 1},
        "placement-too-many",
        "pool 'gpu' has 1 machine at most, and they need 2",
    ),
    "more ranks than fit": (
        {"ranks": Ranks(count=9, one_per_machine=False), "gpus": 1},
        "placement-too-many",
        "fit has 9 ranks, 4 on each machine: pool 'gpu' has 2 machines at most, and they need 3",
    ),
    "more workers than fit": (
        {"ray": Ray(workers=3), "command": ["x"], "gpus": 4},
        "placement-too-many",
        "fit has 3 workers, one for each machine",
    ),
    "a head that fits no machine": (
        {"ray": Ray(workers=1, head_memory=500), "command": ["x"]},
        "placement-too-large",
        "asks for 500 GiB memory",
    ),
    "a head on machines of another cluster": (
        {"ray": Ray(workers=1, head_pool=NodePool("far", instance_type="m6i.4xlarge")), "command": ["x"]},
        "placement-other-cluster",
        "'far'",
    ),
    "too slow for spot": (
        {"spot": True, "grace_seconds": 111},
        "grace-too-long",
        "fit takes 111 s to end, and runs on spot machines",
    ),
    "no queue in a queued cluster": (
        {"kueue": True},
        "job-without-queue",
        "fit names no queue, and cluster 'train' has Kueue",
    ),
    "a queue in a cluster without": (
        {"queue": queue("gpu")},
        "queue-without-kueue",
        "jobs is a queue of cluster 'train', which does not say that it has Kueue",
    ),
    "a queue of another cluster": (
        {"kueue": True, "queue": elsewhere, "pool": lambda places: places["gpu"]},
        "queue-other-cluster",
        "fit runs in 'train', which queue 'jobs' is not for",
    ),
    "a queue for other machines": (
        {"kueue": True, "queue": queue("cpu")},
        "queue-other-pool",
        "fit runs on pool 'gpu', which queue 'jobs' does not give out",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS.values(), ids=PROBLEMS)
def test_what_could_never_run(expanded: Any, case: tuple[dict[str, Any], str, str]) -> None:
    fields, code, says = case
    result = expanded(lambda: declared(**fields))
    found = {item.code: item for item in result.diagnostics}
    assert code in found
    assert says in found[code].summary
    assert found[code].remedy
    assert set(found) <= {code, "queue-other-pool"}


@pytest.mark.parametrize(
    "fields",
    [
        {"ranks": Ranks(count=2), "gpus": 4},
        {"ranks": Ranks(count=8, one_per_machine=False), "gpus": 1},
        {"sweep": Sweep(parameters={"lr": list(range(50))}, parallelism=50), "gpus": 4},  # those without room wait
        {"spot": True, "grace_seconds": 110},
        {"spot": True, "checkpoints": lambda _: Bucket("scratch")},
        {"grace_seconds": 3600},
        {"kueue": True, "queue": queue("gpu"), "ranks": Ranks(count=2)},
        {"ray": Ray(workers=2, head_pool=None), "command": ["python", "tune.py"], "gpus": 2},
    ],
)
def test_what_can_run(expanded: Any, fields: dict[str, Any]) -> None:
    assert expanded(lambda: declared(**fields)).diagnostics == ()
