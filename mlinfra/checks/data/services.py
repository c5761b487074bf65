"""Stores of other services, a row or a function for each type: what reads them, their policies, keys and retention.

Source of the actions: Service Authorization Reference. Where a reader has to be able to decrypt: KMS developer guide,
"How AWS services use AWS KMS", the chapters on SQS, Secrets Manager and Parameter Store. The other services decrypt by
grants of their own for whoever may read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mlinfra.checks.access.deciding import Question
from mlinfra.checks.access.policies import Statement
from mlinfra.checks.access.symbols import MASTER_SECRET, at
from mlinfra.checks.data.held import Held, Sources, facts, space
from mlinfra.checks.data.record import Retention
from mlinfra.graph import Node

DAY: Final = 86_400
Asked: TypeAlias = tuple[tuple[str, ...], str]
"""Actions, and the resources that they are asked of."""

_READ_TABLE: Final = (
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:PartiQLSelect",
    "dynamodb:GetRecords",
    "dynamodb:ExportTableToPointInTime",
)


@dataclass(frozen=True)
class Row:
    """A type of store.

    `actions` read what its ARN names, or `asked` says what reads what; `policy` is the type and input of the nodes that
    hold its policy; `key` the input with its key, `default` what encrypts it without one;
    `sealed` says that a reader needs the key itself, and through which service.
    """

    kind: str
    actions: tuple[str, ...]
    asked: Callable[[Sources, Node], tuple[Asked, ...]] | None = None
    policy: tuple[str, str] | None = None
    key: tuple[str | int, ...] = ()
    default: str = ""
    sealed: str = ""
    retention: Callable[[Sources, Node], Retention] = lambda _, __: Retention()
    notes: Callable[[Sources, Node], tuple[str, ...]] = lambda _, __: ()


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _queue(sources: Sources, node: Node) -> Retention:
    """Four days where nothing is said (SQS API reference, `SetQueueAttributes`)."""
    seconds = _number(sources.symbols.input(node, "messageRetentionSeconds")) or 4 * DAY
    return Retention(days=-(-seconds // DAY))


def _table(sources: Sources, node: Node) -> Retention:
    recovery = sources.symbols.input(node, "pointInTimeRecovery")
    backup = _number(at(recovery, "recoveryPeriodInDays")) or 35
    return Retention(backup_days=backup if at(recovery, "enabled") else None)


def _database(sources: Sources, node: Node) -> Retention:
    return Retention(backup_days=_number(sources.symbols.input(node, "backupRetentionPeriod")))


def _secret(sources: Sources, node: Node) -> Retention:
    """Thirty days after deletion where nothing is said (Secrets Manager API reference, `DeleteSecret`)."""
    window = _number(sources.symbols.input(node, "recoveryWindowInDays"))
    return Retention(backup_days=30 if window is None else window)


def _table_asked(sources: Sources, node: Node) -> tuple[Asked, ...]:
    arn = sources.symbols.arn(node)
    return tuple((_READ_TABLE, text) for text in (arn, f"{arn}/index/*", f"{arn}/stream/*"))


def _database_asked(sources: Sources, node: Node) -> tuple[Asked, ...]:
    """Connecting as an IAM user, and the secret in which RDS keeps the master password.

    Source: RDS user guide, "Creating and using an IAM policy for IAM database access".
    """
    symbols = sources.symbols
    users = f"arn:{symbols.partition}:rds-db:{symbols.region(node)}:{symbols.account}:dbuser:"
    asked: list[Asked] = []
    if symbols.input(node, "iamDatabaseAuthenticationEnabled"):
        asked.append((("rds-db:connect",), f"{users}{symbols.output(node, 'resourceId')}/*"))
    if symbols.input(node, "manageMasterUserPassword"):
        asked.append((("secretsmanager:GetSecretValue",), str(symbols.output(node, *MASTER_SECRET))))
    return tuple(asked)


def _database_notes(sources: Sources, node: Node) -> tuple[str, ...]:
    notes = ["whoever has a user name and a password of the database, and reaches it, can read it by SQL"]
    if not sources.symbols.input(node, "iamDatabaseAuthenticationEnabled"):
        notes.append("IAM policies let nobody connect to it: authentication by IAM is off")
    return tuple(notes)


def _file_notes(sources: Sources, node: Node) -> tuple[str, ...]:
    """Source: EFS user guide, "Using IAM to control file system data access"."""
    if sources.statements("aws:efs/fileSystemPolicy:FileSystemPolicy", "fileSystemId", *_names(sources, node)):
        return ()
    return ("it has no policy of its own: whoever reaches it over the network can read it",)


ROWS: Final[Mapping[str, Row]] = {
    "aws:sqs/queue:Queue": Row(
        "queue",
        ("sqs:ReceiveMessage",),
        policy=("aws:sqs/queuePolicy:QueuePolicy", "queueUrl"),
        key=("kmsMasterKeyId",),
        default="SQS's own keys",
        sealed="sqs",
        retention=_queue,
    ),
    "aws:secretsmanager/secret:Secret": Row(
        "secret",
        ("secretsmanager:GetSecretValue",),
        policy=("aws:secretsmanager/secretPolicy:SecretPolicy", "secretArn"),
        key=("kmsKeyId",),
        default="AWS's key for Secrets Manager in this account",
        sealed="secretsmanager",
        retention=_secret,
    ),
    "aws:ssm/parameter:Parameter": Row(
        "parameter",
        ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"),
        key=("keyId",),
        default="AWS's key for Parameter Store in this account",
        sealed="ssm",
    ),
    "aws:dynamodb/table:Table": Row(
        "table",
        _READ_TABLE,
        asked=_table_asked,
        policy=("aws:dynamodb/resourcePolicy:ResourcePolicy", "resourceArn"),
        key=("serverSideEncryption", "kmsKeyArn"),
        default="DynamoDB's own keys",
        retention=_table,
    ),
    "aws:rds/instance:Instance": Row(
        "database",
        ("rds-db:connect",),
        asked=_database_asked,
        key=("kmsKeyId",),
        default="not encrypted",
        retention=_database,
        notes=_database_notes,
    ),
    "aws:efs/fileSystem:FileSystem": Row(
        "file system",
        ("elasticfilesystem:ClientMount",),
        policy=("aws:efs/fileSystemPolicy:FileSystemPolicy", "fileSystemId"),
        key=("kmsKeyId",),
        default="not encrypted",
        notes=_file_notes,
    ),
    "aws:ecr/repository:Repository": Row(
        "images",
        ("ecr:GetDownloadUrlForLayer",),
        policy=("aws:ecr/repositoryPolicy:RepositoryPolicy", "repository"),
        key=("encryptionConfigurations", 0, "kmsKey"),
        default="ECR's own keys",
    ),
}
_AWS_ALIAS: Final = "alias/aws/"


def services(sources: Sources) -> Iterator[Held]:
    """Every store of a type that has a row."""
    for node in sources.symbols.of_type(*ROWS):
        if node.type != "aws:ssm/parameter:Parameter" or sources.symbols.input(node, "type") == "SecureString":
            yield _held(sources, node, ROWS[node.type])


def _held(sources: Sources, node: Node, row: Row) -> Held:
    symbols = sources.symbols
    key = symbols.input(node, *row.key) if row.key else None
    own = isinstance(key, str) and _AWS_ALIAS not in key
    told = facts(
        symbols,
        node,
        row.kind,
        retention=row.retention(sources, node),
        encrypted_with="a KMS key" if own else _without_key(sources, node, row),
        key=sources.key_name(str(key)) if own else "",
        notes=row.notes(sources, node),
    )
    arn = symbols.arn(node)
    asked = row.asked(sources, node) if row.asked else ((row.actions, arn),)
    policy, context = _policy(sources, node, row), {"aws:resourceaccount": symbols.account}
    questions = tuple(Question(actions, space(text), policy, context) for actions, text in asked)
    service = {"kms:viaservice": f"{row.sealed}.{told.where}.amazonaws.com"}
    return Held(told, arn, questions, str(key) if own and row.sealed else "", service)


def _without_key(sources: Sources, node: Node, row: Row) -> str:
    """What encrypts a store that names no key of one's own."""
    encrypted = sources.symbols.input(node, "storageEncrypted") or sources.symbols.input(node, "encrypted")
    if encrypted is True:
        return "AWS's key for the service in this account"
    if node.type == "aws:sqs/queue:Queue" and sources.symbols.input(node, "sqsManagedSseEnabled") is False:
        return "not encrypted"
    return row.default


def _policy(sources: Sources, node: Node, row: Row) -> list[Statement]:
    found = sources.own_statements(node)
    if row.policy:
        found += sources.statements(*row.policy, *_names(sources, node))
    return found


def _names(sources: Sources, node: Node) -> tuple[str, ...]:
    """All by which settings may name a resource."""
    symbols = sources.symbols
    return tuple(str(symbols.output(node, key)) for key in ("id", "arn", "url", "name"))
