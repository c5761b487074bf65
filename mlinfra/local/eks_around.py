"""The local EKS: what it looks up in, and puts into, the other services of the same account, which are moto's.

A service that nobody has called yet holds nothing, and is not loaded to find that out.
"""

from __future__ import annotations

import contextlib
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.exceptions import ServiceException

from mlinfra.local.eks_records import Call, wrong


def _backend(call: Call, service: str, region: str = "") -> Any:
    """A service's backend in moto; None where it has not been loaded."""
    module: Any = sys.modules.get(f"moto.{service}.models")
    return getattr(module, f"{service}_backends")[call.account][region or call.region] if module else None


def vpc_of(call: Call, subnets: Sequence[str], zones: int = 1, vpc: str = "") -> str:
    """The VPC that subnets lie in: all in one, that of the cluster where it is given, in so many zones at the least.

    Source: API_VpcConfigRequest, subnetIds; EKS user guide, "View Amazon EKS networking requirements for VPC and
    subnets".
    """
    ec2, found = _backend(call, "ec2"), []
    for subnet in subnets:
        try:
            found.append(ec2.get_subnet(subnet))
        except (AttributeError, ServiceException):
            raise wrong(f"The subnet ID '{subnet}' does not exist") from None
    vpcs = {item.vpc_id for item in found} | ({vpc} if vpc else set())
    if len(vpcs) > 1:
        raise wrong(
            "Subnets are not in the same VPC" if not vpc else f"Provided subnets belong to a VPC other than {vpc}"
        )
    if zones > 1 and len({item.availability_zone for item in found}) < zones:
        raise wrong("Subnets specified must be in at least two different AZs")
    return str(next(iter(vpcs), ""))


def check_groups(call: Call, groups: Sequence[str], vpc: str) -> None:
    """Security groups that are there, and in the VPC."""
    ec2 = _backend(call, "ec2")
    for group in groups:
        found = ec2.get_security_group_from_id(group) if ec2 else None
        if found is None or found.vpc_id != vpc:
            raise wrong(f"The security group '{group}' does not exist in VPC {vpc}")


def make_group(call: Call, cluster: str, vpc: str) -> str:
    """The security group that EKS makes for a cluster and its nodes (EKS user guide, "View Amazon EKS security group
    requirements for clusters")."""
    ec2 = _backend(call, "ec2")
    name = f"eks-cluster-sg-{cluster}-{uuid.uuid4().int % 10**10:010d}"
    tags = {"Name": name, "aws:eks:cluster-name": cluster, f"kubernetes.io/cluster/{cluster}": "owned"}
    about = "EKS created security group for the control plane's network interfaces and managed nodes."
    group = ec2.create_security_group(name, about, vpc_id=vpc, tags=tags)
    ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}])
    return str(group.id)


def drop_group(call: Call, group: str) -> None:
    """The group goes with the cluster."""
    with contextlib.suppress(AttributeError, ServiceException):
        _backend(call, "ec2").delete_security_group(group_id=group)


def check_role(call: Call, arn: str, service: str) -> None:
    """A role that is there and trusts `service`; one of another account cannot be looked at."""
    if f":{call.account}:" not in arn:
        raise wrong("Cross-account pass role is not allowed.")
    iam = _backend(call, "iam", call.partition)
    role = next((item for item in iam.get_roles() if item.arn == arn), None) if iam else None
    if role is None or not _trusts(role.assume_role_policy_document, service):
        raise wrong(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct"
        )


def check_principal(call: Call, arn: str) -> None:
    """A role or user that is there; one of another account is taken."""
    iam = _backend(call, "iam", call.partition)
    if f":{call.account}:" not in arn or ":root" in arn:
        return
    held = [*iam.get_roles(), *iam.users.values()] if iam else []
    if all(item.arn != arn for item in held):
        raise wrong("The specified principalArn is invalid: invalid principal.")


def _trusts(document: Any, service: str) -> bool:
    try:
        statements = json.loads(document)["Statement"]
    except (TypeError, ValueError, KeyError):
        return False
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") or {}
        named = principal.get("Service") or [] if isinstance(principal, Mapping) else []
        if statement.get("Effect") == "Allow" and service in ([named] if isinstance(named, str) else named):
            return True
    return False


def check_key(call: Call, arn: str) -> None:
    """A KMS key that is there; one of another account is taken."""
    if f":{call.account}:" not in arn:
        return
    kms = _backend(call, "kms")
    key = arn.rpartition(":key/")[2]
    if kms is None or key not in kms.keys:
        raise wrong(f"The keyArn in encryptionConfig provider is invalid: {arn} does not exist")
    if kms.keys[key].key_state != "Enabled":
        raise wrong(f"The keyArn in encryptionConfig provider is invalid: {arn} is not enabled")


def template(call: Call, given: Mapping[str, str]) -> dict[str, str]:
    """A launch template by its id or its name, with the number of the version that is meant."""
    ec2 = _backend(call, "ec2")
    if bool(given.get("id")) == bool(given.get("name")):
        raise wrong("Either provide launch template ID or launch template name in the request.")
    try:
        found = (
            ec2.get_launch_template(given["id"]) if given.get("id") else ec2.get_launch_template_by_name(given["name"])
        )
        version = found.get_version(given.get("version") or "$Default")
    except (AttributeError, IndexError, ServiceException, ValueError):
        raise wrong(f"Launch template {given.get('id') or given.get('name')} or its version does not exist") from None
    return {"id": found.id, "name": found.name, "version": str(version.number)}


def has_image(call: Call, chosen: Mapping[str, str]) -> bool:
    """Whether a launch template, as `template` gives it, names an image itself."""
    version = _backend(call, "ec2").get_launch_template(chosen["id"]).get_version(chosen["version"])
    return bool(version.data.get("ImageId"))


def machines(names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The facts of instance types, as DescribeInstanceTypes has them."""
    module: Any = sys.modules.get("moto.ec2.models.instance_types")
    known: Mapping[str, Mapping[str, Any]] = module.INSTANCE_TYPES if module else {}
    if unknown := [name for name in names if name not in known]:
        raise wrong(f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    return [known[name] for name in names]


def ensure_logs(call: Call, cluster: str) -> None:
    """The group that a control plane logs to; EKS makes it where it is not there, and leaves it when the cluster goes
    (EKS user guide, "Send control plane logs to CloudWatch Logs")."""
    from moto.logs.models import logs_backends  # not before it is wanted

    logs_backends[call.account][call.region].ensure_log_group(f"/aws/eks/{cluster}/cluster")
