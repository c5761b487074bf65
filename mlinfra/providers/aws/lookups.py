"""Lookups: what the engine asks by Invoke. Names and results are those of pulumi_aws's data sources."""

# ruff: noqa: ARG001 — every lookup has one form, whether it needs its arguments or not

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.graph import Secret
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Aws
from mlinfra.providers.aws.types import eks_lookup

Lookup = Callable[[Aws, Mapping[str, Any]], dict[str, Any]]

PARTITIONS: Final = (("cn-", "aws-cn", "amazonaws.com.cn"), ("us-gov-", "aws-us-gov", "amazonaws.com"))
"""Prefix of the regions, name and DNS suffix of each partition but the common one (AWS General Reference, ARNs)."""


def _caller_identity(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    ask = aws.api("sts").call
    found = aws.session.remember("caller", lambda: ask("get_caller_identity"))
    return {"accountId": found["Account"], "arn": found["Arn"], "id": found["Account"], "userId": found["UserId"]}


def _region(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = f"ec2.{aws.region}.{_partition_of(aws.region)[1]}"
    return {"description": aws.region, "endpoint": endpoint, "id": aws.region, "name": aws.region, "region": aws.region}


def _partition(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    name, suffix = _partition_of(aws.region)
    return {
        "partition": name,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
        "id": name,
    }


def _availability_zones(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    filters = [{"Name": item["name"], "Values": item["values"]} for item in arguments.get("filters") or ()]
    if state := arguments.get("state"):
        filters.append({"Name": "state", "Values": [state]})
    found = aws.api("ec2").call(
        "describe_availability_zones",
        Filters=filters or None,
        AllAvailabilityZones=arguments.get("allAvailabilityZones"),
    )["AvailabilityZones"]
    names, ids = set(arguments.get("excludeNames") or ()), set(arguments.get("excludeZoneIds") or ())
    zones = sorted(
        (zone for zone in found if zone["ZoneName"] not in names and zone["ZoneId"] not in ids),
        key=lambda zone: str(zone["ZoneName"]),
    )
    return {
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone["GroupName"] for zone in zones if zone.get("GroupName")}),
        "id": aws.region,
        **arguments,
    }


def _parameter(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The emulator has the public parameters of Amazon Linux, but not those of the Deep Learning AMIs: what stands in
    for an image of theirs is Amazon Linux of the same architecture, on which they are built."""
    api, name = aws.api("ssm"), str(arguments["name"])
    decrypted = arguments.get("withDecryption", True)
    found = api.find("get_parameter", {"ParameterNotFound"}, Name=name, WithDecryption=decrypted)
    stand_in = _DEEP_LEARNING.match(name)
    if found is None and stand_in:
        found = api.call("get_parameter", Name=f"{_AMAZON_LINUX}-{stand_in[1]}")
    elif found is None:
        raise AwsError("GetParameter", "ParameterNotFound", f"there is no parameter {name} in {aws.region}")
    parameter = found["Parameter"]
    plain = parameter["Type"] != "SecureString"
    return {
        "arn": aws.arn("ssm", f"parameter/{name.removeprefix('/')}"),
        "id": name,
        "insecureValue": parameter["Value"] if plain else "",
        "name": name,
        "region": aws.region,
        "type": parameter["Type"],
        "value": Secret(parameter["Value"]),
        "version": parameter["Version"],
        "withDecryption": decrypted,
    }


def _partition_of(region: str) -> tuple[str, str]:
    return next(((name, suffix) for prefix, name, suffix in PARTITIONS if region.startswith(prefix)), _COMMON)


_COMMON: Final = ("aws", "amazonaws.com")
_AMAZON_LINUX: Final = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default"
_DEEP_LEARNING: Final = re.compile(r"/aws/service/deeplearning/ami/(x86_64|arm64)/.+/ami-id")
_FILTER: Final = (Field("name", required=True), Field("values", many=True, required=True))
_ZONES: Final = (
    Field("state"),
    Field("filters", _FILTER, many=True),
    Field("allAvailabilityZones", bool),
    Field("excludeNames", many=True),
    Field("excludeZoneIds", many=True),
)

LOOKUPS: Final[Mapping[str, tuple[Lookup, tuple[Field, ...]]]] = {
    "aws:eks/getCluster:getCluster": (eks_lookup.cluster, eks_lookup.FIELDS),
    "aws:index/getAvailabilityZones:getAvailabilityZones": (_availability_zones, (*_ZONES, Field("region"))),
    "aws:index/getCallerIdentity:getCallerIdentity": (_caller_identity, (Field("id"),)),
    "aws:index/getPartition:getPartition": (_partition, (Field("id"),)),
    "aws:index/getRegion:getRegion": (_region, (Field("id"), Field("region"))),
    "aws:ssm/getParameter:getParameter": (
        _parameter,
        (Field("name", required=True), Field("region"), Field("withDecryption", bool)),
    ),
}
"""Every lookup by its token: what answers it, and the arguments that it takes."""
