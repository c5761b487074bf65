"""The local EKS: Fargate profiles, updates, versions and tags."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.local import eks_around as around
from mlinfra.local.eks_records import Call, EksError, Held, again, in_use, missing, wrong
from mlinfra.local.eks_tables import DEFAULT_VERSION, PLATFORM, VERSIONS

_MOST_TAGS: Final = 50
_ARNS: Final = ("arn", "nodegroupArn", "addonArn", "accessEntryArn", "associationArn", "fargateProfileArn")
"""Where the records of what bears tags have their ARN."""


def create_fargate_profile(call: Call) -> dict[str, Any]:
    """CreateFargateProfile."""
    cluster, given, name = call.cluster(active=True), call.given, call.given["fargateProfileName"]
    held = cluster.profiles.get(name)
    if held:
        if again(held, call):
            return {"fargateProfile": held.look()}
        raise in_use("A Fargate Profile already exists with this name in this cluster.", clusterName=cluster.name)
    if not given.get("selectors") or any(not item.get("namespace") for item in given["selectors"]):
        raise wrong("Fargate Profile must have at least one selector with at least one namespace value.")
    around.check_role(call, given["podExecutionRoleArn"], "eks-fargate-pods.amazonaws.com")
    around.vpc_of(call, given.get("subnets") or (), vpc=cluster.record["resourcesVpcConfig"]["vpcId"])
    record = {
        **call.chosen("fargateProfileName", "clusterName", "podExecutionRoleArn", "selectors", "clientRequestToken"),
        "fargateProfileArn": call.arn(f"fargateprofile/{cluster.name}/{name}/{uuid.uuid4()}"),
        "createdAt": time.time(),
        "subnets": list(given.get("subnets") or ()),
        "health": {"issues": []},
        "tags": dict(given.get("tags") or {}),
    }
    held = cluster.profiles[name] = Held(record)
    return {"fargateProfile": held.begin("CREATING", call.looks)}


def describe_fargate_profile(call: Call) -> dict[str, Any]:
    """DescribeFargateProfile."""
    return {"fargateProfile": _profile(call).look()}


def list_fargate_profiles(call: Call) -> dict[str, Any]:
    """ListFargateProfiles."""
    return call.page("fargateProfileNames", sorted(call.cluster().profiles))


def delete_fargate_profile(call: Call) -> dict[str, Any]:
    """DeleteFargateProfile."""
    return {"fargateProfile": _profile(call).begin("DELETING", call.looks)}


def describe_update(call: Call) -> dict[str, Any]:
    """DescribeUpdate."""
    cluster, identifier = call.cluster(), call.given["updateId"]
    found = cluster.updates.get(identifier)
    if found is None or found.within != _within(call):
        raise missing(f"No update found for id: {identifier}", clusterName=cluster.name)
    return {"update": found.look()}


def list_updates(call: Call) -> dict[str, Any]:
    """ListUpdates."""
    found = [name for name, update in call.cluster().updates.items() if update.within == _within(call)]
    return call.page("updateIds", found)


def describe_cluster_versions(call: Call) -> dict[str, Any]:
    """DescribeClusterVersions."""
    given, today = call.given, datetime.datetime.now(datetime.UTC).date()
    wanted = set(given.get("clusterVersions") or VERSIONS)
    found = []
    for name, version in sorted(VERSIONS.items(), reverse=True):
        status = "standard-support" if today <= version.standard else "extended-support"
        status = status if today <= version.extended else "unsupported"
        if name in wanted and (name == DEFAULT_VERSION or not given.get("defaultOnly")):
            found.append(
                {
                    "clusterVersion": name,
                    "clusterType": "eks",
                    "defaultPlatformVersion": PLATFORM,
                    "defaultVersion": name == DEFAULT_VERSION,
                    "releaseDate": _epoch(version.released),
                    "endOfStandardSupportDate": _epoch(version.standard),
                    "endOfExtendedSupportDate": _epoch(version.extended),
                    "status": status,
                    "versionStatus": status.replace("-", "_").upper(),
                }
            )
    asked = given.get("status") or str(given.get("versionStatus") or "").replace("_", "-").lower()
    return call.page("clusterVersions", [item for item in found if not asked or item["status"] == asked])


def tag_resource(call: Call) -> dict[str, Any]:
    """TagResource."""
    tags = _tagged(call)
    if any(name.startswith("aws:") for name in call.given["tags"]):
        raise EksError("BadRequestException", "aws: prefixed tag key names are not allowed for external use.")
    if len(tags | call.given["tags"]) > _MOST_TAGS:
        raise EksError("BadRequestException", f"Too many tags: {_MOST_TAGS} at the most")
    tags.update(call.given["tags"])
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    """UntagResource."""
    tags = _tagged(call)
    for name in call.given["tagKeys"]:
        tags.pop(name, None)
    return {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"tags": _tagged(call)}


# ------------------------------------------------------------------------------------------------ within


def _profile(call: Call) -> Held:
    cluster, name = call.cluster(), call.given["fargateProfileName"]
    if name not in cluster.profiles:
        raise missing(f"No Fargate Profile found with name: {name}.", clusterName=cluster.name)
    return cluster.profiles[name]


def _within(call: Call) -> str:
    return str(call.given.get("nodegroupName") or call.given.get("addonName") or "")


def _tagged(call: Call) -> dict[str, str]:
    """The tags of whatever has the ARN."""
    arn = call.given["resourceArn"]
    for cluster in call.clusters.values():
        for held in (cluster, *cluster.parts()):
            if arn in (held.record.get(name) for name in _ARNS):
                tags: dict[str, str] = held.record["tags"]
                return tags
    raise EksError("NotFoundException", f"Resource not found: {arn}")


def _epoch(day: datetime.date) -> float:
    return datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp()


OPERATIONS: Final[Mapping[str, Callable[[Call], dict[str, Any]]]] = {
    "CreateFargateProfile": create_fargate_profile,
    "DeleteFargateProfile": delete_fargate_profile,
    "DescribeClusterVersions": describe_cluster_versions,
    "DescribeFargateProfile": describe_fargate_profile,
    "DescribeUpdate": describe_update,
    "ListFargateProfiles": list_fargate_profiles,
    "ListTagsForResource": list_tags_for_resource,
    "ListUpdates": list_updates,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
