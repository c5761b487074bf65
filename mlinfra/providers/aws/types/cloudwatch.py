"""CloudWatch alarms and dashboards. Both are put whole, by name, over whatever has that name."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, given, to_aws
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference"
_ALARM_FINAL: Final = f"{_API}/API_PutMetricAlarm.html: an alarm is known by its name"
_DASHBOARD_FINAL: Final = f"{_API}/API_PutDashboard.html: a dashboard is known by its name"
_NO_DASHBOARD: Final = frozenset({"ResourceNotFound", "DashboardNotFoundError"})

TAGGING: Final = Tagging("ResourceARN")

_DIMENSIONS: Final = Field("dimensions", dict, pairs=("Name", "Value"))
_QUERY_METRIC: Final = (
    Field("metricName", required=True),
    Field("namespace"),
    _DIMENSIONS,
    Field("period", int, required=True),
    Field("stat", required=True),
    Field("unit"),
)
_QUERY: Final = (
    Field("id", required=True),
    Field("accountId"),
    Field("expression"),
    Field("label"),
    Field("metric", _QUERY_METRIC),
    Field("period", int),
    Field("returnData", bool, default=False),
)
_COMPARISONS: Final = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold",
)  # fmt: skip
_ALARM: Final = (
    Field("name", aws="AlarmName", pattern=(r"[^\x00-\x1f]{1,255}", "1 to 255 characters"), replaces=_ALARM_FINAL),
    Field("alarmDescription"),
    Field("actionsEnabled", bool, default=True),
    Field("alarmActions", many=True, unordered=True),
    Field("okActions", many=True, unordered=True, aws="OKActions"),
    Field("insufficientDataActions", many=True, unordered=True),
    Field("comparisonOperator", required=True, choices=_COMPARISONS),
    Field("evaluationPeriods", int, required=True, bounds=(1, 86400)),
    Field("datapointsToAlarm", int),
    Field("threshold", float),
    Field("thresholdMetricId"),
    Field("metricName"),
    Field("namespace"),
    _DIMENSIONS,
    Field("period", int),
    Field("statistic", choices=("SampleCount", "Average", "Sum", "Minimum", "Maximum")),
    Field("extendedStatistic"),
    Field("unit"),
    Field("treatMissingData", default="missing", choices=("missing", "ignore", "breaching", "notBreaching")),
    Field(
        "evaluateLowSampleCountPercentiles", aws="EvaluateLowSampleCountPercentile", choices=("evaluate", "ignore")
    ),
)  # fmt: skip


class MetricAlarm(Resource):
    """An alarm. Its id is its name."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"  # noqa: S105 — a type token
    service = "cloudwatch"
    fields = (*_ALARM, Field("metricQueries", _QUERY, many=True, unordered=True), TAGS, REGION)
    outputs = ("arn",)
    names = ("name",)
    upserts = True
    longest = 255

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all."""
        name = inputs["name"]
        aws.api("cloudwatch").call("put_metric_alarm", **_parameters(inputs), Tags=TAGGING.form(inputs.get("tags")))
        return Made(name, {"arn": aws.arn("cloudwatch", f"alarm:{name}")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the alarm and its tags."""
        api = aws.api("cloudwatch")
        alarms = api.call("describe_alarms", AlarmNames=[resource_id]).get("MetricAlarms", [])
        if not alarms:
            return None
        inputs = {
            **from_aws(_ALARM, alarms[0]),
            "metricQueries": [_query_from_aws(item) for item in alarms[0].get("Metrics", ())] or None,
        }
        arn = alarms[0]["AlarmArn"]
        return Live(inputs, {"arn": arn}, TAGGING.live(api, arn))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it whole; tags by calls of their own, since PutMetricAlarm minds them only when it creates."""
        api = aws.api("cloudwatch")
        if change.names - {"tags"}:
            api.call("put_metric_alarm", **_parameters(change.new))
        if change.touches("tags"):
            TAGGING.change(api, change.outputs["arn"], change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("cloudwatch").find("delete_alarms", {"ResourceNotFound"}, AlarmNames=[resource_id])


def _parameters(inputs: Mapping[str, Any]) -> dict[str, Any]:
    queries = inputs.get("metricQueries")
    metrics = [_query_to_aws(item) for item in queries] if queries else None
    return to_aws(_ALARM, inputs) | {"Metrics": metrics}


def _query_to_aws(query: Mapping[str, Any]) -> dict[str, Any]:
    sent = to_aws(_QUERY, query)
    sent["ReturnData"] = query.get("returnData", False)
    if metric := sent.pop("Metric", None):
        what = {key: metric.pop(key) for key in ("MetricName", "Namespace", "Dimensions") if key in metric}
        sent["MetricStat"] = {"Metric": what, **metric}
    return sent


def _query_from_aws(record: Mapping[str, Any]) -> dict[str, Any]:
    found = given(from_aws(_QUERY, record))
    if statistic := record.get("MetricStat"):
        found["metric"] = given(from_aws(_QUERY_METRIC, {**statistic["Metric"], **statistic}))
        if not found["metric"].get("dimensions"):
            found["metric"].pop("dimensions", None)
    return found


class Dashboard(Resource):
    """A dashboard. Its id is its name."""

    token = "aws:cloudwatch/dashboard:Dashboard"  # noqa: S105 — a type token
    service = "cloudwatch"
    fields = (
        Field(
            "dashboardName",
            required=True,
            pattern=(r"[A-Za-z0-9_-]{1,255}", "1 to 255 letters, digits, - and _"),
            replaces=_DASHBOARD_FINAL,
        ),
        Field("dashboardBody", required=True, document=True),
        REGION,
    )
    outputs = ("dashboardArn",)
    names = ("dashboardName",)
    upserts = True
    longest = 255

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Put it."""
        name = inputs["dashboardName"]
        _put_dashboard(aws, inputs)
        return Made(name, {"dashboardArn": aws.arn("cloudwatch", f"dashboard/{name}", region="")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("cloudwatch").find("get_dashboard", _NO_DASHBOARD, DashboardName=resource_id)
        if found is None:
            return None
        inputs = {"dashboardName": resource_id, "dashboardBody": found["DashboardBody"]}
        return Live(inputs, {"dashboardArn": found["DashboardArn"]})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again."""
        _put_dashboard(aws, change.new)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("cloudwatch").find("delete_dashboards", _NO_DASHBOARD, DashboardNames=[resource_id])


def _put_dashboard(aws: Aws, inputs: Mapping[str, Any]) -> None:
    aws.api("cloudwatch").call(
        "put_dashboard", DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"]
    )


RESOURCES: Final = (MetricAlarm(), Dashboard())
