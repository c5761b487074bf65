"""The local EKS: add-ons. Nothing of them runs in the local cluster."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.local import eks_around as around
from mlinfra.local.eks_access import associate, release
from mlinfra.local.eks_records import Call, Cluster, Held, again, in_use, missing, wrong
from mlinfra.local.eks_tables import ADDONS, VERSIONS, addon_version

_VERSION: Final = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_NAMESPACE: Final = "kube-system"


def create_addon(call: Call) -> dict[str, Any]:
    """CreateAddon."""
    cluster, given, name = call.cluster(active=True), call.given, call.given["addonName"]
    held = cluster.addons.get(name)
    if held:
        if again(held, call):
            return {"addon": held.look()}
        raise in_use("Addon already exists.", clusterName=cluster.name, addonName=name)
    if name not in ADDONS and "_" not in name:  # what others sell is called VENDOR_PRODUCT
        raise wrong("Addon specified is not supported", clusterName=cluster.name, addonName=name)
    if given.get("serviceAccountRoleArn") and given.get("podIdentityAssociations"):
        raise wrong("Cannot use both serviceAccountRoleArn and podIdentityAssociations", addonName=name)
    namespace = (given.get("namespaceConfig") or {}).get("namespace") or _NAMESPACE
    record = {
        **call.chosen("addonName", "clusterName", "serviceAccountRoleArn", "configurationValues", "clientRequestToken"),
        "addonArn": call.arn(f"addon/{cluster.name}/{name}/{uuid.uuid4()}"),
        "addonVersion": _version(given) or addon_version(name, cluster.record["version"]),
        "namespaceConfig": {"namespace": namespace},
        "createdAt": time.time(),
        "modifiedAt": time.time(),
        "publisher": "eks" if name in ADDONS else name.partition("_")[0],
        "owner": "aws" if name in ADDONS else "aws-marketplace",
        "health": {"issues": []},
        "tags": dict(given.get("tags") or {}),
    }
    _check_role(call)
    held = Held(record)
    _associate(call, cluster, held)
    cluster.addons[name] = held
    return {"addon": held.begin("CREATING", call.looks)}


def describe_addon(call: Call) -> dict[str, Any]:
    """DescribeAddon."""
    return {"addon": _held(call)[1].look()}


def list_addons(call: Call) -> dict[str, Any]:
    """ListAddons."""
    return call.page("addons", sorted(call.cluster().addons))


def update_addon(call: Call) -> dict[str, Any]:
    """UpdateAddon; a service account's role that it does not name is taken away."""
    cluster, held = _held(call)
    given, record = call.given, held.record
    changed = {**call.chosen("configurationValues"), "addonVersion": _version(given) or record["addonVersion"]}
    _check_role(call)
    said = call.chosen("addonVersion", "serviceAccountRoleArn", "resolveConflicts", "configurationValues")
    answer = call.update(cluster, held, "AddonUpdate", said, record["addonName"])
    if given.get("podIdentityAssociations") is not None:
        release(cluster, record["addonArn"])
        record.pop("podIdentityAssociations", None)
        _associate(call, cluster, held)
    record.pop("serviceAccountRoleArn", None)
    record.update(changed, **call.chosen("serviceAccountRoleArn"), modifiedAt=time.time())
    return answer


def delete_addon(call: Call) -> dict[str, Any]:
    """DeleteAddon; its pod identity associations go with it."""
    cluster, held = _held(call)
    release(cluster, held.record["addonArn"])
    return {"addon": held.begin("DELETING", call.looks)}


def describe_addon_versions(call: Call) -> dict[str, Any]:
    """DescribeAddonVersions, as far as the local table goes: one version of each for each version of Kubernetes."""
    given = call.given
    if given.get("addonName") and given["addonName"] not in ADDONS:
        raise missing(f"No addon found for name: {given['addonName']}", addonName=given["addonName"])
    names = [given["addonName"]] if given.get("addonName") else sorted(ADDONS)
    wanted = [given["kubernetesVersion"]] if given.get("kubernetesVersion") else list(VERSIONS)
    kinds = set(given.get("types") or ())
    infos = [_info(name, wanted) for name in names if not kinds or ADDONS[name][0] in kinds]
    return call.page("addons", infos)


# ------------------------------------------------------------------------------------------------ within


def _held(call: Call) -> tuple[Cluster, Held]:
    cluster, name = call.cluster(), call.given["addonName"]
    if name not in cluster.addons:
        raise missing(f"No addon: {name} found in cluster: {cluster.name}", clusterName=cluster.name, addonName=name)
    return cluster, cluster.addons[name]


def _version(given: Mapping[str, Any]) -> str:
    version = str(given.get("addonVersion") or "")
    if version and not _VERSION.fullmatch(version):
        raise wrong("Addon version specified is not supported", addonName=given["addonName"])
    return version


def _check_role(call: Call) -> None:
    if role := call.given.get("serviceAccountRoleArn"):
        around.check_principal(call, role)


def _associate(call: Call, cluster: Cluster, held: Held) -> None:
    record = held.record
    made = [
        associate(
            call,
            cluster,
            {**item, "namespace": record["namespaceConfig"]["namespace"], "ownerArn": record["addonArn"]},
        )
        for item in call.given.get("podIdentityAssociations") or ()
    ]
    if made:
        record["podIdentityAssociations"] = [item["associationArn"] for item in made]


def _info(name: str, versions: list[str]) -> dict[str, Any]:
    by_version: dict[str, list[dict[str, Any]]] = {}
    for version in versions:
        fits = {"clusterVersion": version, "platformVersions": ["*"], "defaultVersion": True}
        by_version.setdefault(addon_version(name, version), []).append(fits)
    found = [
        {"addonVersion": version, "architecture": ["amd64", "arm64"], "computeTypes": ["ec2"], "compatibilities": fits,
         "requiresConfiguration": False}
        for version, fits in by_version.items()
    ]  # fmt: skip
    return {
        "addonName": name,
        "type": ADDONS[name][0],
        "addonVersions": found,
        "publisher": "eks",
        "owner": "aws",
        "defaultNamespace": _NAMESPACE,
    }


OPERATIONS: Final[Mapping[str, Callable[[Call], dict[str, Any]]]] = {
    "CreateAddon": create_addon,
    "DeleteAddon": delete_addon,
    "DescribeAddon": describe_addon,
    "DescribeAddonVersions": describe_addon_versions,
    "ListAddons": list_addons,
    "UpdateAddon": update_addon,
}
