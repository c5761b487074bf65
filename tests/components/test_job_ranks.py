"""What each rank of a run reads in its environment, as a kubelet would make it from the template."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.job_values import Ranks
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from mlinfra.graph import Ref
from tests.components import kubelet

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32
RUN = "fit-0123456789"


def ranked(ranks: Ranks | None, **fields: Any) -> Any:
    def declare() -> TrainingJob:
        pool = NodePool("gpu", instance_type="g5.12xlarge", max=8)
        cluster = TrainingCluster("train", pools=[pool])
        return TrainingJob("fit", **{"cluster": cluster, "pool": pool, "image": IMAGE, "ranks": ranks, **fields})

    return declare


def outputs(result: Any) -> dict[str, Any]:
    """What the engine would know of the nodes: their inputs."""
    return {name: {**node.inputs, "id": name} for name, node in result.graph.nodes.items()}


def job_of(result: Any) -> Any:
    """The spec of the Job that runs are made from."""
    return result.inputs("fit/template")["spec"]["jobTemplate"]["spec"]


def config_maps(result: Any) -> dict[str, Any]:
    """The data of the ConfigMaps, by their names."""
    return {node.inputs["metadata"]["name"]: node.inputs["data"] for node in result.graph if "data" in node.inputs}


def pod_of(result: Any, index: int) -> Any:
    """The pod that the Job controller makes for an index."""
    pod = copy.deepcopy(resolve(job_of(result)["template"], outputs(result)))
    pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = RUN
    pod["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
    return pod


def test_pytorch(expanded: Any) -> None:
    result = expanded(
        ranked(Ranks(count=4), gpus=4, env={"NCCL_SOCKET_IFNAME": "eth0", "WHO": "$(RANK)/$(WORLD_SIZE)"})
    )
    for index in range(4):
        found = kubelet.environment(pod_of(result, index))
        assert found == {
            "MLINFRA_RUN": RUN,
            "JOB_COMPLETION_INDEX": str(index),
            "MASTER_ADDR": f"{RUN}-0.fit",
            "MASTER_PORT": "29500",
            "WORLD_SIZE": "4",
            "RANK": str(index),
            "LOCAL_RANK": "0",
            "LOCAL_WORLD_SIZE": "1",
            "NODE_RANK": str(index),
            "PET_NNODES": "4",
            "PET_NODE_RANK": str(index),
            "PET_NPROC_PER_NODE": "4",
            "PET_MASTER_ADDR": f"{RUN}-0.fit",
            "PET_MASTER_PORT": "29500",
            "NCCL_SOCKET_IFNAME": "eth0",
            "WHO": f"{index}/4",
        }


def test_processes_without_gpus_are_one_in_each_pod(expanded: Any) -> None:
    found = kubelet.environment(pod_of(expanded(ranked(Ranks(count=2, port=4711))), 1))
    assert found["PET_NPROC_PER_NODE"] == "1"
    assert found["MASTER_PORT"] == found["PET_MASTER_PORT"] == "4711"


def test_tensorflow_workers(expanded: Any) -> None:
    result = expanded(ranked(Ranks(count=3, framework="tensorflow")))
    for index in range(3):
        config = json.loads(kubelet.environment(pod_of(result, index))["TF_CONFIG"])
        assert config == {
            "cluster": {"worker": [f"{RUN}-{number}.fit:29500" for number in range(3)]},
            "task": {"type": "worker", "index": index},
        }


def told(result: Any, index: int, folder: Path) -> Any:
    """`TF_CONFIG` as the program sees it: the pod's command is run, with the file in its place."""
    pod = pod_of(result, index)
    [(path, text)] = kubelet.files(pod, config_maps(result)).items()
    (folder / "task.json").write_text(text)
    command = [part.replace(path, str(folder / "task.json")) for part in kubelet.command(pod)]
    environment = {"PATH": os.environ["PATH"], **kubelet.environment(pod)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_tensorflow_with_a_chief_and_parameter_servers(expanded: Any, tmp_path: Path) -> None:
    ranks = Ranks(count=5, framework="tensorflow", parameter_servers=2, port=2222)
    result = expanded(
        ranked(ranks, command=["sh", "-c", 'printf %s "$TF_CONFIG"; test "$#" = 2', "program", "a b", "$x"])
    )
    hosts = [f"{RUN}-{number}.fit:2222" for number in range(5)]
    cluster = {"chief": hosts[:1], "worker": hosts[1:3], "ps": hosts[3:]}
    tasks = [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("ps", 1)]
    for index, (role, number) in enumerate(tasks):
        assert told(result, index, tmp_path) == {"cluster": cluster, "task": {"type": role, "index": number}}


def test_a_role_that_is_not_there_ends_the_program(expanded: Any, tmp_path: Path) -> None:
    ranks = Ranks(count=3, framework="tensorflow", parameter_servers=1)
    pod = pod_of(expanded(ranked(ranks, command=["echo", "started"])), 0)
    command = [part.replace("/etc/mlinfra", str(tmp_path)) for part in kubelet.command(pod)]
    for text in (None, ""):
        if text is not None:
            (tmp_path / "task.json").write_text(text)
        done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
        assert done.returncode != 0
        assert done.stdout == ""


def test_the_job_and_where_its_pods_go(expanded: Any) -> None:
    result = expanded(ranked(Ranks(count=4), retries=2))
    spec = job_of(result)
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert spec["backoffLimit"] == 8
    assert "successPolicy" not in spec
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == Ref("fit/service", ("metadata", "name"))
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["matchLabelKeys"] == ["batch.kubernetes.io/job-name"]
    loose = job_of(expanded(ranked(Ranks(count=4, one_per_machine=False))))["template"]["spec"]["affinity"]
    assert set(loose) == {"podAffinity"}


def test_the_chief_decides_when_a_run_has_succeeded(expanded: Any) -> None:
    ranks = Ranks(count=3, framework="tensorflow", parameter_servers=1)
    spec = job_of(expanded(ranked(ranks, command=["train"])))
    assert spec["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}


def test_ranks_find_each_other_before_they_are_ready_and_nobody_else_reaches_them(expanded: Any) -> None:
    result = expanded(ranked(Ranks(count=2)))
    service = result.inputs("fit/service")
    assert service["metadata"]["name"] == "fit"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {"mlinfra.dev/component": "fit"}
    among = result.inputs("fit/among")["spec"]
    same = [{"podSelector": {"matchLabels": {"mlinfra.dev/component": "fit"}}}]
    assert among["ingress"] == [{"from": same}]
    assert among["egress"] == [{"to": same}]


@pytest.mark.parametrize("fields", [{}, {"image": None}])
def test_without_ranks_or_an_image_there_is_no_service(expanded: Any, fields: dict[str, Any]) -> None:
    ranks = Ranks(count=2) if fields else None
    assert "service" not in expanded(ranked(ranks, **fields)).names_of("fit")
