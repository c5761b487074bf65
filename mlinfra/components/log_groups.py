"""Log groups of CloudWatch Logs: for how long they keep what is logged, and with which key it is encrypted.

What writes a log makes the group itself where there is none, and such a group keeps everything for ever under a key of
AWS's. A group of ours is there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.components.access import allow, arn_here
from mlinfra.components.key import Key
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

SERVICE_USES: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
"""What a service does to the key that it encrypts with."""


def add_log_group(
    scope: Scope, local: str, name: str, *, days: int, key: Key | None = None, tags: Mapping[str, str] | None = None
) -> Ref:
    """Add a log group that keeps what is logged for `days`, encrypted with `key`, by default with AWS's own."""
    inputs: dict[str, Value] = {"name": name, "retentionInDays": days, "tags": {**(tags or {}), **scope.tags}}
    if key is not None:
        inputs["kmsKeyId"] = key.arn
        _let_encrypt(scope, key, name)
    return scope.aws(local, "aws:cloudwatch/logGroup:LogGroup", inputs)


def _let_encrypt(scope: Scope, key: Key, group: str) -> None:
    """Let CloudWatch Logs use a key for one log group (CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs
    using AWS Key Management Service")."""
    place = arn_here(scope, "logs", f"log-group:{group}")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{scope.environment.region}.amazonaws.com"},
        "Action": [*SERVICE_USES],
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": place}},
    }
    allow(scope, key.arn.node, statement)
