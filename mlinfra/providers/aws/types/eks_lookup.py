"""EKS: what a lookup tells of a cluster, by the names of pulumi_aws's data source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Aws
from mlinfra.providers.aws.shapes import moment
from mlinfra.providers.aws.types.eks import TAGGING
from mlinfra.providers.aws.types.eks_cluster import authority, enabled_logs, identities

FIELDS: Final = (Field("name", required=True), Field("tags", dict), Field("region"))


def cluster(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster by its name. Raises `AwsError` where there is none."""
    record = aws.api("eks").call("describe_cluster", name=arguments["name"])["cluster"]
    access = record.get("accessConfig") or {}
    network = record.get("kubernetesNetworkConfig") or {}
    return {
        "accessConfigs": [
            {
                "authenticationMode": access.get("authenticationMode") or "",
                "bootstrapClusterCreatorAdminPermissions": False,  # AWS does not tell
            }
        ],
        "arn": record["arn"],
        "certificateAuthorities": [{"data": authority(record)}],
        "clusterId": record.get("id") or "",
        "computeConfigs": [],
        "createdAt": moment(record["createdAt"]),
        "deletionProtection": bool(record.get("deletionProtection")),
        "enabledClusterLogTypes": enabled_logs(record),
        "endpoint": record.get("endpoint") or "",
        "id": record["name"],
        "identities": identities(record),
        "kubernetesNetworkConfigs": [
            {
                "elasticLoadBalancings": [],
                "ipFamily": network.get("ipFamily") or "",
                "serviceIpv4Cidr": network.get("serviceIpv4Cidr") or "",
                "serviceIpv6Cidr": network.get("serviceIpv6Cidr") or "",
            }
        ],
        "name": record["name"],
        "outpostConfigs": [],
        "platformVersion": record.get("platformVersion") or "",
        "region": aws.region,
        "remoteNetworkConfigs": [],
        "roleArn": record["roleArn"],
        "status": record["status"],
        "storageConfigs": [],
        "tags": TAGGING.plain(record.get("tags")),
        "upgradePolicies": [record.get("upgradePolicy") or {}],
        "version": record["version"],
        "vpcConfig": _vpc(record.get("resourcesVpcConfig") or {}),
        "zonalShiftConfigs": [record.get("zonalShiftConfig") or {"enabled": False}],
    }


def _vpc(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "clusterSecurityGroupId": record.get("clusterSecurityGroupId") or "",
        "endpointPrivateAccess": bool(record.get("endpointPrivateAccess")),
        "endpointPublicAccess": bool(record.get("endpointPublicAccess")),
        "publicAccessCidrs": record.get("publicAccessCidrs") or [],
        "securityGroupIds": record.get("securityGroupIds") or [],
        "subnetIds": record.get("subnetIds") or [],
        "vpcId": record.get("vpcId") or "",
    }
