"""EKS: clusters, which are control planes."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change
from mlinfra.providers.aws.shapes import moment
from mlinfra.providers.aws.types.eks import API, CLUSTER_NAME, IN_USE, Provisioned, follow, patiently, unused

_NOT_UPDATED: Final = f"{API}/API_UpdateClusterConfig.html: not among what can be updated"
_BOOTSTRAP_FINAL: Final = f"{API}/API_CreateAccessConfigRequest.html: it is looked at when the cluster is created"
_NETWORK_FINAL: Final = (
    f"{API}/API_KubernetesNetworkConfigRequest.html: IP family and service range can be given only when the cluster is "
    "created"
)
_ENCRYPTION_FINAL: Final = (
    f"{API}/API_AssociateEncryptionConfig.html: for clusters that have no encryption config; one that is there can be "
    "neither changed nor taken away"
)
LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""The control plane's logs (API_LogSetup)."""
MODES: Final = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""How people and nodes are let in; a cluster goes from left to right, never back (EKS user guide, "Change
authentication mode to use access entries")."""

_VPC: Final = (
    Field("subnetIds", many=True, required=True, unordered=True),
    Field("securityGroupIds", many=True, unordered=True),
    Field("endpointPublicAccess", bool, default=True),
    Field("endpointPrivateAccess", bool, default=False),
    Field("publicAccessCidrs", many=True, unordered=True, computed=True),
)
_ENDPOINT: Final = ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs")
_ACCESS: Final = (
    Field("authenticationMode", choices=MODES, computed=True),
    Field("bootstrapClusterCreatorAdminPermissions", bool, default=True, forgotten=True),
)
_NETWORK: Final = (Field("ipFamily", choices=("ipv4", "ipv6"), computed=True), Field("serviceIpv4Cidr", computed=True))
_ENCRYPTION: Final = (
    Field("provider", (Field("keyArn", required=True),), required=True),
    Field("resources", many=True, required=True, unordered=True, choices=("secrets",)),
)


class Cluster(Provisioned):
    """A cluster. Its id is its name.

    Its version goes up by one minor version at a time, and never down (EKS user guide, "Update existing cluster to new
    Kubernetes version"). AWS makes a security group for it, which is `vpcConfig.clusterSecurityGroupId` and goes with
    it.
    """

    token = "aws:eks/cluster:Cluster"  # noqa: S105 — a type token
    thing = "cluster"
    fields = (
        Field("name", pattern=CLUSTER_NAME.pattern, replaces=f"{API}/API_CreateCluster.html: a cluster is its name"),
        Field("roleArn", required=True, replaces=_NOT_UPDATED),
        Field("version", computed=True, pattern=(r"1\.\d{2}", "a minor version of Kubernetes, such as 1.34")),
        Field("vpcConfig", _VPC, required=True, aws="resourcesVpcConfig"),
        Field("accessConfig", _ACCESS, computed=True),
        Field("kubernetesNetworkConfig", _NETWORK, computed=True, replaces=_NETWORK_FINAL),
        Field("bootstrapSelfManagedAddons", bool, default=True, forgotten=True, replaces=_NOT_UPDATED),
        Field("enabledClusterLogTypes", many=True, unordered=True, apart=True, choices=LOG_TYPES),
        Field("encryptionConfig", _ENCRYPTION, apart=True),
        Field("upgradePolicy", (Field("supportType", choices=("STANDARD", "EXTENDED"), computed=True),), computed=True),
        Field("zonalShiftConfig", (Field("enabled", bool, default=False),)),
        Field("deletionProtection", bool, default=False),
        Field("forceUpdateVersion", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = (
        "arn", "certificateAuthority", "createdAt", "endpoint", "identities", "platformVersion", "status",
        "vpcConfig.clusterSecurityGroupId", "vpcConfig.vpcId",
    )  # fmt: skip
    volatile = ("platformVersion",)
    names = ("name",)
    longest = 100

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_VpcConfigRequest: two subnets at the least, and a way in. API_CreateAccessConfigRequest."""
        vpc, access = inputs.get("vpcConfig"), inputs.get("accessConfig")
        if isinstance(vpc, Mapping):
            subnets = vpc.get("subnetIds")
            if isinstance(subnets, list) and len(subnets) < 2:
                yield ("vpcConfig", "subnetIds"), "must name subnets in two availability zones at the least"
            if vpc.get("endpointPublicAccess") is False and vpc.get("endpointPrivateAccess") in (None, False):
                yield ("vpcConfig", "endpointPrivateAccess"), "must be true where the endpoint is not public"
        mode = access.get("authenticationMode") if isinstance(access, Mapping) else UNKNOWN
        if mode in (None, "CONFIG_MAP") and not _bootstraps(access):
            path = ("accessConfig", "bootstrapClusterCreatorAdminPermissions")
            yield path, "must be true where the authentication mode is CONFIG_MAP"

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """Who creates the cluster is admitted then or never; encryption is put on once."""
        if field.name == "accessConfig":
            return "" if _bootstraps(old) is _bootstraps(new) else _BOOTSTRAP_FINAL
        if field.name == "encryptionConfig":
            return _ENCRYPTION_FINAL if old else ""
        return field.replaces

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """What is not asked for is not enabled."""
        return name == "zonalShiftConfig" and unused(old) and unused(new)

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Its name."""
        return str(inputs["name"])

    def where(self, resource_id: str, known: Mapping[str, Any]) -> dict[str, str]:
        """Its name."""
        return {"name": resource_id}

    def sent(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """With what the call wants in another form."""
        encryption = inputs.get("encryptionConfig")
        return super().sent(inputs) | {
            "logging": _logging(inputs) if inputs.get("enabledClusterLogTypes") else None,
            "encryptionConfig": [encryption] if encryption else None,
        }

    def besides(self, aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """What the record has in another form."""
        return {
            "enabledClusterLogTypes": enabled_logs(record),
            "encryptionConfig": next(iter(record.get("encryptionConfig") or ()), None),
        }

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What AWS adds, some of it once the cluster is active."""
        vpc = record.get("resourcesVpcConfig") or {}
        return {
            "arn": record["arn"],
            "certificateAuthority": {"data": authority(record)},
            "createdAt": moment(record["createdAt"]),
            "endpoint": record.get("endpoint") or "",
            "identities": identities(record),
            "platformVersion": record.get("platformVersion") or "",
            "status": record["status"],
            "vpcConfig.clusterSecurityGroupId": vpc.get("clusterSecurityGroupId") or "",
            "vpcConfig.vpcId": vpc.get("vpcId") or "",
        }

    def alter(self, aws: Aws, change: Change) -> None:
        """One call for each kind of change, and a wait after it: EKS makes one at a time (API_UpdateClusterConfig)."""
        new = change.new
        if change.touches("version"):
            force = new.get("forceUpdateVersion") or None
            follow(aws, "update_cluster_version", {"name": change.id}, version=new.get("version"), force=force)
        if change.touches("encryptionConfig"):
            encryption = [new["encryptionConfig"]]
            follow(aws, "associate_encryption_config", {"clusterName": change.id}, encryptionConfig=encryption)
        for settings in _settings(change):
            follow(aws, "update_cluster_config", {"name": change.id}, **settings)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Delete it, once what is going on in it has come to an end, and wait until it is gone."""

        def probe() -> str:
            try:
                super(Cluster, self).delete(aws, resource_id, inputs)
            except AwsError as error:
                if error.code == IN_USE and "in progress" in error.message:
                    return "an update to come to an end"
                raise _explained(error, resource_id) from None
            return ""

        patiently(aws, probe)


def _settings(change: Change) -> Iterator[dict[str, Any]]:
    """What differs, as UpdateClusterConfig takes it: one kind of change in each."""
    new = change.new
    if change.touches("accessConfig"):
        yield {"accessConfig": {"authenticationMode": new["accessConfig"].get("authenticationMode")}}
    if change.touches("enabledClusterLogTypes"):
        yield {"logging": _logging(new)}
    for name in ("upgradePolicy", "deletionProtection"):
        if change.touches(name):
            yield {name: new[name]}
    if change.touches("zonalShiftConfig"):
        yield {"zonalShiftConfig": new.get("zonalShiftConfig") or {"enabled": False}}
    if change.touches("vpcConfig"):
        yield from ({"resourcesVpcConfig": part} for part in _vpc_parts(change.old["vpcConfig"], new["vpcConfig"]))


def _vpc_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    was, becomes = ({field.name: side.get(field.name, field.default) for field in _VPC} for side in (old, new))
    endpoint = {name: becomes[name] for name in _ENDPOINT if becomes[name] is not None}
    if any(was[name] != value for name, value in endpoint.items()):
        yield endpoint
    for name in ("subnetIds", "securityGroupIds"):
        if sorted(was[name] or ()) != sorted(becomes[name] or ()):
            yield {name: becomes[name] or []}


def _logging(inputs: Mapping[str, Any]) -> dict[str, Any]:
    wanted = set(inputs.get("enabledClusterLogTypes") or ())
    on, off = ([kind for kind in LOG_TYPES if (kind in wanted) is enabled] for enabled in (True, False))
    return {"clusterLogging": [{"types": some, "enabled": some is on} for some in (on, off) if some]}


def enabled_logs(record: Mapping[str, Any]) -> list[str]:
    """The control plane's logs that a cluster writes."""
    groups = (record.get("logging") or {}).get("clusterLogging") or ()
    return sorted(kind for group in groups if group.get("enabled") for kind in group.get("types") or ())


def authority(record: Mapping[str, Any]) -> str:
    """The certificate of the authority that a cluster's endpoint is trusted by, in base64."""
    return str((record.get("certificateAuthority") or {}).get("data") or "")


def identities(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The issuer of the tokens of a cluster's service accounts, in pulumi_aws's form; there once it is active."""
    oidc = (record.get("identity") or {}).get("oidc")
    return [{"oidcs": [{"issuer": oidc["issuer"]}]}] if oidc else []


def _bootstraps(access: Any) -> bool:
    return not (isinstance(access, Mapping) and access.get("bootstrapClusterCreatorAdminPermissions") is False)


def _explained(error: AwsError, name: str) -> AwsError:
    if "deletion protection" in error.message.lower():
        remedy = "Set deletionProtection to false, update the stack, and then delete it."
        return AwsError(error.operation, error.code, f"{name} has deletion protection", remedy)
    return error


RESOURCES: Final = (Cluster(),)
