"""The local EKS: access entries, the policies of each, and the roles of service accounts (Pod Identity)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.local import eks_around as around
from mlinfra.local.eks_records import Call, Cluster, Held, again, in_use, missing, refused, wrong
from mlinfra.local.eks_tables import ADMIN, POLICIES, policy_arn
from mlinfra.providers.aws.types.eks_access import ENTRY_TYPES, STANDARD

_NODES: Final = {"kubernetesGroups": ["system:nodes"], "username": "system:node:{{EC2PrivateDNSName}}"}


def create_access_entry(call: Call) -> dict[str, Any]:
    """CreateAccessEntry."""
    cluster, given = _cluster(call), call.given
    principal, kind = given["principalArn"], given.get("type") or STANDARD
    held = cluster.entries.get(principal)
    if held:
        if again(held, call):
            return {"accessEntry": held.record}
        raise in_use("The specified access entry resource is already in use on this cluster.", clusterName=cluster.name)
    if kind not in ENTRY_TYPES:
        raise wrong(f"The specified type is invalid: {kind}")
    if kind != STANDARD and (given.get("kubernetesGroups") or given.get("username")):
        raise wrong(f"The kubernetesGroups and username cannot be specified for the type {kind}")
    around.check_principal(call, principal)
    return {"accessEntry": _admit(call, cluster, principal, kind, given)}


def describe_access_entry(call: Call) -> dict[str, Any]:
    """DescribeAccessEntry."""
    return {"accessEntry": _entry(call)[1].record}


def list_access_entries(call: Call) -> dict[str, Any]:
    """ListAccessEntries."""
    cluster, policy = _cluster(call), call.given.get("associatedPolicyArn")
    found = [name for name in cluster.entries if not policy or policy in cluster.policies.get(name, {})]
    return call.page("accessEntries", sorted(found))


def update_access_entry(call: Call) -> dict[str, Any]:
    """UpdateAccessEntry."""
    _, held = _entry(call)
    if held.record["type"] != STANDARD:
        raise refused(f"An access entry of type {held.record['type']} cannot be updated")
    changed = call.chosen("kubernetesGroups", "username")
    held.record.update(_named(changed), modifiedAt=time.time())
    return {"accessEntry": held.record}


def delete_access_entry(call: Call) -> dict[str, Any]:
    """DeleteAccessEntry."""
    cluster, _ = _entry(call)
    principal = call.given["principalArn"]
    del cluster.entries[principal]
    cluster.policies.pop(principal, None)
    cluster.owned.discard(principal)
    return {}


def associate_access_policy(call: Call) -> dict[str, Any]:
    """AssociateAccessPolicy; associated again, a policy has the new scope."""
    cluster, held = _entry(call)
    given, principal = call.given, call.given["principalArn"]
    if held.record["type"] != STANDARD:
        raise refused(f"Policies cannot be associated with an access entry of type {held.record['type']}")
    if given["policyArn"] not in {policy_arn(call.partition, name) for name in POLICIES}:
        raise wrong(f"The specified policyArn could not be found: {given['policyArn']}")
    scope = given["accessScope"]
    if (scope.get("type") == "namespace") != bool(scope.get("namespaces")):
        raise wrong("The namespaces of the accessScope go with the type namespace, and with it alone")
    record = _associated(cluster, principal, given["policyArn"], scope)
    return {"clusterName": cluster.name, "principalArn": principal, "associatedAccessPolicy": record}


def disassociate_access_policy(call: Call) -> dict[str, Any]:
    """DisassociateAccessPolicy."""
    cluster, _ = _entry(call)
    if cluster.policies.get(call.given["principalArn"], {}).pop(call.given["policyArn"], None) is None:
        raise missing("The specified policyArn is not associated with the access entry.")
    return {}


def list_associated_access_policies(call: Call) -> dict[str, Any]:
    """ListAssociatedAccessPolicies."""
    cluster, _ = _entry(call)
    held = cluster.policies.get(call.given["principalArn"], {})
    names = {"clusterName": cluster.name, "principalArn": call.given["principalArn"]}
    return {**names, **call.page("associatedAccessPolicies", [held[name] for name in sorted(held)])}


def list_access_policies(call: Call) -> dict[str, Any]:
    """ListAccessPolicies."""
    return call.page("accessPolicies", [{"name": name, "arn": policy_arn(call.partition, name)} for name in POLICIES])


# ------------------------------------------------------------------------------------------------ pod identity


def create_pod_identity_association(call: Call) -> dict[str, Any]:
    """CreatePodIdentityAssociation."""
    return {"association": associate(call, call.cluster(active=True), call.given)}


def describe_pod_identity_association(call: Call) -> dict[str, Any]:
    """DescribePodIdentityAssociation."""
    return {"association": _association(call)[1].record}


def list_pod_identity_associations(call: Call) -> dict[str, Any]:
    """ListPodIdentityAssociations: summaries."""
    asked = call.chosen("namespace", "serviceAccount")
    names = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    found = [
        {name: held.record[name] for name in names if name in held.record}
        for _, held in sorted(call.cluster().associations.items())
        if all(held.record[name] == value for name, value in asked.items())
    ]
    return call.page("associations", found)


def update_pod_identity_association(call: Call) -> dict[str, Any]:
    """UpdatePodIdentityAssociation."""
    _, held = _association(call)
    changed = call.chosen("roleArn", "targetRoleArn", "disableSessionTags", "policy")
    if not changed:
        raise wrong("At least one of roleArn, targetRoleArn, disableSessionTags and policy must be changed")
    _check_roles(call, changed)
    _check_policy({**held.record, **changed})
    held.record.update(changed, modifiedAt=time.time(), **_external(changed, held.record))
    return {"association": held.record}


def delete_pod_identity_association(call: Call) -> dict[str, Any]:
    """DeletePodIdentityAssociation; an add-on's is the add-on's to delete."""
    cluster, held = _association(call)
    if owner := held.record.get("ownerArn"):
        raise refused(f"Association {held.record['associationId']} is owned by {owner}", clusterName=cluster.name)
    del cluster.associations[held.record["associationId"]]
    return {"association": held.record}


def associate(call: Call, cluster: Cluster, given: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a new association: a service account has one at the most."""
    for held in cluster.associations.values():
        if all(held.record[name] == given[name] for name in ("namespace", "serviceAccount")):
            if again(held, call):
                return held.record
            raise in_use(f"Association already exists: {held.record['associationId']}", clusterName=cluster.name)
    _check_roles(call, given)
    _check_policy(given)
    identifier = f"a-{uuid.uuid4().hex[:17]}"
    names = ("namespace", "serviceAccount", "roleArn", "targetRoleArn", "policy", "ownerArn", "clientRequestToken")
    record = {
        **{name: given[name] for name in names if given.get(name) is not None},
        "clusterName": cluster.name,
        "associationArn": call.arn(f"podidentityassociation/{cluster.name}/{identifier}"),
        "associationId": identifier,
        "disableSessionTags": bool(given.get("disableSessionTags")),
        "createdAt": time.time(),
        "modifiedAt": time.time(),
        "tags": dict(given.get("tags") or {}),
        **_external(given, {}),
    }
    cluster.associations[identifier] = Held(record)
    return record


def release(cluster: Cluster, owner: str) -> None:
    """Delete the associations of an add-on."""
    for name in [name for name, held in cluster.associations.items() if held.record.get("ownerArn") == owner]:
        del cluster.associations[name]


# ------------------------------------------------------------------------------------------------ what EKS does itself


def admit_creator(call: Call, cluster: Cluster) -> None:
    """Make whoever creates a cluster its administrator: on the local target, the account itself."""
    principal = f"arn:{call.partition}:iam::{call.account}:root"
    _admit(call, cluster, principal, STANDARD, {})
    _associated(cluster, principal, policy_arn(call.partition, ADMIN), {"type": "cluster"})


def admit_nodes(call: Call, cluster: Cluster, role: str) -> None:
    """Let the nodes of a group in, by an entry for their role; there is none where only the ConfigMap counts."""
    if cluster.record["accessConfig"]["authenticationMode"] != "CONFIG_MAP" and role not in cluster.entries:
        _admit(call, cluster, role, "EC2_LINUX", {})
        cluster.owned.add(role)


def dismiss_nodes(cluster: Cluster, role: str) -> None:
    """Take away the entry that `admit_nodes` made."""
    if role in cluster.owned:
        cluster.owned.discard(role)
        cluster.entries.pop(role, None)


# ------------------------------------------------------------------------------------------------ within


def _cluster(call: Call) -> Cluster:
    cluster = call.cluster(active=True)
    if cluster.record["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise refused(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
            clusterName=cluster.name,
        )
    return cluster


def _entry(call: Call) -> tuple[Cluster, Held]:
    cluster, principal = _cluster(call), call.given["principalArn"]
    if principal not in cluster.entries:
        raise missing(
            f"The specified principalArn could not be found. It has no access entry: {principal}",
            clusterName=cluster.name,
        )
    return cluster, cluster.entries[principal]


def _admit(call: Call, cluster: Cluster, principal: str, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    path = principal.rpartition(":")[2]
    record = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "type": kind,
        "accessEntryArn": call.arn(f"access-entry/{cluster.name}/{path.partition('/')[0]}/{call.account}/"
                                   f"{path.rpartition('/')[2]}/{uuid.uuid4()}"),
        "createdAt": time.time(),
        "modifiedAt": time.time(),
        "tags": dict(given.get("tags") or {}),
        "clientRequestToken": given.get("clientRequestToken"),
        **({"kubernetesGroups": [], "username": _username(call, principal)} if kind == STANDARD else _NODES),
        **_named({name: given[name] for name in ("kubernetesGroups", "username") if given.get(name) is not None}),
    }  # fmt: skip
    cluster.entries[principal] = Held(record)
    return record


def _username(call: Call, principal: str) -> str:
    """The name in Kubernetes that EKS gives: of a role's session, or the user's ARN (user guide, "Create access
    entries")."""
    if ":role/" not in principal:
        return principal
    name = principal.rpartition("/")[2]
    account = principal.split(":")[4]
    return f"arn:{call.partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"


def _named(given: dict[str, Any]) -> dict[str, Any]:
    for name in given.get("kubernetesGroups") or ():
        if name.startswith("system:"):
            raise wrong(f"The kubernetes group name {name} is invalid, it cannot start with system:")
    if (user := given.get("username")) and user.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
        raise wrong(f"The username {user} is invalid, it cannot start with system:, eks:, aws:, amazon: or iam:")
    return given


def _associated(cluster: Cluster, principal: str, policy: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    held = cluster.policies.setdefault(principal, {})
    made = held[policy]["associatedAt"] if policy in held else time.time()
    scope = {"type": scope["type"], "namespaces": list(scope.get("namespaces") or ())}
    held[policy] = {"policyArn": policy, "accessScope": scope, "associatedAt": made, "modifiedAt": time.time()}
    return held[policy]


def _association(call: Call) -> tuple[Cluster, Held]:
    cluster, identifier = call.cluster(), call.given["associationId"]
    if identifier not in cluster.associations:
        raise missing(f"No association found for id: {identifier}.", clusterName=cluster.name)
    return cluster, cluster.associations[identifier]


def _check_roles(call: Call, given: Mapping[str, Any]) -> None:
    if role := given.get("roleArn"):
        if f":{call.account}:role/" not in role:
            raise wrong("Cross-account pass role is not allowed.")
        around.check_role(call, role, "pods.eks.amazonaws.com")


def _check_policy(given: Mapping[str, Any]) -> None:
    if given.get("policy") and not given.get("disableSessionTags"):
        raise wrong("disableSessionTags must be true when a policy is specified")


def _external(given: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, str]:
    """The id by which the target role knows this association; there where there is a target role."""
    if not given.get("targetRoleArn") or held.get("externalId"):
        return {}
    return {"externalId": uuid.uuid4().hex}


OPERATIONS: Final[Mapping[str, Callable[[Call], dict[str, Any]]]] = {
    "AssociateAccessPolicy": associate_access_policy,
    "CreateAccessEntry": create_access_entry,
    "CreatePodIdentityAssociation": create_pod_identity_association,
    "DeleteAccessEntry": delete_access_entry,
    "DeletePodIdentityAssociation": delete_pod_identity_association,
    "DescribeAccessEntry": describe_access_entry,
    "DescribePodIdentityAssociation": describe_pod_identity_association,
    "DisassociateAccessPolicy": disassociate_access_policy,
    "ListAccessEntries": list_access_entries,
    "ListAccessPolicies": list_access_policies,
    "ListAssociatedAccessPolicies": list_associated_access_policies,
    "ListPodIdentityAssociations": list_pod_identity_associations,
    "UpdateAccessEntry": update_access_entry,
    "UpdatePodIdentityAssociation": update_pod_identity_association,
}
