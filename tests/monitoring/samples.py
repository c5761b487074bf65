"""Graphs with monitoring: the golden ones, and one with everything that can be watched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.components.alert_values import ExistingSecret, MailServer
from mlinfra.components.bucket import Bucket
from mlinfra.components.drift_monitor import DriftMonitor
from mlinfra.components.drift_values import Fairness
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_signals import Thresholds
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.slo import LatencyGoal, Slo
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Autoscale, Receiver, Route, TeamRoute
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import expand
from mlinfra.graph import Graph
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
GOLDEN = Path(__file__).parents[1] / "golden"
ROUTE = Route(
    critical=Receiver("pagerduty:recsys"),
    warning=Receiver("slack:#recsys"),
    teams={
        "ads": TeamRoute(
            critical=Receiver("webhook:https://ads.example.com/hook"), warning=Receiver("email:ads@example.com")
        )
    },
)


def everything() -> Monitoring:
    pool = NodePool("gpu", instance_type="g5.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[pool])
    job = TrainingJob("fit", cluster=cluster, pool=pool, gpus=1, image=IMAGE, deadline_hours=10, fresh_days=2)
    common: dict[str, Any] = {"cluster": cluster, "pool": pool, "gpus": 1, "image": IMAGE}
    api = Endpoint(
        "my-api",
        **common,
        scale=Autoscale(min=1, max=3),
        thresholds=Thresholds(accuracy=0.9, model_days=2, requests_per_minute=10),
        slo=Slo(availability=99.9, latency=LatencyGoal(seconds=0.5, percent=99)),
        log_requests=Bucket("requests"),
    )
    profile = "s3://models/profile.json"
    fairness = Fairness(groups=["country"], favourable_labels=["bought"])
    drift = DriftMonitor("drift", endpoint=api, image=IMAGE, profile=profile, fairness=fairness)
    ranker = Endpoint("ranker", cluster=cluster, image=IMAGE, team="ads", scale=Autoscale(min=1, max=3))
    pager = ManagedSecret("pager", value_from=FromEnvironment("PAGERDUTY_KEY"), in_cluster=[cluster])
    slack = ExistingSecret(name="alerting", key="slack-url")
    return Monitoring(
        "watch",
        cluster=cluster,
        watches=[api, ranker, drift, job, cluster],
        route=ROUTE,
        secrets={"pagerduty:recsys": pager, "slack": slack, "webhook": ExistingSecret(name="hook")},
        mail=MailServer(host="smtp.example.com", sender="alerts@example.com", user="alerts", password=slack),
        pushgateway=True,
        scrapes=["queue-exporter.ops.svc:9100", "other.ops.svc:9100"],
    )


def expanded(component: Component, tier: Tier = Tier.PROD) -> Graph:
    """The graph of a component; it has no problems."""

    @blueprint("sample", version="1.0.0")
    def sample(env: Environment, p: Params) -> Blueprint:
        return Blueprint(component)

    environment = Environment(
        name=str(tier),
        tier=tier,
        owner=Owner("recsys", "ml-042"),
        account="local",
        region="us-east-1",
        cluster="local",
    )
    with recording() as notes:
        result = sample(environment, Params())
    graph, problems = expand(sample, result, environment)
    assert [*notes.problems, *problems.found] == []
    return graph


def _maps(nodes: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: node["inputs"] for name, node in nodes.items() if key in (node.get("inputs", {}).get("data") or {})}


def golden(key: str) -> dict[str, dict[str, Any]]:
    """The ConfigMaps of all golden graphs that hold a file of this name, by graph and node."""
    found = {}
    for path in sorted(GOLDEN.rglob("*.json")):
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
        by_name = nodes if isinstance(nodes, dict) else {node["name"]: node for node in nodes}
        for name, inputs in _maps(by_name, key).items():
            found[f"{path.stem}:{name}"] = inputs
    return found


def configured(key: str) -> dict[str, dict[str, Any]]:
    """The golden ones and that with everything."""
    graph = expanded(everything())
    own = {
        f"everything:{name}": node.inputs
        for name, node in graph.nodes.items()
        if key in (node.inputs.get("data") or {})
    }
    return {**golden(key), **own}
