"""RDS: database instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import capital, to_aws
from mlinfra.providers.aws.types.rds import API, TAGGING
from mlinfra.providers.aws.waiting import until

_MODIFY: Final = f"{API}/API_ModifyDBInstance.html"
_NOT_MODIFIED: Final = f"{_MODIFY}: not among what can be modified"
_NAME_FINAL: Final = f"{_MODIFY}: everything else knows an instance by its identifier, and so does its endpoint"
_ENCRYPTION_FINAL: Final = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html: "
    "an instance is encrypted when it is created, with one key for ever"
)
_SECRET_KEY_FINAL: Final = f"{_MODIFY}: the key of a password that RDS manages already cannot be changed"
_GONE: Final = frozenset({"DBInstanceNotFound", "DBInstanceNotFoundFault"})
_DAYS: Final = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_CLOCK: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"

SECONDS: Final = 2400.0
"""How long an instance may take, where the stack sets no timeout: pulumi_aws's own 40 minutes for a creation."""


def _own(name: str, kind: Any = str, **more: Any) -> Field:
    """A setting of how the provider works, which AWS keeps nowhere."""
    return Field(name, kind, apart=True, **more)


FIELDS: Final = (
    Field(
        "identifier",
        aws="DBInstanceIdentifier",
        pattern=(r"[a-z](?:-?[a-z0-9]){0,62}", "1 to 63 small letters, digits and single hyphens, a letter first"),
        replaces=_NAME_FINAL,
    ),
    Field("engine", replaces=_NOT_MODIFIED),
    Field("engineVersion", computed=True),
    Field(
        "instanceClass",
        aws="DBInstanceClass",
        required=True,
        pattern=(r"db\.[a-z0-9-]+\.[a-z0-9.-]+", "an instance class, such as db.t4g.medium"),
    ),
    Field("allocatedStorage", int, bounds=(5, 65536)),
    Field("maxAllocatedStorage", int, bounds=(0, 65536)),
    Field("storageType", computed=True, choices=("standard", "gp2", "gp3", "io1", "io2")),
    Field("iops", int, computed=True),
    Field("storageThroughput", int, computed=True),
    Field("storageEncrypted", bool, default=False, replaces=_ENCRYPTION_FINAL),
    Field("kmsKeyId", computed=True, replaces=_ENCRYPTION_FINAL),
    Field("dbName", aws="DBName", replaces=_NOT_MODIFIED),
    Field("username", aws="MasterUsername", computed=True, replaces=_NOT_MODIFIED),
    Field("password", aws="MasterUserPassword", secret=True, forgotten=True),
    Field("manageMasterUserPassword", bool),
    Field("masterUserSecretKmsKeyId", computed=True, replaces=_SECRET_KEY_FINAL),
    Field("port", int, computed=True, bounds=(1150, 65535)),
    Field("dbSubnetGroupName", aws="DBSubnetGroupName", computed=True),
    Field("vpcSecurityGroupIds", many=True, unordered=True, computed=True),
    Field("publiclyAccessible", bool, default=False),
    Field("multiAz", bool, aws="MultiAZ", default=False),
    Field("availabilityZone", computed=True, replaces=_NOT_MODIFIED),
    Field("parameterGroupName", aws="DBParameterGroupName", computed=True),
    Field("backupRetentionPeriod", int, default=0, bounds=(0, 35)),
    Field(
        "backupWindow",
        aws="PreferredBackupWindow",
        computed=True,
        pattern=(f"{_CLOCK}-{_CLOCK}", "hh:mm-hh:mm in UTC"),
    ),
    Field(
        "maintenanceWindow",
        aws="PreferredMaintenanceWindow",
        computed=True,
        pattern=(f"(?i){_DAYS}:{_CLOCK}-{_DAYS}:{_CLOCK}", "ddd:hh:mm-ddd:hh:mm in UTC"),
    ),
    Field("copyTagsToSnapshot", bool, default=False),
    Field("deletionProtection", bool, default=False),
    Field("autoMinorVersionUpgrade", bool, default=True),
    Field("iamDatabaseAuthenticationEnabled", bool, aws="EnableIAMDatabaseAuthentication", default=False),
    Field("enabledCloudwatchLogsExports", many=True, unordered=True, aws="EnableCloudwatchLogsExports"),
    Field("caCertIdentifier", aws="CACertificateIdentifier", computed=True),
    Field("performanceInsightsEnabled", bool, aws="EnablePerformanceInsights", default=False, forgotten=True),
    Field("performanceInsightsKmsKeyId", aws="PerformanceInsightsKMSKeyId", computed=True, forgotten=True),
    Field("performanceInsightsRetentionPeriod", int, computed=True, forgotten=True),
    Field("monitoringInterval", int, default=0, choices=(0, 1, 5, 10, 15, 30, 60)),
    Field("monitoringRoleArn", computed=True),
    _own("allowMajorVersionUpgrade", bool, default=False),
    _own("applyImmediately", bool, default=False),
    _own("deleteAutomatedBackups", bool, default=True),
    _own("finalSnapshotIdentifier", pattern=(r"[A-Za-z](?:-?[A-Za-z0-9]){0,254}", "letters, digits, single hyphens")),
    _own("skipFinalSnapshot", bool, default=False),
    TAGS,
    REGION,
)

_MODIFIED: Final = {
    "port": "DBPortNumber",
    **{
        field.name: field.aws or capital(field.name)
        for field in FIELDS
        if not field.replaces and not field.apart and field.name not in ("port", "tags", "enabledCloudwatchLogsExports")
    },
}
"""What ModifyDBInstance calls the inputs that it takes."""

_READ: Final = {
    "iamDatabaseAuthenticationEnabled": "IAMDatabaseAuthenticationEnabled",
    "enabledCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
    "performanceInsightsEnabled": "PerformanceInsightsEnabled",
}
"""What DescribeDBInstances calls the inputs that CreateDBInstance calls something else."""


class Instance(Resource):
    """A database instance. Its id is its identifier, as it is for RDS's own calls; pulumi_aws takes its resource id.

    A change with an outage waits for the maintenance window, unless `applyImmediately`.
    """

    token = "aws:rds/instance:Instance"  # noqa: S105 — a type token
    service = "rds"
    fields = FIELDS
    outputs = (
        "address",
        "arn",
        "endpoint",
        "engineVersionActual",
        "masterUserSecrets",
        "resourceId",
        "status",
    )
    volatile = ("engineVersionActual", "endpoint", "masterUserSecrets")
    names = ("identifier",)
    resumes = True

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What CreateDBInstance and DeleteDBInstance refuse, and pulumi_aws before them."""
        given = {name for name, value in inputs.items() if value is not None}
        for name in {"engine", "allocatedStorage", "username"} - given:
            yield (name,), "is required of an instance that is no replica"
        if inputs.get("password") is not None and inputs.get("manageMasterUserPassword") is True:
            yield ("password",), "excludes manageMasterUserPassword: RDS makes the password"
        if not given & {"password", "manageMasterUserPassword"}:
            yield ("manageMasterUserPassword",), "or a password is required"
        yield from _storage(inputs)
        if inputs["skipFinalSnapshot"] is False and "finalSnapshotIdentifier" not in given:
            yield ("finalSnapshotIdentifier",), "is required unless skipFinalSnapshot is true"
        if inputs.get("kmsKeyId") is not None and inputs["storageEncrypted"] is False:
            yield ("kmsKeyId",), "wants storageEncrypted"
        if inputs.get("monitoringInterval") not in (0, UNKNOWN) and "monitoringRoleArn" not in given:
            yield ("monitoringRoleArn",), "is required with a monitoringInterval"
        days = inputs.get("performanceInsightsRetentionPeriod")
        if isinstance(days, (int, float)) and days not in (7, 731) and not (days % 31 == 0 and 31 <= days <= 713):
            yield ("performanceInsightsRetentionPeriod",), "must be 7, 731 or a multiple of 31 up to 713"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; `complete` waits."""
        sent = to_aws(self.fields, inputs) | {"Tags": TAGGING.form(inputs.get("tags"))}
        aws.api("rds").call("create_db_instance", **sent)
        return Made(inputs["identifier"])

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait for it; only then it has an endpoint."""
        self.wait(aws, made.id, inputs)
        live = self.read(aws, made.id, inputs)
        return live.outputs if live else {}

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call; it lists the tags, too."""
        record = self._record(aws, resource_id)
        if record is None or record["DBInstanceStatus"] == "deleting":
            return None
        return Live(_inputs(record, known), _outputs(record), TAGGING.plain(record.get("TagList")), _pending(record))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call for all settings that differ, those for tags, and a wait for what is applied at once."""
        api, new = aws.api("rds"), change.new
        _only_forward(change)
        sent = {aws_name: new.get(name) for name, aws_name in _MODIFIED.items() if change.touches(name)}
        if sent.get("PerformanceInsightsRetentionPeriod") is not None:
            sent["EnablePerformanceInsights"] = new["performanceInsightsEnabled"]
        if change.touches("manageMasterUserPassword"):
            sent["ManageMasterUserPassword"] = bool(new.get("manageMasterUserPassword"))
        if change.touches("allocatedStorage"):  # API_ModifyDBInstance: more storage wants the IOPS said again
            sent["Iops"] = new.get("iops")
        if change.touches("enabledCloudwatchLogsExports"):
            sent["CloudwatchLogsExportConfiguration"] = _exports(change)
        if sent:
            api.call(
                "modify_db_instance",
                DBInstanceIdentifier=change.id,
                ApplyImmediately=new["applyImmediately"],
                AllowMajorVersionUpgrade=new["allowMajorVersionUpgrade"] or None,
                **sent,
            )
        if change.touches("tags"):
            arn = change.outputs.get("arn") or self._record(aws, change.id)["DBInstanceArn"]  # type: ignore[index]
            TAGGING.change(api, arn, change.old.get("tags"), new.get("tags"))
        return self.complete(aws, Made(change.id), new)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Delete it, with a last snapshot unless that is to be skipped, and wait until it is gone."""
        skips = bool(inputs.get("skipFinalSnapshot"))
        snapshot = inputs.get("finalSnapshotIdentifier")
        try:
            found = aws.api("rds").find(
                "delete_db_instance",
                _GONE,
                DBInstanceIdentifier=resource_id,
                SkipFinalSnapshot=skips,
                FinalDBSnapshotIdentifier=None if skips else snapshot,
                DeleteAutomatedBackups=inputs.get("deleteAutomatedBackups", True),
            )
        except AwsError as error:
            raise _explained(error, resource_id, snapshot) from None
        if found is not None:
            until(
                lambda: "it to be deleted" if self._record(aws, resource_id) else "",
                max(aws.seconds, SECONDS),
                aws.cancelled,
            )

    def wait(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Instances take long: at the least as long as pulumi_aws waits."""
        longer = Aws(aws.session, aws.region, aws.cancelled, max(aws.seconds, SECONDS))
        super().wait(longer, resource_id, inputs)

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A version may be given by its beginning (`17` for 17.6), a window in any case."""
        if not isinstance(old, str) or not isinstance(new, str):
            return False
        if name == "engineVersion":
            return old.startswith(f"{new}.") or new.startswith(f"{old}.")
        return name == "maintenanceWindow" and old.lower() == new.lower()

    def _record(self, aws: Aws, resource_id: str) -> dict[str, Any] | None:
        found = aws.api("rds").find("describe_db_instances", _GONE, DBInstanceIdentifier=resource_id)
        return found["DBInstances"][0] if found and found["DBInstances"] else None


def _storage(inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """API_CreateDBInstance, AllocatedStorage, MaxAllocatedStorage, StorageThroughput."""
    size, most = inputs.get("allocatedStorage"), inputs.get("maxAllocatedStorage")
    kind = inputs.get("storageType")
    if isinstance(size, (int, float)):
        least = {"standard": 5, "io1": 100, "io2": 100}.get(str(kind), 20)
        if size < least and kind is not UNKNOWN:
            yield ("allocatedStorage",), f"must be at least {least} for this type of storage"
        if isinstance(most, (int, float)) and 0 < most < size:
            yield ("maxAllocatedStorage",), "must not be less than allocatedStorage"
    if inputs.get("storageThroughput") is not None and kind not in ("gp3", UNKNOWN):
        yield ("storageThroughput",), "is for storage of type gp3 alone"


def _inputs(record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        field.name: record.get(_READ.get(field.name) or field.aws or capital(field.name))
        for field in FIELDS
        if not (field.apart or field.forgotten or field.name in ("tags", "port"))
    }
    found["dbSubnetGroupName"] = (record.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")
    found["vpcSecurityGroupIds"] = [item["VpcSecurityGroupId"] for item in record.get("VpcSecurityGroups") or ()]
    groups = record.get("DBParameterGroups") or ()
    found["parameterGroupName"] = next((item["DBParameterGroupName"] for item in groups), None)
    secret = record.get("MasterUserSecret")
    found["manageMasterUserPassword"] = True if secret else None
    found["masterUserSecretKmsKeyId"] = (secret or {}).get("KmsKeyId")
    if known.get("maxAllocatedStorage") and (known.get("allocatedStorage") or 0) < record["AllocatedStorage"]:
        found["allocatedStorage"] = known["allocatedStorage"]  # it has grown by itself, as it was told to
    if not known:
        found["port"] = (record.get("Endpoint") or {}).get("Port")  # moto forgets a change of it
    return found


def _outputs(record: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = record.get("Endpoint") or {}
    secret = record.get("MasterUserSecret")
    return {
        "address": endpoint.get("Address"),
        "arn": record["DBInstanceArn"],
        "endpoint": f"{endpoint.get('Address')}:{endpoint.get('Port')}",
        "engineVersionActual": record["EngineVersion"],
        "masterUserSecrets": [
            {
                "kmsKeyId": secret.get("KmsKeyId"),
                "secretArn": secret["SecretArn"],
                "secretStatus": secret["SecretStatus"],
            }
        ]
        if secret
        else [],
        "resourceId": record["DbiResourceId"],
        "status": record["DBInstanceStatus"],
    }


def _pending(record: Mapping[str, Any]) -> str:
    """Statuses: RDS user guide, "Viewing Amazon RDS DB instance status"; some bear waiting, and nothing else."""
    status = record["DBInstanceStatus"]
    if status not in ("available", "storage-optimization", "storage-full"):
        return f"it to be available; it is {status}"
    if (record.get("MasterUserSecret") or {}).get("SecretStatus") in ("creating", "rotating"):
        return "the secret of its master password"
    return ""


def _only_forward(change: Change) -> None:
    """API_ModifyDBInstance: storage is made more, versions newer, and never less or older; moto takes both."""
    old, new = change.old, change.new
    if (new.get("allocatedStorage") or 0) < (old.get("allocatedStorage") or 0):
        raise AwsError("ModifyDBInstance", "InvalidParameterCombination", "storage cannot be made smaller")
    versions = [[int(part) for part in str(side.get("engineVersion") or "0").split(".")] for side in (old, new)]
    if change.touches("engineVersion") and versions[1] < versions[0]:
        raise AwsError(
            "ModifyDBInstance", "InvalidParameterCombination", "the engine cannot go back to an older version"
        )


def _exports(change: Change) -> dict[str, Any]:
    old, new = (set(side.get("enabledCloudwatchLogsExports") or ()) for side in (change.old, change.new))
    changes = {"EnableLogTypes": sorted(new - old), "DisableLogTypes": sorted(old - new)}
    return {name: types for name, types in changes.items() if types}


def _explained(error: AwsError, identifier: str, snapshot: Any) -> AwsError:
    if error.code == "InvalidParameterCombination" and "rotect" in error.message:
        remedy = "Set deletionProtection to false, update the stack, and then delete it."
        return AwsError(error.operation, error.code, f"{identifier} has deletion protection", remedy)
    if error.code == "DBSnapshotAlreadyExists":
        remedy = "Delete that snapshot, or give finalSnapshotIdentifier another name."
        return AwsError(error.operation, error.code, f"there is a snapshot {snapshot} already", remedy)
    return error


RESOURCES: Final = (Instance(),)
