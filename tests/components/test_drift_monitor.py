from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.drift_monitor import DriftMonitor
from mlinfra.components.drift_values import Fairness, Retrain
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import RegisteredModel
from mlinfra.components.job_values import Ray
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Route
from mlinfra.functions import resolve
from mlinfra.graph import Document, Ref

IMAGE = "registry.example.com/drift@sha256:" + "ab" * 32
ALWAYS = {"service-account", "role", "policy", "egress"}
RUNNING = ALWAYS | {"config", "template"}


def monitor(*, version: str | None = "3", endpoint: dict[str, Any] | None = None, **fields: Any) -> DriftMonitor:
    cluster = TrainingCluster("train", pools=[NodePool("cpu", instance_type="m6i.xlarge", max=2)])
    models = ModelStore("models", bucket=Bucket("artifacts"))
    model = StoredModel(store=models, name="ranker", version=version)
    given = {"cluster": cluster, "image": IMAGE, "model": model, "log_requests": Bucket("logs"), **(endpoint or {})}
    return DriftMonitor("drift", endpoint=Endpoint("api", **given), **{"image": IMAGE, **fields})


def retraining(**job: Any) -> DriftMonitor:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=2)
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", **{"cluster": cluster, "pool": pool, "image": IMAGE, **job})
    return monitor(endpoint={"cluster": cluster}, retrain=Retrain(job=fit, days=7))


def watched(declare: Any = monitor) -> Monitoring:
    drift = declare()
    route = Route(critical="pagerduty:recsys", warning="slack:#recsys")  # type: ignore[arg-type]  # read as texts
    fields = {"watches": [drift.endpoint, drift], "route": route, "alertmanager": "alerts.ops.svc:9093"}
    return Monitoring("watch", cluster=drift.cluster, **fields)


def settings(result: Any) -> dict[str, Any]:
    text = result.inputs("drift/config")["data"]["config.json"]
    assert isinstance(text, Document)
    found: dict[str, Any] = text.value
    return found


def pod(result: Any) -> Any:
    return result.inputs("drift/template")["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def statements(result: Any) -> list[Any]:
    found: list[Any] = result.inputs("drift/policy")["policy"].value["Statement"]
    return found


# ---------------------------------------------------------------------------------------- what it comes to


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, RUNNING),
        ({"image": None}, ALWAYS),
        ({"version": None}, ALWAYS),
        ({"endpoint": {"image": None}}, ALWAYS),
        ({"endpoint": {"model": None}, "profile": "s3://profiles/a.json"}, RUNNING),
    ],
)
def test_what_a_monitor_comes_to(expanded: Any, fields: dict[str, Any], names: set[str]) -> None:
    result = expanded(lambda: monitor(**fields))
    assert set(result.codes) <= {"endpoint-waits"}
    assert result.names_of("drift") - {"identity", "account"} == names
    assert bool(monitor(**fields).signals()) == (names == RUNNING)


def test_it_runs_by_itself_and_one_at_a_time(expanded: Any) -> None:
    result = expanded(lambda: monitor(schedule="0 3 * * *", time_zone="Europe/Berlin", deadline_minutes=5))
    spec = result.inputs("drift/template")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 3 * * *", "Europe/Berlin", False)
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (300, 2)
    assert result.inputs("drift/template")["metadata"]["labels"]["mlinfra.dev/component"] == "drift"


def test_the_pod_meets_the_restricted_standard(expanded: Any) -> None:
    """Kubernetes, "Pod Security Standards", level restricted, control by control."""
    spec = pod(expanded(monitor))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]} == {"emptyDir", "configMap"}


def test_the_program_is_told_where_to_look(expanded: Any) -> None:
    result = expanded(lambda: watched(lambda: monitor(fairness=Fairness(groups=["country"]))))
    env = {item["name"]: item.get("value") for item in pod(result)["containers"][0]["env"]}
    outputs = {"logs/bucket": {"id": "the-logs"}, "artifacts/bucket": {"id": "the-models"}}
    assert resolve(env["REQUEST_LOG_URI"], outputs) == "s3://the-logs/requests"
    assert resolve(env["PROFILE_URI"], outputs) == "s3://the-models/models/ranker/3/profile.json"
    assert env["MLINFRA_CONFIG"] == "/etc/mlinfra/config.json"
    assert pod(result)["containers"][0]["command"] == ["python", "-m", "mlinfra.serving.drift"]


def test_the_program_takes_what_it_is_told(expanded: Any, tmp_path: Path) -> None:
    from mlinfra.serving.drift.settings import Settings

    fairness = Fairness(groups=["country"], favourable_labels=["yes"], min_rows=50)
    result = expanded(lambda: watched(lambda: monitor(hours=48, threshold=0.3, fairness=fairness)))
    known = {"watch/pushgateway-service": {"metadata": {"name": "watch-pushgateway"}}}
    known |= {"train/namespace": {"metadata": {"name": "ns"}}}
    (tmp_path / "config.json").write_text(resolve(Document(settings(result)), known))
    found = Settings.read(
        tmp_path / "config.json", {"REQUEST_LOG_URI": "s3://logs/requests", "PROFILE_URI": "s3://models/p.json"}
    )
    assert (found.requests, found.profile) == ("s3://logs/requests/api", "s3://models/p.json")
    assert (found.component, found.monitor, found.hours, found.threshold) == ("api", "drift", 48, 0.3)
    assert found.pushgateway == "http://watch-pushgateway.ns.svc:9091"
    assert found.fairness is not None
    assert (found.fairness.groups, found.fairness.favourable_labels) == (("country",), ("yes",))
    assert found.retrain is None


def test_it_reads_the_log_and_the_profile_and_nothing_else(expanded: Any) -> None:
    result = expanded(monitor)
    found = statements(result)
    outputs = {"logs/bucket": {"arn": "arn:aws:s3:::logs"}, "artifacts/bucket": {"arn": "arn:aws:s3:::models"}}
    allowed = {
        (action, resolve(resource, outputs), json.dumps(item.get("Condition", {})))
        for item in found
        for action in item["Action"]
        for resource in item["Resource"]
    }
    listed = json.dumps({"StringLike": {"s3:prefix": ["requests/api/*"]}})
    assert allowed == {
        ("s3:GetObject", "arn:aws:s3:::logs/requests/api/*", "{}"),
        ("s3:ListBucket", "arn:aws:s3:::logs", listed),
        ("s3:GetObject", "arn:aws:s3:::models/models/ranker/3/profile.json", "{}"),
    }


def test_what_is_encrypted_with_a_key_can_be_read(expanded: Any) -> None:
    logs = lambda: Bucket("logs", classification="confidential")  # noqa: E731
    found = statements(expanded(lambda: monitor(endpoint={"log_requests": logs()})))
    assert [item["Resource"] for item in found if "kms:Decrypt" in item["Action"]] == [[Ref("logs/key", ("arn",))]]


def test_values_of_personal_data_do_not_reach_the_programs_log(expanded: Any) -> None:
    logs = lambda: Bucket("logs", classification="pii", expire_days=30)  # noqa: E731
    result = expanded(lambda: monitor(endpoint={"log_requests": logs()}))
    assert settings(result)["tell_values"] is False
    assert settings(expanded(monitor))["tell_values"] is True


def test_a_profile_elsewhere_is_read_alone(expanded: Any) -> None:
    found = statements(expanded(lambda: monitor(profile="s3://others/profiles/a.json")))
    assert ["arn:aws:s3:::others/profiles/a.json"] in [item["Resource"] for item in found]
    beside = statements(expanded(lambda: monitor(endpoint={"model": "s3://others/ranker/41"})))
    assert ["arn:aws:s3:::others/ranker/41/profile.json"] in [item["Resource"] for item in beside]


# ---------------------------------------------------------------------------------------- training anew


def test_a_run_of_the_training_job_takes_a_narrow_role(expanded: Any) -> None:
    result = expanded(retraining)
    assert result.codes == []
    template = Ref("fit/template", ("metadata", "name"))
    assert result.inputs("drift/retrain")["rules"] == [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "resourceNames": [template], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    assert settings(result)["retrain"] == {"cron_job": template, "days": 7}
    assert pod(result)["automountServiceAccountToken"] is True


def test_a_job_without_a_template_is_not_run_yet(expanded: Any) -> None:
    result = expanded(lambda: retraining(image=None))
    assert "retrain" not in result.names_of("drift")
    assert "retrain" not in settings(result)


# ---------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("fields", "hours"),
    [
        ({}, 24),
        ({"schedule": "@hourly"}, 24),
        ({"schedule": "0 3 * * *"}, 48),
        ({"schedule": "0 3 * * 1-5"}, 144),
        ({"schedule": "0 0 15 * *"}, 1488),
        ({"schedule": "0 0 1 */2 *"}, 2160),  # as far as it goes
        ({"schedule": "0 3 * * *", "stale_hours": 25}, 25),
        ({"stale_hours": 7}, 7),
    ],
)
def test_a_comparison_is_missed_when_the_next_one_would_be_late(fields: dict[str, Any], hours: int) -> None:
    made = monitor(**fields)
    assert made.stale_after == hours
    (stale,) = [signal for signal in made.signals() if signal.name == "NotCompared"]
    assert stale.summary.endswith(f"for {hours} hours")
    assert stale.minutes == hours * 30


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stale_hours": 6}, "stale_hours is 6, and schedule '15 */6 * * *' leaves up to 6 hours between two compar"),
        ({"stale_hours": 6}, "stale_hours=12 lets one of them fail"),
        ({"stale_hours": 24, "schedule": "@daily"}, "leaves up to 24 hours .* stale_hours=48"),
        ({"stale_hours": 48, "schedule": "0 9-17 * * 1-5"}, "leaves up to 64 hours .* stale_hours=128"),
        ({"schedule": "@yearly"}, "stale_hours is 2160, .* up to 8784 hours .* let it compare more often"),
    ],
)
def test_an_alert_that_would_always_fire(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: monitor(**fields)).diagnostics
    assert re.search(says.replace("*/6 * * *", r"\*/6 \* \* \*"), diagnostic.summary), diagnostic.summary


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"endpoint": {"log_requests": None}}, "does not log its requests, so there is nothing to compare"),
        ({"schedule": "61 * * * *"}, "61 is no minute"),
        ({"threshold": 0.0}, "greater than 0"),
        ({"profile": "s3://bucket/*"}, "profile"),
        ({"max_rows": 1000, "min_rows": 5000}, "max_rows is 1000, fewer than min_rows, 5000"),
        ({"fairness": {"groups": []}}, "groups"),
        ({"fairness": {"groups": ["a", "a"]}}, "groups: a is named more than once"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: monitor(**fields)).diagnostics
    assert says in diagnostic.summary


def test_a_job_elsewhere_and_one_on_ray_cannot_be_run(expanded: Any) -> None:
    def elsewhere() -> DriftMonitor:
        pool = NodePool("cpu", instance_type="m6i.xlarge")
        other = TrainingCluster("other", pools=[pool])
        return monitor(retrain=Retrain(job=TrainingJob("fit", cluster=other, pool=pool, image=IMAGE)))

    (diagnostic,) = expanded(elsewhere).diagnostics
    assert "a pod makes Jobs in its own namespace alone" in diagnostic.summary
    with pytest.raises(ValueError, match="runs on Ray"):
        retraining(ray=Ray(workers=2), command=["python", "fit.py"])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (None, "api names no model"),
        ("models:/ranker/3", "the model of api is in a registry"),
        (RegisteredModel(server="http://mlflow:5000", name="ranker", version="3"), "in a registry"),
    ],
)
def test_a_profile_that_nobody_finds(expanded: Any, model: Any, says: str) -> None:
    (diagnostic,) = expanded(lambda: monitor(endpoint={"model": model})).diagnostics
    assert diagnostic.code == "drift-no-profile"
    assert says in diagnostic.summary
    assert expanded(lambda: monitor(endpoint={"model": model}, profile="s3://bucket/p.json")).codes == []
