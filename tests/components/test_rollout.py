from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.authoring import Component
from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import GatewayAddress
from mlinfra.components.load_test import LoadTest
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.rollout_values import BlueGreen, Canary, Gate, Rolling, Shadow, Step, Variant
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Autoscale, Route
from mlinfra.functions import resolve
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
NEXT = "registry.example.com/serve@sha256:" + "cd" * 32
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
WORLD = GatewayAddress(host="api.example.com", gateway="shared", controller_namespace="envoy-gateway-system")
BY_HAND = {"address": WORLD, "auth": "elsewhere"}
STEPS = [Step(weight=25, seconds=60), Step(weight=50, seconds=60, approve=True)]
HASH = "rollouts-pod-template-hash"


def endpoint(*, argo: bool = True, plugin: bool = False, network: str = "open", **fields: Any) -> Endpoint:
    cluster = TrainingCluster(
        "train", argo_rollouts=argo, argo_gateway_plugin=plugin, gateway_api=True, network=network
    )
    given = {"cluster": cluster, "image": IMAGE, "scale": Autoscale(min=4, max=8), **fields}
    return Endpoint("api", **given)


def canary(**fields: Any) -> Canary:
    return Canary(**{"steps": STEPS, "prometheus": PROMETHEUS, **fields})


def codes(result: Any) -> list[str]:
    return [code for code in result.codes if code.startswith("rollout")]


# ------------------------------------------------------------------------------------------------ what is written


WRONG: dict[str, tuple[Any, str]] = {
    "weights that come to too little": (
        lambda: endpoint(variants=[Variant(name="a", weight=60), Variant(name="b", weight=30)]),
        "come to 90 (60 + 30), not to 100",
    ),
    "two of a name": (
        lambda: endpoint(variants=[Variant(name="a", weight=50), Variant(name="a", weight=50)]),
        "more than one variant is called a",
    ),
    "a name that rollouts need": (
        lambda: endpoint(variants=[Variant(name="canary", weight=100)]),
        "what pods are called while a rollout goes on",
    ),
    "steps that go back": (
        lambda: Canary(steps=[Step(weight=50), Step(weight=10)]),
        "each has to be more than the one before",
    ),
    "a gate that never looks": (
        lambda: Canary(steps=[Step(weight=10, seconds=10)]),
        "it would never look",
    ),
    "a gate that looks at what is gone": (
        lambda: BlueGreen(gate=Gate(), seconds=600),
        "make it 720 or more",
    ),
    "no steps": (lambda: Canary(steps=[]), "at least 1 item"),
    "all of the traffic as a step": (lambda: Step(weight=100), "less than or equal to 99"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_meant(name: str) -> None:
    make, words = WRONG[name]
    with pytest.raises(ValidationError, match=words.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+")):
        make()


# ------------------------------------------------------------------------------------------------ without a controller


def test_rolling_is_what_an_endpoint_does_by_itself(expanded: Any) -> None:
    plain, said = expanded(lambda: endpoint(argo=False)), expanded(lambda: endpoint(argo=False, rollout=Rolling()))
    assert plain.graph == said.graph
    assert plain.inputs("api/deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def deployments(result: Any) -> list[str]:
    return sorted(name for name in result.names_of("api") if name.startswith("deployment"))


def test_blue_green_by_kubernetes_alone(expanded: Any) -> None:
    first = expanded(lambda: endpoint(argo=False, rollout=BlueGreen()))
    again = expanded(lambda: endpoint(argo=False, rollout=BlueGreen()))
    other = expanded(lambda: endpoint(argo=False, rollout=BlueGreen(), image=NEXT))
    assert codes(first) == []
    (old,), (same,), (new,) = deployments(first), deployments(again), deployments(other)
    assert old == same
    assert old != new
    node = other.node(f"api/{new}")
    spec = node.inputs["spec"]
    labels = spec["selector"]["matchLabels"]
    assert spec["replicas"] == 4
    assert spec["template"]["metadata"]["labels"].items() >= labels.items()
    assert node.inputs["metadata"]["name"] == f"api-{labels['mlinfra.dev/version']}"
    assert node.options.ignore_changes == ("spec.replicas", "metadata.labels")
    service = other.node("api/service")
    assert service.inputs["spec"]["selector"] == labels
    assert service.options.depends_on == (f"api/{new}",)
    target = other.inputs("api/autoscaler")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": Ref(f"api/{new}", ("metadata", "name"))}
    assert other.inputs("api/disruption-budget")["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_another_version_of_the_blueprint_is_no_other_version_of_the_model(expanded: Any) -> None:
    first = expanded(lambda: endpoint(argo=False, rollout=BlueGreen()))
    other = expanded(lambda: endpoint(argo=False, rollout=BlueGreen(), scale=Autoscale(min=2, max=3)))
    assert deployments(first) == deployments(other)


CANNOT: dict[str, tuple[dict[str, Any], str]] = {
    "a canary without a controller": (
        {"argo": False, "rollout": canary()},
        "rollout-without-controller",
    ),
    "a blue-green gate without a controller": (
        {"argo": False, "rollout": BlueGreen(gate=Gate(), prometheus=PROMETHEUS)},
        "rollout-without-controller",
    ),
    "a word of a person without a controller": (
        {"argo": False, "rollout": BlueGreen(approve=True)},
        "rollout-without-controller",
    ),
    "shares by a plugin that is not there": (
        {"rollout": canary(traffic="gateway"), **BY_HAND},
        "rollout-without-plugin",
    ),
    "shares by a route that is not there": (
        {"plugin": True, "rollout": canary(traffic="gateway")},
        "rollout-without-route",
    ),
    "variants without a route": (
        {"variants": [Variant(name="a", weight=50), Variant(name="b", weight=50)]},
        "rollout-without-route",
    ),
    "a shadow without a route": ({"shadow": Shadow(image=NEXT)}, "rollout-without-route"),
    "variants and a canary": (
        {"variants": [Variant(name="a", weight=100)], "rollout": canary(), **BY_HAND},
        "rollout-and-variants",
    ),
    "gates that nobody answers": ({"rollout": Canary(steps=STEPS)}, "rollout-without-prometheus"),
    "a load test that is not there": (
        {"rollout": canary(gate=Gate(load_test="burst"))},
        "rollout-load-test",
    ),
    "one pod of five is no ten percent": (
        {"rollout": canary(steps=[Step(weight=10)])},
        "rollout-coarse",
    ),
    "accuracy of a runtime that knows of none": (
        {"runtime": "triton", "model": "s3://bucket/model", "rollout": canary(gate=Gate(accuracy=0.9))},
        "rollout-without-metrics",
    ),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_the_cluster_cannot_do(expanded: Any, name: str) -> None:
    fields, code = CANNOT[name]
    assert code in codes(expanded(lambda: endpoint(**fields)))


def test_a_canary_that_cannot_be_says_what_is_missing(expanded: Any) -> None:
    (problem,) = expanded(lambda: endpoint(argo=False, rollout=canary())).diagnostics
    assert "cluster 'train' does not say that it has Argo Rollouts" in problem.summary
    assert "argo_rollouts=True" in problem.remedy


# ------------------------------------------------------------------------------------------------ by Argo Rollouts


def test_a_canary_is_a_rollout(expanded: Any) -> None:
    result = expanded(lambda: endpoint(rollout=canary()))
    assert codes(result) == []
    names = result.names_of("api")
    assert {"rollout", "gate-1", "gate-2", "autoscaler", "disruption-budget", "service"} <= names
    assert not deployments(result)
    rollout = result.inputs("api/rollout")
    assert "replicas" not in rollout["spec"]
    strategy = rollout["spec"]["strategy"]["canary"]
    gates = [{"templateName": Ref(f"api/gate-{number}", ("metadata", "name"))} for number in (1, 2)]
    assert strategy["steps"] == [
        {"setWeight": 25},
        {"analysis": {"analysisRunMetadata": {}, "templates": [gates[0]]}},
        {"setWeight": 50},
        {"analysis": {"analysisRunMetadata": {}, "templates": [gates[1]]}},
        {"pause": {}},
    ]
    assert strategy["canaryMetadata"] == {"labels": {"mlinfra.dev/variant": "canary"}}
    assert "trafficRouting" not in strategy
    target = result.inputs("api/autoscaler")["spec"]["scaleTargetRef"]
    assert target["kind"] == "Rollout"
    assert result.inputs("api/service")["spec"]["selector"] == {"mlinfra.dev/component": "api"}
    assert result.inputs("api/service")["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    spread = rollout["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {key for item in spread for key in item["matchLabelKeys"]} == {HASH}


def test_the_first_version_is_waited_for_where_a_controller_may_be(expanded: Any) -> None:
    declare = lambda: endpoint(rollout=canary())  # noqa: E731
    assert "annotations" not in expanded(declare).inputs("api/rollout")["metadata"]
    notes = expanded(declare, "eks").inputs("api/rollout")["metadata"]["annotations"]
    assert notes == {"pulumi.com/waitFor": "condition=Available"}


def test_what_a_gate_asks(expanded: Any) -> None:
    gate = Gate(error_percent=1, accuracy=0.9, every_seconds=20, window_seconds=60, forgiven=1)
    result = expanded(lambda: endpoint(rollout=canary(gate=gate), latency_seconds=0.25))
    metrics = {item["name"]: item for item in result.inputs("api/gate-1")["spec"]["metrics"]}
    assert list(metrics) == ["errors", "latency", "accuracy"]
    errors = metrics["errors"]
    assert errors["provider"]["prometheus"]["address"] == PROMETHEUS
    series = 'component="api",variant="canary"'
    assert errors["provider"]["prometheus"]["query"] == (
        f'(sum(rate(http_requests_total{{{series},status=~"5.."}}[60s])) or vector(0))'
        f" / sum(rate(http_requests_total{{{series}}}[60s]))"
    )
    assert errors["successCondition"] == "len(result) > 0 && result[0] <= 0.01"
    assert errors["failureCondition"] == "len(result) > 0 && result[0] > 0.01"
    assert (errors["interval"], errors["initialDelay"], errors["count"]) == ("20s", "20s", 3)
    assert (errors["failureLimit"], errors["inconclusiveLimit"]) == (1, 2)
    assert metrics["latency"]["successCondition"] == "len(result) > 0 && result[0] <= 0.25"
    assert "[60s]" in metrics["latency"]["provider"]["prometheus"]["query"]
    assert metrics["accuracy"]["successCondition"] == "len(result) > 0 && result[0] >= 0.9"
    assert metrics["accuracy"]["failureCondition"] == "len(result) > 0 && result[0] < 0.9"


def watched(network: str) -> list[Component]:
    api = endpoint(rollout=Canary(steps=STEPS), network=network)
    route = Route(critical="email:a@example.com", warning="email:a@example.com")
    return [api, Monitoring("watch", cluster=api.cluster, watches=[api], route=route, alertmanager="a:1")]


def test_gates_ask_whoever_watches_the_endpoint(expanded: Any) -> None:
    result = expanded(lambda: watched("closed"))
    address = result.inputs("api/gate-1")["spec"]["metrics"][0]["provider"]["prometheus"]["address"]
    outputs = {name: {**node.inputs, "id": name} for name, node in result.graph.nodes.items()}
    assert resolve(address, outputs) == "http://watch.sample-test-train.svc:9090"
    opening = result.inputs("api/gates-ask")["spec"]
    assert opening["podSelector"]["matchLabels"] == {"mlinfra.dev/component": "watch"}
    assert opening["ingress"][0]["ports"] == [{"port": 9090, "protocol": "TCP"}]
    assert "gates-ask" not in expanded(lambda: watched("open")).names_of("api")
    result.graph.topological()


def test_a_canary_by_gateway_leaves_selectors_and_weights_to_the_controller(expanded: Any) -> None:
    result = expanded(lambda: endpoint(plugin=True, rollout=canary(traffic="gateway"), **BY_HAND))
    assert codes(result) == []
    strategy = result.inputs("api/rollout")["spec"]["strategy"]["canary"]
    assert strategy["stableService"] == Ref("api/service", ("metadata", "name"))
    assert strategy["canaryService"] == Ref("api/service-canary", ("metadata", "name"))
    plugin = strategy["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"]
    assert plugin["httpRoute"] == result.inputs("api/route")["metadata"]["name"]
    for service in ("service", "service-canary"):
        assert "selector" not in result.inputs(f"api/{service}")["spec"]
        assert result.inputs(f"api/{service}")["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    (rule,) = result.inputs("api/route")["spec"]["rules"]
    assert [item["weight"] for item in rule["backendRefs"]] == [100, 0]
    assert result.node("api/route").options.ignore_changes == ("spec.rules[*].backendRefs[*].weight",)


def test_blue_green_by_the_controller(expanded: Any) -> None:
    plan = BlueGreen(gate=Gate(load_test="burst"), approve=True, prometheus=PROMETHEUS)

    def declare() -> list[Component]:
        api = endpoint(rollout=plan)
        return [api, LoadTest("burst", target=api, rate=5, bodies=[1])]

    result = expanded(declare)
    assert codes(result) == []
    strategy = result.inputs("api/rollout")["spec"]["strategy"]["blueGreen"]
    assert strategy["activeService"] == Ref("api/service", ("metadata", "name"))
    assert strategy["autoPromotionEnabled"] is False
    assert strategy["scaleDownDelaySeconds"] == 600
    deadline = result.inputs("api/rollout")["spec"]["progressDeadlineSeconds"]
    assert deadline == 300 + 300 + 120 + 300 + 3600  # to start, for machines; for the window, the gate, the load test
    (after,) = strategy["postPromotionAnalysis"]["templates"]
    assert after == {"templateName": Ref("api/gate", ("metadata", "name"))}
    metric = result.inputs("api/gate")["spec"]["metrics"][0]
    assert 'variant="active"' in metric["provider"]["prometheus"]["query"]
    assert metric["initialDelay"] == "120s"  # the old version's requests have to leave the window first
    (test,) = result.inputs("api/gate-load")["spec"]["metrics"]
    (container,) = test["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    url = next(item["value"] for item in container["env"] if item["name"] == "TARGET_URL")
    outputs = {name: {**node.inputs, "id": name} for name, node in result.graph.nodes.items()}
    assert resolve(url, outputs) == "http://api-preview.sample-test-train.svc:8080"
    result.graph.topological()


# ------------------------------------------------------------------------------------------------ variants


def champions() -> Endpoint:
    store = ModelStore("models", bucket=Bucket("artifacts"))
    old, new = (StoredModel(store=store, name="ranker", version=version) for version in ("3", "4"))
    variants = [
        Variant(name="champion", weight=90, model=old),
        Variant(name="challenger", weight=10, model=new, image=NEXT, scale=Autoscale(min=1, max=2), env={"A": "b"}),
    ]
    return endpoint(variants=variants, shadow=Shadow(model=new), **BY_HAND)


def test_each_variant_has_pods_and_a_service_of_its_own(expanded: Any) -> None:
    result = expanded(champions)
    assert codes(result) == []
    assert deployments(result) == ["deployment-challenger", "deployment-champion", "deployment-shadow"]
    for name, image in (("champion", IMAGE), ("challenger", NEXT), ("shadow", IMAGE)):
        spec = result.inputs(f"api/deployment-{name}")["spec"]
        labels = {"mlinfra.dev/component": "api", "mlinfra.dev/variant": name}
        assert spec["selector"]["matchLabels"] == labels
        assert spec["template"]["metadata"]["labels"].items() >= labels.items()
        assert result.inputs(f"api/service-{name}")["spec"]["selector"] == labels
        container = spec["template"]["spec"]["containers"][0]
        assert container["image"] == image
        values = {item["name"]: item.get("value") for item in container["env"]}
        assert values["MLINFRA_VARIANT"] == name
        target = result.inputs(f"api/autoscaler-{name}")["spec"]["scaleTargetRef"]["name"]
        assert target == Ref(f"api/deployment-{name}", ("metadata", "name"))
    assert result.inputs("api/autoscaler-challenger")["spec"]["maxReplicas"] == 2
    assert result.inputs("api/autoscaler-champion")["spec"]["maxReplicas"] == 8


def test_traffic_is_shared_and_copied_by_the_route(expanded: Any) -> None:
    (rule,) = expanded(champions).inputs("api/route")["spec"]["rules"]
    shares = {item["name"].node: item["weight"] for item in rule["backendRefs"]}
    assert shares == {"api/service-champion": 90, "api/service-challenger": 10}
    (mirror,) = rule["filters"]
    assert mirror["type"] == "RequestMirror"
    assert mirror["requestMirror"]["backendRef"]["name"].node == "api/service-shadow"


def test_pods_may_read_the_models_of_all_variants(expanded: Any) -> None:
    policy = str(expanded(champions, "eks").inputs("api/policy"))
    assert "models/ranker/3/" in policy
    assert "models/ranker/4/" in policy


def test_a_shadow_beside_the_endpoints_own_version(expanded: Any) -> None:
    result = expanded(lambda: endpoint(shadow=Shadow(image=NEXT), **BY_HAND))
    assert deployments(result) == ["deployment", "deployment-shadow"]
    (rule,) = result.inputs("api/route")["spec"]["rules"]
    assert [item["name"].node for item in rule["backendRefs"]] == ["api/service"]


def test_until_there_is_a_version_nothing_is_rolled_out(expanded: Any) -> None:
    for fields in ({"rollout": canary(traffic="gateway"), "plugin": True}, {"shadow": Shadow()}):
        result = expanded(lambda fields=fields: endpoint(image=None, **fields, **BY_HAND))
        assert not {"rollout", "deployment"} & result.names_of("api")
        assert result.graph.dangling() == []
        (rule,) = result.inputs("api/route")["spec"]["rules"]
        assert [item["name"].node for item in rule["backendRefs"]] == ["api/service"]


@pytest.mark.parametrize("tier", Tier)
def test_no_node_refers_to_what_is_not_there(expanded: Any, tier: Tier) -> None:
    for declare in (champions, lambda: endpoint(rollout=canary()), lambda: endpoint(rollout=BlueGreen())):
        assert expanded(declare, tier=tier).graph.dangling() == []
