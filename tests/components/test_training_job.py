from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Taint
from mlinfra.graph import Join, Ref

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32


def job(instance_type: str = "g5.12xlarge", **fields: Any) -> TrainingJob:
    pool = NodePool("gpu", instance_type=instance_type, taints=[Taint(key="team", value="a")], labels={"team": "a"})
    cluster = TrainingCluster("train", pools=[pool])
    return TrainingJob("fit", **{"cluster": cluster, "pool": pool, **fields})


def pod(result: Any) -> Any:
    return result.inputs("fit/template")["template"]["spec"]


def test_without_an_image_there_is_the_identity_only(expanded: Any) -> None:
    result = expanded(lambda: job(reads=[Bucket("data")]))
    assert result.names_of("fit") == {"service-account", "role", "policy", "account"}
    assert job().signals() == ()


def test_the_template(expanded: Any) -> None:
    data, models = Bucket("data"), Bucket("models")
    declare = lambda: job(  # noqa: E731
        image=IMAGE,
        gpus=2,
        command=["python", "-m", "train"],
        reads=[data],
        writes=[models],
        priority="high",
        env={"EPOCHS": "3"},
    )
    result = expanded(declare)
    spec = pod(result)
    (container,) = spec["containers"]
    assert container["image"] == IMAGE
    assert container["command"] == ["python", "-m", "train"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert container["resources"]["requests"]["nvidia.com/gpu"] == "2"
    assert "cpu" not in container["resources"]["limits"]
    assert {item["name"]: item["value"] for item in container["env"]} == {
        "DATA_URI": Join(("s3://", Ref("data/bucket"))),
        "MODELS_URI": Join(("s3://", Ref("models/bucket"))),
        "EPOCHS": "3",
    }
    assert spec["nodeSelector"] == {"node.kubernetes.io/instance-type": "g5.12xlarge", "team": "a"}
    assert [taint["key"] for taint in spec["tolerations"]] == ["nvidia.com/gpu", "team"]
    assert spec["priorityClassName"] == Ref("train/priority-training-high", ("metadata", "name"))
    assert spec["serviceAccountName"] == Ref("fit/service-account", ("metadata", "name"))
    assert spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 24 * 3600
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert result.diagnostics == ()


def test_where_there_are_no_instance_types_only_labels_choose(expanded: Any) -> None:
    assert pod(expanded(lambda: job(image=IMAGE), "kubeconfig"))["nodeSelector"] == {"team": "a"}


@pytest.mark.parametrize(
    ("fields", "cpu", "memory"),
    [
        ({}, 1.0, 4.0),
        ({"gpus": 4}, 43.0, 152.0),
        ({"gpus": 1}, 10.8, 38.0),
        ({"gpus": 1, "cpu": 3.5, "memory": 20.5}, 3.5, 20.5),
    ],
)
def test_what_a_run_asks_for(fields: dict[str, Any], cpu: float, memory: float) -> None:
    request = job(**fields).request
    assert (request.cpu, request.memory) == (cpu, memory)


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        (
            {"gpus": 8, "cpu": 1, "memory": 1},
            "placement-too-large",
            "asks for 8 GPUs, more than one machine of pool 'gpu' has",
        ),
        ({"cpu": 48}, "placement-too-large", "asks for 48 cores"),
        ({"memory": 190}, "placement-too-large", "asks for 190 GiB memory"),
        ({"pool": NodePool("other", instance_type="m5.large")}, "placement-other-cluster", "'other'"),
    ],
)
def test_what_can_never_run_is_refused(expanded: Any, fields: dict[str, Any], code: str, says: str) -> None:
    result = expanded(lambda: job(image=IMAGE, **fields))
    assert result.codes == [code]
    assert says in result.diagnostics[0].summary
    assert result.diagnostics[0].component == "fit"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cluster": Bucket("data")}, "cluster is Bucket('data'), not a TrainingCluster"),
        ({"pool": "gpu"}, "pool is a text, not a NodePool"),
        ({"image": "train:latest"}, "'train:latest' is not an image by digest"),
        ({"gpu": 1}, "there is no field 'gpu'"),
        ({"deadline_hours": 0}, "deadline_hours"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: job(**fields)).diagnostics
    assert says in diagnostic.summary
