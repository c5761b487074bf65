"""Which resource types there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.aws.resource import Resource
from mlinfra.providers.aws.types import (
    cloudwatch,
    ec2_endpoints,
    ec2_flow_logs,
    ec2_gateways,
    ec2_groups,
    ec2_instance,
    ec2_launch_templates,
    ec2_routes,
    ec2_rules,
    ec2_vpc,
    ecr,
    eks_access,
    eks_addon,
    eks_cluster,
    eks_node_group,
    iam_oidc,
    iam_policies,
    iam_profiles,
    iam_roles,
    kms,
    kms_grants,
    logs,
    rds,
    rds_instance,
    s3,
    s3_lifecycle,
    s3_notifications,
    s3_replication,
    s3_settings,
    secretsmanager,
    sns,
    sqs,
    ssm,
)

_MODULES: Final = (
    cloudwatch, ec2_endpoints, ec2_flow_logs, ec2_gateways, ec2_groups, ec2_instance, ec2_launch_templates, ec2_routes,
    ec2_rules, ec2_vpc, ecr, eks_access, eks_addon, eks_cluster, eks_node_group, iam_oidc, iam_policies, iam_profiles,
    iam_roles, kms, kms_grants, logs, rds, rds_instance, s3, s3_lifecycle, s3_notifications, s3_replication,
    s3_settings, secretsmanager, sns, sqs, ssm,
)  # fmt: skip

RESOURCES: Final[Mapping[str, Resource]] = {kind.token: kind for module in _MODULES for kind in module.RESOURCES}
"""Every resource type, by its token."""

TYPES: Final = frozenset(RESOURCES)
"""The tokens of the resource types that this provider has."""


def find(token: str) -> Resource:
    """The resource type of a token. Raises `MlinfraError` where there is none."""
    if token in RESOURCES:
        return RESOURCES[token]
    raise MlinfraError(
        Diagnostic(
            f"mlinfra's embedded AWS provider has no resource type {token}",
            detail="It stands in for the official AWS plugin on the local target, for the types that components use.",
            remedy="Use the official plugin (target kind aws) for it, or add the type to mlinfra/providers/aws/types.",
            code="aws-type-unknown",
        )
    )
