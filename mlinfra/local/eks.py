"""The local EKS, whole: moto has no add-ons, access entries, pod identity or version updates, and forgets much of the
rest. It stands in front of moto, in the same process, and answers whatever is signed for EKS.

    request → account and region → operation and parameters, by botocore's own model of EKS → `Call` → answer

What one account has in one region is plain records (`eks_records`), which no other sees and which go with the account.
A cluster has no API server of its own: `tell` says which local cluster stands for those of an account.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from moto.utilities.utils import get_partition

from mlinfra.local import eks_access, eks_addons, eks_clusters, eks_node_groups, eks_others
from mlinfra.local.eks_records import Call, Cluster, Clusters, EksError, wrong

OPERATIONS: Final = {
    **eks_access.OPERATIONS,
    **eks_addons.OPERATIONS,
    **eks_clusters.OPERATIONS,
    **eks_node_groups.OPERATIONS,
    **eks_others.OPERATIONS,
}
"""What is answered, by AWS's names."""

BLUEPRINT: Final = "mlinfra:blueprint"
"""The tag that says which blueprint a cluster is of."""

STATUS: Final = {
    "InvalidParameterException": "400 Bad Request",
    "InvalidRequestException": "400 Bad Request",
    "BadRequestException": "400 Bad Request",
    "ResourceLimitExceededException": "400 Bad Request",
    "ResourceNotFoundException": "404 Not Found",
    "NotFoundException": "404 Not Found",
    "ResourceInUseException": "409 Conflict",
    "NotEmulated": "501 Not Implemented",
}
_SIGNED: Final = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/eks/aws4_request")


@dataclass(frozen=True, slots=True)
class Reach:
    """An API server that stands for EKS clusters: that of a stack, and of the blueprint that the stack is of."""

    stack: str
    blueprint: str
    server: str
    authority: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: the line of the status, headers and a body of JSON."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Eks:
    """EKS in all accounts and regions. Not safe for threads: the server in front of it lets in one at a time."""

    def __init__(self) -> None:
        self._clusters: dict[tuple[str, str], Clusters] = {}
        self._reach: dict[str, dict[str, Reach]] = {}
        self._looks: dict[str, int] = {}

    def tell(self, account: str, record: Mapping[str, Any]) -> None:
        """Take note of the API server of a stack in the account, or of how long changes take there (`looks`)."""
        if "looks" in record:
            self._looks[account] = int(record["looks"])
        if "server" in record:
            told = Reach(record["stack"], record["blueprint"], record["server"], record["authority"])
            reach = self._reach.setdefault(account, {})
            reach.pop(told.stack, None)
            reach[told.stack] = told  # who told last stands last

    def held(self) -> Iterator[tuple[str, str, Cluster]]:
        """Every cluster that there is, with its account and region."""
        for (account, region), clusters in self._clusters.items():
            yield from ((account, region, cluster) for cluster in clusters.values() if not cluster.over)

    def forget(self, account: str) -> None:
        """Forget everything in an account."""
        for place in [place for place in self._clusters if place[0] == account]:
            del self._clusters[place]
        self._reach.pop(account, None)
        self._looks.pop(account, None)

    def answer(self, method: str, uri: str, body: bytes, account: str, region: str) -> Answer:
        """Answer one request; `uri` is as it was sent, with its query."""
        try:
            operation, given = _parsed(method, uri, body)
            if operation not in OPERATIONS:
                raise EksError("NotEmulated", f"the local EKS cannot do {operation or f'{method} {uri}'}")
            answer = OPERATIONS[operation](self._call(account, region, given))
        except EksError as error:
            headers = (("x-amzn-ErrorType", error.code),)
            return _answer(STATUS[error.code], {"message": error.message, **error.names}, headers)
        return _answer("200 OK", answer)

    def _call(self, account: str, region: str, given: Mapping[str, Any]) -> Call:
        clusters = self._clusters.setdefault((account, region), {})
        for name in [name for name, cluster in clusters.items() if cluster.over]:
            del clusters[name]
        for cluster in clusters.values():
            cluster.sweep()
        reach = functools.partial(_reach, tuple(self._reach.get(account, {}).values()))
        looks = self._looks.get(account, 0)
        return Call(account, region, get_partition(region), given, clusters, looks, reach)


def region_of(environ: Mapping[str, Any]) -> str:
    """The region of a request that is signed for EKS; empty for any other. Source: IAM user guide, "Elements of an AWS
    API request signature", credential scope."""
    match = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
    return match[1] if match else ""


def _reach(told: tuple[Reach, ...], tags: Mapping[str, str]) -> tuple[str, str]:
    """The server of the stack that the cluster's tags name; where there is none, that of who told last."""
    same = [each for each in told if each.blueprint and each.blueprint == tags.get(BLUEPRINT)]
    chosen = next(reversed(same or told), None)
    return (chosen.server, chosen.authority) if chosen else ("", "")


def _answer(status: str, record: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    body = json.dumps(record).encode()
    more = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Answer(status, (*headers, *more, ("x-amzn-RequestId", str(uuid.uuid4()))), body)


# ------------------------------------------------------------------------------------------------ requests


@functools.cache
def _routes() -> tuple[tuple[str, re.Pattern[str], Any], ...]:
    """Every operation of EKS: its method, its path and botocore's model of it; read when first needed."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    model = ServiceModel(Loader().load_service_model("eks", "service-2"), "eks")
    operations = [model.operation_model(name) for name in model.operation_names]
    return tuple((item.http["method"], _pattern(item.http["requestUri"]), item) for item in operations)


def _pattern(template: str) -> re.Pattern[str]:
    """`/clusters/{name}`; an ARN may come with its slashes as they are."""
    pattern = re.sub(r"\\\{(\w+)\\\}", lambda match: f"(?P<{match[1]}>[^/]+)", re.escape(template))
    return re.compile(pattern.replace("(?P<resourceArn>[^/]+)", "(?P<resourceArn>.+)"))


def _parsed(method: str, uri: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation, empty where there is none, and its parameters, checked."""
    path, _, query = uri.partition("?")
    for verb, pattern, operation in _routes():
        if verb == method and (match := pattern.fullmatch(path)):
            return operation.name, _given(operation.input_shape, match.groupdict(), parse_qs(query), _document(body))
    return "", {}


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        raise wrong("The body is not JSON") from None
    if not isinstance(document, dict):
        raise wrong("The body is no JSON object")
    return document


def _given(
    shape: Any, path: Mapping[str, str], query: Mapping[str, list[str]], body: Mapping[str, Any]
) -> dict[str, Any]:
    from botocore.validate import ParamValidator

    given: dict[str, Any] = {}
    for name, member in shape.members.items():
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri":
            given[name] = unquote(path[wire])
        elif place == "querystring" and wire in query:
            given[name] = _from_query(member, query[wire])
        elif place is None and body.get(wire) is not None:
            given[name] = body[wire]
    report = ParamValidator().validate(given, shape)
    found = [report.generate_report()] if report.has_errors() else list(_foreign(given, shape, ""))
    if found:
        raise wrong("; ".join(found))
    return given


def _from_query(member: Any, values: list[str]) -> Any:
    if member.type_name == "list":
        return values
    if member.type_name == "boolean":
        return values[0] == "true"
    if member.type_name == "integer":
        try:
            return int(values[0])
        except ValueError:
            raise wrong(f"{values[0]} is no whole number") from None
    return values[0]


def _foreign(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Values that AWS does not have, and names that it does not take: botocore leaves those to the service."""
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members:
                yield from _foreign(item, shape.members[name], f"{path}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _foreign(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value} is none of {', '.join(shape.enum)}"
        elif pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value} does not match {pattern}"
