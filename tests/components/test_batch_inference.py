from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.batch_inference import BatchInference
from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint_model import BucketModel
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.graph import Join, Ref
from tests.components import kubelet

IMAGE = "registry.example.com/score@sha256:" + "ab" * 32


def batch(**fields: Any) -> BatchInference:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[pool])
    given = {"cluster": cluster, "pool": pool, "image": IMAGE, "inputs": Bucket("clicks"), "outputs": Bucket("scores")}
    return BatchInference("score", **{**given, **fields})


def stored() -> StoredModel:
    return StoredModel(store=ModelStore("models", bucket=Bucket("artifacts")), name="ranker", version="3")


def template(result: Any) -> Any:
    return result.inputs("score/template")["spec"]


def container(result: Any) -> Any:
    (only,) = template(result)["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return only


def test_a_run_that_is_due_is_made_by_kubernetes(expanded: Any) -> None:
    spec = template(expanded(lambda: batch(schedule="30 2 * * *", time_zone="Europe/Berlin", start_minutes=20)))
    assert {key: spec[key] for key in ("schedule", "timeZone", "suspend", "concurrencyPolicy")} == {
        "schedule": "30 2 * * *",
        "timeZone": "Europe/Berlin",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
    }
    assert spec["startingDeadlineSeconds"] == 1200


def test_without_a_schedule_there_are_only_runs_that_people_ask_for(expanded: Any) -> None:
    spec = template(expanded(batch))
    assert spec["suspend"] is True
    assert "concurrencyPolicy" not in spec
    assert [signal.name for signal in batch().signals()] == ["Failed", "NearDeadline"]


def test_what_a_program_finds(expanded: Any) -> None:
    result = expanded(lambda: batch(model=stored(), config={"size": 512}, env={"LOG": "info"}))
    env = kubelet.written(container(result))
    clicks, scores = (Join(("s3://", Ref(f"{name}/bucket"))) for name in ("clicks", "scores"))
    assert env["MLINFRA_INPUT"] == clicks
    assert env["MLINFRA_ARTIFACTS"] == Join((scores, "/runs/$(MLINFRA_RUN)"))
    assert (env["MLINFRA_SHARD"], env["MLINFRA_SHARDS"]) == ("0", "1")
    assert env["MODEL_VERSION"] == "3"
    assert env["LOG"] == "info"
    assert env["MODEL_URI"].parts[-1] == "/models/ranker/3"
    assert env["MLINFRA_CONFIG"] == "/etc/mlinfra/config.json"
    assert result.inputs("score")["release"] == {
        "image": IMAGE,
        "model": {"store": "models", "name": "ranker", "version": "3"},
        "config": {"size": 512},
        "env": {"LOG": "info"},
    }
    assert result.diagnostics == ()


def test_it_reads_its_model_and_its_inputs_and_writes_its_outputs(expanded: Any) -> None:
    result = expanded(lambda: batch(model=stored()))
    statements = result.inputs("score/policy")["policy"].value["Statement"]
    reads = [item for item in statements if "s3:GetObject" in item["Action"]]
    writes = [item for item in statements if "s3:PutObject" in item["Action"]]
    assert [item["Resource"] for item in reads] == [
        [Join((Ref("clicks/bucket", ("arn",)), "/*"))],
        [Join((Ref("artifacts/bucket", ("arn",)), "/models/ranker/3/*"))],
    ]
    assert [item["Resource"] for item in writes] == [[Join((Ref("scores/bucket", ("arn",)), "/*"))]]


def test_shards_are_pods_with_numbers_and_folders_of_their_own(expanded: Any) -> None:
    result = expanded(lambda: batch(shards=8, parallelism=3, retries=1))
    spec = template(result)["jobTemplate"]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 8, 3)
    assert spec["backoffLimitPerIndex"] == 1
    env = kubelet.written(container(result))
    assert env["MLINFRA_ARTIFACTS"].parts[-1] == "/runs/$(MLINFRA_RUN)/$(JOB_COMPLETION_INDEX)"
    assert (env["MLINFRA_SHARD"], env["MLINFRA_SHARDS"]) == ("$(JOB_COMPLETION_INDEX)", "8")
    order = [item["name"] for item in container(result)["env"]]
    assert order.index("JOB_COMPLETION_INDEX") < order.index("MLINFRA_SHARD")


@pytest.mark.parametrize("fields", [{"image": None}, {"model": {"path": None}}], ids=["image", "model"])
def test_what_is_not_there_yet_is_waited_for(expanded: Any, fields: dict[str, Any]) -> None:
    def declare() -> BatchInference:
        model = {"model": BucketModel(bucket=Bucket("models"), path=None)} if "model" in fields else fields
        return batch(**model, schedule="@daily")

    result = expanded(declare)
    assert "template" not in result.names_of("score")
    assert "service-account" in result.names_of("score")
    assert "release" not in result.inputs("score")
    assert declare().signals() == ()


def test_alerts() -> None:
    failed, near, late = batch(schedule="@hourly", deadline_hours=2).signals()
    assert failed.summary == "A run of batch inference score failed"
    assert near.summary.endswith("nine tenths of its 2 hours")
    assert late.name == "Late"
    assert late.expression == 'max(time() - kube_cronjob_next_schedule_time{cronjob="score"}) > 300'


WRONG = {
    "schedule": ({"schedule": "61 * * * *"}, "61 is no minute: it goes from 0 to 59"),
    "time zone": ({"time_zone": "Europe/Berlin"}, "schedule: without one nothing is ever due"),
    "inputs": ({"inputs": Database("features")}, "is no folder of objects; a Bucket is, and a Dataset"),
    "outputs": ({"outputs": Database("features")}, "is no folder of objects"),
    "env": ({"env": {"MODEL_URI": "x"}}, "MODEL_URI cannot be set"),
    "ours": ({"env": {"MLINFRA_RUN": "x"}}, "MLINFRA_RUN cannot be set"),
    "shards": ({"shards": 1001}, "less than or equal to 1000"),
}


@pytest.mark.parametrize(("fields", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        batch(**fields)


def test_a_dataset_is_read_alone(expanded: Any) -> None:
    result = expanded(lambda: batch(inputs=Dataset("views", bucket=Bucket("events"))))
    assert kubelet.written(container(result))["MLINFRA_INPUT"].parts[-1] == "/datasets/views"


def test_personal_data_stays_where_it_is_marked(expanded: Any) -> None:
    result = expanded(lambda: batch(inputs=Bucket("people", classification="pii", expire_days=30)))
    assert "personal-data-flow" in result.codes


def test_it_has_to_fit_its_pool(expanded: Any) -> None:
    assert expanded(lambda: batch(cpu=64)).codes == ["placement-too-large"]
