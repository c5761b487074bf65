"""Whole reports: blueprints with components and with resources that somebody wrote by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mlinfra.authoring import Component
from mlinfra.checks.data import data_report
from mlinfra.components.bucket import Bucket
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.model_store import ModelStore
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.graph import Document, Graph, Secret, Value, join
from tests.checks.data.conftest import ACCOUNT, IMAGE, Report, graph_of

SERVICE = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def policy(*statements: Mapping[str, Value]) -> Document:
    return Document({"Version": "2012-10-17", "Statement": [dict(item) for item in statements]})


def allow(action: str | list[str], resource: Value, **fields: Value) -> dict[str, Value]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **fields}


def role(name: str, *statements: Mapping[str, Value], trust: Mapping[str, Value] = SERVICE) -> list[Component]:
    """A role by hand with a policy of its own; the last is the role."""
    made = Raw(f"{name}-role", type="aws:iam/role:Role", inputs={"name": name, "assumeRolePolicy": policy(trust)})
    inputs = {"role": made.output("id"), "policy": policy(*statements)}
    return [Raw(f"{name}-policy", type="aws:iam/rolePolicy:RolePolicy", inputs=inputs), made]


def endpoint(name: str = "api", **fields: Any) -> Endpoint:
    return Endpoint(name, cluster=TrainingCluster(f"{name}-ns"), image=IMAGE, **fields)


# ------------------------------------------------------------------------------------------------ readers


def test_one_new_reader_adds_one_row(report: Report) -> None:
    def declare(*names: str) -> Any:
        def body() -> list[Component]:
            bucket = Bucket("data")
            return [bucket, *(endpoint(name, reads=[bucket]) for name in names)]

        return body

    before, after = report(declare("api")), report(declare("api", "web"))
    assert before.names("data") == ["api"]
    assert after.names("data") == ["api", "web"]
    assert after.reader("data", "sample-test-api") == before.reader("data", "sample-test-api")
    found = after.reader("data", "sample-test-web")
    assert found.arn == f"arn:aws:iam::{ACCOUNT}:role/sample-test-web"
    assert (found.kind, found.reads, found.actions) == ("role", ("*",), ("s3:GetObject",))
    assert found.used_by == ("service account sample-test-web-ns/web in ml",)
    assert (found.policies, found.only_if) == (("web/policy",), ())


def test_writers_do_not_read(report: Report) -> None:
    def declare() -> list[Component]:
        bucket, queue = Bucket("data"), Queue("work")
        return [endpoint(writes=[bucket, queue])]

    told = report(declare)
    assert told.names("data") == []
    assert told.names("work") == []


@pytest.mark.parametrize(
    ("statements", "reads"),
    [
        ([allow("s3:*", "*")], ("*",)),
        ([allow("s3:Get*", "arn:aws:s3:::sample-test-*")], ("arn:aws:s3:::sample-test-*",)),
        ([allow("s3:GetObject", "arn:aws:s3:::other/*")], None),
        ([allow("s3:PutObject", "*")], None),
        ([allow("*", "*"), {**allow("s3:GetObject*", "*"), "Effect": "Deny"}], None),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], ("*",)),
        ([{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::sample-*"}], None),
    ],
)
def test_a_role_by_hand_shows(report: Report, statements: Any, reads: Any) -> None:
    told = report(lambda: [Bucket("data"), *role("hand", *statements)])
    assert told.names("data") == (["hand-role"] if reads else [])
    if reads:
        found = told.reader("data", "hand")
        assert (found.reads, found.component, found.policies) == (reads, "hand-role", ("hand-policy/resource",))
        assert found.used_by == ("ec2.amazonaws.com",)


def test_a_part_of_a_bucket(report: Report) -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data")
        clicks, models = Dataset("clicks", bucket=bucket), ModelStore("models", bucket=bucket)
        by_hand = allow("s3:GetObject", join(bucket.arn, "/models/ranker/*"))
        return [endpoint(reads=[clicks]), models, *role("hand", by_hand), endpoint("all", reads=[bucket])]

    told = report(declare)
    assert [(store.name, store.kind, store.within) for store in told.report.stores if store.kind != "images"] == [
        ("data", "bucket", ""),
        ("clicks", "dataset", "data"),
        ("models", "model store", "data"),
    ]
    assert told.names("data") == ["hand-role", "all", "api"]
    assert told.names("clicks") == ["all", "api"]
    assert told.names("models") == ["hand-role", "all"]
    assert told.reader("data", "sample-test-api").reads == ("datasets/clicks/*",)
    assert told.reader("clicks", "sample-test-api").reads == ("*",)
    assert told.reader("clicks", "sample-test-all").reads == ("*",)
    assert told.reader("models", "hand").reads == ("models/ranker/*",)


def test_without_the_key_nobody_reads(report: Report) -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data", classification="confidential")
        return [
            endpoint(reads=[bucket]),
            *role("blind", allow("s3:GetObject", join(bucket.arn, "/*"))),
            *role("seeing", allow(["s3:GetObject", "kms:Decrypt"], "*")),
            *role("elsewhere", allow("s3:GetObject", "*"), allow("kms:Decrypt", Key("other").arn)),
        ]

    told = report(declare)
    assert told.names("data") == ["api", "seeing-role"]
    assert told.store("data").key == "data/key"
    assert told.reader("data", "seeing").decrypts_by == ("seeing-policy/resource",)


def test_personal_data_is_read_by_those_alone_whom_the_key_admits(report: Report) -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data", classification="pii", expire_days=30)
        return [endpoint(reads=[bucket]), *role("admin", allow("*", "*"))]

    told = report(declare)
    assert told.names("data") == ["api"]
    assert told.store("data").classification == "pii"
    assert told.store("data").retention.days == 30


def bucket_policy(bucket: Bucket, *statements: Mapping[str, Value]) -> Raw:
    inputs = {"bucket": bucket.bucket_name, "policy": policy(*statements)}
    return Raw("by-hand", type="aws:s3/bucketPolicy:BucketPolicy", inputs=inputs)


@pytest.mark.parametrize(
    ("principal", "fields", "row"),
    [
        ({"AWS": "222222222222"}, {}, ("account", "222222222222", "")),
        ({"AWS": "arn:aws:iam::222222222222:role/audit"}, {}, ("role", "audit", "")),
        ({"AWS": "arn:aws:iam::222222222222:user/ann"}, {}, ("user", "ann", "")),
        ({"Service": "cloudfront.amazonaws.com"}, {}, ("service", "cloudfront.amazonaws.com", "")),
        ("*", {}, ("everybody", "every principal of this account", "")),
        (
            "*",
            {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
            ("everybody", "everybody, without signing in", "aws:PrincipalOrgID StringEquals o-1"),
        ),
    ],
)
def test_whom_the_buckets_policy_names(report: Report, principal: Any, fields: Any, row: Any) -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data")
        return [bucket_policy(bucket, allow("s3:GetObject", join(bucket.arn, "/*"), Principal=principal, **fields))]

    (found,) = report(declare).store("data").readers
    assert (found.kind, found.name, "".join(found.only_if)) == row
    assert found.policies == ("by-hand/resource",)


def test_the_account_in_a_policy_hands_on_nothing(report: Report) -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data")
        everyone = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        statement = allow("s3:*", join(bucket.arn, "/*"), Principal=everyone)
        return [bucket_policy(bucket, statement), *role("idle", allow("sts:GetCallerIdentity", "*"))]

    assert report(declare).names("data") == []


def test_an_open_bucket_is_seen_to_be_open(report: Report) -> None:
    def declare() -> list[Component]:
        bucket = Raw("open", type="aws:s3/bucket:Bucket", inputs={"bucket": "open-data"})
        acl = {"bucket": bucket.output("id"), "acl": "public-read"}
        return [Raw("acl", type="aws:s3/bucketAcl:BucketAcl", inputs=acl)]

    (found,) = report(declare).store("open").readers
    assert found.name == "everybody, without signing in"
    assert found.policies == ("acl/resource",)


def test_whoever_can_take_a_role_reads_as_well(report: Report) -> None:
    def trusting(principal: Value) -> dict[str, Value]:
        return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}

    def declare() -> list[Component]:
        bucket = Bucket("data")
        *first, human = role("human")
        middle = role("middle", trust=trusting(human.output("arn")))  # type: ignore[union-attr]
        reader = role(
            "reader",
            allow("s3:GetObject", join(bucket.arn, "/*")),
            trust=trusting([f"arn:aws:iam::{ACCOUNT}:role/middle", f"arn:aws:iam::{ACCOUNT}:root"]),
        )
        free = role("free", allow("sts:AssumeRole", "*"))
        lame = role("lame", allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/other"))
        return [*first, human, *middle, *reader, *free, *lame]

    told = report(declare)
    assert told.names("data") == ["reader-role", "free-role > reader", "human-role > reader", "middle-role > reader"]


# ------------------------------------------------------------------------------------------------ what is told


def test_what_is_told_of_a_bucket(report: Report) -> None:
    from mlinfra.components.bucket_options import ObjectLock, Replica

    def declare() -> list[Component]:
        bucket = Bucket(
            "data",
            classification="confidential",
            keep_forever="labels are needed for training",
            lock=ObjectLock(mode="governance", days=5),
            replica=Replica(region="eu-central-1"),
            tags={"description": "What people clicked on"},
        )
        return [bucket, Dataset("clicks", bucket=bucket, expire_days=40, description="Clicks")]

    told = report(declare)
    data = told.store("data")
    assert data.retention.text == (
        "until deleted (labels are needed for training); old versions 7 days; locked: governance, 5 days"
    )
    assert (data.where, data.holds) == ("eu-west-1", "What people clicked on")
    (copy,) = data.copies
    assert copy.endswith(" in eu-central-1")
    assert (data.encrypted_with, data.key) == ("a KMS key", "data/key")
    replica = told.store("data/replica-bucket")
    assert (replica.where, replica.key) == ("eu-central-1", "data/replica-key")
    assert told.store("data/logs-bucket").encrypted_with == "S3's own keys"
    clicks = told.store("clicks")
    assert (clicks.retention.days, clicks.holds, clicks.classification) == (40, "Clicks", "confidential")
    assert clicks.place.endswith("/datasets/clicks/")
    # S3 copies what it holds, so the role that it does that with reads it.
    assert told.names("data") == ["data"]
    assert told.reader("data", "sample-test-data-replication").actions == ("s3:GetObjectVersionForReplication",)


def test_other_stores(report: Report) -> None:
    def declare() -> list[Component]:
        key, queue = Key("keys"), Queue("work", key=Key("queue-keys"), retention_days=7)
        secret = {"name": "hub", "kmsKeyId": key.arn, "tags": {"description": "A token"}}
        raw = {
            "secret": ("aws:secretsmanager/secret:Secret", secret),
            "parameter": ("aws:ssm/parameter:Parameter", {"name": "/a", "type": "SecureString", "value": "x"}),
            "plain": ("aws:ssm/parameter:Parameter", {"name": "/b", "type": "String", "value": "x"}),
            "files": ("aws:efs/fileSystem:FileSystem", {"encrypted": True}),
            "table": ("aws:dynamodb/table:Table", {"name": "features", "pointInTimeRecovery": {"enabled": True}}),
            "db": (
                "aws:rds/instance:Instance",
                {"identifier": "main", "backupRetentionPeriod": 7, "manageMasterUserPassword": True},
            ),
        }
        readers = [
            *role("all", allow("*", "*")),
            *role("secrets", allow("secretsmanager:GetSecretValue", "*"), allow("kms:Decrypt", key.arn)),
            *role(
                "keyless", allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:hub-*")
            ),
            *role("rows", allow("dynamodb:Query", f"arn:aws:dynamodb:*:{ACCOUNT}:table/*/index/*")),
        ]
        return [
            endpoint(reads=[queue]),
            *(Raw(name, type=kind, inputs=item) for name, (kind, item) in raw.items()),
            *readers,
        ]

    told = report(declare)
    kinds = {store.name: store.kind for store in told.report.stores if store.kind != "images"}
    assert kinds == {
        "db": "database",
        "files": "file system",
        "parameter": "parameter",
        "secret": "secret",
        "table": "table",
        "work": "queue",
        "work/dead-letters": "queue",
    }
    assert told.names("work") == ["all-role", "api"]
    assert told.store("work").retention.text == "7 days"
    assert told.names("secret") == ["all-role", "secrets-role"]
    assert told.names("db") == ["all-role", "secrets-role"]
    assert told.store("db").retention.text == "until deleted; backups 7 days"
    assert told.names("table") == ["all-role", "rows-role"]
    assert told.names("files") == ["all-role"]
    assert any("over the network" in note for note in told.store("files").notes)
    assert told.store("secret").key == "keys/key"


def test_what_could_not_be_read_is_told(report: Report) -> None:
    def declare() -> list[Component]:
        made = role("hand")[-1]
        unknown = {"role": "hand", "policyArn": "arn:aws:iam::aws:policy/Unheard"}
        secret = {"role": "hand", "policy": Secret("never shown")}
        return [
            made,
            Raw("attached", type="aws:iam/rolePolicyAttachment:RolePolicyAttachment", inputs=unknown),
            Raw("hidden", type="aws:iam/rolePolicy:RolePolicy", inputs=secret),
        ]

    first, *notes = report(declare).report.notes
    assert "neither makes nor names" in first
    assert notes == [
        "the policy of hidden/resource is secret, and was not read",
        "role hand has the policy arn:aws:iam::aws:policy/Unheard, which is not in the graph: "
        "what it allows is not known",
    ]
    assert "never shown" not in json.dumps(report(declare).report.as_json())


def test_without_a_known_account_literal_numbers_still_match(report: Report) -> None:
    def declare() -> list[Component]:
        arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:sample-test-work"
        return [Queue("work"), *role("hand", allow("sqs:ReceiveMessage", arn))]

    assert report(declare, account="local").names("work") == ["hand-role"]


def test_a_graph_that_was_read_back_tells_the_same() -> None:
    def declare() -> list[Component]:
        bucket = Bucket("data", classification="pii", expire_days=30)
        pool = NodePool("cpu", instance_type="m6i.xlarge")
        cluster, clicks = TrainingCluster("train", pools=[pool]), Dataset("clicks", bucket=bucket)
        return [TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, reads=[clicks])]

    graph = graph_of(declare)
    again = Graph.from_json(json.loads(graph.dumps()))
    assert data_report(again, ACCOUNT).as_json() == data_report(graph, ACCOUNT).as_json()
    assert data_report(Graph("empty", "1.0.0", "test", {})).stores == ()
