"""Graph values become plain values here: references are looked up, texts joined, pure functions applied.

Two things travel along. A value that is not known before an update has run is `UNKNOWN`, and whatever is made of it is
`UNKNOWN` too; whatever is made of a `Secret` is a `Secret`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from mlinfra.graph import Call, Document, Join, Path, Ref, Secret, Value


@final
class Unknown:
    """The type of `UNKNOWN`."""

    def __repr__(self) -> str:
        """As it reads in messages and in previews."""
        return "(known after apply)"

    def __bool__(self) -> bool:
        """Neither true nor false."""
        raise TypeError("the value is not known before the update has run, so nothing can be decided by it")


UNKNOWN: Final = Unknown()

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {}
"""The functions that a `Call` may name. Each is pure: the same arguments give the same value on every machine."""


def function(body: Callable[..., Any]) -> Callable[..., Any]:
    """Register a pure function under its own name."""
    FUNCTIONS[body.__name__] = body
    return body


@function
def base64_encode(text: str) -> str:
    """Text as base64 of its UTF-8 bytes."""
    return base64.b64encode(text.encode()).decode()


@function
def base64_decode(text: str) -> str:
    """The text whose UTF-8 bytes `text` is the base64 of."""
    return base64.b64decode(text, validate=True).decode()


@function
def without_scheme(url: str) -> str:
    """A URL without `https://`: how IAM names an OIDC provider in conditions."""
    return url.partition("://")[2] or url


@function
def first(items: list[Any], count: int) -> list[Any]:
    """The first `count` items."""
    return items[: int(count)]


@function
def rds_user_arn(instance_arn: str, resource_id: str, user: str) -> str:
    """The ARN of a user of a database instance, as IAM policies name it.

    Source: RDS user guide, "Creating and using an IAM policy for IAM database access".
    """
    _, partition, _, region, account, *_ = instance_arn.split(":")
    return f"arn:{partition}:rds-db:{region}:{account}:dbuser:{resource_id}/{user}"


@function
def eks_kubeconfig(name: str, endpoint: str, certificate_authority: str, region: str) -> str:
    """A kubeconfig for an EKS cluster that signs in with the AWS CLI, as `aws eks update-kubeconfig` writes it.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/create-kubeconfig.html
    """
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
    }
    config = kubeconfig(name, endpoint, certificate_authority, name, {"exec": login})
    return json.dumps(config, sort_keys=True)


def kubeconfig(
    name: str, server: str, certificate_authority: str, user: str, login: Mapping[str, Any]
) -> dict[str, Any]:
    """A kubeconfig for one cluster, which `user` signs in to by `login`; the authority's certificate is in base64.

    Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
    """
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": certificate_authority}}
        ],
        "users": [{"name": user, "user": login}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


class MissingOutputError(LookupError):
    """A reference to an output that the node does not have."""

    def __init__(self, node: str, path: Path) -> None:
        super().__init__(f"{node} has no output {'.'.join(str(part) for part in path)}")
        self.node, self.path = node, path


class UnusableValueError(ValueError):
    """A value of which no text can be made, or that a function cannot take. The message holds no value."""


def resolve(value: Value, outputs: Mapping[str, Any]) -> Any:
    """`value` with every reference replaced by what `outputs` holds for its node.

    `outputs` maps node names to their outputs, in which `UNKNOWN` and `Secret` may stand at any depth. Raises
    `MissingOutputError` for an output that is known not to be there, `UnusableValueError` for one that is there but
    cannot be put to its use.
    """
    match value:
        case Mapping():
            return {key: resolve(item, outputs) for key, item in value.items()}
        case list():
            return [resolve(item, outputs) for item in value]
        case Ref(node, path):
            return _output(node, path, outputs[node])
        case Join(parts):
            return _apply(lambda *items: "".join(map(_text, items)), [resolve(part, outputs) for part in parts])
        case Document(inner):
            return _apply(lambda item: json.dumps(item, sort_keys=True), [resolve(inner, outputs)])
        case Call(name, arguments):
            return _apply(_careful(name), [resolve(item, outputs) for item in arguments])
        case Secret(inner):
            resolved = resolve(inner, outputs)
            return resolved if isinstance(resolved, Secret) else Secret(resolved)
        case _:
            return value


def reveal(value: Any) -> Any:
    """A resolved value with its secrets laid open."""
    match value:
        case Secret(inner):
            return reveal(inner)
        case Mapping():
            return {key: reveal(item) for key, item in value.items()}
        case list():
            return [reveal(item) for item in value]
        case _:
            return value


def holds(value: Any, wanted: type) -> bool:
    """Whether a `Secret` or an `Unknown`, as `wanted` says, stands anywhere in a resolved value."""
    if isinstance(value, wanted):
        return True
    match value:
        case Secret(inner):
            return holds(inner, wanted)
        case Mapping():
            return any(holds(item, wanted) for item in value.values())
        case list():
            return any(holds(item, wanted) for item in value)
        case _:
            return False


def _output(node: str, path: Path, found: Any) -> Any:
    secret = False
    for position, part in enumerate(path):
        if isinstance(found, Secret):
            secret, found = True, found.value
        if found is UNKNOWN:
            break
        try:
            if isinstance(found, str):  # Python would give a character
                raise KeyError(part)
            found = found[part]
        except (KeyError, IndexError, TypeError):
            raise MissingOutputError(node, path[: position + 1]) from None
    return Secret(found) if secret and not isinstance(found, Secret) else found


def _apply(body: Callable[..., Any], arguments: list[Any]) -> Any:
    secret = any(holds(item, Secret) for item in arguments)
    unknown = any(holds(item, Unknown) for item in arguments)
    result = UNKNOWN if unknown else body(*(reveal(item) for item in arguments))
    return Secret(result) if secret else result


def _careful(name: str) -> Callable[..., Any]:
    """A function that says of itself which one it is when it fails."""
    body = FUNCTIONS[name]

    def call(*arguments: Any) -> Any:
        try:
            return body(*arguments)
        except (ValueError, TypeError, AttributeError) as error:
            raise UnusableValueError(f"{name} cannot take what it is given ({type(error).__name__})") from None

    return call


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping | list):
        kind = "nothing" if value is None else "an object" if isinstance(value, Mapping) else "a list"
        raise UnusableValueError(f"{kind} stands where a part of a text is wanted")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
