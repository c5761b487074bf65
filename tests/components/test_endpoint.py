from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.eks_values import ExistingEks
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import BucketModel, RegisteredModel
from mlinfra.components.endpoint_signals import Thresholds
from mlinfra.components.endpoint_values import ApiKeys, IngressAddress, WarmUp, WorkingHours
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.node_pool import NodePool
from mlinfra.components.rollout_values import Shadow, Variant
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Autoscale, Image
from mlinfra.diagnostics import Severity
from mlinfra.functions import resolve
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
BUCKET = Bucket("models")
STORE = ModelStore("store", bucket=BUCKET)
RUNNING = {"service-account", "service", "deployment", "autoscaler", "disruption-budget", "callers", "calls-from-train"}


ADDRESS = IngressAddress(
    host="api.example.com", ingress_class="nginx", controller_namespace="ingress-nginx", issuer="letsencrypt"
)


def endpoint(**fields: Any) -> Endpoint:
    return Endpoint("api", **{"cluster": TrainingCluster("train"), "image": IMAGE, **fields})


def pod(result: Any) -> Any:
    return result.inputs("api/deployment")["spec"]["template"]["spec"]


def test_without_an_image_address_and_identity_wait(expanded: Any) -> None:
    result = expanded(lambda: endpoint(image=None))
    assert result.names_of("api") == {"service-account", "service"}
    assert result.inputs("api/service")["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert endpoint(image=None).signals() == ()


@pytest.mark.parametrize(
    ("fields", "waits_for"),
    [
        ({"image": None}, "its first image"),
        ({"image": None, "runtime": "triton"}, "its model"),
        ({"model": StoredModel(store=STORE, name="ranker", version=None)}, "the first version of model 'ranker'"),
        ({"model": BucketModel(bucket=BUCKET, path=None)}, "the first version of model 'models'"),
        (
            {"model": RegisteredModel(server="http://mlflow.ml.svc:5000", name="ranker", version=None)},
            "the first version of model 'ranker'",
        ),
        ({"image": None, "variants": [Variant(name="a", weight=100)]}, "its first image"),
        (
            {"shadow": Shadow(model=StoredModel(store=STORE, name="next", version=None))},
            "the first version of model 'next'",
        ),
    ],
)
def test_what_it_waits_for_is_said_in_one_line(expanded: Any, fields: dict[str, Any], waits_for: str) -> None:
    result = expanded(lambda: endpoint(**fields))
    (said,) = result.diagnostics
    assert (said.severity, said.code) == (Severity.WARNING, "endpoint-waits")
    assert said.summary == f"endpoint 'api' waits for {waits_for}"
    assert (said.detail, said.remedy) == ("", "")
    assert result.names_of("api") <= {"service-account", "service", "role", "policy", "egress"}
    assert result.inputs("api/service")["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    waiting = endpoint(**fields)
    assert (waiting.signals(), waiting.records(), waiting.exports()) == ((), (), ())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": StoredModel(store=STORE, name="ranker", version="4")},
        {"image": None, "variants": [Variant(name="a", weight=100, image=IMAGE)]},
    ],
)
def test_what_it_does_not_wait_for(fields: dict[str, Any]) -> None:
    assert endpoint(**fields).waits_for is None


def test_what_an_endpoint_comes_to(expanded: Any) -> None:
    result = expanded(endpoint)
    assert result.names_of("api") == RUNNING
    assert "annotations" not in result.inputs("api/service")["metadata"]


def test_the_autoscaler_owns_the_replicas(expanded: Any) -> None:
    result = expanded(lambda: endpoint(scale=Autoscale(min=2, max=7, cpu_percent=55)))
    assert "replicas" not in result.inputs("api/deployment")["spec"]
    scaler = result.inputs("api/autoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 7)
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 55}
    assert scaler["scaleTargetRef"]["name"] == Ref("api/deployment", ("metadata", "name"))


@pytest.mark.parametrize(("tier", "least", "most"), [(Tier.DEV, 1, 2), (Tier.STAGING, 2, 4), (Tier.PROD, 3, 10)])
def test_the_tier_says_how_many_where_nobody_else_does(expanded: Any, tier: Tier, least: int, most: int) -> None:
    scaler = expanded(endpoint, tier=tier).inputs("api/autoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (least, most)


@pytest.mark.parametrize(("least", "unavailable"), [(1, 1), (3, 1), (4, "25%"), (20, "25%")])
def test_the_disruption_budget_always_lets_a_node_drain(expanded: Any, least: int, unavailable: int | str) -> None:
    result = expanded(lambda: endpoint(scale=Autoscale(min=least, max=20)))
    budget = result.inputs("api/disruption-budget")["spec"]
    assert budget["maxUnavailable"] == unavailable
    assert "minAvailable" not in budget


def test_the_pod_meets_the_restricted_standard(expanded: Any) -> None:
    """Kubernetes, "Pod Security Standards", level restricted, control by control."""
    spec = pod(expanded(endpoint))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]} <= {"emptyDir", "configMap", "projected"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False


def test_selectors_agree_and_never_change(expanded: Any) -> None:
    result = expanded(endpoint)
    labels = result.inputs("api/deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        result.inputs("api/deployment")["spec"]["selector"]["matchLabels"],
        result.inputs("api/service")["spec"]["selector"],
        result.inputs("api/disruption-budget")["spec"]["selector"]["matchLabels"],
    ]
    assert selectors == [{"mlinfra.dev/component": "api"}] * 3
    assert labels.items() >= selectors[0].items()
    assert "mlinfra.dev/blueprint-version" not in labels
    renamed = expanded(lambda: Endpoint("api-2", moved_from="api", cluster=TrainingCluster("train"), image=IMAGE))
    assert renamed.inputs("api-2/deployment")["spec"]["selector"]["matchLabels"] == selectors[0]


def test_ports_probes_and_leaving(expanded: Any) -> None:
    declare = lambda: endpoint(port=9000, health_path="/ready", startup_seconds=601, drain_seconds=60)  # noqa: E731
    result = expanded(declare)
    (container,) = pod(result)["containers"]
    assert container["ports"][0]["containerPort"] == 9000
    assert {probe["httpGet"]["path"] for key, probe in container.items() if key.endswith("Probe")} == {"/ready"}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 601
    leaving = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(result)["terminationGracePeriodSeconds"] == leaving + 60
    annotations = result.inputs("api/deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "9000"
    assert result.inputs("api/service")["spec"]["ports"][0]["port"] == 9000


def test_the_model_and_the_data_are_in_the_environment(expanded: Any) -> None:
    result = expanded(
        lambda: endpoint(model="models:/rec/3", reads=[Bucket("my-data")], env={"PORT": "1", "LOG": "info"})
    )
    names = [item["name"] for item in pod(result)["containers"][0]["env"]]
    assert names == ["LOG", "MLINFRA_COMPONENT", "MODEL_URI", "MODEL_VERSION", "MY_DATA_URI", "PORT"]
    values = {item["name"]: item["value"] for item in pod(result)["containers"][0]["env"]}
    assert (values["MODEL_URI"], values["MODEL_VERSION"], values["PORT"]) == ("models:/rec/3", "3", "1")
    assert values["MLINFRA_COMPONENT"] == "api"


def test_the_url() -> None:
    outputs = {"api/service": {"metadata": {"name": "api"}}, "train/namespace": {"metadata": {"name": "ns"}}}
    assert resolve(endpoint().url, outputs) == "http://api.ns.svc:8080"


def test_gpus_want_a_pool(expanded: Any) -> None:
    assert expanded(lambda: endpoint(gpus=1)).codes == ["placement-no-pool"]
    pool = NodePool("gpu", instance_type="g5.xlarge")
    result = expanded(lambda: endpoint(gpus=1, pool=pool, cluster=TrainingCluster("train", pools=[pool])))
    assert result.codes == []
    assert pod(result)["tolerations"][0]["key"] == "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cluster": "train"}, "cluster is a text, not a TrainingCluster"),
        ({"scale": {"min": 3, "max": 1}}, "min is 3, which is more than max, 1"),
        ({"port": 80}, "greater than or equal to 1024"),
        ({"health_path": "healthz"}, "health_path"),
        ({"model": "latest"}, "'latest' is not a model"),
        ({"image": None, "arguments": ["-v"]}, "no image that would get them"),
        ({"warm_up": WarmUp()}, "warm_up names no path"),
        ({"address": ADDRESS}, "nobody asks who calls"),
        ({"port": 8400, "auth": ApiKeys(keys=[ManagedSecret("key")])}, "which is the proxy's own"),
        ({"runtime": "triton", "health_path": "/live"}, "health_path cannot be given"),
        ({"runtime": "triton", "port": 8002}, "at which the runtime triton has its metrics"),
        ({"runtime": "vllm"}, "runs on GPUs: give `gpus=1` or more"),
        (
            {"runtime": "mlflow", "log_requests": BUCKET},
            "the runtime mlflow writes no log of its requests: leave it out, or",
        ),
        (
            {"runtime": "mlflow", "thresholds": Thresholds(requests_per_minute=5)},
            "the runtime mlflow gives no metrics that would tell it: leave it out, or serve by an image of your own",
        ),
        ({"runtime": "mlflow", "model": "models:/ranker/3"}, "without the server whose registry that is"),
        ({"runtime": "seldon"}, "runtime"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: endpoint(**fields)).diagnostics
    assert says in diagnostic.summary


def test_callers_in_another_kubernetes_cluster_are_refused(expanded: Any) -> None:
    def declare() -> Endpoint:
        far = TrainingCluster("far", eks=ExistingEks(name="other"))
        near, team = TrainingCluster("near"), Team("search", cluster=far, developers=["devs"])
        return Endpoint("api", cluster=near, image=IMAGE, callers=[team, near])

    (diagnostic,) = expanded(declare, "eks").diagnostics
    assert diagnostic.code == "endpoint-caller-elsewhere"
    assert "names a caller in another Kubernetes cluster, 'search'" in diagnostic.summary


def test_hours_are_not_for_tiers_where_it_matters(expanded: Any) -> None:
    hours = lambda: endpoint(hours=WorkingHours())  # noqa: E731
    assert expanded(hours, tier=Tier.STAGING).codes == []
    assert expanded(hours, tier=Tier.PROD).codes == ["hours-in-protected-tier"]
