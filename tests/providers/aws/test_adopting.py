"""A create that was cut off: what it made is taken over, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from mlinfra.providers.aws.identifying import MARK, mark
from mlinfra.providers.aws.registry import RESOURCES
from mlinfra.providers.aws.resource import Resource
from tests.providers.aws.conftest import Engine, Unfinished, World, urn

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("aws:s3/bucket:Bucket", {"bucket": "cut-off"}),
    ("aws:iam/role:Role", {"name": "cut-off", "assumeRolePolicy": '{"Version":"2012-10-17","Statement":[]}'}),
    ("aws:iam/policy:Policy", {"name": "cut-off", "policy": POLICY}),
    ("aws:ecr/repository:Repository", {"name": "cut-off"}),
    ("aws:sns/topic:Topic", {"name": "cut-off"}),
    ("aws:ssm/parameter:Parameter", {"name": "/cut-off", "type": "String", "value": "one"}),
    ("aws:secretsmanager/secret:Secret", {"name": "cut-off"}),
    ("aws:cloudwatch/logGroup:LogGroup", {"name": "cut-off"}),
    ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "cut-off", "dashboardBody": '{"widgets":[]}'}),
]


@pytest.fixture
def adopter(elsewhere: World) -> Engine:
    return elsewhere.engine


@pytest.mark.parametrize(("token", "inputs"), CASES, ids=[token.rpartition(":")[2] for token, _ in CASES])
def test_what_was_made_is_taken_over(
    adopter: Engine, unfinished: Unfinished, token: str, inputs: dict[str, Any]
) -> None:
    inputs = adopter.checked(token, inputs)
    made, outputs = adopter.create(token, inputs)
    if "bucket" not in token:  # in us-east-1 the names that are taken are asked for once a run
        with pytest.raises(grpc.RpcError, match="belongs to somebody else"):
            adopter.create(token, inputs)
    unfinished[urn(token)] = set()
    again, adopted = adopter.create(token, inputs)
    assert again == made
    assert adopted == outputs
    tagged = {**inputs, "tags": {"after": "the crash"}}
    if "dashboard" not in token:
        assert adopter.create(token, adopter.checked(token, tagged))[1]["tags"] == {"after": "the crash"}


def test_what_is_not_there_is_made(adopter: Engine, unfinished: Unfinished) -> None:
    token = "aws:s3/bucket:Bucket"
    unfinished[urn(token)] = set()
    made, _ = adopter.create(token, adopter.checked(token, {"bucket": "never-made"}))
    assert made == "never-made"


def test_what_could_not_have_been_ours_is_refused(adopter: Engine, unfinished: Unfinished) -> None:
    token = "aws:iam/role:Role"
    trust = '{"Version":"2012-10-17","Statement":[]}'
    adopter.create(token, adopter.checked(token, {"name": "theirs", "path": "/a/", "assumeRolePolicy": trust}))
    unfinished[urn(token)] = set()
    with pytest.raises(grpc.RpcError, match="belongs to somebody else"):
        adopter.create(token, adopter.checked(token, {"name": "theirs", "path": "/b/", "assumeRolePolicy": trust}))


# ------------------------------------------------------------------------------------ ids that AWS chooses

KEY = "aws:kms/key:Key"


def keys(world: World) -> set[str]:
    kms = world.boto("kms")
    return {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}


def test_every_type_can_be_found_again() -> None:
    for kind in RESOURCES.values():
        ways = [bool(kind.names), kind.marked, type(kind).locate is not Resource.locate]
        assert any(ways), f"{kind.token} has no way to be found after a create that was cut off"
        assert not kind.marked or (kind.tagged and type(kind).bearing is not Resource.bearing)


def test_a_key_is_found_by_its_mark(elsewhere: World, unfinished: Unfinished) -> None:
    engine, kms = elsewhere.engine, elsewhere.boto("kms")
    inputs = engine.checked(KEY, {"description": "data", "isEnabled": False, "tags": {"team": "ml"}})
    made, outputs = engine.create(KEY, inputs)
    theirs = {
        kms.create_key(Description="data", Tags=tags)["KeyMetadata"]["KeyId"]
        for tags in ([], [{"TagKey": MARK, "TagValue": mark(elsewhere.account, urn(KEY, "another"))}])
    }
    unfinished[urn(KEY)] = set()
    before = {other: kms.describe_key(KeyId=other)["KeyMetadata"] for other in theirs}
    again, adopted = engine.create(KEY, inputs)
    assert (again, adopted) == (made, outputs)
    assert keys(elsewhere) == {made, *theirs}
    assert {other: kms.describe_key(KeyId=other)["KeyMetadata"] for other in theirs} == before
    assert engine.read(KEY, made, inputs, outputs) == (inputs, outputs), "the mark is neither input nor drift"


def test_a_key_that_was_cut_off_half_way_is_completed(elsewhere: World, unfinished: Unfinished) -> None:
    engine, kms = elsewhere.engine, elsewhere.boto("kms")
    own = [{"TagKey": MARK, "TagValue": mark(elsewhere.account, urn(KEY))}]
    half = kms.create_key(Description="data", Tags=own)["KeyMetadata"]["KeyId"]
    unfinished[urn(KEY)] = set()
    inputs = engine.checked(KEY, {"description": "data", "enableKeyRotation": True, "tags": {"team": "ml"}})
    made, outputs = engine.create(KEY, inputs)
    assert made == half
    assert kms.get_key_rotation_status(KeyId=half)["KeyRotationEnabled"]
    assert engine.read(KEY, made, inputs, outputs) == (inputs, outputs)
    assert {tag["TagKey"] for tag in kms.list_resource_tags(KeyId=half)["Tags"]} == {MARK, "team"}


def test_the_key_that_is_being_replaced_is_not_it(elsewhere: World, unfinished: Unfinished) -> None:
    old, _ = elsewhere.engine.create(KEY, elsewhere.engine.checked(KEY, {}))
    unfinished[urn(KEY)] = {old}
    signing = elsewhere.engine.checked(KEY, {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048"})
    new, _ = elsewhere.engine.create(KEY, signing)
    assert new != old
    assert elsewhere.engine.create(KEY, signing)[0] == new
    assert keys(elsewhere) == {old, new}


def test_a_key_that_was_deleted_is_not_it(elsewhere: World, unfinished: Unfinished) -> None:
    inputs = elsewhere.engine.checked(KEY, {})
    old, outputs = elsewhere.engine.create(KEY, inputs)
    elsewhere.engine.delete(KEY, old, inputs, outputs)
    unfinished[urn(KEY)] = set()
    assert elsewhere.engine.create(KEY, inputs)[0] != old


def test_of_two_keys_with_the_mark_a_person_chooses(elsewhere: World, unfinished: Unfinished) -> None:
    inputs = elsewhere.engine.checked(KEY, {})
    first, second = (elsewhere.engine.create(KEY, inputs)[0] for _ in range(2))
    unfinished[urn(KEY)] = set()
    with pytest.raises(grpc.RpcError) as caught:
        elsewhere.engine.create(KEY, inputs)
    assert all(text in str(caught.value.details()) for text in (first, second, MARK, "thing"))
    assert keys(elsewhere) == {first, second}
    elsewhere.boto("kms").untag_resource(KeyId=first, TagKeys=[MARK])
    assert elsewhere.engine.create(KEY, inputs)[0] == second


def test_a_key_keeps_its_mark_when_its_tags_change(elsewhere: World) -> None:
    engine = elsewhere.engine
    first, second = (engine.checked(KEY, {"tags": tags}) for tags in ({"a": "1"}, {"b": "2"}))
    made, state = engine.create(KEY, first)
    state = engine.update(KEY, made, first, second, state)
    tags = elsewhere.boto("kms").list_resource_tags(KeyId=made)["Tags"]
    assert {tag["TagKey"] for tag in tags} == {MARK, "b"}
    assert engine.read(KEY, made, second, state) == (second, state)


SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"


def test_a_subscription_is_found_by_topic_protocol_and_endpoint(elsewhere: World, unfinished: Unfinished) -> None:
    sns = elsewhere.boto("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    queue = f"arn:aws:sqs:us-east-1:{elsewhere.account}:queue"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{queue}-of-others")
    for number in range(110):  # a page has 100
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{queue}-{number}")
    inputs = elsewhere.engine.checked(SUBSCRIPTION, {"topic": topic, "protocol": "sqs", "endpoint": queue})
    made, outputs = elsewhere.engine.create(SUBSCRIPTION, inputs)
    unfinished[urn(SUBSCRIPTION)] = set()
    raw = elsewhere.engine.checked(SUBSCRIPTION, {**inputs, "rawMessageDelivery": True})
    assert elsewhere.engine.create(SUBSCRIPTION, raw) == (made, {**outputs, "rawMessageDelivery": True})
    attributes = sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
    assert attributes["RawMessageDelivery"] == "true"
    listed = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    assert sum(len(page["Subscriptions"]) for page in listed) == 112


def test_a_subscription_to_a_topic_that_is_gone(elsewhere: World, unfinished: Unfinished) -> None:
    topic = f"arn:aws:sns:us-east-1:{elsewhere.account}:gone"
    inputs = {"topic": topic, "protocol": "sqs", "endpoint": topic}
    unfinished[urn(SUBSCRIPTION)] = set()
    with pytest.raises(grpc.RpcError, match="thing: Subscribe"):
        elsewhere.engine.create(SUBSCRIPTION, elsewhere.engine.checked(SUBSCRIPTION, inputs))


VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


@pytest.mark.parametrize("stages", [None, ["blue"]])
def test_a_version_is_found_by_its_value(elsewhere: World, unfinished: Unfinished, stages: list[str] | None) -> None:
    manager = elsewhere.boto("secretsmanager")
    secret = manager.create_secret(Name="token", SecretString="theirs")["ARN"]
    more = {"versionStages": stages} if stages else {}
    inputs = elsewhere.engine.checked(VERSION, {"secretId": secret, "secretString": "ours", **more})
    unfinished[urn(VERSION)] = set()
    made, outputs = elsewhere.engine.create(VERSION, inputs)
    assert elsewhere.engine.create(VERSION, inputs) == (made, outputs)
    unfinished[urn(VERSION)] = {made}
    other = elsewhere.engine.checked(VERSION, {"secretId": secret, "secretString": "newer", **more})
    assert elsewhere.engine.create(VERSION, other)[0] != made
    assert len(manager.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]) == 3


def test_an_attachment_is_found_by_role_and_policy(elsewhere: World, unfinished: Unfinished) -> None:
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    iam = elsewhere.boto("iam")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[]}')
    arn = iam.create_policy(PolicyName="read", PolicyDocument=POLICY)["Policy"]["Arn"]
    inputs = elsewhere.engine.checked(token, {"role": "worker", "policyArn": arn})
    made, _ = elsewhere.engine.create(token, inputs)
    unfinished[urn(token)] = set()
    assert elsewhere.engine.create(token, inputs)[0] == made
    assert len(iam.list_attached_role_policies(RoleName="worker")["AttachedPolicies"]) == 1
