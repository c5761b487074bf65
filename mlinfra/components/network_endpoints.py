"""Endpoints of a network: ways to AWS's services that need neither the internet nor a NAT gateway."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

Gateway = Literal["s3", "dynamodb"]
"""The services that have gateway endpoints (Amazon VPC user guide, "Gateway endpoints")."""

SERVICES: Final = frozenset((
    "acm-pca", "airflow.api", "airflow.env", "airflow.ops", "aps", "aps-workspaces", "athena", "autoscaling",
    "batch", "bedrock", "bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime", "cloudformation",
    "cloudtrail", "codebuild", "codecommit", "config", "datasync", "ebs", "ec2", "ec2messages", "ecr.api",
    "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "eks", "eks-auth", "elasticache", "elasticfilesystem",
    "elasticloadbalancing", "elasticmapreduce", "emr-containers", "emr-serverless", "events", "execute-api",
    "fsx", "git-codecommit", "glue", "grafana", "grafana-workspace", "kinesis-firehose", "kinesis-streams",
    "kms", "lakeformation", "lambda", "logs", "monitoring", "rds", "rds-data", "redshift", "redshift-data",
    "sagemaker.api", "sagemaker.featurestore-runtime", "sagemaker.metrics", "sagemaker.runtime",
    "secretsmanager", "servicecatalog", "sns", "sqs", "ssm", "ssmmessages", "states", "sts", "sync-states",
    "textract", "transcribe", "xray",
))  # fmt: skip
"""Services that have interface endpoints, by the last part of the endpoint service's name (AWS PrivateLink guide, "AWS
services that integrate with AWS PrivateLink"); those that ML platforms are known to use. Others are named in full."""

# Compiled when it is first used, as most of the patterns here: all of them would take `validate` a hundredth.
_FULL: Final = r"(cn\.)?com\.amazonaws\.[a-z0-9-]+(\.[a-z0-9-]+)+|aws\.sagemaker\.[a-z0-9-]+\.(notebook|studio)"


def _known(name: str) -> str:
    if name in SERVICES or re.fullmatch(_FULL, name):
        return name
    if name in ("s3", "dynamodb"):
        raise ValueError(f"{name!r} is reached by a gateway endpoint, which costs nothing: gateway_endpoints")
    close = get_close_matches(name, SERVICES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "name it in full: com.amazonaws.<region>.<service>"
    raise ValueError(f"{name!r} is no service known to have an interface endpoint; {hint}")


Service = Annotated[
    str,
    Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$", examples=["ecr.api"]),
    AfterValidator(_known),
]
"""A service with an interface endpoint: `ecr.api`, or in full `com.amazonaws.eu-west-1.ecr.api`."""


def service_name(service: str, region: str) -> str:
    """The full name of an endpoint service."""
    return service if re.fullmatch(_FULL, service) else f"com.amazonaws.{region}.{service}"
