"""Each runtime as pods of it: what is run, asked and measured, at the level `restricted`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import BucketModel
from mlinfra.components.endpoint_runtimes import CONTRACT, RUNTIMES, RuntimeName
from mlinfra.components.endpoint_values import GatewayAddress, HelperImages, WarmUp, WorkingHours
from mlinfra.components.node_pool import NodePool
from mlinfra.components.rollout_values import Shadow, Variant
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image
from mlinfra.tiers import Tier
from tests.monitoring.programs import run

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
NAMES = list(RUNTIMES)
INFER = "/v2/models/api/infer"


def endpoint(runtime: RuntimeName, **fields: Any) -> Endpoint:
    pool = NodePool("gpu", instance_type="g5.12xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    model = BucketModel(bucket=Bucket("models"), path="ranker/41")
    gpus: dict[str, Any] = {"pool": pool, "gpus": 2} if runtime == "vllm" else {}
    return Endpoint("api", cluster=cluster, runtime=runtime, model=model, **gpus, **fields)


def template(result: Any) -> Any:
    return result.inputs("api/deployment")["spec"]["template"]


def containers(result: Any) -> dict[str, Any]:
    spec = template(result)["spec"]
    return {item["name"]: item for item in (*spec["initContainers"], *spec["containers"])}


@pytest.mark.parametrize(
    ("runtime", "command", "ready", "folder"),
    [
        (
            "mlflow",
            "mlflow models serve --model-uri /models/api --env-manager local --host 0.0.0.0 --port 9000",
            "/ping",
            "/models/api",
        ),
        (
            "triton",
            "tritonserver --model-repository=/models --http-port=9000 --allow-grpc=false --metrics-port=8002 "
            "--metrics-config=summary_latencies=true",
            "/v2/health/ready",
            "/models/api",
        ),
        (
            "tensorflow-serving",
            "tensorflow_model_server --rest_api_port=9000 --port=0 --model_name=api --model_base_path=/models/api "
            "--monitoring_config_file=/etc/mlinfra/serve/monitoring.config",
            "/v1/models/api",
            "/models/api/1",
        ),
        (
            "vllm",
            "vllm serve /models/api --served-model-name api --host 0.0.0.0 --port 9000 --tensor-parallel-size 2",
            "/health",
            "/models/api",
        ),
    ],
)
def test_what_runs(expanded: Any, runtime: RuntimeName, command: str, ready: str, folder: str) -> None:
    result = expanded(lambda: endpoint(runtime, port=9000, arguments=["--verbose"]))
    assert result.codes == []
    found = containers(result)
    serve = found["serve"]
    assert serve["image"] == RUNTIMES[runtime].image
    assert (" ".join(serve["command"]), serve["args"]) == (command, ["--verbose"])
    assert {serve[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")} == {ready}
    assert next(item["value"] for item in found["model"]["env"] if item["name"] == "MODEL_PATH") == folder
    mounts = {item["name"]: item for item in serve["volumeMounts"]}
    assert mounts["models"]["readOnly"] is True
    assert {item["name"] for item in template(result)["spec"]["volumes"]} >= set(mounts)


@pytest.mark.parametrize("runtime", NAMES)
def test_pods_meet_the_restricted_standard(expanded: Any, runtime: RuntimeName) -> None:
    """Kubernetes, "Pod Security Standards"; every container, those before and beside it, too."""
    result = expanded(lambda: endpoint(runtime, warm_up=WarmUp(body={"inputs": [1]})))
    spec = template(result)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]} <= {"emptyDir", "configMap"}
    assert set(containers(result)) == {"model", "serve", "warm-up"}
    for container in containers(result).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(
    ("runtime", "annotations"),
    [
        ("mlflow", None),
        ("triton", ("8002", "/metrics")),
        ("tensorflow-serving", ("8080", "/monitoring/prometheus/metrics")),
        ("vllm", ("8080", "/metrics")),
    ],
)
def test_where_its_metrics_are(expanded: Any, runtime: RuntimeName, annotations: tuple[str, str] | None) -> None:
    result = expanded(lambda: endpoint(runtime))
    found = template(result)["metadata"].get("annotations", {})
    told = (found.get("prometheus.io/port"), found.get("prometheus.io/path"))
    assert told == (annotations or (None, None))
    own_port = annotations is not None and annotations[0] != "8080"
    assert ({"scraped", "scrapes"} <= result.names_of("api")) is own_port
    if own_port:
        (rule,) = result.inputs("api/scraped")["spec"]["ingress"]
        assert rule["ports"] == [{"port": 8002, "protocol": "TCP"}]
        assert rule["from"] == [{"podSelector": {}}]


@pytest.mark.parametrize("runtime", ["custom", *NAMES])
def test_signals_ask_for_metrics_that_the_runtime_has(runtime: RuntimeName) -> None:
    found = endpoint(runtime, image=IMAGE)
    said = {name for signal in found.signals() for name in signal.metrics}
    said |= {name for record in found.records() for name in record.metrics}
    own = {name for name in said if not name.startswith(("kube_", "DCGM_", "component:")) and name != "up"}
    meters = found.served_by.meters
    assert own >= set(meters.metrics if meters else ())
    assert (meters is CONTRACT) == (runtime in ("custom", "vllm"))
    assert {signal.name for signal in found.signals()} >= {"Down", "AtMaximum"}
    assert ("Errors" in {signal.name for signal in found.signals()}) == (runtime != "mlflow")


def test_tags_are_for_tiers_that_are_not_protected(expanded: Any) -> None:
    warm = {"warm_up": WarmUp(body="[]")}
    assert expanded(lambda: endpoint("triton", **warm), tier=Tier.STAGING).codes == []
    told = expanded(lambda: endpoint("triton", **warm), tier=Tier.PROD)
    assert told.codes == ["image-without-digest"] * 2
    assert {item.remedy.rpartition(": ")[2] for item in told.diagnostics} == {
        "`image=…`.",
        "`helpers=HelperImages(model=…)`.",
    }
    pinned = {"image": IMAGE, "helpers": HelperImages(model=IMAGE)}
    assert expanded(lambda: endpoint("triton", **warm, **pinned), tier=Tier.PROD).codes == []


TRITON = "nvcr.io/nvidia/tritonserver"
A, B, C = (Variant(name=name, weight=weight) for name, weight in (("a", 60), ("b", 30), ("c", 10)))
WITH = {"image": IMAGE}
VERSIONS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "no version has one": ({"variants": [A, B, C]}, [("api has the image", "`image=…`.")]),
    "some variants have one": (
        {"variants": [A.model_copy(update=WITH), B, C]},
        [("variants 'b' and 'c' of api have the image", "`Variant(name='b', image=…), Variant(name='c', image=…)`.")],
    ),
    "all have one but the shadow": (
        {"variants": [item.model_copy(update=WITH) for item in (A, B, C)], "shadow": Shadow()},
        [("variant 'shadow' of api has the image", "`Shadow(name='shadow', image=…)`.")],
    ),
    "the shadow has one and the endpoint has not": (
        {"shadow": Shadow(image=IMAGE)},
        [("api has the image", "`image=…`.")],
    ),
    "neither has one": ({"shadow": Shadow()}, [("api has the image", "`image=…`.")]),
    "the endpoint has one": ({"variants": [A, B, C], "shadow": Shadow(), **WITH}, []),
}


@pytest.mark.parametrize(("fields", "wanted"), VERSIONS.values(), ids=VERSIONS)
def test_a_tag_is_told_once_and_names_the_variants_that_have_it(
    expanded: Any, fields: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    def shared() -> Endpoint:
        return endpoint("triton", **fields, address=address, auth="elsewhere", warm_up=WarmUp(body="[]"))

    address = GatewayAddress(host="api.example.com", gateway="shared", controller_namespace="gateways")
    told = [item for item in expanded(shared, tier=Tier.PROD).diagnostics if item.code == "image-without-digest"]
    served = [item for item in told if TRITON in item.summary]
    assert [(item.summary.partition(f" '{TRITON}")[0], item.remedy.rpartition(": ")[2]) for item in served] == wanted
    # What copies the model is one image, in however many pods.
    helpers = [item for item in told if item not in served]
    assert [item.remedy.rpartition(": ")[2] for item in helpers] == ["`helpers=HelperImages(model=…)`."]


@pytest.mark.parametrize(
    ("fields", "method", "path", "body"),
    [
        ({"runtime": "vllm"}, "POST", "/v1/completions", '{"model": "api", "prompt": "a", "max_tokens": 1}'),
        (
            {"runtime": "triton", "warm_up": WarmUp(body={"b": 1, "a": 2})},
            "POST",
            "/v2/models/api/infer",
            '{"a": 2, "b": 1}',
        ),
        ({"runtime": "tensorflow-serving", "warm_up": WarmUp(body="x")}, "POST", "/v1/models/api:predict", "x"),
        ({"runtime": "mlflow", "warm_up": WarmUp(path="/version")}, "GET", "/version", ""),
        ({"runtime": "custom", "image": IMAGE, "warm_up": WarmUp(path="/p", body=[])}, "POST", "/p", "[]"),
        ({"runtime": "triton"}, "", "", ""),
    ],
)
def test_the_first_request(expanded: Any, fields: dict[str, Any], method: str, path: str, body: str) -> None:
    result = expanded(lambda: endpoint(**fields))
    spec = template(result)["spec"]
    serve, *beside = spec["containers"]
    assert serve["name"] == "serve"
    if method == "POST":
        (warm,) = beside
        command = warm["startupProbe"]["exec"]["command"]
        assert command[-2:] == [body, f"http://localhost:8080{path}"]
        assert warm["startupProbe"]["timeoutSeconds"] > int(command[command.index("--max-time") + 1])
        assert warm["startupProbe"]["periodSeconds"] * warm["startupProbe"]["failureThreshold"] >= 300
    else:
        assert beside == []
        assert (serve["startupProbe"]["httpGet"]["path"] == path) == (method == "GET")


HALF_FAIL = {
    "triton": {
        'nv_inference_request_success{component="api",model="api"}': "0+10x30",
        'nv_inference_request_failure{component="api",model="api"}': "0+10x30",
        'nv_inference_request_summary_us{component="api",model="api",quantile="0.95"}': "2000000+0x30",
        'up{component="api"}': "1+0x30",
    },
    "tensorflow-serving": {
        ':tensorflow:serving:request_count{component="api",status="OK"}': "0+10x30",
        ':tensorflow:serving:request_count{component="api",status="INTERNAL"}': "0+10x30",
        ':tensorflow:serving:request_latency_bucket{component="api",le="1000"}': "0+0x30",
        ':tensorflow:serving:request_latency_bucket{component="api",le="4000000"}': "0+20x30",
        ':tensorflow:serving:request_latency_bucket{component="api",le="+Inf"}': "0+20x30",
        'up{component="api"}': "1+0x30",
    },
    "mlflow": {
        'kube_pod_status_ready{condition="true",namespace="n",pod="api-1"}': "0+0x30",
        'kube_pod_labels{label_mlinfra_dev_component="api",namespace="n",pod="api-1"}': "1+0x30",
    },
}
"""Series of an endpoint where half of the requests fail, in two seconds; where it has no metrics, no pod is ready."""


def rules_of(found: Endpoint) -> dict[str, Any]:
    rules = [{"alert": item.name, "expr": item.expression, "for": f"{item.minutes}m"} for item in found.signals()]
    return {"groups": [{"name": found.identity, "rules": rules}]}


def fires(folder: Path, found: Endpoint, series: dict[str, str], wanted: dict[str, bool], **labels: str) -> None:
    """Hold an endpoint's conditions against series, by promtool: those that are to hold after 20 minutes, and not.

    `labels` are those of what holds.
    """
    (folder / "rules.yml").write_text(yaml.safe_dump(rules_of(found)))
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "20m", "alertname": name, "exp_alerts": [{"exp_labels": dict(labels)}] if fires else []}
            for name, fires in wanted.items()
        ],
    }
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "tests.yml").write_text(yaml.safe_dump(tests))
    run("promtool", "check", "rules", "rules.yml", cwd=folder)
    run("promtool", "test", "rules", "tests.yml", cwd=folder)


@pytest.mark.parametrize("runtime", HALF_FAIL)
def test_prometheus_finds_what_is_wrong(tmp_path: Path, runtime: RuntimeName) -> None:
    wrong = {"Down": True} if runtime == "mlflow" else {"Down": False, "Errors": True, "Slow": True}
    fires(tmp_path, endpoint(runtime), HALF_FAIL[runtime], wrong)


@pytest.mark.parametrize(("desired", "down"), [(0, False), (1, True)])
def test_nobody_is_woken_by_an_endpoint_that_is_to_sleep(tmp_path: Path, desired: int, down: bool) -> None:
    wanted = 'kube_horizontalpodautoscaler_status_desired_replicas{horizontalpodautoscaler="api",namespace="n"}'
    found = endpoint("custom", image=IMAGE, hours=WorkingHours())
    fires(tmp_path, found, {wanted: f"{desired}+0x30"}, {"Down": down}, component="api")
