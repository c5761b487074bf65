"""EKS: add-ons."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.shapes import from_aws, same, to_aws
from mlinfra.providers.aws.types.eks import (
    ABSENT,
    API,
    CLUSTER_NAME,
    TAGGING,
    Provisioned,
    follow,
    moment,
    parts,
    pending,
)

_NOT_UPDATED: Final = f"{API}/API_UpdateAddon.html: not among what can be updated"
_SETTINGS: Final = ("addonVersion", "configurationValues", "podIdentityAssociations", "serviceAccountRoleArn")


class Addon(Provisioned):
    """An add-on of a cluster. Its id is `CLUSTER:ADDON`.

    What stands in the way of it in the cluster, `resolveConflictsOnCreate` and `resolveConflictsOnUpdate` overwrite or
    keep; without them AWS gives up. With `preserve`, what the add-on has put into the cluster stays there when it goes.
    """

    token = "aws:eks/addon:Addon"  # noqa: S105 — a type token
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

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Cluster and name."""
        return f"{inputs['clusterName']}:{inputs['addonName']}"

    def make(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` waits."""
        sent = to_aws(self.fields, inputs, same) | {
            "tags": inputs.get("tags") or None,
            "podIdentityAssociations": inputs.get("podIdentityAssociations") or None,
            "resolveConflicts": inputs.get("resolveConflictsOnCreate"),
        }
        aws.api("eks").call("create_addon", **sent)
        return Made(self.identity(inputs))

    def record(self, aws: Aws, resource_id: str) -> dict[str, Any] | None:
        """The add-on."""
        found = aws.api("eks").find("describe_addon", ABSENT, **_where(resource_id))
        return found["addon"] if found else None

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call, and one for each of its pod identity associations."""
        record = self.record(aws, resource_id)
        if record is None or record["status"] == "DELETING":
            return None
        inputs = from_aws(self.fields, record, same)
        del inputs["tags"]
        found = [_association(aws, record["clusterName"], arn) for arn in record.get("podIdentityAssociations") or ()]
        inputs["podIdentityAssociations"] = [item for item in found if item]
        outputs = {
            "arn": record["addonArn"],
            "createdAt": moment(record["createdAt"]),
            "modifiedAt": moment(record["modifiedAt"]),
        }
        return Live(inputs, outputs, TAGGING.plain(record.get("tags")), pending(record))

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
        follow(aws, "update_addon", _where(change.id), resolveConflicts=new.get("resolveConflictsOnUpdate"), **sent)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Delete it, and wait until it is gone."""
        preserve = bool(inputs.get("preserve")) or None
        aws.api("eks").find("delete_addon", ABSENT, preserve=preserve, **_where(resource_id))
        self.vanish(aws, resource_id)


def _where(resource_id: str) -> dict[str, str]:
    cluster, name = parts(resource_id, ":", 2)
    return {"clusterName": cluster, "addonName": name}


def _association(aws: Aws, cluster: str, arn: str) -> dict[str, str] | None:
    """The role and the service account of an association that is known by its ARN, which ends with its id."""
    found = aws.api("eks").find(
        "describe_pod_identity_association", ABSENT, clusterName=cluster, associationId=arn.rpartition("/")[2]
    )
    record = found["association"] if found else None
    return {"roleArn": record["roleArn"], "serviceAccount": record["serviceAccount"]} if record else None


RESOURCES: Final = (Addon(),)
