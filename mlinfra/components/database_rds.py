"""A `Database` on AWS: an RDS instance, what it is put into, what it is set to, who may reach it, where it logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mlinfra import naming
from mlinfra.components.access import Grant, account_id, add_role, arn_here, permit, trusted
from mlinfra.components.key_use import check_key
from mlinfra.components.log_groups import add_log_group
from mlinfra.components.network_rules import callers_group, closed_group, open_port
from mlinfra.components.signals import Alarm, Chart, Line, Signal
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.database import Database
    from mlinfra.components.network import Network

CERTIFICATE_AUTHORITY: Final = "rds-ca-rsa2048-g1"
"""The authority of the instance's TLS certificate, good until 2061 (RDS user guide, "Using SSL/TLS to encrypt a
connection")."""

LOGS: Final = ("postgresql", "upgrade")
MONITORING_SECONDS: Final = 60
ALWAYS: Final = {"rds.force_ssl": "1"}
"""Settings that are no options: without TLS nobody gets in (RDS user guide, "Requiring an SSL/TLS connection")."""

METRICS: Final = "AWS/RDS"
"""RDS' namespace in CloudWatch."""
_FULL: Final = 20
_BUSY: Final = 90

_GROWTH: Final = 5
_LARGEST: Final = 65_536
_TWO_ZONES: Final = 2


def expand(database: Database, scope: Scope) -> None:
    """Everything that the instance needs, and the instance."""
    network = database.network
    if network is None:
        scope.problem(
            f"database {database.name!r} is on AWS and in no network",
            remedy='Name one: `network=Network("network")`, or let it run in the cluster: `place="cluster"`.',
            code="database-without-network",
        )
        return
    if not _has_zones(scope, network):
        return
    check_key(scope, database.key, "rds")
    check_key(scope, database.key, "secretsmanager")
    name = _single_hyphens(scope.label_name())
    subnets = scope.aws(
        "subnets",
        "aws:rds/subnetGroup:SubnetGroup",
        {
            "name": name,
            "description": f"Private subnets for database {database.name}",
            "subnetIds": network.private_subnet_ids,
            "tags": scope.tags,
        },
    )
    group = closed_group(scope, network, "group", f"Database {database.name}: who refers to it gets in")
    logs = [_log_group(database, scope, name, log) for log in LOGS]
    scope.aws(
        "instance",
        "aws:rds/instance:Instance",
        {
            "identifier": name,
            **_engine(database, scope),
            **_storage(database),
            "dbSubnetGroupName": subnets,
            "vpcSecurityGroupIds": [group],
            "publiclyAccessible": False,
            "port": database.port,
            **_safety(database, scope, name),
            **_watching(database, scope),
            "tags": {**database.tags, **scope.tags, "mlinfra:classification": database.classification},
        },
        protect=scope.protected or scope.environment.tier.protected,
        depends_on=tuple(log.node for log in logs),  # RDS makes the log groups itself where there are none, for ever
        timeout_seconds=3600,
    )


def signals(database: Database) -> tuple[Signal, ...]:
    """Storage that cannot grow any more, a processor that is busy all the time.

    Storage grows by itself when less than a tenth is left (RDS user guide, "Managing capacity automatically with Amazon
    RDS storage autoscaling"); a twentieth means that it may not, or grew a short while ago. Source of the metrics: RDS
    user guide, "Amazon CloudWatch metrics for Amazon RDS".
    """
    instance = {"DBInstanceIdentifier": database.output("instance", "identifier")}
    least = database.storage_gib * (1 << 30) // _FULL
    full = Alarm("FreeStorageSpace", instance, "Minimum", below=least, minutes=10, namespace=METRICS)
    busy = Alarm("CPUUtilization", instance, "Average", above=_BUSY, minutes=30, namespace=METRICS, missing="ignore")
    name = database.name
    return (
        Signal(
            "StorageFull", "critical", "", 10, f"Database {name} has hardly any storage left, and stops without", full
        ),
        Signal("Busy", "warning", "", 30, f"Database {name} has used more than {_BUSY} % of its processor", busy),
    )


def open_to(database: Database, scope: Scope) -> None:
    """Let another component in: a machine, the pods of the EKS cluster, else whatever is in the private subnets."""
    if database.network is not None and scope.environment.has_aws:
        open_port(
            scope,
            database.network,
            f"to-{database.identity}",
            to=database.security_group,
            port=database.port,
            source=callers_group(scope),
            why=f"{scope.component.name} refers to database {database.name}",
        )


def _has_zones(scope: Scope, network: Network) -> bool:
    """RDS wants subnets in two zones even for an instance without a standby (RDS user guide, "Working with a DB
    instance in a VPC")."""
    zones = network.zone_count(scope.environment.tier)
    if zones >= _TWO_ZONES:
        return True
    scope.problem(
        f"database {scope.component.name!r} needs subnets in two availability zones, and network {network.name!r} is "
        f"in {zones}",
        detail='RDS puts no instance into fewer (RDS user guide, "Working with a DB instance in a VPC").',
        remedy="Give the network `zones=2`, or name two private subnets.",
        code="database-zones",
    )
    return False


def _engine(database: Database, scope: Scope) -> dict[str, Value]:
    major, _, minor = database.version.partition(".")
    settings = {**database.parameters, **ALWAYS}
    group = scope.aws(
        "parameters",
        "aws:rds/parameterGroup:ParameterGroup",
        {
            # A group belongs to one major version, and an upgrade has to have the next one before it leaves this one.
            "name": _single_hyphens(scope.label_name(f"pg{major}")),
            "family": f"postgres{major}",
            "description": f"Settings of database {database.name}",
            "parameters": [
                {"name": key, "value": value, "applyMethod": "immediate" if key in ALWAYS else "pending-reboot"}
                for key, value in sorted(settings.items())
            ],
            "tags": scope.tags,
        },
    )
    return {
        "engine": "postgres",
        "engineVersion": database.version,
        "autoMinorVersionUpgrade": not minor,
        "allowMajorVersionUpgrade": True,  # whoever writes another major version means it
        "instanceClass": database.instance_class or scope.environment.tier.defaults.database_class,
        "parameterGroupName": group,
        "dbName": database.database_name,
        "username": database.username,
        "manageMasterUserPassword": True,
        **({"masterUserSecretKmsKeyId": database.key.arn} if database.key else {}),
        "iamDatabaseAuthenticationEnabled": True,
        "caCertIdentifier": CERTIFICATE_AUTHORITY,
    }


def _storage(database: Database) -> dict[str, Value]:
    return {
        "storageType": "gp3",
        "allocatedStorage": database.storage_gib,
        "maxAllocatedStorage": database.max_storage_gib or min(database.storage_gib * _GROWTH, _LARGEST),
        "storageEncrypted": True,
        **({"kmsKeyId": database.key.arn} if database.key else {}),
    }


def _safety(database: Database, scope: Scope, name: str) -> dict[str, Value]:
    """Standby, backups, and what stands between the instance and its deletion."""
    tier = scope.environment.tier
    defaults = tier.defaults
    protected = tier.protected if database.deletion_protection is None else database.deletion_protection
    snapshot = not defaults.empty_on_delete if database.final_snapshot is None else database.final_snapshot
    return {
        "multiAz": defaults.standby if database.standby is None else database.standby,
        "backupRetentionPeriod": database.backup_days or defaults.backup_days,
        "backupWindow": database.backup_window,
        "maintenanceWindow": database.maintenance_window,
        "applyImmediately": database.apply_immediately,
        "copyTagsToSnapshot": True,
        "deleteAutomatedBackups": not snapshot,
        "deletionProtection": protected,
        "skipFinalSnapshot": not snapshot,
        **({"finalSnapshotIdentifier": f"{name}-final"} if snapshot else {}),
    }


def _watching(database: Database, scope: Scope) -> dict[str, Value]:
    """Logs, insights, and where much is at stake what the machine itself is at, every minute."""
    found: dict[str, Value] = {
        "enabledCloudwatchLogsExports": list(LOGS),
        "performanceInsightsEnabled": database.insights,
    }
    if database.insights and database.key:
        found["performanceInsightsKmsKeyId"] = database.key.arn
    if scope.environment.tier.protected:
        found |= {"monitoringInterval": MONITORING_SECONDS, "monitoringRoleArn": _monitoring_role(scope)}
    return found


def _log_group(database: Database, scope: Scope, name: str, log: str) -> Ref:
    """Where RDS writes a log to (RDS user guide, "Publishing PostgreSQL logs to Amazon CloudWatch Logs")."""
    group = f"/aws/rds/instance/{name}/{log}"
    return add_log_group(scope, f"log-{log}", group, days=database.log_days, key=database.key)


def _monitoring_role(scope: Scope) -> Ref:
    """RDS user guide, "Setting up and enabling Enhanced Monitoring": who assumes the role, and what it may do."""
    description = f"RDS reports what the machine of database {scope.component.name} is at"
    trust = trusted("monitoring.rds.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id(scope)}})
    role = add_role(scope, "monitoring-role", description, trust, "monitoring")
    groups = arn_here(scope, "logs", "log-group:RDSOSMetrics")
    of_stream = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents")
    grants = (
        Grant(("logs:CreateLogGroup", "logs:PutRetentionPolicy"), (groups,)),
        Grant(of_stream, (join(groups, ":log-stream:*"),)),
    )
    permit(scope, "monitoring-policy", role, grants, "report")
    return Ref(role.node, ("arn",))


def _single_hyphens(name: str) -> str:
    """A name of RDS: no two hyphens in a row, none at the end (RDS API reference, `CreateDBInstance`)."""
    single = re.sub("-{2,}", "-", name).strip("-")
    if single == name:
        return name
    mark = naming.short_hash(name)
    return f"{single[: 62 - len(mark)].rstrip('-')}-{mark}"


def charts(database: Database) -> Iterator[Chart]:
    """Connections, latency and memory (RDS user guide, "Amazon CloudWatch metrics for Amazon RDS")."""
    instance = {"DBInstanceIdentifier": database.output("instance", "identifier")}
    for title, lines in (
        ("Connections", (("DatabaseConnections", "Maximum"),)),
        ("Latency, s", (("ReadLatency", "Average"), ("WriteLatency", "Average"))),
        ("Free memory, bytes", (("FreeableMemory", "Minimum"),)),
    ):
        found = (Line(METRICS, metric, instance, statistic) for metric, statistic in lines)
        yield Chart(title, tuple(found))
