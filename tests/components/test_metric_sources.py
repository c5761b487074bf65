from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_signals import Thresholds
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Receiver, Route
from mlinfra.diagnostics import Severity
from mlinfra.expansion import Scope
from mlinfra.graph import Value

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
ROUTE = Route(critical=Receiver("pagerduty:recsys"), warning=Receiver("slack:#recsys"))


class Probe(Watched):
    """Something that is watched by any expression, and gives what it is told to."""

    expression: str
    gives: tuple[str, ...] = ()
    variable: str = ""

    def signals(self) -> tuple[Signal, ...]:
        return (Signal("Odd", "warning", self.expression, 5, "It is odd"),)

    def exports(self) -> tuple[str, ...]:
        return self.gives

    def expand(self, scope: Scope) -> None:
        """Nothing."""


class Pushing(Probe):
    """One that pushes, and notes where to."""

    pushes = True

    def push_to(self, scope: Scope, address: Value) -> None:
        scope.expansion.nodes[self.name].inputs["address"] = address


def watching(*watched: Watched, **fields: Any) -> Monitoring:
    cluster = TrainingCluster("train")
    given = {"alertmanager": "alerts.ops.svc:9093", **fields}
    return Monitoring("watch", cluster=cluster, watches=[*watched], route=ROUTE, **given)


@pytest.mark.parametrize(
    ("expression", "gives", "fields", "known"),
    [
        ("up > 0", (), {}, True),
        ("kube_pod_labels and kube_cronjob_created", (), {}, True),
        ("kube_node_info", (), {}, False),
        ("queue_length > 3", (), {}, False),
        ("queue_length > 3", ("queue_length",), {}, True),
        ("queue_length > 3", ("queue_*",), {}, True),
        ("queue_length > 3", (), {"external_metrics": ["queue_*"]}, True),
        ("alertmanager_alerts", (), {}, False),
        ("alertmanager_alerts", (), {"alertmanager": None, "secrets": "known"}, True),
        ("push_time_seconds", (), {}, False),
        ("push_time_seconds", (), {"pushgateway": True}, True),
        ("DCGM_FI_DEV_GPU_UTIL", (), {}, False),
        ("component:nothing:rate5m", (), {}, False),
    ],
)
def test_what_nobody_gives_is_an_error(
    expanded: Any, expression: str, gives: tuple[str, ...], fields: dict[str, Any], known: bool
) -> None:
    if fields.get("secrets"):
        from mlinfra.components.alert_values import ExistingSecret

        fields = {**fields, "secrets": dict.fromkeys(("pagerduty", "slack"), ExistingSecret(name="alerting"))}
    result = expanded(lambda: watching(Probe("probe", expression=expression, gives=gives), **fields))
    assert result.codes == ([] if known else ["metric-without-source"])


def test_the_error_says_what_and_what_to_do(expanded: Any) -> None:
    (told,) = expanded(lambda: watching(Probe("probe", expression="queue_length > queue_room"))).diagnostics
    assert told.summary == "rule ProbeOdd of watch reads queue_length and queue_room, which nothing gives"
    assert "external_metrics=['queue_length']" in told.remedy


def test_a_runtime_without_accuracy_cannot_be_watched_for_it(expanded: Any) -> None:
    def declare() -> Monitoring:
        cluster = TrainingCluster("train")
        low = Thresholds(accuracy=0.9)
        api = Endpoint(
            "api", cluster=cluster, runtime="triton", image=IMAGE, model="s3://models/ranker", thresholds=low
        )
        return Monitoring("watch", cluster=cluster, watches=[api], route=ROUTE, alertmanager="a:1")

    found = [item for item in expanded(declare).diagnostics if item.code == "metric-without-source"]
    assert [item.summary for item in found] == ["rule ApiInaccurate of watch reads model_accuracy, which nothing gives"]
    assert found[0].detail.endswith(
        "api is served by the runtime triton, which gives metrics of requests, and none of the model."
    )
    assert found[0].remedy.startswith("Leave out of api what asks for it. Or serve by an image of your own that gives")


@pytest.mark.parametrize(
    ("runtime", "codes"), [("mlflow", ["watched-without-metrics"]), ("triton", []), ("custom", [])]
)
def test_what_gives_no_metrics_is_said_to_be_half_watched(expanded: Any, runtime: str, codes: list[str]) -> None:
    def declare() -> Monitoring:
        cluster = TrainingCluster("train")
        api = Endpoint("api", cluster=cluster, runtime=runtime, image=IMAGE, model="s3://models/ranker")
        return Monitoring("watch", cluster=cluster, watches=[api], route=ROUTE, alertmanager="a:1")

    told = expanded(declare).diagnostics
    assert [item.code for item in told] == codes
    for item in told:
        assert item.severity is Severity.WARNING
        assert item.summary.startswith("watch sees of api only whether its pods are there")
        assert item.detail == "api is served by the runtime mlflow, which gives no metrics."
        assert "an image of your own with `mlinfra.serving`, without `runtime`" in item.remedy


@pytest.mark.parametrize(("external", "there"), [([], True), (["DCGM_FI_*"], False)])
def test_gpus_are_watched_by_an_exporter_unless_the_cluster_has_one(
    expanded: Any, external: list[str], there: bool
) -> None:
    def declare() -> Monitoring:
        pool = NodePool("gpu", instance_type="g5.xlarge")
        cluster = TrainingCluster("train", pools=[pool])
        fit = TrainingJob("fit", cluster=cluster, pool=pool, gpus=1, image=IMAGE)
        fields: dict[str, Any] = {"watches": [fit], "route": ROUTE, "external_metrics": external}
        return Monitoring("watch", cluster=cluster, alertmanager="a:1", **fields)

    result = expanded(declare)
    assert result.codes == []
    assert ("watch/gpu-exporter" in result.graph.nodes) is there


def test_one_that_pushes_has_a_pushgateway_and_hears_where_it_is(expanded: Any) -> None:
    result = expanded(lambda: watching(Pushing("drift", expression="drift > 1", gives=("drift",))))
    assert result.codes == []
    assert {"pushgateway", "pushgateway-service"} <= result.names_of("watch")
    assert "pushgateway" in str(result.inputs("drift")["address"])
    assert "to-pushgateway" in result.names_of("drift"), "it is let in, and nobody else"
    assert "pushgateway-callers" not in result.names_of("watch")
    assert "watch-pushgateway:9091" in result.inputs("watch/config")["data"]["prometheus.yml"]
