"""The provider's own inputs: region, keys, endpoints. It serves an emulator on this machine and refuses anything else.

Names and shapes are those of `pulumi_aws.Provider`, so that the same configuration, read from a state file by the
official plugin, cannot reach a real account either.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.functions import Unknown, holds
from mlinfra.graph import Path

ENDPOINTS: Final = (
    "cloudwatch", "ec2", "ecr", "eks", "iam", "kms", "logs", "rds", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts",
)  # fmt: skip
"""The services that this provider calls, by the names that `ProviderEndpointArgs` of pulumi_aws has for them."""

ACCEPTED: Final = frozenset(
    {
        "accessKey",
        "defaultTags",
        "endpoints",
        "region",
        "s3UsePathStyle",
        "secretKey",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "token",
        "version",
    }
)
"""The inputs that are understood. The `skip…` ones ask for what this provider does anyway."""

SECRETS: Final = frozenset({"secretKey", "token"})

# Stricter than a URL parser on purpose: two parsers can disagree about a strange URL, and one of them would dial it.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one provider instance works with; `endpoints` maps a service's name to its URL on this machine."""

    region: str
    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    default_tags: Mapping[str, str] = field(default_factory=dict)


def local_inputs(url: str, region: str) -> dict[str, Any]:
    """The inputs of a provider for an AWS emulator at `url`, in `region`: safe for the official plugin too."""
    return {
        "region": region,
        "accessKey": "local",
        "secretKey": "local",
        "endpoints": [dict.fromkeys(ENDPOINTS, url)],
        "s3UsePathStyle": True,
        "skipCredentialsValidation": True,
        "skipMetadataApiCheck": True,
        "skipRequestingAccountId": True,
    }


def problems(inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What is wrong with a provider's inputs, as (path, reason); endpoints are looked at once all are known."""
    plain = structured(inputs)
    for name in sorted(plain):
        if name not in ACCEPTED:
            yield (name,), "is not supported by mlinfra's embedded AWS provider"
    for name in ("region", "accessKey", "secretKey"):
        if plain.get(name) in (None, ""):
            yield (name,), "is required: the embedded AWS provider reads no configuration from this machine"
    yield from _endpoint_problems(plain.get("endpoints"))


def configure(inputs: Mapping[str, Any]) -> Configuration:
    """A configuration of inputs that are all known. Raises `MlinfraError` with every problem."""
    found = list(problems(inputs))
    if found:
        raise MlinfraError(*(_diagnostic(path, reason) for path, reason in found))
    plain = structured(inputs)
    endpoints = {name: url.rstrip("/") for group in plain["endpoints"] for name, url in group.items() if url}
    return Configuration(
        region=plain["region"],
        access_key=plain["accessKey"],
        secret_key=plain["secretKey"],
        token=plain.get("token"),
        endpoints=endpoints,
        default_tags=(plain.get("defaultTags") or {}).get("tags") or {},
    )


def structured(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with lists and objects laid open: Pulumi's SDKs send those of a provider as JSON text."""
    return {name: _unpacked(name, value) for name, value in inputs.items() if value is not None}


def _unpacked(name: str, value: Any) -> Any:
    if name in ("endpoints", "defaultTags") and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _endpoint_problems(endpoints: Any) -> Iterator[tuple[Path, str]]:
    if holds(endpoints, Unknown):
        return
    if not isinstance(endpoints, list) or not all(isinstance(group, Mapping) for group in endpoints):
        yield ("endpoints",), f"must be a list of objects that name a URL for each service: {', '.join(ENDPOINTS)}"
        return
    given = [
        (index, name, url) for index, group in enumerate(endpoints) for name, url in group.items() if url is not None
    ]
    if not given:
        yield ("endpoints",), "is required: the embedded AWS provider works on an emulator on this machine only"
    for index, name, url in given:
        if reason := why_not_local(url):
            yield ("endpoints", index, name), reason


def why_not_local(url: Any) -> str:
    """Why `url` is no endpoint on this machine; empty if it is one.

    Accepted are http and https, a loopback address (127.0.0.0/8, ::1) or `localhost` where that resolves to loopback
    addresses only, a port, and nothing else: no user, no path, no other name.
    """
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        return "must be http://ADDRESS:PORT on this machine, such as http://127.0.0.1:5000"
    host = match["host"].strip("[]")
    try:
        local = _resolves_to_loopback() if host == "localhost" else ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return "" if local else "is not on this machine: the embedded AWS provider never calls a real account"


def _resolves_to_loopback() -> bool:
    try:
        found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(item[4][0]).is_loopback for item in found)


def _diagnostic(path: Path, reason: str) -> Diagnostic:
    shown = ".".join(str(part) for part in path)
    return Diagnostic(
        f"AWS provider: {shown} {reason}",
        remedy="Give the provider the inputs of an emulator on this machine, or use the official AWS plugin.",
        code="aws-provider-configuration",
    )
