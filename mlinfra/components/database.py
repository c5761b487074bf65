"""`Database`: PostgreSQL, run by Amazon RDS or in the cluster.

What it comes to is in `database_rds` and in `database_cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.components import database_cluster, database_rds
from mlinfra.components.access import Classification, DataStore, Grant
from mlinfra.components.database_sql import setup_sql
from mlinfra.components.database_values import (
    BackupWindow,
    InstanceClass,
    MaintenanceWindow,
    Parameter,
    SqlName,
    User,
    Version,
    check_windows,
)
from mlinfra.components.key import Key
from mlinfra.components.network import Network, default_network
from mlinfra.components.place import Place
from mlinfra.components.signals import Chart, Signal, Watched
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws, needs_kubernetes
from mlinfra.components.values import Image, LogDays, StorageClassName
from mlinfra.expansion import Scope
from mlinfra.graph import Call, Ref, Value, join

IN_CLUSTER: Final = "cluster"
PORT: Final = 5432


def _network(given: dict[str, Any]) -> Network | None:
    """The blueprint's network, where nobody names one; none for a database in the cluster."""
    return None if given.get("place") == IN_CLUSTER else default_network()


class Database(DataStore, Watched):
    """A PostgreSQL database.

    On AWS it is an RDS instance in private subnets: encrypted, reached over TLS only, backed up every day, with a last
    snapshot when it goes (tiers with little at stake go without). RDS makes the password of its master user and keeps
    it in Secrets Manager, where programs have no business: they sign in with their own role (IAM authentication), as
    the database user `reader` or `writer`. PostgreSQL has to be told of these two once; `setup_sql` is what to run as
    the master user.

        features = Database("features", storage_gib=100)
        api = Endpoint("api", cluster=cluster, reads=[features], …)

    The endpoint's role may then connect as `reader`, the database's security group lets its machines in, and its pods
    find the database by `FEATURES_HOST`, `FEATURES_PORT`, `FEATURES_NAME`, `FEATURES_READER`, `FEATURES_WRITER`.

    In the cluster (`place="cluster"`, or a target without AWS) it is one pod with a volume, which pods of components
    that read or write it may reach, and no others. They get `FEATURES_USER` and `FEATURES_PASSWORD` instead of the two
    users. It has no TLS, so that passwords (as SCRAM proofs) and data pass through the cluster's network unencrypted
    unless that network encrypts, and nothing backs it up: it is for development and for what can be made again.
    """

    holds_data: ClassVar[bool] = True

    place: Literal["aws", "cluster"] | None = None
    """Where it runs: `aws`, or in the `cluster`. By default on AWS where the target has it."""

    network: Network | None = Field(default_factory=_network)
    """The network that it is in, on AWS; by default the blueprint's `Network("network")`, which is made if there is
    none. It needs subnets in two availability zones."""

    cluster: Place | None = None
    """The cluster or team in whose namespace it runs, where it runs in one."""

    image: Image | None = None
    """The image of PostgreSQL, by digest, where it runs in the cluster: the official `postgres` of `version`, or one
    that is used like it."""

    version: Version = "17"
    """PostgreSQL's version, on AWS. A major version (`17`) gets minor ones in its maintenance window; one with a minor
    (`17.6`) stays there. Another major version upgrades in place, with an outage."""

    classification: Classification = "internal"
    """How sensitive the data is; a tag, which policies and reviewers go by. A workload that reads personal data
    (`pii`) may write it to what is marked `pii` only."""

    instance_class: InstanceClass | None = None
    """The RDS instance class, such as `db.m7g.large`; by default as the tier says."""

    storage_gib: int = Field(default=20, ge=20, le=65_536)
    """GiB of storage, 20 at the least (RDS API reference, `CreateDBInstance`). It can be made more, never less."""

    max_storage_gib: int | None = Field(default=None, ge=20, le=65_536)
    """GiB to which storage grows by itself when it runs full, on AWS; by default five times `storage_gib`. A database
    whose storage is full stops."""

    standby: bool | None = None
    """Whether there is a standby in another availability zone, on AWS; by default as the tier says."""

    backup_days: int | None = Field(default=None, ge=1, le=35)
    """Days back to which it can be restored, to any second, on AWS; by default as the tier says."""

    backup_window: BackupWindow = "02:00-03:00"
    """When the daily backup is made, in UTC, on AWS."""

    maintenance_window: MaintenanceWindow = "sun:03:30-sun:04:30"
    """When AWS may restart it for upgrades and for changes that need it, in UTC."""

    apply_immediately: bool = False
    """Whether changes that need a restart or an outage are made at once, on AWS, and not in the maintenance window. Set
    it for the update to another major version, so that the settings of the old one can go in the same run."""

    deletion_protection: bool | None = None
    """Whether RDS itself refuses to delete it until this is off; by default in tiers that are protected."""

    final_snapshot: bool | None = None
    """Whether a last snapshot is taken when it is deleted, on AWS; by default not in tiers where deleting a store
    deletes what is in it. A snapshot of that name must not be there yet."""

    parameters: Annotated[dict[Parameter, str], Field(max_length=100)] = Field(default_factory=dict)
    """PostgreSQL's settings, by their names: `{"work_mem": "65536"}`. Those that need a restart get it in the next
    maintenance window."""

    database: SqlName | None = None
    """The name of the database within PostgreSQL; by default the component's, with `_` for `-`."""

    username: User = "dbadmin"
    """The master user, who may do everything; not `postgres`, which is the name that everybody tries first."""

    reader: SqlName = "reader"
    """The database user that roles of components which read it may connect as, on AWS."""

    writer: SqlName = "writer"
    """The database user that roles of components which write it may connect as, on AWS."""

    key: Key | None = None
    """The KMS key for storage, backups and the master password, on AWS; by default those of the services in the
    account. It is chosen for ever: another one replaces the database."""

    log_days: LogDays = 30
    """Days that PostgreSQL's log is kept in CloudWatch."""

    insights: bool = True
    """Whether AWS collects which queries take the time (Performance Insights), seven days of which are free."""

    cpu: float = Field(default=0.5, gt=0, le=192)
    """Cores, where it runs in the cluster."""

    memory: float = Field(default=1.0, ge=0.25, le=2048)
    """GiB of memory, where it runs in the cluster."""

    storage_class: StorageClassName | None = None
    """The StorageClass of its volume, where it runs in the cluster; by default the cluster's own."""

    run_as_user: int = Field(default=999, ge=1, le=65535)
    """User and group that the container runs as; 999 is `postgres` in the official image. Never root."""

    tags: Tags = Field(default_factory=dict)
    """Further tags, on AWS."""

    # ------------------------------------------------------------------------------------ checks

    @model_validator(mode="after")
    def _storage_grows(self) -> Self:
        if self.max_storage_gib is not None and self.max_storage_gib < self.storage_gib * 1.1:
            raise ValueError(
                f"max_storage_gib is {self.max_storage_gib}, less than a tenth above storage_gib, {self.storage_gib}: "
                'RDS takes no smaller step (RDS user guide, "Managing capacity automatically with storage autoscaling")'
            )
        return self

    @model_validator(mode="after")
    def _windows_apart(self) -> Self:
        check_windows(self.backup_window, self.maintenance_window)
        return self

    @model_validator(mode="after")
    def _users_differ(self) -> Self:
        if len({self.username, self.reader, self.writer}) < 3:
            raise ValueError("username, reader and writer are three users, and must have three names")
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def host(self) -> Value:
        """Its address: on AWS a name that private machines resolve, in the cluster `name.namespace.svc`."""
        if self._in_cluster:
            assert self.cluster is not None
            return join(self.identity, ".", self.cluster.namespace, ".svc")
        return self.output("instance", "address")

    @property
    def port(self) -> int:
        """The port: PostgreSQL's own."""
        return PORT

    @property
    def arn(self) -> Ref:
        """The instance's ARN, on AWS."""
        return self.output("instance", "arn")

    @property
    def security_group(self) -> Ref:
        """The id of its security group, on AWS; whoever reads or writes it is let in already."""
        return self.output("group")

    @property
    def master_secret_arn(self) -> Ref:
        """The ARN of the secret with the master user's name and password, on AWS; RDS changes it by itself."""
        return self.output("instance", "masterUserSecrets", 0, "secretArn")

    @property
    def database_name(self) -> str:
        """The name of the database within PostgreSQL."""
        return self.database or self.identity.replace("-", "_")

    @property
    def setup_sql(self) -> str:
        """What the master user runs once, so that roles can sign in as `reader` and as `writer`; on AWS.

        The reader reads every table, the writer reads and writes every one and makes its own, in the schema `public`
        and in schemas that the master user makes afterwards. Neither makes users or databases. To run it again changes
        nothing. Make it an output of the blueprint, `outputs={"features_sql": features.setup_sql}`, and run it with a
        client of PostgreSQL on a machine that the database can be reached from:

            mlinfra outputs --stack prod --json | jq -r 'select(.type == "outputs") | .outputs.features_sql' > setup.sql
            psql "host=… dbname=features user=dbadmin sslmode=verify-full sslrootcert=global-bundle.pem" \\
                --set ON_ERROR_STOP=1 --file setup.sql

        `host` and `database_name` say where; the master user's password is in the secret `master_secret_arn`; the file
        with the certificates of RDS is from the RDS user guide, "Using SSL/TLS to encrypt a connection".
        """
        return setup_sql(self.reader, self.writer)

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Connect as `reader` (RDS user guide, "Creating and using an IAM policy for IAM database access")."""
        return self._connect(self.reader)

    def write_grants(self) -> tuple[Grant, ...]:
        """Connect as `writer`."""
        return self._connect(self.writer)

    def variables(self) -> dict[str, Value]:
        """`FEATURES_HOST`, `FEATURES_PORT` and `FEATURES_NAME` for a database `features`, and who signs in."""
        found: dict[str, Value] = {"HOST": self.host, "PORT": str(PORT), "NAME": self.database_name}
        if self._in_cluster:
            secret = {"name": self.output("secret", "metadata", "name"), "key": database_cluster.PASSWORD}
            found |= {"USER": self.username, "PASSWORD": {"secretKeyRef": secret}}
        else:
            found |= {"READER": self.reader, "WRITER": self.writer}
        prefix = self.identity.replace("-", "_").upper()
        return {f"{prefix}_{name}": value for name, value in found.items()}

    def variables_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:
        """`variables`; in the cluster for pods of the database's own namespace, since no others can read its Secret."""
        if not self._in_cluster:
            return super().variables_in(scope, namespace)
        return self.variables() if self.cluster is not None and self.cluster.namespace == namespace else {}

    @property
    def aws_port(self) -> int:
        """PostgreSQL's own."""
        return PORT

    def open_to(self, scope: Scope, namespace: Value) -> None:
        """One rule of the security group, or one network policy."""
        if self._in_cluster:
            database_cluster.open_to(self, scope, namespace)
        else:
            database_rds.open_to(self, scope)

    def _connect(self, user: str) -> tuple[Grant, ...]:
        if self._in_cluster:
            return ()  # the password is what opens it
        arn = Call("rds_user_arn", (self.arn, self.output("instance", "resourceId"), user))
        return (Grant(("rds-db:connect",), (arn,)),)

    # ------------------------------------------------------------------------------------ watching

    @property
    def on_aws(self) -> bool:
        """Whether RDS runs it."""
        return not self._in_cluster

    def signals(self) -> tuple[Signal, ...]:
        """On AWS no room, no processor time left, by CloudWatch; in the cluster that its pod is not ready."""
        return database_cluster.signals(self) if self._in_cluster else database_rds.signals(self)

    def charts(self, cluster: str) -> Iterable[Chart]:  # noqa: ARG002 — RDS tells of it, not the cluster
        """On AWS its connections, latency and memory."""
        return () if self._in_cluster else database_rds.charts(self)

    # ------------------------------------------------------------------------------------ expansion

    @property
    def _in_cluster(self) -> bool:
        """Where it runs, as it was when it was declared: the target is known to every blueprint function that runs."""
        if self.place is not None:
            return self.place == IN_CLUSTER
        environment = self._recording.environment if self._recording else None
        return environment is not None and not environment.has_aws

    def expand(self, scope: Scope) -> None:
        """An instance of RDS, or a pod with a volume."""
        if self._in_cluster:
            if needs_kubernetes(scope):
                database_cluster.expand(self, scope)
        elif needs_aws(scope):
            database_rds.expand(self, scope)
