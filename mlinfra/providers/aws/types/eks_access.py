"""EKS: who is let into a cluster, and which roles its pods get."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.shapes import from_aws, given, same
from mlinfra.providers.aws.types.eks import ABSENT, API, CLUSTER_NAME, Eks, listed, moments, parts

_ENTRY_FINAL: Final = f"{API}/API_UpdateAccessEntry.html: groups and user name can be updated"
_ASSOCIATION_FINAL: Final = (
    f"{API}/API_AssociateAccessPolicy.html: nothing updates an association; associating again is a new one"
)
_POD_FINAL: Final = (
    f"{API}/API_UpdatePodIdentityAssociation.html: an association cannot be moved between clusters, namespaces or "
    "service accounts"
)
_POD_KEPT: Final = f"{API}/API_UpdatePodIdentityAssociation.html: it can be changed, nothing says that it can be unset"
STANDARD: Final = "STANDARD"
ENTRY_TYPES: Final = (
    STANDARD, "EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX",
)  # fmt: skip
"""API_CreateAccessEntry, type: STANDARD for people and programs, the others for nodes."""

_PRINCIPAL: Final = (r"arn:[\w-]+:iam::\d{12}:(role|user)/\S+", "the ARN of an IAM role or user")
_ROLE: Final = (r"arn:[\w-]+:iam::\d{12}:role/\S+", "the ARN of an IAM role")
_NAMES: Final = ("clusterName", "principalArn", "policyArn")


class AccessEntry(Eks):
    """An IAM role or user that a cluster lets in. Its id is `CLUSTER:PRINCIPAL_ARN`."""

    token = "aws:eks/accessEntry:AccessEntry"  # noqa: S105 — a type token
    thing, key, arn = "access_entry", "accessEntry", "accessEntryArn"
    fields = (
        CLUSTER_NAME,
        Field("principalArn", required=True, pattern=_PRINCIPAL, replaces=_ENTRY_FINAL),
        Field("type", default=STANDARD, choices=ENTRY_TYPES, replaces=_ENTRY_FINAL),
        Field("kubernetesGroups", many=True, unordered=True),
        Field("userName", aws="username", computed=True),
        TAGS,
        REGION,
    )
    outputs = ("accessEntryArn", "createdAt", "modifiedAt")
    volatile = ("modifiedAt",)
    names = ("principalArn", "clusterName")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateAccessEntry: only entries of type STANDARD bear groups; Kubernetes keeps `system:` for itself."""
        groups = inputs.get("kubernetesGroups")
        if groups not in (None, []) and inputs["type"] not in (STANDARD, UNKNOWN):
            yield ("kubernetesGroups",), f"are for entries of type {STANDARD} alone"
        if isinstance(groups, list):
            for index, name in enumerate(groups):
                if isinstance(name, str) and name.startswith("system:"):
                    yield ("kubernetesGroups", index), "must not begin with system:"

    def besides(self, aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """AWS gives nodes the groups that they need."""
        return {} if record.get("type") == STANDARD else {"kubernetesGroups": None}

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Its ARN, and when it was made and changed."""
        return {"accessEntryArn": record["accessEntryArn"], **moments(record, "createdAt", "modifiedAt")}

    def alter(self, aws: Aws, change: Change) -> None:
        """One call, which always says the groups."""
        if change.touches("kubernetesGroups", "userName"):
            groups, user = change.new.get("kubernetesGroups") or [], change.new.get("userName")
            where = self.where(change.id, change.new)
            aws.api("eks").call("update_access_entry", kubernetesGroups=groups, username=user, **where)


class AccessPolicyAssociation(Eks):
    """What an access entry may do, in the whole cluster or in namespaces. Its id is `CLUSTER#PRINCIPAL#POLICY`."""

    token = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"  # noqa: S105 — a type token
    fields = (
        CLUSTER_NAME,
        Field("principalArn", required=True, pattern=_PRINCIPAL, replaces=_ASSOCIATION_FINAL),
        Field(
            "policyArn",
            required=True,
            pattern=(r"arn:[\w-]+:eks::aws:cluster-access-policy/\w+", "the ARN of an EKS access policy"),
            replaces=_ASSOCIATION_FINAL,
        ),
        Field(
            "accessScope",
            (
                Field("type", required=True, choices=("cluster", "namespace")),
                Field("namespaces", many=True, unordered=True),
            ),
            required=True,
            replaces=_ASSOCIATION_FINAL,
        ),
        REGION,
    )
    outputs = ("associatedAt", "modifiedAt")
    names = ("policyArn", "principalArn", "clusterName")
    upserts = True

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_AccessScope: namespaces go with the type `namespace`, and with it alone."""
        scope = inputs.get("accessScope")
        if isinstance(scope, Mapping):
            if scope.get("type") == "namespace" and scope.get("namespaces") in (None, []):
                yield ("accessScope", "namespaces"), "is required where the type is namespace"
            if scope.get("type") == "cluster" and scope.get("namespaces") not in (None, []):
                yield ("accessScope", "namespaces"), "is for the type namespace"

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Cluster, principal and policy."""
        return "#".join(inputs[name] for name in _NAMES)

    def where(self, resource_id: str, known: Mapping[str, Any]) -> dict[str, str]:
        """Cluster, principal and policy."""
        return dict(zip(_NAMES, parts(resource_id, "#", 3), strict=True))

    def make(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call."""
        record = aws.api("eks").call("associate_access_policy", **self.sent(inputs))["associatedAccessPolicy"]
        return Made(self.identity(inputs), self.shown(record))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """A call for each hundred policies of the entry."""
        names = self.where(resource_id, known)
        policy = names.pop("policyArn")
        found = listed(aws.api("eks"), "list_associated_access_policies", "associatedAccessPolicies", **names)
        record = next((item for item in found if item["policyArn"] == policy), None)
        if record is None:
            return None
        inputs = from_aws(self.fields, {**record, **names}, same)
        return Live(inputs, self.shown(record))

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """When it was associated and changed."""
        return dict(moments(record, "associatedAt", "modifiedAt"))

    def alter(self, aws: Aws, change: Change) -> None:
        """Nothing of it changes in place."""

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("eks").find("disassociate_access_policy", ABSENT, **self.where(resource_id, inputs))


class PodIdentityAssociation(Eks):
    """The role that the pods of a service account get. Its id is `CLUSTER,ASSOCIATION`, as imports of it are.

    The official plugin has the association's id alone; that is understood, too.
    """

    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"  # noqa: S105 — a type token
    thing, key, arn = "pod_identity_association", "association", "associationArn"
    fields = (
        CLUSTER_NAME,
        Field("namespace", required=True, replaces=_POD_FINAL),
        Field("serviceAccount", required=True, replaces=_POD_FINAL),
        Field("roleArn", required=True, pattern=_ROLE),
        Field("targetRoleArn", pattern=_ROLE),
        Field("disableSessionTags", bool, default=False),
        Field("policy", document=True),
        TAGS,
        REGION,
    )
    outputs = ("associationArn", "associationId", "externalId")
    volatile = ("externalId",)
    names = ("serviceAccount", "namespace", "clusterName")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreatePodIdentityAssociation, policy."""
        if inputs.get("policy") is not None and inputs["disableSessionTags"] is False:
            yield ("disableSessionTags",), "must be true where there is a policy"

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """What can be changed cannot always be unset."""
        return _POD_KEPT if field.name in ("targetRoleArn", "policy") and new is None else field.replaces

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """What tells it apart before AWS has given it an id."""
        return "/".join(str(inputs[name]) for name in reversed(self.names))

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """A service account has one association at the most."""
        where = {name: inputs[name] for name in self.names}
        found = listed(aws.api("eks"), "list_pod_identity_associations", "associations", **where)
        return f"{inputs['clusterName']},{found[0]['associationId']}" if found else None

    def where(self, resource_id: str, known: Mapping[str, Any]) -> dict[str, str]:
        """Cluster and association."""
        if "," not in resource_id and known.get("clusterName"):
            return {"clusterName": known["clusterName"], "associationId": resource_id}
        cluster, association = parts(resource_id, ",", 2)
        return {"clusterName": cluster, "associationId": association}

    def make(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, which gives it its id."""
        outputs = super().make(aws, inputs).outputs
        return Made(f"{inputs['clusterName']},{outputs['associationId']}", outputs)

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Its ARN and ids."""
        return {
            "associationArn": record["associationArn"],
            "associationId": record["associationId"],
            "externalId": record.get("externalId") or "",
        }

    def alter(self, aws: Aws, change: Change) -> None:
        """One call."""
        names = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
        if sent := {name: change.new.get(name) for name in names if change.touches(name)}:
            where = self.where(change.id, change.new)
            aws.api("eks").call("update_pod_identity_association", **where, **given(sent))


RESOURCES: Final = (AccessEntry(), AccessPolicyAssociation(), PodIdentityAssociation())
