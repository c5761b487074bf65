"""Runs of training jobs, from the templates that `up` made: what their pods get, read from the pods themselves.

The pods are made by Kubernetes' own Job controller and placed by its scheduler; KWOK plays the machines. What a kubelet
would make of their variables and files is worked out here (`tests.components.kubelet`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.local.kwokctl import HELD
from mlinfra.local.ports import choose
from mlinfra.providers.kubernetes.client import Cluster
from tests.components import kubelet
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STACK = "jobs"
BLUEPRINT = '''
from mlinfra import (
    Blueprint, Bucket, Environment, Image, JobQueue, ModelStore, NodePool, Params, Ranks, Ray, Sweep, TrainingCluster,
    TrainingJob, blueprint,
)

IMAGE = "registry.example.com/team/train@sha256:" + "0" * 64


class JobsParams(Params):
    config: int = 1


@blueprint("jobs", version="1.0.0")
def jobs(env: Environment, p: JobsParams) -> Blueprint:
    """Every form of a training job."""
    models = ModelStore("models", bucket=Bucket("artifacts"))
    scratch = Bucket("scratch")
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=4)
    cpu = NodePool("cpu", instance_type="m6i.2xlarge", max=3)
    cluster = TrainingCluster("train", pools=[gpu, cpu])
    shared = TrainingCluster("shared", pools=[gpu], kueue=True)
    queue = JobQueue("research", cluster=shared, pools=[gpu])
    common = {"image": IMAGE, "command": ["python", "train.py"], "writes": [models]}
    fit = TrainingJob("fit", cluster=cluster, pool=gpu, gpus=4, ranks=Ranks(count=4), checkpoints=scratch,
                      config={"lr": 0.1, "epochs": p.config}, **common)
    four = TrainingJob("four", cluster=cluster, pool=cpu, ranks=Ranks(count=4, one_per_machine=False), **common)
    roles = Ranks(count=4, framework="tensorflow", parameter_servers=1, one_per_machine=False, port=2222)
    deep = TrainingJob("deep", cluster=cluster, pool=cpu, cpu=0.5, memory=1.0, ranks=roles, **common)
    wide = TrainingJob("wide", cluster=cluster, pool=cpu, ranks=Ranks(count=2, framework="tensorflow"), **common)
    grid = TrainingJob("grid", cluster=cluster, pool=cpu, retries=1, **common,
                       sweep=Sweep(parameters={"lr": [0.1, 0.01], "layers": [2, 4]}, parallelism=2))
    later = TrainingJob("later", cluster=shared, pool=gpu, gpus=1, queue=queue, **common)
    ray = Ray(workers=2, head_memory=4)
    tune = TrainingJob("tune", cluster=shared, pool=gpu, gpus=1, queue=queue, ray=ray, **common)
    return Blueprint(fit, four, deep, wide, grid, later, tune)
'''
NAMESPACE, SHARED = "jobs-jobs-train", "jobs-jobs-shared"
INDEX = "batch.kubernetes.io/job-completion-index"
KUEUE = "kueue.x-k8s.io/v1beta1"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def jobs(lab: Lab) -> Lab:
    lab.blueprint("jobs", BLUEPRINT)
    lab.stack(STACK, blueprint="jobs")
    lab.report("up", "--stack", STACK, "--yes")
    return lab


def eventually(ask: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return answer


class Runs:
    """Runs that anybody can make of the templates, each called as `mlinfra run` would call it."""

    def __init__(self, lab: Lab) -> None:
        self.environment = lab.access(STACK)
        self.cluster = Cluster.from_kubeconfig(Path(self.environment["KUBECONFIG"]))
        self.number = 0

    def template(self, job: str, namespace: str = NAMESPACE) -> Any:
        """The Job that runs are made from."""
        found = self.cluster.get("batch/v1", "CronJob", job, namespace)
        assert found
        return found["spec"]["jobTemplate"]

    def make(self, job: str, **annotations: str) -> str:
        """A run of a job: its name. `annotations` are its pods'."""
        self.number += 1
        name = f"{job}-{self.number:010x}"
        template = self.template(job)
        template["spec"]["template"]["metadata"]["annotations"] = annotations
        if HELD in annotations:  # nobody would confirm that such a pod has ended
            template["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
        metadata = {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
        manifest = {**template, "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        self.cluster.request("POST", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", manifest)
        return name

    def job(self, run: str) -> Any:
        """A run as it is."""
        return self.cluster.get("batch/v1", "Job", run, NAMESPACE)

    def every_pod(self, run: str) -> list[Any]:
        """All pods that a run has had."""
        return self.cluster.list("v1", "Pod", NAMESPACE, labels=f"batch.kubernetes.io/job-name={run}")

    def pods(self, run: str, count: int) -> list[Any]:
        """The pods of a run, by their numbers, once each of them was made."""

        def made() -> list[Any] | None:
            found = {int(item["metadata"]["annotations"][INDEX]): item for item in self.every_pod(run)}
            return [found[index] for index in sorted(found)] if len(found) == count else None

        pods = eventually(made)
        assert pods, f"{run} has not come to {count} pods"
        return list(pods)

    def files(self, pod: Any) -> dict[str, str]:
        """What is mounted in a pod."""
        items = self.cluster.list("v1", "ConfigMap", NAMESPACE)
        return kubelet.files(pod, {item["metadata"]["name"]: item.get("data", {}) for item in items})


@pytest.fixture(scope="module")
def runs(jobs: Lab) -> Iterator[Runs]:
    made = Runs(jobs)
    yield made
    made.cluster.close()


def test_up_starts_nothing_and_a_second_one_changes_nothing(jobs: Lab, runs: Runs) -> None:
    for kind in (("batch/v1", "Job"), ("v1", "Pod"), ("ray.io/v1", "RayJob")):
        assert runs.cluster.list(*kind) == []
    assert set(jobs.report("up", "--stack", STACK, "--yes")["counts"]) == {"same"}
    assert jobs.report("refresh", "--stack", STACK)["steps"] == []
    templates = runs.cluster.list("batch/v1", "CronJob")
    assert {item["metadata"]["name"] for item in templates} == {"fit", "four", "deep", "wide", "grid", "later"}
    assert all(item["spec"]["suspend"] for item in templates)


def test_kubectl_makes_a_run_too(runs: Runs) -> None:
    command = ["kubectl", "-n", NAMESPACE, "create", "job", "--from", "cronjob/wide", "wide-by-hand"]
    subprocess.run(command, env=runs.environment, check=True, capture_output=True)
    assert kubelet.environment(runs.pods("wide-by-hand", 2)[1])["MLINFRA_RUN"] == "wide-by-hand"


def test_the_environment_of_four_pytorch_ranks(jobs: Lab, runs: Runs) -> None:
    run = runs.make("fit")
    names = [item["Name"] for item in jobs.client(STACK, "s3").list_buckets()["Buckets"]]
    artifacts, scratch = (next(name for name in names if part in name) for part in ("artifacts", "scratch"))
    pods = runs.pods(run, 4)
    for rank, pod in enumerate(pods):
        assert kubelet.environment(pod) == {
            "MLINFRA_RUN": run,
            "JOB_COMPLETION_INDEX": str(rank),
            "MASTER_ADDR": f"{run}-0.fit",
            "MASTER_PORT": "29500",
            "WORLD_SIZE": "4",
            "RANK": str(rank),
            "LOCAL_RANK": "0",
            "LOCAL_WORLD_SIZE": "1",
            "NODE_RANK": str(rank),
            "PET_NNODES": "4",
            "PET_NODE_RANK": str(rank),
            "PET_NPROC_PER_NODE": "4",
            "PET_MASTER_ADDR": f"{run}-0.fit",
            "PET_MASTER_PORT": "29500",
            "MLINFRA_CONFIG": "/etc/mlinfra/config.json",
            "MLINFRA_ARTIFACTS": f"s3://{artifacts}/models/runs/{run}",
            "MLINFRA_CHECKPOINTS": f"s3://{scratch}/checkpoints/fit/{run}",
            "MODELS_URI": f"s3://{artifacts}/models",
        }
        assert json.loads(runs.files(pod)["/etc/mlinfra/config.json"]) == {"lr": 0.1, "epochs": 1}
        # The name that MASTER_ADDR begins with is the first pod's host name, and the Service is the rest of it.
        assert pod["spec"]["hostname"] == f"{run}-{rank}"
        assert pod["spec"]["subdomain"] == "fit"
    service = runs.cluster.get("v1", "Service", "fit", NAMESPACE)
    assert service
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pods[0]["metadata"]["labels"].items()


def test_each_rank_is_on_a_machine_of_its_own(runs: Runs) -> None:
    run = runs.make("wide")

    def placed() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in runs.pods(run, 2)} - {""}

    machines = eventually(lambda: found if len(found := placed()) == 2 else None)
    assert machines
    assert all(name.startswith("cpu-") for name in machines)


def meet(pods: list[Any], program: list[str], **more: str) -> list[Any]:
    """What a process for each pod tells, started with the pod's variables, the last rank first.

    The first rank's name leads to this machine here, and the port to one that is free; all else is as it is.
    """
    [port] = choose(1)
    here = dict.fromkeys(("MASTER_ADDR", "PET_MASTER_ADDR"), "127.0.0.1")
    there = dict.fromkeys(("MASTER_PORT", "PET_MASTER_PORT"), str(port))
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **more}
    processes = [
        subprocess.Popen(
            program, env={**kept, **kubelet.environment(pod), **here, **there}, stdout=subprocess.PIPE, text=True
        )
        for pod in reversed(pods)
    ]
    try:
        return [json.loads(process.communicate(timeout=240)[0]) for process in reversed(processes)]
    finally:
        for process in processes:
            process.kill()


def names(pods: list[Any]) -> list[str]:
    """What ranks call themselves: their host names."""
    return [str(pod["spec"]["hostname"]) for pod in pods]


def test_four_processes_meet_by_the_variables_of_their_pods(runs: Runs) -> None:
    pods = runs.pods(runs.make("fit"), 4)
    told = meet(pods, [sys.executable, str(HERE / "rendezvous.py")])
    members = {str(rank): name for rank, name in enumerate(names(pods))}
    assert told == [{"rank": str(rank), "members": members} for rank in range(4)]


TORCH = os.environ.get("MLINFRA_TORCH_PYTHON", "")


@pytest.mark.skipif(not TORCH, reason="MLINFRA_TORCH_PYTHON names no Python that has PyTorch")
@pytest.mark.parametrize("launcher", [[], ["-m", "torch.distributed.run"]], ids=["python", "torchrun"])
def test_four_processes_meet_in_pytorch(runs: Runs, launcher: list[str]) -> None:
    pods = runs.pods(runs.make("four"), 4)
    told = meet(pods, [TORCH, *launcher, str(HERE / "rendezvous_torch.py")], GLOO_SOCKET_IFNAME="lo")
    indexes = [[rank, rank] for rank in range(4)]  # PyTorch's rank of each process, and the number of its pod
    assert told == [{"rank": rank, "indexes": indexes, "sum": 6} for rank in range(4)]


def tf_config(runs: Runs, pod: Any, folder: Path) -> Any:
    """What a program finds in TF_CONFIG: the pod's command is run with the pod's file and variables."""
    command = [part.replace("/etc/mlinfra", str(folder)) for part in kubelet.command(pod)]
    for path, text in runs.files(pod).items():
        (folder / Path(path).name).write_text(text)
    program = [*command[: command.index("python")], sys.executable, "-c", "import os; print(os.environ['TF_CONFIG'])"]
    environment = {"PATH": os.environ["PATH"], **kubelet.environment(pod)}
    return json.loads(subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout)


def test_the_environment_of_tensorflow_s_chief_workers_and_parameter_server(runs: Runs, tmp_path: Path) -> None:
    run = runs.make("deep")
    hosts = [f"{run}-{index}.deep:2222" for index in range(4)]
    cluster = {"chief": hosts[:1], "worker": hosts[1:3], "ps": hosts[3:]}
    told = [tf_config(runs, pod, tmp_path) for pod in runs.pods(run, 4)]
    assert told == [
        {"cluster": cluster, "task": {"type": "chief", "index": 0}},
        {"cluster": cluster, "task": {"type": "worker", "index": 0}},
        {"cluster": cluster, "task": {"type": "worker", "index": 1}},
        {"cluster": cluster, "task": {"type": "ps", "index": 0}},
    ]
    assert runs.job(run)["spec"]["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}


def test_the_environment_of_tensorflow_s_workers(runs: Runs) -> None:
    run = runs.make("wide")
    workers = [f"{run}-{index}.wide:29500" for index in range(2)]
    for index, pod in enumerate(runs.pods(run, 2)):
        config = json.loads(kubelet.environment(pod)["TF_CONFIG"])
        assert config == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}


def test_the_pods_of_a_sweep(runs: Runs) -> None:
    run = runs.make("grid")
    spec = runs.job(run)["spec"]
    assert (spec["parallelism"], spec["backoffLimitPerIndex"]) == (2, 1)
    seen = {}
    for index, pod in enumerate(runs.pods(run, 4)):  # KWOK lets each end, so that the others follow
        environment = kubelet.environment(pod)
        assert environment["MLINFRA_ARTIFACTS"].endswith(f"/runs/{run}/{index}")
        seen[index] = json.loads(runs.files(pod)[environment["MLINFRA_SWEEP"]])
    assert seen == {
        0: {"layers": 2, "lr": 0.1},
        1: {"layers": 4, "lr": 0.1},
        2: {"layers": 2, "lr": 0.01},
        3: {"layers": 4, "lr": 0.01},
    }
    assert eventually(lambda: runs.job(run)["status"].get("succeeded") == 4)


def ended(code: int) -> dict[str, Any]:
    """The status of a pod whose program has ended."""
    state = {"terminated": {"exitCode": code, "reason": "Error"}}
    container = {"name": "train", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return {"phase": "Failed", "containerStatuses": [container]}


def test_a_machine_that_is_taken_away_costs_no_attempt_and_a_program_that_fails_does(runs: Runs) -> None:
    run = runs.make("fit", **{HELD: "true"})  # KWOK leaves its pods alone: they neither run nor end

    def end(pod: Any, status: dict[str, Any]) -> None:
        path = runs.cluster.path("v1", "Pod", NAMESPACE, pod["metadata"]["name"])
        patch = "application/merge-patch+json"
        runs.cluster.request("PATCH", f"{path}/status", {"status": status}, content_type=patch)

    def first_rank() -> Any:
        going = [pod for pod in runs.every_pod(run) if pod["status"].get("phase") != "Failed"]
        return next((pod for pod in going if pod["metadata"]["annotations"][INDEX] == "0"), None)

    before = runs.pods(run, 4)[0]
    taken = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    end(before, {**ended(143), "conditions": [taken]})
    after = eventually(first_rank)
    assert after, "no pod took the place of the one whose machine was taken away"
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert not runs.job(run)["status"].get("failed")
    # The same rank, and the same place for checkpoints: it goes on where the other was.
    assert kubelet.environment(after) == kubelet.environment(before)
    end(after, ended(1))
    assert eventually(lambda: runs.job(run)["status"].get("failed") == 1)
    runs.cluster.delete("batch/v1", "Job", run, NAMESPACE)


def test_a_queue_of_kueue_s_has_what_the_pools_have(runs: Runs) -> None:
    queue = runs.cluster.get(KUEUE, "ClusterQueue", "jobs-jobs-research")
    local = runs.cluster.get(KUEUE, "LocalQueue", "research", SHARED)
    assert queue
    assert local
    (group,) = queue["spec"]["resourceGroups"]
    (flavor,) = group["flavors"]
    assert {item["name"]: item["nominalQuota"] for item in flavor["resources"]}["nvidia.com/gpu"] == "16"
    assert local["spec"]["clusterQueue"] == "jobs-jobs-research"
    template = runs.template("later", SHARED)
    assert template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert template["spec"]["suspend"] is True


def test_the_template_of_a_ray_job_is_one_that_the_api_server_takes(runs: Runs) -> None:
    found = runs.cluster.get("v1", "ConfigMap", "tune-template", SHARED)
    assert found
    assert found["metadata"]["labels"]["mlinfra.dev/template"] == "rayjob"
    taken = runs.cluster.apply(json.loads(found["data"]["manifest.json"]), manager="test", dry_run=True)
    assert taken.object["spec"]["suspend"] is True


def test_another_template_leaves_runs_alone_and_a_run_stays_one(jobs: Lab, runs: Runs) -> None:
    def made() -> dict[str, str]:
        items = runs.cluster.list("batch/v1", "Job", NAMESPACE)
        return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}

    before = made()
    assert before
    jobs.stack(STACK, blueprint="jobs", params={"config": 5})
    counts = jobs.report("up", "--stack", STACK, "--yes")["counts"]
    assert counts.get("update") == 1
    assert made() == before


def test_a_destroy_leaves_no_template_and_no_run(jobs: Lab, runs: Runs) -> None:
    assert jobs.report("destroy", "--stack", STACK, "--yes")["succeeded"]
    for kind in (("batch/v1", "CronJob"), ("batch/v1", "Job"), (KUEUE, "ClusterQueue"), (KUEUE, "ResourceFlavor")):
        assert runs.cluster.list(*kind) == []
