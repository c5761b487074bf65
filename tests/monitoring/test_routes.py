"""What is generated for Alertmanager, by its own checker: it takes it, and each alert goes where its labels say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.programs import files, run
from tests.monitoring.samples import configured, everything, expanded

CONFIGURED = configured("alertmanager.yml")
ROUTES = [
    ({"severity": "critical", "team": "recsys", "component": "my-api"}, "pagerduty:recsys"),
    ({"severity": "warning", "team": "recsys"}, "slack:#recsys"),
    ({"severity": "critical", "team": "ads", "component": "ranker"}, "webhook:https://ads.example.com/hook"),
    ({"severity": "warning", "team": "ads"}, "email:ads@example.com"),
    ({"severity": "critical", "team": "nobody"}, "pagerduty:recsys"),
    ({"severity": "info"}, "slack:#recsys"),
    ({}, "slack:#recsys"),
]


@pytest.mark.parametrize("inputs", CONFIGURED.values(), ids=list(CONFIGURED))
def test_alertmanager_takes_the_configuration(inputs: dict[str, Any], tmp_path: Path) -> None:
    assert "SUCCESS" in run("amtool", "check-config", files(inputs, tmp_path) / "alertmanager.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"), ROUTES, ids=[" ".join(labels.values()) or "none" for labels, _ in ROUTES]
)
def test_alerts_go_by_severity_and_team(labels: dict[str, str], receiver: str, tmp_path: Path) -> None:
    config = files(CONFIGURED["everything:watch/alertmanager-config"], tmp_path) / "alertmanager.yml"
    given = [f"{key}={value}" for key, value in labels.items()]
    said = run(
        "amtool", "config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *given
    )
    assert receiver in said


def test_each_alert_of_prometheus_goes_to_the_receiver_that_it_names(tmp_path: Path) -> None:
    """The label `receiver`, by which an Alertmanager of somebody else's can go, says what ours does."""
    nodes = expanded(everything()).nodes
    config = files(nodes["watch/alertmanager-config"].inputs, tmp_path) / "alertmanager.yml"
    groups = yaml.safe_load(nodes["watch/config"].inputs["data"]["rules.yml"])["groups"]
    labels = {tuple(sorted(rule["labels"].items())) for group in groups for rule in group["rules"] if "alert" in rule}
    by_way = {(found["severity"], found["team"]): found for found in map(dict, labels)}
    assert len(by_way) == 4
    for found in by_way.values():
        given = [f"{key}={value}" for key, value in found.items()]
        test = ("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={found['receiver']}")
        run("amtool", *test, *given)
