"""The names and ARNs that nodes will have, as far as the graph says them.

A bucket's ARN follows from its name, a role's from its name and the account. What AWS makes up (a key's id) becomes a
text of its own, `⟨data/key.keyId⟩`: two of them are the same only where node and output are. So a policy that refers to
a node's output, and one that spells out the ARN, are compared alike.

Sources of the forms: Service Authorization Reference, the resource types of each service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.functions import MissingOutputError, UnusableValueError, resolve
from mlinfra.graph import Call, Document, Graph, Join, Kind, Node, Path, Ref, Secret, Value

ANY_ACCOUNT: Final = "············"
"""Stands for the account where the stack does not say it: as long as its number, and in no real ARN."""

_MADE_UP: Final = "······"
"""Stands for what Secrets Manager adds to a secret's name."""

_NAMES: Final[Mapping[str, str]] = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:s3/bucketV2:BucketV2": "bucket",
    "aws:rds/instance:Instance": "identifier",
    "aws:rds/cluster:Cluster": "clusterIdentifier",
    "aws:ecr/repository:Repository": "name",
}
"""The input that names a resource, where it is not `name`."""

_ARNS: Final[Mapping[str, str]] = {
    "aws:s3/bucket:Bucket": "arn:{partition}:s3:::{name}",
    "aws:s3/bucketV2:BucketV2": "arn:{partition}:s3:::{name}",
    "aws:iam/role:Role": "arn:{partition}:iam::{account}:role{path}{name}",
    "aws:iam/user:User": "arn:{partition}:iam::{account}:user{path}{name}",
    "aws:iam/group:Group": "arn:{partition}:iam::{account}:group{path}{name}",
    "aws:iam/policy:Policy": "arn:{partition}:iam::{account}:policy{path}{name}",
    "aws:kms/key:Key": "arn:{partition}:kms:{region}:{account}:key/{id}",
    "aws:kms/alias:Alias": "arn:{partition}:kms:{region}:{account}:{name}",
    "aws:sqs/queue:Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
    "aws:sns/topic:Topic": "arn:{partition}:sns:{region}:{account}:{name}",
    "aws:secretsmanager/secret:Secret": "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{added}",
    "aws:ssm/parameter:Parameter": "arn:{partition}:ssm:{region}:{account}:parameter/{name}",
    "aws:rds/instance:Instance": "arn:{partition}:rds:{region}:{account}:db:{name}",
    "aws:rds/cluster:Cluster": "arn:{partition}:rds:{region}:{account}:cluster:{name}",
    "aws:dynamodb/table:Table": "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
    "aws:efs/fileSystem:FileSystem": "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}",
    "aws:ecr/repository:Repository": "arn:{partition}:ecr:{region}:{account}:repository/{name}",
}
_DATABASES: Final = {"aws:rds/instance:Instance": "db", "aws:rds/cluster:Cluster": "cluster"}
MASTER_SECRET: Final = ("masterUserSecrets", 0, "secretArn")
"""The output of a database with the secret in which RDS keeps its master password (RDS user guide, "Password management
with Amazon RDS and AWS Secrets Manager")."""

_BY_ARN: Final = ("aws:iam/policy:Policy", "aws:secretsmanager/secret:Secret", "aws:sns/topic:Topic")
"""Types whose id is their ARN."""

_BY_ID: Final = ("aws:kms/key:Key", "aws:efs/fileSystem:FileSystem", "aws:sqs/queue:Queue")
"""Types whose id AWS makes up."""


class Symbols:
    """The values of a graph as texts. `account` is the stack's account where it is known."""

    def __init__(self, graph: Graph, account: str = "") -> None:
        self.graph = graph
        self._outputs: dict[tuple[str, Path], Any] = {}
        self._types: dict[str, list[Node]] = {}
        for node in graph:
            self._types.setdefault(node.type, []).append(node)
        self.account = account or ANY_ACCOUNT
        regions = (self.text(node.inputs.get("region")) for node in graph if node.kind is Kind.PROVIDER)
        self.partition = partition(next((region for region in regions if region), ""))

    def value(self, value: Value) -> Any:
        """A value with every reference filled in. What is secret stays a `Secret`."""
        try:
            return resolve(self._filled(value), {})
        except (UnusableValueError, MissingOutputError):
            return "⟨?⟩"

    def text(self, value: Value) -> str:
        """A value as a text; empty where it is none, or is a secret."""
        found = self.value(value)
        return found if isinstance(found, str) else ""

    def input(self, node: Node, *path: str | int) -> Any:
        """An input of a node, filled in; None where it is not given."""
        found = at(node.inputs, *path)
        return None if found is None else self.value(found)

    def items(self, node: Node, *path: str | int) -> list[Any]:
        """An input that is a list; an empty one where it is none, or is not known yet."""
        found = self.input(node, *path)
        return found if isinstance(found, list) else []

    def output(self, node: Node, *path: str | int) -> Any:
        """An output of a node: worked out, or given as the input of that name, or a text that stands for it."""
        known = self._outputs.get((node.name, path))
        if known is None:
            known = self._outputs[node.name, path] = self._output(node, path)
        return known

    def arn(self, node: Node) -> str:
        """A node's ARN."""
        return str(self.output(node, "arn"))

    def region(self, node: Node) -> str:
        """The region that a node is in: its own, or its provider's."""
        own = self.input(node, "region")
        if isinstance(own, str):
            return own
        provider = self.graph.nodes.get(node.options.provider or "")
        return self.text(provider.inputs.get("region")) if provider else ""

    def of_type(self, *tokens: str) -> list[Node]:
        """The nodes of some types, by name."""
        found = [node for token in tokens for node in self._types.get(token, ())]
        return found if len(tokens) == 1 else sorted(found, key=lambda node: node.name)

    # ------------------------------------------------------------------------------------ outputs

    def _output(self, node: Node, path: Path) -> Any:
        head = path[0] if path else "id"
        if node.kind is Kind.LOOKUP and node.type.endswith(":getCallerIdentity") and head in ("accountId", "id"):
            return self.account
        if path == MASTER_SECRET and node.type in _DATABASES:
            made = f"secret:rds!{_DATABASES[node.type]}-{unknown(node.name)}-{_MADE_UP}"
            return f"arn:{self.partition}:secretsmanager:{self.region(node)}:{self.account}:{made}"
        if node.kind is Kind.RESOURCE and len(path) <= 1:
            if head == "id":
                return self._id(node)
            if head == "arn" and node.type in _ARNS:
                return self._arn(node)
            if head == _NAMES.get(node.type, "name") and node.type in _ARNS:
                return self._name(node)
        given = self.input(node, *path)
        return unknown(node.name, *path) if given is None else given

    def _name(self, node: Node) -> str:
        given = self.input(node, _NAMES.get(node.type, "name"))
        return given if isinstance(given, str) else unknown(node.name, "id")

    def _id(self, node: Node) -> str:
        if node.type in _BY_ARN:
            return self._arn(node)
        if node.type in _ARNS and node.type not in _BY_ID:
            return self._name(node)
        return unknown(node.name, "keyId" if node.type == "aws:kms/key:Key" else "id")

    def _arn(self, node: Node) -> str:
        path = self.input(node, "path")
        return _ARNS[node.type].format(
            partition=self.partition,
            region=self.region(node),
            account=self.account,
            added=_MADE_UP,
            path=path if isinstance(path, str) else "/",
            name=self._name(node).removeprefix("/"),
            id=self._id(node) if node.type in _BY_ID else "",
        )

    def _filled(self, value: Value) -> Value:
        match value:
            case Mapping():
                return {key: self._filled(item) for key, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
            case Ref(name, path):
                node = self.graph.nodes.get(name)
                return self.output(node, *path) if node else unknown(name, *path)
            case Join(parts):
                return Join(tuple(self._filled(part) for part in parts))
            case Document(inner):
                return Document(self._filled(inner))
            case Call(function, arguments):
                return Call(function, tuple(self._filled(item) for item in arguments))
            case Secret(inner):
                return Secret(self._filled(inner))
            case _:
                return value


def at(value: Any, *path: str | int) -> Any:
    """What stands at a path; None where there is nothing, or something else than a map or a list on the way."""
    for part in path:
        try:
            value = None if isinstance(value, str) else value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def shown(text: str) -> str:
    """A text as people read it."""
    return text.replace(ANY_ACCOUNT, "<account>").replace(_MADE_UP, "??????")


def stands_in(text: str) -> bool:
    """Whether something in a text only stands for what is not known."""
    return any(mark in text for mark in ("⟨", _MADE_UP, ANY_ACCOUNT))


def unknown(node: str, *path: str | int) -> str:
    """The text that stands for an output which only an update makes known."""
    return f"⟨{'.'.join(str(part) for part in (node, *path))}⟩"


def partition(region: str) -> str:
    """The first part of ARNs in a region (IAM user guide, "Identify AWS resources with Amazon Resource Names")."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
