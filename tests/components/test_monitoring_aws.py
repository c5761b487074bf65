"""What `Monitoring` has on AWS: topics by severity and team, alarms, and a dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.eks_values import Eks
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Route, TeamRoute
from mlinfra.graph import Ref
from tests.components.watch_samples import IMAGE, watching


def stores(**fields: Any) -> Monitoring:
    return watching(watches=[Queue("work"), Database("features"), Bucket("data")], **fields)


def widgets(result: Any) -> list[dict[str, Any]]:
    body = result.inputs("watch/dashboard")["dashboardBody"]
    found: list[dict[str, Any]] = body.value["widgets"]
    return found


@pytest.mark.parametrize(
    ("alarm", "namespace", "metric", "comparison", "threshold", "missing"),
    [
        ("work-deadletters", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "GreaterThan", 0, "notBreaching"),
        ("work-messagesexpire", "AWS/SQS", "ApproximateAgeOfOldestMessage", "GreaterThan", 276_480, "notBreaching"),
        ("features-storagefull", "AWS/RDS", "FreeStorageSpace", "LessThan", 1 << 30, "breaching"),
        ("features-busy", "AWS/RDS", "CPUUtilization", "GreaterThan", 90, "ignore"),
    ],
)
def test_alarms_of_stores(
    expanded: Any, alarm: str, namespace: str, metric: str, comparison: str, threshold: float, missing: str
) -> None:
    inputs = expanded(stores).inputs(f"watch/alarm-{alarm}")
    assert (inputs["namespace"], inputs["metricName"]) == (namespace, metric)
    assert (inputs["comparisonOperator"], inputs["threshold"]) == (f"{comparison}Threshold", threshold)
    assert inputs["treatMissingData"] == missing
    assert "ClusterName" not in inputs["dimensions"]
    (dimension,) = inputs["dimensions"].values()
    assert isinstance(dimension, Ref)


def test_prometheus_has_no_rule_where_cloudwatch_alone_knows(expanded: Any) -> None:
    assert "DeadLetters" not in expanded(stores).inputs("watch/config")["data"]["rules.yml"]


def test_a_database_in_the_cluster_is_prometheus_matter(expanded: Any) -> None:
    def declare() -> Monitoring:
        cluster = TrainingCluster("train")
        small = Database("small", place="cluster", cluster=cluster, image=IMAGE)
        return watching(cluster=cluster, watches=[small])

    result = expanded(declare)
    assert result.codes == []
    assert "SmallDown" in result.inputs("watch/config")["data"]["rules.yml"]
    assert not [name for name in result.names_of("watch") if name.startswith(("alarm", "dashboard"))]


def test_teams_with_ways_of_their_own_have_topics_of_their_own(expanded: Any) -> None:
    ads = TeamRoute(critical="email:ads@example.com", warning="slack:#ads")
    route = Route(critical="pagerduty:recsys", warning="slack:#recsys", teams={"ads": ads})

    def declare() -> Monitoring:
        return watching(
            watches=[Queue("work", team="ads"), Queue("other")],
            route=route,
            secrets={},
            mail=None,
            alertmanager="alertmanager.monitoring.svc:9093",
        )

    result = expanded(declare)
    assert result.codes == []
    mine = result.inputs("watch/alarm-work-messagesexpire")["alarmActions"]
    others = result.inputs("watch/alarm-other-messagesexpire")["alarmActions"]
    assert mine == [Ref("watch/topic-critical-ads", ("arn",))]
    assert others == [Ref("watch/topic-critical", ("arn",))]
    assert result.inputs("watch/topic-critical-ads-subscription")["endpoint"] == "ads@example.com"


def test_the_dashboard_of_stores(expanded: Any) -> None:
    found = widgets(expanded(stores))
    headings = [item["properties"]["markdown"] for item in found if item["type"] == "text"]
    assert headings == ["## work", "## features", "## data"]
    charts = {item["properties"]["title"]: item["properties"] for item in found if item["type"] == "metric"}
    assert {"WorkDeadLetters", "Messages", "FeaturesStorageFull", "Connections", "Size and objects"} <= set(charts)
    assert charts["FeaturesStorageFull"]["annotations"] == {"horizontal": [{"label": "alarm", "value": 1 << 30}]}
    size, _ = charts["Size and objects"]["metrics"]
    assert size[:2] == ["AWS/S3", "BucketSizeBytes"]
    assert size[2:6] == ["BucketName", Ref("data/bucket"), "StorageType", "StandardStorage"]
    assert charts["Size and objects"]["period"] == 86_400


def test_widgets_lie_on_none_other(expanded: Any) -> None:
    taken = set()
    for item in widgets(expanded(stores)):
        assert item["x"] + item["width"] <= 24
        cells = {
            (item["x"] + right, item["y"] + down) for right in range(item["width"]) for down in range(item["height"])
        }
        assert not cells & taken
        taken |= cells


def test_container_insights_are_shown_where_they_are(expanded: Any) -> None:
    assert "dashboard" not in expanded(watching, "local").names_of("watch")
    found = widgets(expanded(watching, "eks"))
    lines = [line for item in found if item["type"] == "metric" for line in item["properties"]["metrics"]]
    assert {line[0] for line in lines} == {"ContainerInsights"}
    assert all(line[2:4] == ["ClusterName", "ml-prod"] for line in lines)
    titles = [item["properties"].get("title") for item in found]
    assert {"MyApiDown", "Pods that run", "Machines"} <= set(titles)


# ------------------------------------------------------------------------------------------------ log groups


def eks(**fields: Any) -> list[Any]:
    system = NodePool("system", instance_type="m6i.large", min=2, max=3)
    made = Eks(version="1.34", network=Network("network"), container_insights=True, **fields)
    cluster = TrainingCluster("own", eks=made, pools=[system])
    return [Endpoint("api", cluster=cluster)]


def test_container_insights_write_to_groups_that_end(expanded: Any) -> None:
    key = Key("logs")
    result = expanded(lambda: eks(log_key=key, log_days=90), "aws-only")
    kinds = ("application", "dataplane", "host", "performance")
    groups = [f"own/insights-{kind}" for kind in kinds]
    for group, kind in zip(groups, kinds, strict=True):
        inputs = result.inputs(group)
        assert inputs["name"] == f"/aws/containerinsights/sample-test-own/{kind}"
        assert (inputs["retentionInDays"], inputs["kmsKeyId"]) == (90, Ref("logs/key", ("arn",)))
    assert result.inputs("own/eks-logs")["kmsKeyId"] == Ref("logs/key", ("arn",))
    addon = result.node("own/addon-amazon-cloudwatch-observability")
    assert set(groups) <= set(addon.options.depends_on)
    statements = result.inputs("logs/key")["policy"].value["Statement"]
    users = [item for item in statements if item.get("Principal") == {"Service": "logs.us-east-1.amazonaws.com"}]
    assert len(users) == 5


def test_a_databases_logs_are_under_its_key(expanded: Any) -> None:
    result = expanded(lambda: Database("features", key=Key("keys")))
    for log in ("postgresql", "upgrade"):
        assert result.inputs(f"features/log-{log}")["kmsKeyId"] == Ref("keys/key", ("arn",))
    assert "kmsKeyId" not in expanded(lambda: Database("features")).inputs("features/log-upgrade")
