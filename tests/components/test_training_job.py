from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.model_store import ModelStore
from mlinfra.components.node_pool import NodePool
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Taint
from mlinfra.graph import Join, Ref, join
from tests.components import kubelet

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32


def job(instance_type: str = "g5.12xlarge", **fields: Any) -> TrainingJob:
    pool = NodePool("gpu", instance_type=instance_type, taints=[Taint(key="team", value="a")], labels={"team": "a"})
    cluster = TrainingCluster("train", pools=[pool])
    return TrainingJob("fit", **{"cluster": cluster, "pool": pool, **fields})


def template(result: Any) -> Any:
    return result.inputs("fit/template")["spec"]["jobTemplate"]


def pod(result: Any) -> Any:
    return template(result)["spec"]["template"]["spec"]


def test_without_an_image_there_is_the_identity_only(expanded: Any) -> None:
    result = expanded(lambda: job(reads=[Bucket("data")], config={"lr": 0.1}))
    assert result.names_of("fit") == {"service-account", "role", "policy", "account", "egress"}
    assert job().signals() == ()


def test_the_template_starts_nothing(expanded: Any) -> None:
    result = expanded(lambda: job(image=IMAGE))
    node = result.node("fit/template")
    assert node.type == "kubernetes:batch/v1:CronJob"
    assert node.inputs["metadata"]["name"] == "fit"
    assert node.inputs["metadata"]["namespace"] == Ref("train/namespace", ("metadata", "name"))
    assert node.inputs["metadata"]["labels"]["mlinfra.dev/component"] == "fit"
    assert node.inputs["spec"]["suspend"] is True
    labels = template(result)["metadata"]["labels"]
    assert labels == template(result)["spec"]["template"]["metadata"]["labels"]
    assert labels["mlinfra.dev/component"] == "fit"
    assert "mlinfra.dev/blueprint-version" not in labels  # another version is not another run


def test_the_pod(expanded: Any) -> None:
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
    assert kubelet.written(container) == {
        "MLINFRA_RUN": None,
        "DATA_URI": Join(("s3://", Ref("data/bucket"))),
        "MODELS_URI": Join(("s3://", Ref("models/bucket"))),
        "MLINFRA_ARTIFACTS": Join((Join(("s3://", Ref("models/bucket"))), "/runs/$(MLINFRA_RUN)")),
        "EPOCHS": "3",
    }
    assert container["env"][0]["valueFrom"] == {
        "fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}
    }
    assert spec["nodeSelector"] == {"node.kubernetes.io/instance-type": "g5.12xlarge", "team": "a"}
    assert [taint["key"] for taint in spec["tolerations"]] == ["nvidia.com/gpu", "team"]
    assert spec["priorityClassName"] == Ref("train/priority-training-high", ("metadata", "name"))
    assert spec["serviceAccountName"] == Ref("fit/service-account", ("metadata", "name"))
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert "activeDeadlineSeconds" not in spec  # the Job's counts all attempts together
    assert result.diagnostics == ()


def test_the_job(expanded: Any) -> None:
    result = expanded(lambda: job(image=IMAGE, retries=4, fatal_exit_codes=[44, 42], deadline_hours=3, keep_days=2))
    spec = template(result)["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 4)
    assert spec["activeDeadlineSeconds"] == 3 * 3600
    assert spec["ttlSecondsAfterFinished"] == 2 * 86_400
    ignored, fatal = spec["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert fatal["action"] == "FailJob"
    assert fatal["onExitCodes"]["values"] == [42, 44]
    assert "suspend" not in spec


def test_a_machine_that_is_taken_away_is_no_failure_of_any_job(expanded: Any) -> None:
    (only,) = template(expanded(lambda: job(image=IMAGE)))["spec"]["podFailurePolicy"]["rules"]
    assert only["action"] == "Ignore"


def test_the_config_is_a_file(expanded: Any) -> None:
    result = expanded(lambda: job(image=IMAGE, config={"model": {"layers": 4}, "lr": 0.1, "note": "größer"}))
    config = result.inputs("fit/config")
    assert config["metadata"]["name"] == "fit-config"
    assert json.loads(config["data"]["config.json"]) == {"lr": 0.1, "model": {"layers": 4}, "note": "größer"}
    spec = pod(result)
    assert {"name": "config", "configMap": {"name": Ref("fit/config", ("metadata", "name"))}} in spec["volumes"]
    (container,) = spec["containers"]
    mount = {"name": "config", "mountPath": "/etc/mlinfra/config.json", "subPath": "config.json", "readOnly": True}
    assert mount in container["volumeMounts"]
    assert {"name": "MLINFRA_CONFIG", "value": "/etc/mlinfra/config.json"} in container["env"]


def test_alerts_say_one_hour_and_many() -> None:
    said = [job(image=IMAGE, deadline_hours=hours).signals()[1].summary.partition("tenths of ")[2] for hours in (1, 24)]
    assert said == ["its 1 hour", "its 24 hours"]


def test_results_go_to_the_first_bucket_that_is_written(expanded: Any) -> None:
    def declare() -> TrainingJob:
        database = Database("features")
        models = ModelStore("models", bucket=Bucket("artifacts"))
        return job(image=IMAGE, writes=[database, models])

    env = kubelet.written(pod(expanded(declare))["containers"][0])
    (bucket, place), folder = env["MLINFRA_ARTIFACTS"].parts[0].parts, env["MLINFRA_ARTIFACTS"].parts[1]
    assert bucket == Join(("s3://", Ref("artifacts/bucket")))
    assert (place, folder) == ("/models", "/runs/$(MLINFRA_RUN)")


def test_checkpoints_are_a_run_s_own_and_nothing_else_is_to_be_had_of_their_bucket(expanded: Any) -> None:
    result = expanded(lambda: job(image=IMAGE, checkpoints=Bucket("scratch")))
    spec = pod(result)
    env = kubelet.written(spec["containers"][0])
    uri = join(join(join("s3://", Ref("scratch/bucket")), "/checkpoints/fit"), "/$(MLINFRA_RUN)")
    assert env["MLINFRA_CHECKPOINTS"] == uri
    assert "SCRATCH_URI" not in env
    assert spec["terminationGracePeriodSeconds"] == 90
    statements = result.inputs("fit/policy")["policy"].value["Statement"]
    resources = [resource for statement in statements for resource in statement["Resource"]]
    assert {part.parts[-1] for part in resources if isinstance(part, Join)} == {"/checkpoints/fit/*"}
    actions = {action for statement in statements for action in statement["Action"]}
    assert {"s3:GetObject", "s3:PutObject"} <= actions
    assert not any("Delete" in action for action in actions)
    conditions = [statement.get("Condition") for statement in statements if "s3:ListBucket" in statement["Action"]]
    assert conditions == [{"StringLike": {"s3:prefix": ["checkpoints/fit/*"]}}]


def test_personal_data_does_not_flow_into_checkpoints_that_are_not_for_it(expanded: Any) -> None:
    def declare() -> TrainingJob:
        people = Bucket("people", classification="pii", expire_days=30)
        return job(image=IMAGE, reads=[people], checkpoints=Bucket("scratch"))

    result = expanded(declare)
    assert result.codes == ["personal-data-flow"]
    assert "Bucket('scratch')" in result.diagnostics[0].summary


def test_where_there_are_no_instance_types_only_labels_choose(expanded: Any) -> None:
    assert pod(expanded(lambda: job(image=IMAGE), "kubeconfig"))["nodeSelector"] == {"team": "a"}


def test_a_team_s_job_runs_in_its_namespace(expanded: Any) -> None:
    def declare() -> TrainingJob:
        pool = NodePool("gpu", instance_type="g5.12xlarge")
        cluster = TrainingCluster("train", pools=[pool])
        team = Team("search", cluster=cluster, developers=["search-devs"])
        return TrainingJob("fit", cluster=team, pool=pool, image=IMAGE)

    result = expanded(declare)
    assert result.diagnostics == ()
    assert result.inputs("fit/template")["metadata"]["namespace"] == Ref("search/namespace", ("metadata", "name"))
    assert pod(result)["priorityClassName"] == Ref("train/priority-training-low", ("metadata", "name"))


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
        ({"env": {"MLINFRA_RUN": "x"}}, "env: MLINFRA_RUN cannot be set"),
        ({"env": {"MLINFRA_ANYTHING": "x"}}, "env: MLINFRA_ANYTHING cannot be set"),
        ({"config": {"lr": float("inf")}}, "config"),
        ({"config": {"when": object()}}, "config.when is of the type object"),
        ({"config": {"text": "x" * 1024 * 1024}}, "more than 1 MiB"),
        ({"fatal_exit_codes": [0]}, "fatal_exit_codes"),
        ({"fatal_exit_codes": [256]}, "fatal_exit_codes"),
        ({"checkpoints": "s3://data"}, "checkpoints is a text, not a Bucket"),
        ({"keep_days": -1}, "keep_days"),
        ({"retries": 101}, "retries"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: job(**fields)).diagnostics
    assert says in diagnostic.summary
