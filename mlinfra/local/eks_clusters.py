"""The local EKS: clusters."""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mlinfra.local import eks_around as around
from mlinfra.local.eks_access import admit_creator
from mlinfra.local.eks_records import Call, Cluster, again, in_use, refused, wrong
from mlinfra.local.eks_tables import DEFAULT_VERSION, PLATFORM, VERSIONS, minor
from mlinfra.providers.aws.types.eks_cluster import LOG_TYPES, MODES

_NETWORKS: Final = tuple(ipaddress.ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def create_cluster(call: Call) -> dict[str, Any]:
    """CreateCluster."""
    given, name = call.given, call.given["name"]
    if name in call.clusters:
        if again(call.clusters[name], call):
            return {"cluster": described(call, call.clusters[name])}
        raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
    version = given.get("version") or DEFAULT_VERSION
    if version not in VERSIONS:
        raise wrong("unsupported Kubernetes version", clusterName=name)
    around.check_role(call, given["roleArn"], "eks.amazonaws.com")
    network, access = _vpc(call, given["resourcesVpcConfig"]), _access(given.get("accessConfig") or {})
    _check_encryption(call, given.get("encryptionConfig") or ())
    record = {
        **call.chosen("name", "roleArn", "clientRequestToken", "encryptionConfig"),
        "arn": call.arn(f"cluster/{name}"),
        "createdAt": time.time(),
        "version": version,
        "platformVersion": PLATFORM,
        "resourcesVpcConfig": network,
        "kubernetesNetworkConfig": _addresses(given.get("kubernetesNetworkConfig") or {}),
        "logging": _logging({}, given.get("logging") or {}),
        "identity": {"oidc": {"issuer": f"https://oidc.eks.{call.region}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"}},
        "accessConfig": {"authenticationMode": access},
        "upgradePolicy": {"supportType": "EXTENDED", **(given.get("upgradePolicy") or {})},
        "zonalShiftConfig": given.get("zonalShiftConfig") or {"enabled": False},
        "deletionProtection": bool(given.get("deletionProtection")),
        "health": {"issues": []},
        "tags": dict(given.get("tags") or {}),
    }
    network["clusterSecurityGroupId"] = around.make_group(call, name, network["vpcId"])
    cluster = call.clusters[name] = Cluster(record)
    _log(call, cluster)
    if access != "CONFIG_MAP" and (given.get("accessConfig") or {}).get(
        "bootstrapClusterCreatorAdminPermissions", True
    ):
        admit_creator(call, cluster)
    answer = cluster.begin("CREATING", call.looks)
    return {"cluster": {key: value for key, value in answer.items() if key != "identity"}}


def describe_cluster(call: Call) -> dict[str, Any]:
    """DescribeCluster."""
    return {"cluster": described(call, call.cluster())}


def described(call: Call, cluster: Cluster) -> dict[str, Any]:
    """A cluster as it is now, its endpoint being that of the API server which stands for it."""
    record = cluster.look()
    endpoint, authority = call.reach(record["tags"])
    if not endpoint:
        endpoint = f"https://{cluster.record['identity']['oidc']['issuer'][-32:]}.eks.invalid"
    return {**record, "endpoint": endpoint, "certificateAuthority": {"data": authority}}


def list_clusters(call: Call) -> dict[str, Any]:
    """ListClusters."""
    return call.page("clusters", sorted(call.clusters))


def delete_cluster(call: Call) -> dict[str, Any]:
    """DeleteCluster; what belongs to the cluster goes with it, what runs in it must have gone before."""
    cluster = call.cluster()
    if cluster.record["deletionProtection"]:
        raise refused(f"Cluster {cluster.name} has deletion protection enabled", clusterName=cluster.name)
    for attached, what in ((cluster.node_groups, "nodegroups"), (cluster.profiles, "Fargate profiles")):
        if attached:
            raise in_use(f"Cluster has {what} attached", clusterName=cluster.name)
    if cluster.busy:
        cluster.look()
        raise in_use(f"Cluster {cluster.name} has an update in progress", clusterName=cluster.name)
    around.drop_group(call, cluster.record["resourcesVpcConfig"]["clusterSecurityGroupId"])
    return {"cluster": cluster.begin("DELETING", call.looks)}


def update_cluster_version(call: Call) -> dict[str, Any]:
    """UpdateClusterVersion: one minor version up, when the node groups have the version that the cluster has."""
    cluster, new = call.cluster(active=True), call.given["version"]
    old = cluster.record["version"]
    if new not in VERSIONS or minor(new) != minor(old) + 1:
        raise wrong(f"Unsupported Kubernetes minor version update from {old} to {new}", clusterName=cluster.name)
    behind = sorted(name for name, held in cluster.node_groups.items() if held.record["version"] != old)
    if behind:
        raise wrong(
            f"Nodegroups {', '.join(behind)} must be updated to match cluster version {old} before updating cluster "
            f"version",
            clusterName=cluster.name,
        )
    answer = call.update(cluster, cluster, "VersionUpdate", {"Version": new, "PlatformVersion": PLATFORM})
    cluster.record["version"] = new
    return answer


def update_cluster_config(call: Call) -> dict[str, Any]:
    """UpdateClusterConfig: one kind of change in a call, and a change at all."""
    cluster, given = call.cluster(active=True), call.given
    wanted = [name for name in _CHANGES if given.get(name) is not None]
    if len(wanted) != 1:
        raise wrong("Only one type of update can be allowed." if wanted else "No changes needed.")
    [name] = wanted
    record, kind = cluster.record, _CHANGES[name][0]
    if name == "resourcesVpcConfig":
        kind = "VpcConfigUpdate" if {"subnetIds", "securityGroupIds"} & given[name].keys() else kind
    changed = _CHANGES[name][1](call, cluster, given[name])
    if changed == record[name]:
        said = "logging config provided" if name == "logging" else f"{name}: {given[name]}"
        raise wrong(f"No changes needed for the {said}: the cluster is already at the desired configuration")
    said = given[name] if isinstance(given[name], Mapping) else {}
    answer = call.update(cluster, cluster, kind, said)
    record[name] = changed
    _log(call, cluster)
    return answer


def associate_encryption_config(call: Call) -> dict[str, Any]:
    """AssociateEncryptionConfig: for a cluster that has none."""
    cluster, config = call.cluster(active=True), call.given["encryptionConfig"]
    if cluster.record.get("encryptionConfig"):
        raise refused(f"Encryption is already enabled for cluster {cluster.name}", clusterName=cluster.name)
    _check_encryption(call, config)
    answer = call.update(cluster, cluster, "AssociateEncryptionConfig", {"EncryptionConfig": config})
    cluster.record["encryptionConfig"] = config
    return answer


# ------------------------------------------------------------------------------------------------ settings


def _vpc(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    subnets, groups = list(given.get("subnetIds") or ()), list(given.get("securityGroupIds") or ())
    vpc = around.vpc_of(call, subnets, zones=2)
    around.check_groups(call, groups, vpc)
    return _reachable(
        {
            "subnetIds": subnets,
            "securityGroupIds": groups,
            "vpcId": vpc,
            "endpointPublicAccess": bool(given.get("endpointPublicAccess", True)),
            "endpointPrivateAccess": bool(given.get("endpointPrivateAccess", False)),
            "publicAccessCidrs": list(given.get("publicAccessCidrs") or ["0.0.0.0/0"]),
        }
    )


def _change_vpc(call: Call, cluster: Cluster, given: Mapping[str, Any]) -> dict[str, Any]:
    held = cluster.record["resourcesVpcConfig"]
    kinds = [{"subnetIds", "securityGroupIds"} & given.keys(), given.keys() - {"subnetIds", "securityGroupIds"}]
    if all(kinds):
        raise wrong("Only one type of update can be allowed.")
    if given.get("subnetIds") is not None:
        around.vpc_of(call, given["subnetIds"], zones=2, vpc=held["vpcId"])
    around.check_groups(call, given.get("securityGroupIds") or (), held["vpcId"])
    return _reachable({**held, **given})


def _check_encryption(call: Call, config: Sequence[Mapping[str, Any]]) -> None:
    for encryption in config:
        key = (encryption.get("provider") or {}).get("keyArn")
        if not key or encryption.get("resources") != ["secrets"]:
            raise wrong("encryptionConfig must name the keyArn of its provider, and secrets for its resources")
        around.check_key(call, key)


def _reachable(network: dict[str, Any]) -> dict[str, Any]:
    if not (network["endpointPublicAccess"] or network["endpointPrivateAccess"]):
        raise wrong("Private and public endpoint access cannot be false")
    return network


def _access(given: Mapping[str, Any]) -> str:
    mode = str(given.get("authenticationMode") or "CONFIG_MAP")
    if mode == "CONFIG_MAP" and given.get("bootstrapClusterCreatorAdminPermissions") is False:
        raise wrong("bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is CONFIG_MAP")
    return mode


def _change_access(call: Call, cluster: Cluster, given: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    old, new = cluster.record["accessConfig"]["authenticationMode"], given["authenticationMode"]
    if MODES.index(new) - MODES.index(old) not in (0, 1):
        raise wrong(f"Unsupported authentication mode update from {old} to {new}", clusterName=cluster.name)
    return {"authenticationMode": new}


def _addresses(given: Mapping[str, Any]) -> dict[str, Any]:
    family, services = given.get("ipFamily") or "ipv4", given.get("serviceIpv4Cidr")
    if family == "ipv6":
        if services:
            raise wrong("Service IPv4 CIDR cannot be specified for IP family ipv6")
        return {"ipFamily": family, "serviceIpv6Cidr": "fd30:1c53:5f8a::/108"}
    if services:
        try:
            network = ipaddress.ip_network(services)
        except ValueError:
            raise wrong(f"Cidr {services} is not valid") from None
        private = any(network.version == 4 and network.subnet_of(each) for each in _NETWORKS)  # type: ignore[arg-type]
        if not private or not 12 <= network.prefixlen <= 24:
            raise wrong(f"Cidr {services} must be within a private range, and between /12 and /24")
    return {"ipFamily": family, "serviceIpv4Cidr": services or "172.20.0.0/16"}


def _logging(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    on = {kind for group in old.get("clusterLogging") or () if group["enabled"] for kind in group["types"]}
    for group in given.get("clusterLogging") or ():
        on = on | set(group["types"]) if group.get("enabled") else on - set(group["types"])
    groups = [([kind for kind in LOG_TYPES if (kind in on) is enabled], enabled) for enabled in (True, False)]
    return {"clusterLogging": [{"types": types, "enabled": enabled} for types, enabled in groups if types]}


def _log(call: Call, cluster: Cluster) -> None:
    if any(group["enabled"] for group in cluster.record["logging"]["clusterLogging"]):
        around.ensure_logs(call, cluster.name)


_Change = Callable[[Call, Cluster, Any], Any]
_CHANGES: Final[Mapping[str, tuple[str, _Change]]] = {
    "resourcesVpcConfig": ("EndpointAccessUpdate", _change_vpc),
    "logging": ("LoggingUpdate", lambda _, cluster, given: _logging(cluster.record["logging"], given)),
    "accessConfig": ("AccessConfigUpdate", _change_access),
    "upgradePolicy": ("UpgradePolicyUpdate", lambda _, __, given: dict(given)),
    "zonalShiftConfig": ("ZonalShiftConfigUpdate", lambda _, __, given: dict(given)),
    "deletionProtection": ("DeletionProtectionUpdate", lambda _, __, given: given),
}
"""What UpdateClusterConfig changes: the type of the update, and what becomes of the setting."""

OPERATIONS: Final[Mapping[str, Callable[[Call], dict[str, Any]]]] = {
    "AssociateEncryptionConfig": associate_encryption_config,
    "CreateCluster": create_cluster,
    "DeleteCluster": delete_cluster,
    "DescribeCluster": describe_cluster,
    "ListClusters": list_clusters,
    "UpdateClusterConfig": update_cluster_config,
    "UpdateClusterVersion": update_cluster_version,
}
