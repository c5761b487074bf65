from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlinfra.components.alert_values import ExistingSecret, MailServer
from mlinfra.components.alertmanager import configuration, ports, receivers, secret_file
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Receiver, Route, TeamRoute
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

MAIL = MailServer(host="smtp.example.com", sender="alerts@example.com")
SECRETS = dict.fromkeys(("pagerduty", "slack"), ExistingSecret(name="alerting"))


def route(critical: str = "pagerduty:ml", warning: str = "slack:#ml", **teams: tuple[str, str]) -> Route:
    ways = {name: TeamRoute(critical=Receiver(one), warning=Receiver(two)) for name, (one, two) in teams.items()}
    return Route(critical=Receiver(critical), warning=Receiver(warning), teams=ways)


def monitoring(secrets: Any = None, way: Route | None = None, **fields: Any) -> Monitoring:
    cluster = TrainingCluster("train")
    return Monitoring("watch", cluster=cluster, route=way or route(), secrets=secrets or {}, **fields)


def test_everybody_once() -> None:
    found = receivers(route(ads=("pagerduty:ads", "slack:#ml"), search=("pagerduty:ml", "slack:#search")))
    assert found == ("pagerduty:ml", "slack:#ml", "pagerduty:ads", "slack:#search")


def test_teams_come_before_all_others() -> None:
    routes = configuration(route(ads=("pagerduty:ads", "slack:#ads")))["route"]["routes"]
    assert [(item["matchers"], item["receiver"]) for item in routes] == [
        (['team="ads"', 'severity="critical"'], "pagerduty:ads"),
        (['team="ads"', 'severity="warning"'], "slack:#ads"),
        (['severity="critical"'], "pagerduty:ml"),
        (['severity="warning"'], "slack:#ml"),
    ]


def test_all_hear_when_it_is_over_and_criticals_silence_warnings() -> None:
    config = configuration(
        route("email:a@example.com", "webhook:https://example.com/x", ads=("pagerduty:b", "slack:#c"))
    )
    told = [item for receiver in config["receivers"] for key, item in receiver.items() if key != "name"]
    assert len(told) == 4
    assert all(item["send_resolved"] for (item,) in told)
    (quiet,) = config["inhibit_rules"]
    assert quiet["source_matchers"] == ['severity="critical"']
    assert quiet["target_matchers"] == ['severity="warning"']
    assert "component" in quiet["equal"]


@pytest.mark.parametrize(
    ("receiver", "mail", "wanted"),
    [
        ("pagerduty:a", None, [443]),
        ("webhook:https://example.com:8443/x", None, [8443]),
        ("webhook:https://example.com", None, [443]),
        ("email:a@example.com", MAIL, [587]),
    ],
)
def test_ports(receiver: str, mail: MailServer | None, wanted: list[int]) -> None:
    assert ports([Receiver(receiver)], mail) == wanted


@pytest.mark.parametrize(("port", "starttls"), [(587, True), (25, True), (465, False)])
def test_mail_is_sent_over_tls(port: int, starttls: bool) -> None:
    mail = MailServer(host="smtp.example.com", port=port, sender="alerts@example.com")
    config = configuration(route("email:a@example.com"), mail=mail)["global"]
    assert (config["smtp_smarthost"], config["smtp_require_tls"]) == (f"smtp.example.com:{port}", starttls)


def test_secrets_are_files_and_no_values(expanded: Any) -> None:
    def declare() -> Monitoring:
        cluster = TrainingCluster("train")
        pager = ManagedSecret("pager", in_cluster=[cluster])
        secrets = {"pagerduty:ml": pager, "slack": ExistingSecret(name="alerting", key="slack-url")}
        return Monitoring("watch", cluster=cluster, route=route(), secrets=secrets)

    result = expanded(declare)
    assert result.codes == []
    config = yaml.safe_load(result.inputs("watch/alertmanager-config")["data"]["alertmanager.yml"])
    pager, slack = config["receivers"]
    files = [secret_file(Receiver(name)) for name in ("pagerduty:ml", "slack:#ml")]
    assert pager["pagerduty_configs"][0]["routing_key_file"] == f"/etc/alertmanager-secrets/{files[0]}"
    assert slack["slack_configs"][0]["api_url_file"] == f"/etc/alertmanager-secrets/{files[1]}"
    volumes = result.inputs("watch/alertmanager")["spec"]["template"]["spec"]["volumes"]
    (secrets,) = [volume["projected"]["sources"] for volume in volumes if volume["name"] == "secrets"]
    assert [source["secret"]["name"] for source in secrets] == [Ref("pager/in-train", ("metadata", "name")), "alerting"]
    assert [source["secret"]["items"] for source in secrets] == [
        [{"key": "value", "path": files[0]}],
        [{"key": "slack-url", "path": files[1]}],
    ]


@pytest.mark.parametrize(
    ("way", "secrets", "mail", "codes"),
    [
        (route(), {}, None, ["receiver-without-secret", "receiver-without-secret"]),
        (route(), {"pagerduty": SECRETS["pagerduty"]}, None, ["receiver-without-secret"]),
        (route("email:a@example.com", "webhook:https://example.com"), {}, None, ["receiver-without-mail"]),
        (route("email:a@example.com", "webhook:https://example.com"), {}, MAIL, []),
        (route(ads=("pagerduty:ads", "slack:#ads")), {"pagerduty:ml": SECRETS["slack"]}, None, 3),
    ],
)
def test_receivers_that_cannot_be_reached(expanded: Any, way: Route, secrets: Any, mail: Any, codes: Any) -> None:
    found = expanded(lambda: monitoring(secrets, way, mail=mail)).codes
    assert found == (codes if isinstance(codes, list) else ["receiver-without-secret"] * codes)


def test_a_secret_of_another_namespace(expanded: Any) -> None:
    def declare() -> Monitoring:
        elsewhere = ManagedSecret("pager", in_cluster=[TrainingCluster("other")])
        return monitoring({**SECRETS, "pagerduty": elsewhere})

    assert expanded(declare).codes == ["secret-elsewhere"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"secrets": SECRETS, "alertmanager": "a:1"}, "has secrets and mail of its own"),
        ({"secrets": {**SECRETS, "slack:#nobody": SECRETS["slack"]}}, "secrets has slack:#nobody"),
    ],
)
def test_what_does_not_go_together(expanded: Any, fields: dict[str, Any], said: str) -> None:
    (told,) = expanded(lambda: monitoring(**fields)).diagnostics
    assert said in told.summary + told.detail


@pytest.mark.parametrize(("tier", "replicas"), [(Tier.DEV, 1), (Tier.PROD, 2)])
def test_replicas_know_each_other(expanded: Any, tier: Tier, replicas: int) -> None:
    result = expanded(lambda: monitoring(SECRETS), tier=tier)
    spec = result.inputs("watch/alertmanager")["spec"]
    assert spec["replicas"] == replicas
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    peers = [item for item in arguments if item.startswith("--cluster.peer=")]
    hosts = [f"watch-alertmanager-{number}.watch-alertmanager" for number in range(replicas)]
    assert peers == ([f"--cluster.peer={host}:9094" for host in hosts] if replicas > 1 else [])
    config = yaml.safe_load(result.inputs("watch/config")["data"]["prometheus.yml"])
    (told,) = config["alerting"]["alertmanagers"]
    assert told["static_configs"] == [{"targets": [f"{host}:9093" for host in hosts]}]
    assert ("alertmanager-budget" in result.names_of("watch")) is (replicas > 1)


def test_pods_of_parts_are_not_prometheus_own(expanded: Any) -> None:
    """The selector of Prometheus' Deployment and Service finds its own pods alone."""
    result = expanded(lambda: monitoring(SECRETS, pushgateway=True))
    own = result.inputs("watch/service")["spec"]["selector"].items()
    for part in ("alertmanager", "pushgateway"):
        labels = result.inputs(f"watch/{part}")["spec"]["template"]["metadata"]["labels"]
        assert not own <= labels.items()
        assert labels["mlinfra.dev/monitoring"] == "watch"
        assert result.inputs(f"watch/{part}-service")["spec"]["selector"].items() <= labels.items()
