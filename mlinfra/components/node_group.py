"""A `NodePool` as a managed node group of EKS: its launch template, and how the autoscaler knows it at zero.

A node group is named after what cannot be changed in it, so that such a change makes another one first, and drains the
old one then (EKS API reference, `UpdateNodegroupConfig`: labels, taints, scaling and update settings can be changed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra import naming
from mlinfra.components.eks_values import Eks
from mlinfra.components.network import Network
from mlinfra.components.node_pool import NodePool
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"

AUTOSCALER: Final = "k8s.io/cluster-autoscaler"
"""Prefix of the tags that the cluster autoscaler reads (Cluster Autoscaler, "Cluster Autoscaler on AWS")."""

ROOT_DEVICE: Final = "/dev/xvda"
"""The root volume of Amazon Linux 2023 (EC2 user guide, "Device names for volumes")."""

_EFFECTS: Final = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
_GPU_TYPE: Final = "k8s.amazonaws.com/accelerator"
"""The label by which the autoscaler knows that a machine will have GPUs before its device plugin says so, and does not
start another one (Cluster Autoscaler, "Cluster Autoscaler on AWS", "Special note on GPU instances")."""


def add_node_group(
    scope: Scope,
    pool: NodePool,
    eks: Eks,
    network: Network,
    *,
    cluster: Ref,
    cluster_name: str,
    role: Value,
    after: tuple[str, ...],
) -> str:
    """Add a pool's launch template and its node group to a cluster; returns the name of the node group's node.

    `cluster` is the cluster's name as an output, `role` the ARN of the machines' role. `after` has to be there before
    the first machine starts.
    """
    local = f"pool-{pool.identity}"
    template = _launch_template(scope, pool, f"{local}-template", eks.tags)
    found = {
        "clusterName": cluster,
        "nodeGroupName": _name(pool),
        "nodeRoleArn": role,
        "subnetIds": _subnets(pool, network),
        "amiType": pool.ami_type,
        "capacityType": "SPOT" if pool.spot else "ON_DEMAND",
        "instanceTypes": [pool.instance_type],
        "version": eks.version,
        "launchTemplate": {"id": template, "version": join(Ref(template.node, ("latestVersion",)))},
        "scalingConfig": {"minSize": pool.min, "maxSize": pool.max, "desiredSize": pool.min},
        "updateConfig": {"maxUnavailablePercentage": 33},
        "labels": _labels(pool),
        "tags": {**eks.tags, **scope.tags, **_autoscaler_tags(pool, cluster_name)},
    }
    if pool.all_taints:
        found["taints"] = [
            {"key": key, "value": value, "effect": _EFFECTS[effect]} for key, value, effect in pool.all_taints
        ]
    # How many machines there are is the autoscaler's affair, within `min` and `max`.
    group = scope.aws(local, NODE_GROUP, found, depends_on=after, ignore_changes=("scalingConfig.desiredSize",))
    return group.node


def _name(pool: NodePool) -> str:
    """The node group's name: at most 63 characters (EKS API reference, `CreateNodegroup`)."""
    fixed = (pool.instance_type, str(pool.spot), pool.ami_type, *pool.zones)
    return f"{naming.dns_label(pool.identity, limit=54)}-{naming.short_hash(*fixed)}"


def _labels(pool: NodePool) -> dict[str, str]:
    """The labels of the pool; those of instance type, capacity and zone come from EKS and the kubelet by themselves."""
    gpu = {_GPU_TYPE: naming.dns_label("nvidia", pool.machine.gpu)} if pool.machine.gpus else {}
    return {**gpu, **pool.own_labels}


def _subnets(pool: NodePool, network: Network) -> list[Value]:
    """The private subnets of the pool's zones, of all where it names none."""
    subnets = network.private_subnet_ids
    if not pool.zones:
        return subnets
    zones = zone_names(network)
    return [subnet for subnet, zone in zip(subnets, zones, strict=False) if zone in pool.zones]


def zone_names(network: Network) -> list[str]:
    """The network's availability zones by name; empty where they are known to a run alone."""
    return list(network.existing.zones) if network.existing else list(network.zone_names)


def _launch_template(scope: Scope, pool: NodePool, local: str, tags: Mapping[str, str]) -> Ref:
    """What machines start with: an encrypted disk, and instance metadata that asks for a token.

    One hop keeps pods from the machine's own role: they are one hop further away than the machine (EKS user guide,
    "Identity and access management", best practices: "Restrict access to the instance profile").
    """
    name = scope.label_name("pool", pool.identity, limit=128)
    marks = {**tags, **scope.tags, "Name": name}
    disk = {"volumeSize": pool.disk_gib, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
    return scope.aws(
        local,
        LAUNCH_TEMPLATE,
        {
            "name": name,
            "updateDefaultVersion": True,
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [{"deviceName": ROOT_DEVICE, "ebs": disk}],
            "tagSpecifications": [
                {"resourceType": kind, "tags": marks} for kind in ("instance", "network-interface", "volume")
            ],
            "tags": {**tags, **scope.tags},
        },
    )


def _autoscaler_tags(pool: NodePool, cluster_name: str) -> dict[str, str]:
    """What the cluster autoscaler takes a machine to be like before there is one.

    It reads a managed node group's own tags, besides its labels and taints (`eks:DescribeNodegroup`); EKS itself puts
    the first two on the group's Auto Scaling group (EKS user guide, "Simplify node lifecycle with managed node
    groups"). Source of the form: Cluster Autoscaler, "Cluster Autoscaler on AWS", "Auto-Discovery Setup".
    """
    template = f"{AUTOSCALER}/node-template"
    resources = {"ephemeral-storage": f"{pool.disk_gib}Gi", **pool.accelerator_counts}
    return {
        f"{AUTOSCALER}/enabled": "true",
        f"{AUTOSCALER}/{cluster_name}": "owned",
        **{f"{template}/resources/{name}": str(count) for name, count in resources.items()},
        **{f"{template}/label/{key}": value for key, value in sorted(_labels(pool).items()) if value},
        **{f"{template}/taint/{key}": f"{value}:{effect}" for key, value, effect in pool.all_taints},
    }
