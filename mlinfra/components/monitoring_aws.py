"""What `Monitoring` has on AWS: a topic for each severity, its subscriptions, and CloudWatch alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.access import account_id, policy
from mlinfra.components.prometheus import alert_name
from mlinfra.components.signals import Alarm, Signal, Watched
from mlinfra.components.values import Receiver
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

_PROTOCOLS: Final = {"email": "email", "webhook": "https"}
"""SNS protocols, by the kind of receiver; other kinds cannot be subscribed."""

_PERIOD_SECONDS: Final = 60


def add(monitoring: Monitoring, scope: Scope) -> None:
    """Add topics with their subscriptions, and where the target is an EKS cluster, alarms."""
    receivers = {"critical": monitoring.route.critical, "warning": monitoring.route.warning}
    topics = {severity: _topic(scope, severity, receiver) for severity, receiver in receivers.items()}
    cluster = _reported(monitoring, scope)
    if not cluster:
        return
    for component in monitoring.watches:
        for signal in component.signals():
            if signal.alarm is not None:
                _alarm(scope, cluster, component, signal, signal.alarm, topics[signal.severity])


def _reported(monitoring: Monitoring, scope: Scope) -> str:
    """The cluster that Container Insights report on, which are for EKS only; empty where they report on none."""
    if cluster := scope.cluster_of(monitoring.cluster.namespace):
        return cluster.name if cluster.insights else ""
    return scope.environment.eks_cluster


def _topic(scope: Scope, severity: str, receiver: Receiver) -> Ref:
    """A topic that CloudWatch alarms of this account may publish to; returns its ARN.

    It has no key of its own: CloudWatch alarms cannot publish to a topic under the AWS managed key `alias/aws/sns`
    (SNS developer guide, "Key management": event sources need a customer managed key). Alerts name components and
    conditions, no data.
    """
    node = f"topic-{severity}"
    topic = scope.aws(node, "aws:sns/topic:Topic", {"name": scope.label_name(severity), "tags": scope.tags})
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
    dimensions: dict[str, Value] = {"ClusterName": cluster, **alarm.dimensions}
    name = alert_name(component, signal)
    scope.aws(
        f"alarm-{component.identity}-{signal.name.lower()}",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": scope.label_name(name),
            "alarmDescription": signal.summary,
            "namespace": "ContainerInsights",
            "metricName": alarm.metric,
            "dimensions": dimensions,
            "statistic": alarm.statistic,
            "period": _PERIOD_SECONDS,
            "evaluationPeriods": alarm.minutes,
            "comparisonOperator": "LessThanThreshold",
            "threshold": alarm.below,
            "treatMissingData": "breaching",
            "alarmActions": [topic],
            "okActions": [topic],
            "tags": scope.tags,
        },
    )
