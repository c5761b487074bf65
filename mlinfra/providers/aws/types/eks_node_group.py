"""EKS: managed node groups."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change
from mlinfra.providers.aws.shapes import given
from mlinfra.providers.aws.types.eks import API, CLUSTER_NAME, Provisioned, follow, unused

_NOT_UPDATED: Final = (
    f"{API}/API_UpdateNodegroupConfig.html: labels, taints, scaling, update and repair configuration can be updated"
)
_TEMPLATE_FINAL: Final = (
    f"{API}/API_UpdateNodegroupVersion.html: a node group keeps the launch template that it was made with, or goes "
    "without; only the template's version changes"
)
AMI_TYPES: Final = (
    "AL2_x86_64", "AL2_x86_64_GPU", "AL2_ARM_64", "CUSTOM", "BOTTLEROCKET_ARM_64", "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64_FIPS", "BOTTLEROCKET_x86_64_FIPS", "BOTTLEROCKET_ARM_64_NVIDIA",
    "BOTTLEROCKET_x86_64_NVIDIA", "WINDOWS_CORE_2019_x86_64", "WINDOWS_FULL_2019_x86_64", "WINDOWS_CORE_2022_x86_64",
    "WINDOWS_FULL_2022_x86_64", "AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD", "AL2023_x86_64_NEURON",
    "AL2023_x86_64_NVIDIA", "AL2023_ARM_64_NVIDIA",
)  # fmt: skip
"""API_CreateNodegroup, amiType."""

_COUNT: Final = (0, 1_000_000)
_SCALING: Final = tuple(
    Field(name, int, required=True, bounds=(least, _COUNT[1]))
    for name, least in (("desiredSize", 0), ("maxSize", 1), ("minSize", 0))
)
_TAINT: Final = (
    Field("key", required=True, pattern=(r"(?s).{1,63}", "1 to 63 characters")),
    Field("value", default="", pattern=(r"(?s).{0,63}", "63 characters at the most")),
    Field("effect", required=True, choices=("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE")),
)
_TEMPLATE: Final = (Field("version", required=True), Field("id", computed=True), Field("name", computed=True))
_ACCESS: Final = (
    Field("ec2SshKey"),
    Field("sourceSecurityGroupIds", many=True, unordered=True, aws="sourceSecurityGroups"),
)
_UPDATES: Final = (
    Field("maxUnavailable", int, bounds=(1, 100)),
    Field("maxUnavailablePercentage", int, bounds=(1, 100)),
    Field("updateStrategy", choices=("DEFAULT", "MINIMAL"), computed=True),
)
_REPAIR: Final = (
    Field("enabled", bool, default=False),
    Field("maxParallelNodesRepairedCount", int, bounds=(1, 1_000_000)),
    Field("maxParallelNodesRepairedPercentage", int, bounds=(1, 100)),
    Field("maxUnhealthyNodeThresholdCount", int, bounds=(1, 1_000_000)),
    Field("maxUnhealthyNodeThresholdPercentage", int, bounds=(1, 100)),
)


def _lasting(name: str, kind: Any = str, **more: Any) -> Field:
    """A setting that a node group is made with and keeps."""
    return Field(name, kind, replaces=_NOT_UPDATED, **more)


class NodeGroup(Provisioned):
    """Machines that EKS keeps for a cluster. Its id is `CLUSTER:NODE_GROUP`.

    Its version follows the cluster's, and never goes back (API_UpdateNodegroupVersion).
    """

    token = "aws:eks/nodeGroup:NodeGroup"  # noqa: S105 — a type token
    thing = "nodegroup"
    fields = (
        CLUSTER_NAME,
        _lasting("nodeGroupName", aws="nodegroupName", pattern=(r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}",
                 "1 to 63 letters, digits, - and _, a letter or a digit first")),
        _lasting("nodeRoleArn", aws="nodeRole", required=True),
        _lasting("subnetIds", aws="subnets", many=True, required=True, unordered=True),
        Field("scalingConfig", _SCALING, required=True),
        _lasting("amiType", computed=True, choices=AMI_TYPES),
        _lasting("capacityType", computed=True, choices=("ON_DEMAND", "SPOT", "CAPACITY_BLOCK")),
        _lasting("diskSize", int, computed=True, bounds=(1, 16384)),
        _lasting("instanceTypes", many=True, computed=True),
        _lasting("remoteAccess", _ACCESS),
        Field("labels", dict),
        Field("taints", _TAINT, many=True, unordered=True),
        Field("launchTemplate", _TEMPLATE),
        Field("version", computed=True, pattern=(r"1\.\d{2}", "a minor version of Kubernetes, such as 1.34")),
        Field("releaseVersion", computed=True),
        Field("updateConfig", _UPDATES, computed=True),
        Field("nodeRepairConfig", _REPAIR),
        Field("forceUpdateVersion", bool, default=False, apart=True),
        TAGS,
        REGION,
    )  # fmt: skip
    outputs = ("arn", "resources", "status")
    names = ("nodeGroupName", "clusterName")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateNodegroup, API_NodegroupScalingConfig, API_NodegroupUpdateConfig."""
        yield from _size_problems(inputs.get("scalingConfig"))
        if inputs.get("launchTemplate") is not None:
            for name in ("diskSize", "remoteAccess"):
                if inputs.get(name) is not None:
                    yield (name,), "belongs into the launch template where there is one"
            template = inputs["launchTemplate"]
            if isinstance(template, Mapping) and len({"id", "name"} & given(template).keys()) != 1:
                yield ("launchTemplate",), "must have either an id or a name"
        taints = inputs.get("taints")
        if isinstance(taints, list) and len(taints) > 50:
            yield ("taints",), "must not be more than 50"
        updates = inputs.get("updateConfig")
        said = {"maxUnavailable", "maxUnavailablePercentage"}
        if isinstance(updates, Mapping) and len(said & given(updates).keys()) != 1:
            yield ("updateConfig",), "must have either maxUnavailable or maxUnavailablePercentage"

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """The version of a launch template may change, the template may not."""
        if field.name != "launchTemplate":
            return field.replaces
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            return _TEMPLATE_FINAL
        other = any(old.get(name) and new.get(name) and old[name] != new[name] for name in ("id", "name"))
        return _TEMPLATE_FINAL if other else ""

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """What is not asked for is not enabled."""
        return name == "nodeRepairConfig" and unused(old) and unused(new)

    def besides(self, aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """With a launch template the disk's size is the template's. AWS tells its id and its name, and takes one."""
        template = record.get("launchTemplate")
        if not template:
            return {}
        told = template if known else {name: value for name, value in template.items() if name != "name"}
        return {"diskSize": None, "launchTemplate": told}

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Its ARN, its status, and what AWS keeps for it."""
        resources = record.get("resources") or {}
        groups = [{"name": item["name"]} for item in resources.get("autoScalingGroups") or ()]
        access = resources.get("remoteAccessSecurityGroup") or ""
        return {
            "arn": record["nodegroupArn"],
            "resources": [{"autoscalingGroups": groups, "remoteAccessSecurityGroupId": access}],
            "status": record["status"],
        }

    def alter(self, aws: Aws, change: Change) -> None:
        """One call for what replaces the machines one by one, one for the rest."""
        where, new = self.where(change.id, change.new), change.new
        if change.touches("version", "releaseVersion", "launchTemplate"):
            version = {name: new.get(name) for name in ("version", "releaseVersion") if change.touches(name)}
            more = {"launchTemplate": new.get("launchTemplate"), "force": new.get("forceUpdateVersion") or None}
            follow(aws, "update_nodegroup_version", where, **version, **more)
        settings = {
            "labels": _labels(change.old.get("labels") or {}, new.get("labels") or {}),
            "taints": _taints(change.old.get("taints") or (), new.get("taints") or ()),
            "scalingConfig": new["scalingConfig"] if change.touches("scalingConfig") else None,
            "updateConfig": new["updateConfig"] if change.touches("updateConfig") else None,
        }
        if change.touches("nodeRepairConfig"):
            settings["nodeRepairConfig"] = new.get("nodeRepairConfig") or {"enabled": False}
        if sent := {name: value for name, value in settings.items() if value}:
            follow(aws, "update_nodegroup_config", where, **sent)


def _size_problems(scaling: Any) -> Iterator[tuple[Path, str]]:
    """API_NodegroupScalingConfig: the desired size lies between the least and the most."""
    if not isinstance(scaling, Mapping):
        return
    for low, high in (("minSize", "maxSize"), ("minSize", "desiredSize"), ("desiredSize", "maxSize")):
        small, large = scaling.get(low), scaling.get(high)
        if isinstance(small, (int, float)) and isinstance(large, (int, float)) and small > large:
            yield ("scalingConfig", low), f"must not be more than {high}"
            return


def _labels(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Any]:
    """API_UpdateLabelsPayload."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    gone = sorted(old.keys() - new.keys())
    return {name: some for name, some in (("addOrUpdateLabels", changed), ("removeLabels", gone)) if some}


def _taints(old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """API_UpdateTaintsPayload: a taint is its key and its effect."""
    before, after = ({(item["key"], item["effect"]): _taint(item) for item in some} for some in (old, new))
    changed = [item for key, item in sorted(after.items()) if before.get(key) != item]
    gone = [item for key, item in sorted(before.items()) if key not in after]
    return {name: some for name, some in (("addOrUpdateTaints", changed), ("removeTaints", gone)) if some}


def _taint(item: Mapping[str, str]) -> dict[str, str]:
    return {"key": item["key"], "effect": item["effect"], "value": item.get("value") or ""}


RESOURCES: Final = (NodeGroup(),)
