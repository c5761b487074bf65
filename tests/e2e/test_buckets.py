"""Every kind of bucket on the local target, through the real engine: what was declared is what boto3 reads back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BUCKETS = '''
from mlinfra import (
    Blueprint, Bucket, CorsRule, Environment, Key, NodePool, Notification, ObjectLock, Params, Queue, Raw, Replica,
    TrainingCluster, TrainingJob, Transition, blueprint,
)


@blueprint("buckets", version="1.0.0")
def buckets(env: Environment, p: Params) -> Blueprint:
    """One bucket of each kind."""
    keys = Key("keys", description="Shared", via=["s3", "sqs"])
    arrivals = Queue("arrivals", key=keys, retention_days=7, visibility_seconds=600, receives=3)
    topic = Raw("topic", type="aws:sns/topic:Topic", inputs={"name": "removals"})
    logs = Bucket("logs", expire_days=90)
    plain = Bucket("plain", access_logs=logs, tags={"project": "recs"})
    bare = Bucket("bare", versioning=False, keep_forever="reference data of all models")
    published = Bucket(
        "published",
        classification="public",
        cors=[CorsRule(origins=["https://*.example.com"], methods=["GET", "HEAD"], exposed_headers=["ETag"])],
    )
    shared = Bucket(
        "shared",
        key=keys,
        access_logs=logs,
        eventbridge=True,
        notifications=[
            Notification(to=arrivals, prefix="in/", suffix=".parquet"),
            Notification(to=topic, events=["deleted", "expired"]),
        ],
    )
    ledger = Bucket(
        "ledger",
        classification="confidential",
        old_version_days=400,
        expire_days=800,
        transitions=[Transition(days=30, to="STANDARD_IA"), Transition(days=90, to="GLACIER_IR")],
        old_version_transitions=[Transition(days=30, to="ONEZONE_IA"), Transition(days=60, to="GLACIER")],
        replica=Replica(region="eu-central-1"),
        lock=ObjectLock(mode="compliance", days=1),
        access_log_days=60,
    )
    people = Bucket(
        "people",
        classification="pii",
        expire_days=365,
        replica=Replica(region="eu-central-1", storage_class="STANDARD"),
        lock=ObjectLock(mode="governance", days=2),
    )
    pool = NodePool("cpu", instance_type="m6i.xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    job = TrainingJob("fit", cluster=cluster, pool=pool, reads=[people, arrivals], erases=[people])
    names = {item.name: item.bucket_name for item in (logs, plain, bare, published, shared, ledger, people)}
    further = {
        "ledger-logs": ledger.output("logs-bucket"),
        "ledger-replica": ledger.replica_name,
        "people-logs": people.output("logs-bucket"),
        "people-replica": people.replica_name,
    }
    links = {
        "keys": keys.arn,
        "ledger-key": ledger.key_arn,
        "ledger-replica-key": ledger.output("replica-key", "arn"),
        "people-key": people.key_arn,
        "people-replica-key": people.output("replica-key", "arn"),
        "fit": job.role_arn,
        "queue": arrivals.url,
        "dead-letters": arrivals.dead_letters_url,
    }
    return Blueprint(plain, bare, published, shared, ledger, people, job, outputs={**names, **further, **links})
'''
OWN_KEYS = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
EVERYTHING = {"Status": "Enabled", "Filter": {"Prefix": ""}}
MARKERS = {"ID": "markers", **EVERYTHING, "Expiration": {"ExpiredObjectDeleteMarker": True}}
REPLICAS = "eu-central-1"


def tidy(days: int) -> dict[str, Any]:
    return {
        "ID": "tidy",
        **EVERYTHING,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
    }


def expire(days: int) -> dict[str, Any]:
    return {"ID": "expire", **EVERYTHING, "Expiration": {"Days": days}}


ERASE = {
    "ID": "erase",
    "Status": "Enabled",
    "Filter": {"Tag": {"Key": "mlinfra:erase", "Value": "true"}},
    "Expiration": {"Days": 1},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
}
LEDGER = [
    {
        **tidy(400),
        "NoncurrentVersionTransitions": [
            {"NoncurrentDays": 30, "StorageClass": "ONEZONE_IA"},
            {"NoncurrentDays": 60, "StorageClass": "GLACIER"},
        ],
    },
    {
        "ID": "move",
        **EVERYTHING,
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER_IR"}],
    },
    expire(800),
    MARKERS,
]
PEOPLE = [tidy(7), expire(365), ERASE, MARKERS]
LIFECYCLES: dict[str, list[dict[str, Any]]] = {
    "logs": [tidy(7), expire(90), MARKERS],
    "plain": [tidy(7)],
    "bare": [tidy(7)],
    "published": [tidy(7)],
    "shared": [tidy(7)],
    "ledger": LEDGER,
    "ledger-logs": [tidy(30), expire(60), MARKERS],
    "ledger-replica": LEDGER,
    "people": PEOPLE,
    "people-logs": [tidy(30), expire(30), MARKERS],
    "people-replica": PEOPLE,
}
KEYS = {
    "shared": "keys",
    "ledger": "ledger-key",
    "ledger-replica": "ledger-replica-key",
    "people": "people-key",
    "people-replica": "people-replica-key",
}
LOGS = {"plain": ("logs", "plain/"), "shared": ("logs", "shared/")} | {
    name: (f"{name}-logs", f"{name}/") for name in ("ledger", "people")
}
LOCKS = {"ledger": ("COMPLIANCE", 1), "people": ("GOVERNANCE", 2), "ledger-replica": None, "people-replica": None}
CLASSES = {"published": "public", "ledger": "confidential", "people": "pii"}


class Made:
    """What one `up` made, and a client of AWS for each region."""

    def __init__(self, lab: Lab) -> None:
        lab.blueprint("buckets", BUCKETS)
        lab.stack("buckets", blueprint="buckets")
        self.report = lab.report("up", "--stack", "buckets", "--yes")
        self.outputs = self.report["outputs"]
        self.access = lab.access("buckets")
        self.region = self.access["AWS_REGION"]

    def client(self, service: str, name: str = "") -> Any:
        """The client for the region where `name` is."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.access["AWS_ENDPOINT_URL"],
            region_name=REPLICAS if "replica" in name else self.region,
            aws_access_key_id=self.access["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.access["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}),
        )

    def s3(self, operation: str, name: str) -> Any:
        """What S3 answers of a bucket; the error's code where it is an error."""
        try:
            answer = getattr(self.client("s3", name), operation)(Bucket=self.outputs[name])
        except ClientError as error:
            return error.response["Error"]["Code"]
        answer.pop("ResponseMetadata")
        return answer

    def policy(self, name: str) -> list[dict[str, Any]]:
        return list(json.loads(self.s3("get_bucket_policy", name)["Policy"])["Statement"])

    def key_policy(self, name: str) -> list[dict[str, Any]]:
        found = self.client("kms", name).get_key_policy(KeyId=self.outputs[name], PolicyName="default")
        return list(json.loads(found["Policy"])["Statement"])

    @property
    def account(self) -> str:
        return str(self.outputs["keys"].split(":")[4])


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Made]:
    found = Made(lab)
    yield found
    lab.run("destroy", "--stack", "buckets", "--yes", code=None)


@pytest.mark.parametrize("name", LIFECYCLES)
def test_what_every_bucket_has(made: Made, name: str) -> None:
    owner = name.partition("-")[0]
    tags = {tag["Key"]: tag["Value"] for tag in made.s3("get_bucket_tagging", name)["TagSet"]}
    classified = "internal" if name.endswith("-logs") else CLASSES.get(owner, "internal")
    assert tags["mlinfra:classification"] == classified
    assert tags["mlinfra:component"] == owner
    assert {"mlinfra:blueprint", "mlinfra:environment", "mlinfra:owner", "mlinfra:version"} <= set(tags)
    assert tags.get("project") == ("recs" if name == "plain" else None)
    assert tags.get("mlinfra:keep-forever") == ("reference data of all models" if name == "bare" else None)
    region = made.s3("get_bucket_location", name)["LocationConstraint"] or "us-east-1"
    assert region == (REPLICAS if "replica" in name else made.region)
    assert made.s3("get_bucket_versioning", name).get("Status") == (None if name == "bare" else "Enabled")
    blocked = made.s3("get_public_access_block", name)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert len(blocked) == 4
    owned = made.s3("get_bucket_ownership_controls", name)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert made.s3("get_bucket_lifecycle_configuration", name)["Rules"] == LIFECYCLES[name]


@pytest.mark.parametrize("name", LIFECYCLES)
def test_encryption(made: Made, name: str) -> None:
    (rule,) = made.s3("get_bucket_encryption", name)["ServerSideEncryptionConfiguration"]["Rules"]
    if name in KEYS:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made.outputs[KEYS[name]]}
        assert rule == {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    else:
        assert rule == OWN_KEYS


@pytest.mark.parametrize("name", LIFECYCLES)
def test_policies(made: Made, name: str) -> None:
    arn = f"arn:aws:s3:::{made.outputs[name]}"
    found = made.policy(name)
    (tls,) = [item for item in found if item.get("Sid") == "OnlyOverTLS"]
    rest = [item for item in found if item is not tls]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Resource"] == [arn, f"{arn}/*"]
    denied = [item for item in rest if item["Effect"] == "Deny"]
    assert [item["Sid"] for item in denied] == (
        ["OnlyByKMS", "OnlyByThisKey", "NotByTheDefaultKey", "NotByKeysOfClients"] if name in KEYS else []
    )
    for item in denied:
        assert (item["Action"], item["Resource"]) == ("s3:PutObject", f"{arn}/*")
    if denied:
        (other,) = denied[1]["Condition"]["ArnNotEquals"].values()
        assert other == made.outputs[KEYS[name]]
    allowed = {
        (item["Principal"]["Service"], item["Action"], item["Resource"], json.dumps(item["Condition"], sort_keys=True))
        for item in rest
        if item["Effect"] == "Allow"
    }
    sources = [source for source, (target, _) in LOGS.items() if target == name]
    assert allowed == {
        ("logging.s3.amazonaws.com", "s3:PutObject", f"{arn}/{source}/*", on_behalf_of(made, source))
        for source in sources
    }


def on_behalf_of(made: Made, bucket: str) -> str:
    condition = {
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{made.outputs[bucket]}"},
        "StringEquals": {"aws:SourceAccount": made.account},
    }
    return json.dumps(condition, sort_keys=True)


@pytest.mark.parametrize("name", LIFECYCLES)
def test_access_logs(made: Made, name: str) -> None:
    found = made.s3("get_bucket_logging", name).get("LoggingEnabled")
    target, prefix = LOGS.get(name, (None, None))
    assert found == ({"TargetBucket": made.outputs[target], "TargetPrefix": prefix} if target else None)


@pytest.mark.parametrize("name", LIFECYCLES)
def test_locks(made: Made, name: str) -> None:
    found = made.s3("get_object_lock_configuration", name)
    if name not in LOCKS:
        assert found == "ObjectLockConfigurationNotFoundError"
        return
    configuration = found["ObjectLockConfiguration"]
    assert configuration["ObjectLockEnabled"] == "Enabled"
    if (lock := LOCKS[name]) is not None:
        retention = configuration["Rule"]["DefaultRetention"]
        assert (retention["Mode"], retention["Days"]) == lock


@pytest.mark.parametrize("name", LIFECYCLES)
def test_cors(made: Made, name: str) -> None:
    found = made.s3("get_bucket_cors", name)
    if name != "published":
        assert found == "NoSuchCORSConfiguration"
        return
    (rule,) = found["CORSRules"]
    assert rule == {
        "ID": "rule-1",
        "AllowedOrigins": ["https://*.example.com"],
        "AllowedMethods": ["GET", "HEAD"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


@pytest.mark.parametrize("name", LIFECYCLES)
def test_notifications(made: Made, name: str) -> None:
    found = made.s3("get_bucket_notification_configuration", name)
    if name != "shared":
        assert found == {}
        return
    queue = f"arn:aws:sqs:{made.region}:{made.account}:{made.outputs['queue'].rpartition('/')[2]}"
    (to_queue,), (to_topic,) = found["QueueConfigurations"], found["TopicConfigurations"]
    assert (to_queue["QueueArn"], to_queue["Events"]) == (queue, ["s3:ObjectCreated:*"])
    filters = {rule["Name"].lower(): rule["Value"] for rule in to_queue["Filter"]["Key"]["FilterRules"]}
    assert filters == {"prefix": "in/", "suffix": ".parquet"}
    assert to_topic["TopicArn"].endswith(":removals")
    assert to_topic["Events"] == ["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]


def test_a_new_object_sends_a_message(made: Made) -> None:
    s3, sqs = made.client("s3"), made.client("sqs")
    for key in ("in/one.parquet", "in/two.csv", "out/three.parquet"):
        s3.put_object(Bucket=made.outputs["shared"], Key=key, Body=b"data")
    found = sqs.receive_message(QueueUrl=made.outputs["queue"], MaxNumberOfMessages=10, WaitTimeSeconds=0)
    told = [json.loads(item["Body"]) for item in found["Messages"]]
    keys = [record["s3"]["object"]["key"] for body in told for record in body.get("Records", [])]
    assert [key.replace("%2F", "/") for key in keys] == ["in/one.parquet"]


@pytest.mark.parametrize("name", LIFECYCLES)
def test_replication(made: Made, name: str) -> None:
    found = made.s3("get_bucket_replication", name)
    if name not in ("ledger", "people"):
        assert found == "ReplicationConfigurationNotFoundError"
        return
    (rule,) = found["ReplicationConfiguration"]["Rules"]
    copy = f"{name}-replica"
    assert rule["Status"] == "Enabled"
    assert rule["Destination"] == {
        "Bucket": f"arn:aws:s3:::{made.outputs[copy]}",
        "StorageClass": "STANDARD_IA" if name == "ledger" else "STANDARD",
        "EncryptionConfiguration": {"ReplicaKmsKeyID": made.outputs[f"{copy}-key"]},
    }
    iam, role = made.client("iam"), found["ReplicationConfiguration"]["Role"].rpartition("/")[2]
    document = iam.get_role_policy(RoleName=role, PolicyName="replication")["PolicyDocument"]
    allowed = {
        (action, target) for item in document["Statement"] for action in item["Action"] for target in item["Resource"]
    }
    source, target = (f"arn:aws:s3:::{made.outputs[item]}" for item in (name, copy))
    assert allowed == {
        ("s3:GetReplicationConfiguration", source),
        ("s3:ListBucket", source),
        ("s3:GetObjectVersionForReplication", f"{source}/*"),
        ("s3:GetObjectVersionAcl", f"{source}/*"),
        ("s3:GetObjectVersionTagging", f"{source}/*"),
        ("s3:GetObjectRetention", f"{source}/*"),
        ("s3:GetObjectLegalHold", f"{source}/*"),
        ("s3:ReplicateObject", f"{target}/*"),
        ("s3:ReplicateDelete", f"{target}/*"),
        ("s3:ReplicateTags", f"{target}/*"),
        ("kms:Decrypt", made.outputs[f"{name}-key"]),
        ("kms:Decrypt", made.outputs[f"{copy}-key"]),
        ("kms:Encrypt", made.outputs[f"{copy}-key"]),
    }
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [item["Principal"] for item in trust] == [{"Service": "s3.amazonaws.com"}]


@pytest.mark.parametrize("name", ["keys", "ledger-key", "ledger-replica-key", "people-key", "people-replica-key"])
def test_keys(made: Made, name: str) -> None:
    kms, arn = made.client("kms", name), made.outputs[name]
    key = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert (key["Enabled"], key["KeySpec"], key["MultiRegion"]) == (True, "SYMMETRIC_DEFAULT", False)
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is True
    aliases = [item["AliasName"] for item in kms.list_aliases(KeyId=arn)["Aliases"]]
    assert aliases == [f"alias/buckets-buckets-{name.removesuffix('-key')}"]
    root = {"AWS": f"arn:aws:iam::{made.account}:root"}
    administered, *used = made.key_policy(name)
    assert administered["Sid"] == "AdministeredByTheAccount"
    assert "kms:Decrypt" not in administered["Action"]
    assert all(item["Principal"] in (root, {"Service": "s3.amazonaws.com"}) for item in (administered, *used))
    if name in ("keys", "ledger-key", "ledger-replica-key"):
        assert [item["Sid"] for item in used[:2]] == ["UsedByTheAccount", "GrantsByServices"]
        assert len(used) == (3 if name == "keys" else 2)


def test_personal_data_is_decrypted_by_who_refers_to_it_and_by_s3_alone(made: Made) -> None:
    replication = made.s3("get_bucket_replication", "people")["ReplicationConfiguration"]["Role"]
    admitted = {
        (item["Condition"]["ArnEquals"]["aws:PrincipalArn"], *item["Action"])
        for item in made.key_policy("people-key")[1:]
    }
    assert admitted == {(made.outputs["fit"], "kms:Decrypt"), (replication, "kms:Decrypt")}
    copied = made.key_policy("people-replica-key")[1:]
    assert [item["Condition"]["ArnEquals"]["aws:PrincipalArn"] for item in copied] == [replication] * len(copied)


def test_the_queue_lets_the_bucket_send(made: Made) -> None:
    sqs = made.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=made.outputs["queue"], AttributeNames=["All"])["Attributes"]
    assert found["MessageRetentionPeriod"] == str(7 * 86_400)
    assert found["VisibilityTimeout"] == "600"
    assert found["ReceiveMessageWaitTimeSeconds"] == "20"
    assert found["KmsMasterKeyId"] == made.outputs["keys"]
    dead = sqs.get_queue_attributes(QueueUrl=made.outputs["dead-letters"], AttributeNames=["All"])["Attributes"]
    assert dead["MessageRetentionPeriod"] == str(14 * 86_400)
    redrive = json.loads(found["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], redrive["maxReceiveCount"]) == (dead["QueueArn"], 3)
    send, tls = json.loads(found["Policy"])["Statement"]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (send["Principal"], send["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert json.dumps(send["Condition"], sort_keys=True) == on_behalf_of(made, "shared")
    (use,) = [item for item in made.key_policy("keys") if item["Principal"] == {"Service": "s3.amazonaws.com"}]
    assert use["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]


def test_nothing_is_left_to_do(lab: Lab, made: Made) -> None:
    again = lab.report("up", "--stack", "buckets", "--yes")
    assert set(again["counts"]) == {"same"}
    assert lab.report("refresh", "--stack", "buckets")["steps"] == []


def test_options_change_in_place_while_a_bucket_holds_objects(lab: Lab, made: Made) -> None:
    s3 = made.client("s3")
    for name in ("people", "plain"):
        for body in (b"one", b"two"):
            s3.put_object(Bucket=made.outputs[name], Key="kept", Body=body)
    changed = BUCKETS
    for old, new in (
        ('ObjectLock(mode="governance", days=2)', 'ObjectLock(mode="governance", days=4)'),
        ("expire_days=365,\n", "expire_days=300,\n"),
        ('plain = Bucket("plain", access_logs=logs,', 'plain = Bucket("plain", key="own",'),
        ('methods=["GET", "HEAD"]', 'methods=["GET"]'),
        ('prefix="in/", suffix=".parquet"', 'prefix="in/"'),
        ("visibility_seconds=600", "visibility_seconds=60"),
    ):
        assert old in changed
        changed = changed.replace(old, new)
    lab.blueprint("buckets", changed)
    counts = lab.report("up", "--stack", "buckets", "--yes")["counts"]
    assert counts.pop("same") > 100
    # Lock; lifecycle of people and its replica; encryption and policy of plain, policy of logs; CORS; notification;
    # two queues. The key and its alias are new, and plain logs no more.
    assert counts == {"create": 2, "update": 10, "delete": 1}
    lock = made.s3("get_object_lock_configuration", "people")["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"]["Days"] == 4
    for name in ("people", "people-replica"):
        assert expire(300) in made.s3("get_bucket_lifecycle_configuration", name)["Rules"]
    assert "LoggingEnabled" not in made.s3("get_bucket_logging", "plain")
    assert [item["Resource"] for item in made.policy("logs")][:-1] == [f"arn:aws:s3:::{made.outputs['logs']}/shared/*"]
    (rule,) = made.s3("get_bucket_encryption", "plain")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    (cors,) = made.s3("get_bucket_cors", "published")["CORSRules"]
    assert cors["AllowedMethods"] == ["GET"]
    (told,) = made.s3("get_bucket_notification_configuration", "shared")["QueueConfigurations"]
    assert [item["Value"] for item in told["Filter"]["Key"]["FilterRules"]] == ["in/"]
    assert [item["VersionId"] for item in s3.list_object_versions(Bucket=made.outputs["people"])["Versions"]]


def test_then_nothing_is_left(lab: Lab, made: Made) -> None:
    s3 = made.client("s3")
    gone = lab.report("destroy", "--stack", "buckets", "--yes")
    assert set(gone["counts"]) == {"delete"}
    assert s3.list_buckets()["Buckets"] == []
    for region in ("", "replica"):
        kms = made.client("kms", region)
        states = [kms.describe_key(KeyId=item["KeyId"])["KeyMetadata"]["KeyState"] for item in kms.list_keys()["Keys"]]
        assert set(states) <= {"PendingDeletion"}
        aliases = [item["AliasName"] for item in kms.list_aliases()["Aliases"]]
        assert [name for name in aliases if not name.startswith("alias/aws/")] == []
    assert made.client("sqs").list_queues().get("QueueUrls", []) == []
    assert made.client("iam").list_roles()["Roles"] == []


VAULT = """
from mlinfra import Blueprint, Bucket, Environment, Params, blueprint


@blueprint("vault", version="1.0.0")
def vault(env: Environment, p: Params) -> Blueprint:
    data = Bucket("data", classification="confidential")
    return Blueprint(data, outputs={"data": data.bucket_name, "logs": data.output("logs-bucket")})
"""


def test_in_prod_logs_go_with_a_bucket_that_is_given_up_and_not_before(lab: Lab) -> None:
    lab.blueprint("vault", VAULT)
    where = {"blueprint": "vault", "environment": {"name": "vault", "tier": "prod"}, "allow_loss": ["data"]}
    lab.stack("vault", **where)
    outputs = lab.report("up", "--stack", "vault", "--yes")["outputs"]
    s3 = lab.client("vault", "s3")
    version = s3.put_object(Bucket=outputs["data"], Key="kept", Body=b"data")["VersionId"]
    assert s3.list_objects_v2(Bucket=outputs["logs"])["KeyCount"] > 0
    destroy = ("destroy", "--stack", "vault", "--yes", "--force", "--confirm", "vault")
    refused = lab.run(*destroy, "--json", code=1)
    assert any("holds objects" in item["summary"] for item in refused.lines("diagnostic"))
    left = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert left == {outputs["data"], outputs["logs"]}
    assert s3.list_objects_v2(Bucket=outputs["logs"])["KeyCount"] > 0
    s3.delete_object(Bucket=outputs["data"], Key="kept", VersionId=version)
    lab.report(*destroy)
    assert s3.list_buckets()["Buckets"] == []
