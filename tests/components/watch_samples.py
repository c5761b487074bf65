"""Monitorings that tests of dashboards and of the operator's resources share."""

from __future__ import annotations

from typing import Any

from mlinfra.components.alert_values import ExistingSecret, MailServer
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.slo import Slo
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Route, TeamRoute

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
MODEL = "models:/ranker/3"


def watching(*, operator: bool = False, gpus: int = 1, held: bool = True, **fields: Any) -> Monitoring:
    """A cluster with an endpoint and a job, and receivers of every kind."""
    pool = NodePool("gpu", instance_type="g5.xlarge", max=4)
    cluster = fields.pop("cluster", None) or TrainingCluster("train", pools=[pool], prometheus_operator=operator)
    api = Endpoint("my-api", cluster=cluster, image=IMAGE, slo=Slo(availability=99.9))
    fit = TrainingJob("fit", cluster=cluster, pool=pool, gpus=gpus, image=IMAGE, deadline_hours=10)
    pager = ManagedSecret("pager", in_cluster=[cluster] if held else [])
    ads = TeamRoute(critical="webhook:https://ads.example.com/hook", warning="email:ads@example.com")
    given: dict[str, Any] = {
        "watches": [api, fit],
        "route": Route(critical="pagerduty:recsys", warning="slack:#recsys", teams={"ads": ads}),
        "secrets": {"pagerduty": pager, "slack": ExistingSecret(name="alerting", key="slack-url"), "webhook": pager},
        "mail": MailServer(host="smtp.example.com", sender="a@example.com", user="alerts", password=pager),
    }
    return Monitoring("watch", cluster=cluster, **{**given, **fields})
