"""Flow logs of a network: where they are written to, and what may write them there.

Source: Amazon VPC user guide, "Publish flow logs to CloudWatch Logs" and "Publish flow logs to Amazon S3", the policies
that these name, with the conditions that they recommend.
"""

from __future__ import annotations

from typing import Final

from mlinfra.components.access import Grant, account_id, add_role, allow, arn_here, permit, trusted
from mlinfra.components.bucket import Bucket
from mlinfra.components.log_groups import SERVICE_USES, add_log_group
from mlinfra.components.network_values import FlowLogs
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

_LOG: Final = "aws:ec2/flowLog:FlowLog"
_DELIVERY: Final = "delivery.logs.amazonaws.com"
_TRAFFIC: Final = {"all": "ALL", "accepted": "ACCEPT", "rejected": "REJECT"}
_WRITES: Final = ("logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents")
"""What flow logs do to a log group that is there."""


def add_flow_logs(scope: Scope, vpc: Ref, wanted: FlowLogs) -> None:
    """Add the flow log of a VPC, and what it needs to be written."""
    inputs, after = _to_cloudwatch(scope, wanted) if wanted.bucket is None else _to_bucket(scope, wanted.bucket)
    settings = {"trafficType": _TRAFFIC[wanted.traffic], "maxAggregationInterval": wanted.interval}
    marks = {**scope.tags, "Name": scope.label_name(limit=255)}
    scope.aws("flow-log", _LOG, {"vpcId": vpc, **settings, **inputs, "tags": marks}, depends_on=after)


def _to_cloudwatch(scope: Scope, wanted: FlowLogs) -> tuple[dict[str, Value], tuple[str, ...]]:
    """A log group, and a role that writes to it."""
    name = f"/mlinfra/flow-logs/{scope.label_name(limit=200)}"
    days = wanted.days or scope.environment.tier.defaults.flow_log_days
    group = add_log_group(scope, "logs", name, days=days, key=wanted.key)
    arn = Ref(group.node, ("arn",))
    # Flow logs of this account and region alone.
    trust = trusted("vpc-flow-logs.amazonaws.com", _here(scope, "ec2", "vpc-flow-log/*"))
    role = add_role(scope, "logs-role", "VPC flow logs write to CloudWatch Logs", trust, "flow-logs")
    written = permit(scope, "logs-policy", role, [Grant(_WRITES, (arn, join(arn, ":*")))], "write")
    place = {"logDestinationType": "cloud-watch-logs", "logDestination": arn, "iamRoleArn": Ref(role.node, ("arn",))}
    return place, (written.node,)


def _to_bucket(scope: Scope, bucket: Bucket) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Statements in the policies of a bucket and of its key, by which AWS's log delivery writes to it."""
    account, arn = account_id(scope), bucket.arn
    place = _here(scope, "logs", "*")
    principal = {"Effect": "Allow", "Principal": {"Service": _DELIVERY}}
    owned = {"StringEquals": {**place["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}}
    objects = join(arn, "/AWSLogs/", account, "/*")
    after = bucket.node("policy")
    allow(scope, after, {**principal, "Action": "s3:PutObject", "Resource": objects, "Condition": {**place, **owned}})
    looks = {"Action": ["s3:GetBucketAcl", "s3:ListBucket"], "Resource": arn, "Condition": place}
    allow(scope, after, {**principal, **looks})
    if bucket.key_arn is not None:
        allow(scope, bucket.key_arn.node, {**principal, "Action": [*SERVICE_USES], "Resource": "*", "Condition": place})
    return {"logDestinationType": "s3", "logDestination": arn}, (after,)


def _here(scope: Scope, service: str, what: str) -> dict[str, dict[str, Value]]:
    """The condition that a service of AWS acts for this account, in this region."""
    source = arn_here(scope, service, what)
    return {"StringEquals": {"aws:SourceAccount": account_id(scope)}, "ArnLike": {"aws:SourceArn": source}}
