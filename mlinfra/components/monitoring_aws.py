"""What `Monitoring` has on AWS: topics for severities, CloudWatch alarms that publish to them, and a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components import monitoring_charts
from mlinfra.components.access import account_id, policy
from mlinfra.components.monitoring_signals import team_of
from mlinfra.components.prometheus import alert_name
from mlinfra.components.signals import INSIGHTS, Alarm, Severity, Signal, Watched
from mlinfra.components.values import Receiver
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

_PROTOCOLS: Final = {"email": "email", "webhook": "https"}
"""SNS protocols, by the kind of receiver; other kinds cannot be subscribed."""

_PERIOD_SECONDS: Final = 60
_SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning")


def add(monitoring: Monitoring, scope: Scope) -> None:
    """Add topics with their subscriptions, alarms for what CloudWatch knows of, and a dashboard where it shows any."""
    topics = _topics(monitoring, scope)
    cluster = reported(monitoring, scope)
    for component in monitoring.watches:
        team = team_of(component, scope.environment)
        for signal in component.signals():
            if signal.alarm is not None and (cluster or signal.alarm.namespace != INSIGHTS):
                topic = topics.get((signal.severity, team)) or topics[signal.severity, ""]
                _alarm(scope, cluster, component, signal, signal.alarm, topic)
    if widgets := monitoring_charts.widgets(monitoring, cluster, scope.environment.region):
        name, body = scope.label_name(), Document({"widgets": widgets})
        scope.aws("dashboard", "aws:cloudwatch/dashboard:Dashboard", {"dashboardName": name, "dashboardBody": body})


def reported(monitoring: Monitoring, scope: Scope) -> str:
    """The cluster that Container Insights report on, which are for EKS only; empty where they report on none."""
    if cluster := scope.cluster_of(monitoring.cluster.namespace):
        return cluster.name if cluster.insights else ""
    return scope.environment.eks_cluster


def _topics(monitoring: Monitoring, scope: Scope) -> dict[tuple[Severity, str], Ref]:
    """The topics' ARNs, by severity, and by team where one has a way of its own; "" is everybody else's."""
    ways = {"": monitoring.route, **monitoring.route.teams}
    return {
        (severity, team): _topic(scope, "-".join(filter(None, (severity, team))), getattr(way, severity))
        for team, way in ways.items()
        for severity in _SEVERITIES
    }


def _topic(scope: Scope, part: str, receiver: Receiver) -> Ref:
    """A topic that CloudWatch alarms of this account may publish to; returns its ARN.

    It has no key of its own: CloudWatch alarms cannot publish to a topic under the AWS managed key `alias/aws/sns`
    (SNS developer guide, "Key management": event sources need a customer managed key). Alerts name components and
    conditions, no data.
    """
    node = f"topic-{part}"
    topic = scope.aws(node, "aws:sns/topic:Topic", {"name": scope.label_name(part), "tags": scope.tags})
    arn = Ref(topic.node, ("arn",))
    # SNS developer guide, "Example cases for Amazon SNS access control".
    publish = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account_id(scope)}},
    }
    scope.aws(f"{node}-policy", "aws:sns/topicPolicy:TopicPolicy", {"arn": arn, "policy": policy([publish])})
    if protocol := _PROTOCOLS.get(receiver.kind):
        subscription = {"topic": arn, "protocol": protocol, "endpoint": receiver.address}
        scope.aws(f"{node}-subscription", "aws:sns/topicSubscription:TopicSubscription", subscription)
    return arn


def _alarm(scope: Scope, cluster: str, component: Watched, signal: Signal, alarm: Alarm, topic: Ref) -> None:
    dimensions: dict[str, Value] = dict(alarm.dimensions)
    if alarm.namespace == INSIGHTS:
        dimensions = {"ClusterName": cluster, **dimensions}
    below = alarm.below is not None
    scope.aws(
        f"alarm-{component.identity}-{signal.name.lower()}",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": scope.label_name(alert_name(component, signal)),
            "alarmDescription": signal.summary,
            "namespace": alarm.namespace,
            "metricName": alarm.metric,
            "dimensions": dimensions,
            "statistic": alarm.statistic,
            "period": _PERIOD_SECONDS,
            "evaluationPeriods": alarm.minutes,
            "comparisonOperator": "LessThanThreshold" if below else "GreaterThanThreshold",
            "threshold": alarm.below if below else alarm.above,
            "treatMissingData": alarm.missing,
            "alarmActions": [topic],
            "okActions": [topic],
            "tags": scope.tags,
        },
    )
