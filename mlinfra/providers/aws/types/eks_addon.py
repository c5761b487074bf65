"""EKS: add-ons."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change
from mlinfra.providers.aws.types.eks import ABSENT, API, CLUSTER_NAME, Provisioned, follow, moments

_NOT_UPDATED: Final = f"{API}/API_UpdateAddon.html: not among what can be updated"
_SETTINGS: Final = ("addonVersion", "configurationValues", "podIdentityAssociations", "serviceAccountRoleArn")


class Addon(Provisioned):
    """An add-on of a cluster. Its id is `CLUSTER:ADDON`.

    What stands in the way of it in the cluster, `resolveConflictsOnCreate` and `resolveConflictsOnUpdate` overwrite or
    keep; without them AWS gives up. With `preserve`, what the add-on has put into the cluster stays there when it goes.
    """

    token = "aws:eks/addon:Addon"  # noqa: S105 — a type token
    thing = "addon"
    fields = (
        CLUSTER_NAME,
        Field("addonName", required=True, replaces=_NOT_UPDATED),
        Field(
            "addonVersion",
            computed=True,
            pattern=(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", "a version, such as v1.12.4-eksbuild.1"),
        ),
        Field("configurationValues", computed=True),
        Field(
            "podIdentityAssociations",
            (Field("roleArn", required=True), Field("serviceAccount", required=True)),
            many=True,
            unordered=True,
            apart=True,
        ),
        Field("serviceAccountRoleArn"),
        Field("namespaceConfig", (Field("namespace", computed=True),), computed=True, replaces=_NOT_UPDATED),
        Field("resolveConflictsOnCreate", choices=("NONE", "OVERWRITE"), apart=True),
        Field("resolveConflictsOnUpdate", choices=("NONE", "OVERWRITE", "PRESERVE"), apart=True),
        Field("preserve", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "createdAt", "modifiedAt")
    volatile = ("modifiedAt",)
    names = ("addonName", "clusterName")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateAddon: an add-on gets its permissions in one way."""
        if inputs.get("serviceAccountRoleArn") is not None and inputs.get("podIdentityAssociations") not in (None, []):
            yield ("serviceAccountRoleArn",), "excludes podIdentityAssociations"

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """Configuration that says the same in other words."""
        if name != "configurationValues" or not isinstance(old, str) or not isinstance(new, str):
            return False
        try:
            return bool(json.loads(old) == json.loads(new))
        except ValueError:  # it may be YAML
            return False

    def sent(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """With what the call names otherwise."""
        return super().sent(inputs) | {
            "podIdentityAssociations": inputs.get("podIdentityAssociations") or None,
            "resolveConflicts": inputs.get("resolveConflictsOnCreate"),
        }

    def besides(self, aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """Its pod identity associations, a call for each."""
        found = [_association(aws, record["clusterName"], arn) for arn in record.get("podIdentityAssociations") or ()]
        return {"podIdentityAssociations": [item for item in found if item]}

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Its ARN, and when it was made and changed."""
        return {"arn": record["addonArn"], **moments(record, "createdAt", "modifiedAt")}

    def alter(self, aws: Aws, change: Change) -> None:
        """One call. What it does not name of roles is taken away, so the role is always said (API_UpdateAddon)."""
        if not change.touches(*_SETTINGS):
            return
        new = change.new
        sent = {name: new.get(name) for name in ("addonVersion", "configurationValues") if change.touches(name)}
        if change.touches("podIdentityAssociations"):
            sent["podIdentityAssociations"] = new.get("podIdentityAssociations") or []
        if new.get("serviceAccountRoleArn"):
            sent["serviceAccountRoleArn"] = new["serviceAccountRoleArn"]
        where = self.where(change.id, new)
        follow(aws, "update_addon", where, resolveConflicts=new.get("resolveConflictsOnUpdate"), **sent)

    def leaving(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Whether what it has put into the cluster stays."""
        return {"preserve": bool(inputs.get("preserve")) or None}


def _association(aws: Aws, cluster: str, arn: str) -> dict[str, str] | None:
    """The role and the service account of an association that is known by its ARN, which ends with its id."""
    found = aws.api("eks").find(
        "describe_pod_identity_association", ABSENT, clusterName=cluster, associationId=arn.rpartition("/")[2]
    )
    record = found["association"] if found else None
    return {"roleArn": record["roleArn"], "serviceAccount": record["serviceAccount"]} if record else None


RESOURCES: Final = (Addon(),)
