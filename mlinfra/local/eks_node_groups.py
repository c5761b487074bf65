"""The local EKS: managed node groups. No machines are behind them: nodes are the local cluster's, which KWOK plays."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mlinfra.local import eks_around as around
from mlinfra.local.eks_access import admit_nodes, dismiss_nodes
from mlinfra.local.eks_records import Call, Cluster, EksError, Held, again, in_use, missing, wrong
from mlinfra.local.eks_tables import VERSIONS, minor

_SKEW: Final = 3
"""How many minor versions nodes may be behind their control plane (Kubernetes, "Version Skew Policy")."""
_MOST_NODES: Final = 450
"""Nodes in one group (EKS user guide, "View and manage Amazon EKS and Fargate service quotas")."""


def create_nodegroup(call: Call) -> dict[str, Any]:
    """CreateNodegroup."""
    cluster, given, name = call.cluster(active=True), call.given, call.given["nodegroupName"]
    held = cluster.node_groups.get(name)
    if held:
        if again(held, call):
            return {"nodegroup": held.look()}
        raise in_use(
            f"NodeGroup already exists with name {name} and cluster name {cluster.name}",
            clusterName=cluster.name,
            nodegroupName=name,
        )
    around.check_role(call, given["nodeRole"], "ec2.amazonaws.com")
    around.vpc_of(call, given["subnets"], vpc=cluster.record["resourcesVpcConfig"]["vpcId"])
    identifier = str(uuid.uuid4())
    record = {
        **call.chosen("nodegroupName", "clusterName", "nodeRole", "subnets", "remoteAccess", "clientRequestToken"),
        **call.chosen("nodeRepairConfig", "warmPoolConfig"),
        **_machines(call, given),
        **_versions(cluster, given),
        "nodegroupArn": call.arn(f"nodegroup/{cluster.name}/{name}/{identifier}"),
        "createdAt": time.time(),
        "modifiedAt": time.time(),
        "scalingConfig": _sizes({"minSize": 1, "maxSize": 2, "desiredSize": 2}, given.get("scalingConfig")),
        "updateConfig": given.get("updateConfig") or {"maxUnavailable": 1},
        "labels": dict(given.get("labels") or {}),
        "taints": _apart(given.get("taints") or ()),
        "health": {"issues": []},
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{identifier}"}]},
        "tags": dict(given.get("tags") or {}),
    }
    held = cluster.node_groups[name] = Held(record)
    admit_nodes(call, cluster, record["nodeRole"])
    return {"nodegroup": held.begin("CREATING", call.looks)}


def describe_nodegroup(call: Call) -> dict[str, Any]:
    """DescribeNodegroup."""
    return {"nodegroup": _held(call)[1].look()}


def list_nodegroups(call: Call) -> dict[str, Any]:
    """ListNodegroups."""
    return call.page("nodegroups", sorted(call.cluster().node_groups))


def delete_nodegroup(call: Call) -> dict[str, Any]:
    """DeleteNodegroup."""
    cluster, held = _held(call)
    role = held.record["nodeRole"]
    answer = held.begin("DELETING", call.looks)
    left = [item for item in cluster.node_groups.values() if item.doing != "DELETING"]
    if all(item.record["nodeRole"] != role for item in left):
        dismiss_nodes(cluster, role)
    return {"nodegroup": answer}


def update_nodegroup_config(call: Call) -> dict[str, Any]:
    """UpdateNodegroupConfig."""
    cluster, held = _held(call)
    given, record = call.given, held.record
    labels, taints = given.get("labels") or {}, given.get("taints") or {}
    sizes = _sizes(record["scalingConfig"], given.get("scalingConfig"))
    changed = {
        "labels": _labelled(record["labels"], labels),
        "taints": _tainted(record["taints"], taints),
        "scalingConfig": sizes,
        **call.chosen("updateConfig", "nodeRepairConfig", "warmPoolConfig"),
    }
    said = {**(given.get("scalingConfig") or {}), **call.chosen("updateConfig", "nodeRepairConfig")}
    answer = call.update(cluster, held, "ConfigUpdate", _said(said, labels, taints), record["nodegroupName"])
    record.update(changed, modifiedAt=time.time())
    return answer


def update_nodegroup_version(call: Call) -> dict[str, Any]:
    """UpdateNodegroupVersion: to the cluster's version where none is named, and never back."""
    cluster, held = _held(call)
    given, record = call.given, held.record
    changed: dict[str, Any] = {}
    if template := given.get("launchTemplate"):
        if not record.get("launchTemplate"):
            raise wrong("Cannot update a launch template for a nodegroup that was created without one")
        changed["launchTemplate"] = around.template(call, template)
        if changed["launchTemplate"]["id"] != record["launchTemplate"]["id"]:
            raise wrong("Launch template of a nodegroup cannot be replaced by another")
    if given.get("version") or not template or given.get("releaseVersion"):
        wanted = {"version": record["version"], **call.chosen("version", "releaseVersion")}
        changed |= _versions(cluster, wanted)
        if minor(changed["version"]) < minor(record["version"]):
            raise wrong(f"Nodegroup version cannot go back from {record['version']} to {changed['version']}")
    said = {"Version": changed.get("version"), "ReleaseVersion": changed.get("releaseVersion")}
    params = {name: value for name, value in said.items() if value}
    answer = call.update(cluster, held, "VersionUpdate", params, record["nodegroupName"])
    record.update(changed, modifiedAt=time.time())
    return answer


# ------------------------------------------------------------------------------------------------ settings


def _held(call: Call) -> tuple[Cluster, Held]:
    cluster, name = call.cluster(), call.given["nodegroupName"]
    if name not in cluster.node_groups:
        raise missing(f"No node group found for name: {name}.", clusterName=cluster.name, nodegroupName=name)
    return cluster, cluster.node_groups[name]


def _machines(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the machines are: said here, or in the launch template. Source: API_CreateNodegroup."""
    record: dict[str, Any] = {"capacityType": given.get("capacityType") or "ON_DEMAND"}
    if template := given.get("launchTemplate"):
        if given.get("diskSize"):
            raise wrong("Disk size must be specified within the launch template.")
        if given.get("remoteAccess"):
            raise wrong("Remote access configuration cannot be specified with a launch template.")
        record["launchTemplate"] = around.template(call, template)
    else:
        record["diskSize"] = given.get("diskSize") or 20
    types = given.get("instanceTypes") or ([] if template else ["t3.medium"])
    facts = around.machines(types)
    arm = any("arm64" in item["ProcessorInfo"]["SupportedArchitectures"] for item in facts)
    standard = "AL2023_ARM_64_STANDARD" if arm else "AL2023_x86_64_STANDARD"
    own = bool(template) and around.has_image(call, record["launchTemplate"])
    image = "CUSTOM" if own else given.get("amiType") or standard
    for item in facts:
        built = item["ProcessorInfo"]["SupportedArchitectures"]
        if image != "CUSTOM" and ("arm64" in built) != ("ARM" in image):
            raise wrong(f"[{item['InstanceType']}] is not a valid instance type for requested amiType {image}")
    return {**record, "amiType": image, **({"instanceTypes": list(types)} if types else {})}


def _versions(cluster: Cluster, given: Mapping[str, Any]) -> dict[str, str]:
    highest = cluster.record["version"]
    version = given.get("version") or highest
    if version not in VERSIONS or not 0 <= minor(highest) - minor(version) <= _SKEW:
        raise wrong(f"Requested Nodegroup version {version} does not go with cluster version {highest}")
    release = given.get("releaseVersion") or f"{version}.0-20260101"
    if not release.startswith(f"{version}."):
        raise wrong(f"Requested release version {release} is not valid for kubernetes version {version}")
    return {"version": version, "releaseVersion": release}


def _sizes(old: Mapping[str, int], given: Mapping[str, int] | None) -> dict[str, int]:
    """API_NodegroupScalingConfig."""
    sizes = {**old, **(given or {})}
    least, wanted, most = sizes["minSize"], sizes["desiredSize"], sizes["maxSize"]
    if least > most:
        raise wrong(f"Minimum capacity {least} can't be greater than maximum size {most}")
    if least > wanted:
        raise wrong(f"Minimum capacity {least} can't be greater than desired size {wanted}")
    if wanted > most:
        raise wrong(f"desiredSize {wanted} can't be greater than maxSize {most}")
    if most > _MOST_NODES:
        raise EksError("ResourceLimitExceededException", f"A nodegroup has {_MOST_NODES} nodes at the most")
    return sizes


def _labelled(old: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, str]:
    gone = set(given.get("removeLabels") or ())
    return {key: value for key, value in old.items() if key not in gone} | (given.get("addOrUpdateLabels") or {})


def _apart(taints: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Taints that are no two of one key and effect."""
    if len(taints) > 50:
        raise wrong("Too many taints: 50 at the most")
    if len({_key(item) for item in taints}) != len(taints):
        raise wrong("Duplicate taints: a key has one taint of each effect at the most")
    return list(taints)


def _tainted(old: Sequence[Mapping[str, str]], given: Mapping[str, Any]) -> list[Mapping[str, str]]:
    gone = {_key(item) for item in given.get("removeTaints") or ()}
    held = {_key(item): item for item in old if _key(item) not in gone}
    held |= {_key(item): item for item in given.get("addOrUpdateTaints") or ()}
    return _apart(list(held.values()))


def _key(taint: Mapping[str, str]) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _said(settings: Mapping[str, Any], labels: Mapping[str, Any], taints: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in settings.items() if name != "updateConfig"}
    for kind, change in (("Labels", labels), ("Taints", taints)):
        names = (("ToAdd", f"addOrUpdate{kind}"), ("ToRemove", f"remove{kind}"))
        said |= {f"{kind}{verb}": change[name] for verb, name in names if change.get(name)}
    return said


OPERATIONS: Final[Mapping[str, Callable[[Call], dict[str, Any]]]] = {
    "CreateNodegroup": create_nodegroup,
    "DeleteNodegroup": delete_nodegroup,
    "DescribeNodegroup": describe_nodegroup,
    "ListNodegroups": list_nodegroups,
    "UpdateNodegroupConfig": update_nodegroup_config,
    "UpdateNodegroupVersion": update_nodegroup_version,
}
