"""What is generated for Prometheus, by Prometheus itself: it takes it, and each alert fires when it should and only
then."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.components.promql import metrics_in
from tests.monitoring.cases import CASES, Case
from tests.monitoring.programs import files, run
from tests.monitoring.samples import configured

CONFIGURED = configured("prometheus.yml")
SPARSE = {
    **dict.fromkeys(
        ("NearDeadline", "NotCompared", "AvailabilityBurn6h", "LatencyBurn6h", "AvailabilityBurn1d", "LatencyBurn1d"),
        "10m",
    ),
    **dict.fromkeys(("ModelOld", "Stale", "AvailabilityBurn3d", "LatencyBurn3d"), "30m"),
}
"""How often rules that look at hours and days are worked out here; the others are each minute."""


def alerts(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    groups = yaml.safe_load(inputs["data"]["rules.yml"])["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def signal(rule: dict[str, Any]) -> str:
    """The signal that a rule was made of: the alert's name without the component's."""
    component = "".join(part.capitalize() for part in rule["labels"]["component"].split("-"))
    name: str = rule["alert"].removeprefix(component)
    return name


@pytest.mark.parametrize("inputs", CONFIGURED.values(), ids=list(CONFIGURED))
def test_prometheus_takes_configuration_and_rules(inputs: dict[str, Any], tmp_path: Path) -> None:
    folder = files(inputs, tmp_path)
    said = run("promtool", "check", "config", folder / "prometheus.yml")
    rules = [rule for group in yaml.safe_load(inputs["data"]["rules.yml"])["groups"] for rule in group["rules"]]
    assert f"{len(rules)} rules found" in said
    run("promtool", "check", "rules", folder / "rules.yml")


def test_everything_has_each_kind_of_alert() -> None:
    everything = CONFIGURED["everything:watch/config"]
    assert {signal(rule) for rule in alerts(everything)} == set(CASES)


@pytest.mark.parametrize("inputs", CONFIGURED.values(), ids=list(CONFIGURED))
def test_alerts_fire_when_they_should_and_only_then(inputs: dict[str, Any], tmp_path: Path) -> None:
    found = alerts(inputs)
    assert {signal(rule) for rule in found} <= set(CASES), "each alert has its cases"
    groups = yaml.safe_load(inputs["data"]["rules.yml"])["groups"]
    for rule in found:
        cases = [told(rule, case) for case in CASES[signal(rule)]]
        assert {bool(item["alert_rule_test"][0]["exp_alerts"]) for item in cases} == {True, False}
        file = f"{rule['alert']}.rules.yml"
        needed = alone(rule, groups)
        (tmp_path / file).write_text(yaml.safe_dump({"groups": needed}))
        tests = {
            "rule_files": [file],
            "evaluation_interval": SPARSE.get(signal(rule), "1m"),
            # In any order, an alert would see records as of ten minutes ago, which Prometheus takes for gone.
            "group_eval_order": [group["name"] for group in needed],
            "tests": cases,
        }
        (tmp_path / f"{rule['alert']}.tests.yml").write_text(yaml.safe_dump(tests))
    run("promtool", "test", "rules", *sorted(path.name for path in tmp_path.glob("*.tests.yml")), cwd=tmp_path)


def alone(rule: dict[str, Any], groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups without rules that this one does not need: days of all of them take Prometheus minutes."""
    read, component = metrics_in(rule["expr"]), rule["labels"]["component"]
    records = [item for group in groups for item in group["rules"] if item.get("record") in read]
    mine = [item for item in records if item["labels"]["component"] == component]
    return [*([{"name": "records", "rules": mine}] if mine else []), {"name": "alert", "rules": [rule]}]


def told(rule: dict[str, Any], case: Case) -> dict[str, Any]:
    """A case as promtool takes it (Prometheus, "Unit testing for rules")."""
    component = rule["labels"]["component"]
    read = re.search(r'component="([^"]+)"', rule["expr"])
    names = {"$c": component, "$e": read[1] if read else component}

    def filled(items: dict[str, str]) -> dict[str, str]:
        return {name(key): name(value) for key, value in items.items()}

    def name(text: str) -> str:
        return re.sub(r"\$[ce]", lambda found: names[found[0]], text)

    expected = {"exp_labels": {**rule["labels"], **filled(case.extra)}, "exp_annotations": rule["annotations"]}
    return {
        "interval": case.step,
        "input_series": [{"series": key, "values": value} for key, value in filled(case.series).items()],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": rule["alert"], "exp_alerts": [expected] if case.fires else []}
        ],
    }
