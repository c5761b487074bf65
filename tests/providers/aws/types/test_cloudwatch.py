"""Alarms and dashboards, against moto."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

ALARM, DASHBOARD = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/dashboard:Dashboard"
FIRST, SECOND = (f"arn:aws:sns:us-east-1:111122223333:{name}" for name in ("first", "second"))


def alarm(world: Any, name: str) -> Any:
    found = world.boto("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not found:
        return None
    live = found[0]
    keys = ("MetricName", "Namespace", "Statistic", "Period", "Threshold", "ComparisonOperator", "TreatMissingData")
    return (
        *(live.get(key) for key in keys),
        sorted(live["AlarmActions"]),
        live["OKActions"],
        live["Dimensions"],
        live["ActionsEnabled"],
        world.tags("cloudwatch", ResourceARN=live["AlarmArn"]),
    )


def test_alarm(lifecycle: Any) -> None:
    lifecycle(
        ALARM,
        inputs=lambda words: {
            "name": "latency",
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": 3,
            "metricName": "Latency",
            "namespace": "ml",
            "statistic": "Average",
            "period": 60,
            "threshold": 0.5,
            "dimensions": {"Endpoint": "api", "Tier": "dev"},
            "alarmActions": [SECOND, FIRST],
            "okActions": [FIRST],
            "tags": {"team": "ml"},
        },
        look=alarm,
        made=lambda words: (
            "Latency", "ml", "Average", 60, 0.5, "GreaterThanThreshold", "missing", [FIRST, SECOND], [FIRST],
            [{"Name": "Endpoint", "Value": "api"}, {"Name": "Tier", "Value": "dev"}], True, {"team": "ml"},
        ),
        outputs=lambda words: {"arn": f"arn:aws:cloudwatch:us-east-1:{words['account']}:alarm:latency"},
        change=lambda words: {
            "threshold": 1,
            "treatMissingData": "breaching",
            "alarmActions": None,
            "actionsEnabled": False,
            "dimensions": {"Endpoint": "api"},
            "tags": {"tier": "dev"},
        },
        changed=lambda words: (
            "Latency", "ml", "Average", 60, 1.0, "GreaterThanThreshold", "breaching", [], [FIRST],
            [{"Name": "Endpoint", "Value": "api"}], False, {"tier": "dev"},
        ),
        replaces=lambda words: [{"name": "other"}],
        drift=lambda world, name: world.boto("cloudwatch").put_metric_alarm(
            AlarmName=name,
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=3,
            MetricName="Latency",
            Namespace="ml",
            Statistic="Average",
            Period=60,
            Threshold=9.0,
            TreatMissingData="breaching",
            OKActions=[FIRST],
            ActionsEnabled=False,
            Dimensions=[{"Name": "Endpoint", "Value": "api"}],
        ),
        drifted={"threshold": 9},
    )  # fmt: skip


QUERIES = [
    {"id": "rate", "expression": "errors / all", "label": "Error rate", "returnData": True},
    {"id": "errors", "metric": {"metricName": "Errors", "namespace": "ml", "period": 60, "stat": "Sum"}},
    {
        "id": "all",
        "metric": {
            "metricName": "Requests", "namespace": "ml", "period": 60, "stat": "Sum", "unit": "Count",
            "dimensions": {"Endpoint": "api"},
        },
    },
]  # fmt: skip


def test_alarm_on_an_expression(world: Any) -> None:
    program = {
        "name": "errors",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
        "threshold": 0.01,
        "metricQueries": QUERIES,
    }
    inputs = world.engine.checked(ALARM, program)
    resource_id, state = world.engine.create(ALARM, inputs)
    live = {query["Id"]: query for query in world.boto("cloudwatch").describe_alarms()["MetricAlarms"][0]["Metrics"]}
    assert live["rate"]["Expression"] == "errors / all"
    assert live["rate"]["ReturnData"] is True
    assert live["all"]["MetricStat"] == {
        "Metric": {"MetricName": "Requests", "Namespace": "ml", "Dimensions": [{"Name": "Endpoint", "Value": "api"}]},
        "Period": 60,
        "Stat": "Sum",
        "Unit": "Count",
    }
    assert world.engine.read(ALARM, resource_id, inputs, state) == (inputs, state)
    turned = world.engine.checked(ALARM, {**program, "metricQueries": QUERIES[::-1]})
    assert not world.engine.diff(ALARM, inputs, turned, state).diffs


def test_an_alarm_that_somebody_made_is_not_overwritten(world: Any, failure: Any) -> None:
    parameters = {"MetricName": "a", "Namespace": "b", "Period": 60, "Statistic": "Sum", "Threshold": 1.0}
    world.boto("cloudwatch").put_metric_alarm(
        AlarmName="theirs", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, **parameters
    )
    program = {"name": "theirs", "comparisonOperator": "LessThanThreshold", "evaluationPeriods": 1}
    error, _ = failure(world.engine.create, ALARM, world.engine.checked(ALARM, program))
    assert "theirs exists already" in error.details()


def test_dashboard(lifecycle: Any) -> None:
    def body(title: str) -> dict[str, Any]:
        widget = {"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": title}}
        return {"widgets": [widget]}

    def look(world: Any, name: str) -> Any:
        try:
            return json.loads(world.boto("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ResourceNotFound", "DashboardNotFoundError"):
                raise
            return None

    lifecycle(
        DASHBOARD,
        inputs=lambda words: {"dashboardName": "ml", "dashboardBody": json.dumps(body("one"))},
        look=look,
        made=lambda words: body("one"),
        outputs=lambda words: {"dashboardArn": f"arn:aws:cloudwatch::{words['account']}:dashboard/ml"},
        change=lambda words: {"dashboardBody": json.dumps(body("two"))},
        changed=lambda words: body("two"),
        replaces=lambda words: [{"dashboardName": "other"}],
        drift=lambda world, name: world.boto("cloudwatch").put_dashboard(
            DashboardName=name, DashboardBody=json.dumps(body("theirs"))
        ),
        drifted={"dashboardBody": json.dumps(body("theirs"))},
    )
