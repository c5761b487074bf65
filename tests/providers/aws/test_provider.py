"""The protocol: configuration, secrets, previews, failures, instances side by side, lookups."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import grpc
import pytest

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Secret
from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.providers.aws.registry import RESOURCES, TYPES
from mlinfra.wire.protocol import plugin_pb2, provider_pb2
from mlinfra.wire.values import decode, encode

BUCKET, ROLE = "aws:s3/bucket:Bucket", "aws:iam/role:Role"
PARAMETER, TOPIC = "aws:ssm/parameter:Parameter", "aws:sns/topic:Topic"


def test_every_type_has_a_token_of_its_own_and_an_official_form() -> None:
    assert len(TYPES) == len(RESOURCES) >= 26
    for token, kind in RESOURCES.items():
        package, module, name = token.split(":")
        assert package == "aws"
        assert module.partition("/")[2].lower() == name.lower()
        assert kind.service


def test_it_says_which_official_plugin_it_stands_in_for(world: Any) -> None:
    info = world.engine.stub.GetPluginInfo(plugin_pb2.PluginInfo())
    assert info.version.startswith("7.")


def test_instances_on_one_port_are_told_apart_by_their_connections(world: Any) -> None:
    west = world.another(region="eu-west-1")
    inputs = {"name": "alerts"}
    _, here = world.engine.create(TOPIC, world.engine.checked(TOPIC, inputs))
    _, there = west.create(TOPIC, west.checked(TOPIC, inputs))
    assert (here["region"], there["region"]) == ("us-east-1", "eu-west-1")
    assert ":eu-west-1:" in there["arn"]
    assert ":us-east-1:" in here["arn"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoints": None},
        {"endpoints": []},
        {"endpoints": [{"s3": "https://s3.amazonaws.com"}]},
        {"endpoints": json.dumps([{"s3": "http://192.0.2.7:5000"}])},
        {"region": None},
        {"accessKey": None},
        {"profile": "production"},
        {"assumeRoles": [{"roleArn": "arn:aws:iam::111122223333:role/admin"}]},
    ],
)
def test_a_configuration_that_is_not_of_this_machine_is_refused(
    world: Any, failure: Any, wrong: dict[str, Any]
) -> None:
    inputs = {name: value for name, value in {**world.inputs, **wrong}.items() if value is not None}
    checked = world.engine.stub.CheckConfig(provider_pb2.CheckRequest(news=encode(inputs)))
    assert [item.property.partition("[")[0] for item in checked.failures] == list(wrong)
    error, _ = failure(world.engine.configure, inputs)
    assert f"AWS provider: {next(iter(wrong))}" in error.details()


def test_a_service_without_an_endpoint_is_not_called(world: Any, failure: Any) -> None:
    engine = world.another(endpoints=[{"s3": world.endpoint}])
    error, _ = failure(engine.create, TOPIC, engine.checked(TOPIC, {"name": "n"}))
    assert "endpoints do not name sns" in error.details()


def test_an_emulator_that_is_gone(world: Any, failure: Any) -> None:
    engine = world.another(**local_inputs("http://127.0.0.1:1", "us-east-1"))
    error, _ = failure(engine.create, ROLE, engine.checked(ROLE, {"name": "n", "assumeRolePolicy": "{}"}))
    assert "the AWS endpoint http://127.0.0.1:1 does not answer" in error.details()
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION  # nothing can have happened


def test_an_unknown_configuration_serves_previews(world: Any, failure: Any) -> None:
    engine = world.another(endpoints=UNKNOWN)
    inputs = engine.checked(BUCKET, {"bucket": "later"})
    _, state = engine.create(BUCKET, inputs, preview=True)
    assert state["region"] is UNKNOWN
    assert state["arn"] is UNKNOWN
    error, _ = failure(engine.create, BUCKET, inputs)
    assert "not configured" in error.details()


def test_another_region_is_another_provider_and_another_port_is_not(world: Any) -> None:
    def diff(**changes: Any) -> Any:
        request = provider_pb2.DiffRequest(old_inputs=encode(world.inputs), news=encode({**world.inputs, **changes}))
        return world.engine.stub.DiffConfig(request)

    assert diff(region="eu-west-1").replaces == ["region"]
    assert diff(endpoints=[{"s3": "http://127.0.0.1:9"}]).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_default_tags(world: Any) -> None:
    engine = world.another(defaultTags={"tags": {"owner": "ml", "tier": "dev"}})
    program = engine.checked(BUCKET, {"bucket": "default-tags", "tags": {"tier": "prod"}})
    resource_id, state = engine.create(BUCKET, program)
    assert program["tags"] == {"owner": "ml", "tier": "prod"}  # as the official plugin has it
    assert state["tags"] == state["tagsAll"] == program["tags"]
    assert engine.read(BUCKET, resource_id, program, state) == (program, state)
    assert not engine.diff(BUCKET, program, program, state).diffs

    other = world.another(defaultTags=json.dumps({"tags": {"owner": "data"}}))
    changed = other.checked(BUCKET, {"bucket": "default-tags", "tags": {"tier": "prod"}})
    assert changed != program  # the engine asks for a difference where inputs differ
    assert other.diff(BUCKET, program, changed, state).diffs == ["tags"]
    state = other.update(BUCKET, resource_id, program, changed, state)
    assert state["tagsAll"] == {"owner": "data", "tier": "prod"}
    found = world.boto("s3").get_bucket_tagging(Bucket=resource_id)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == {"owner": "data", "tier": "prod"}


def test_inputs_that_are_wrong_are_all_told(world: Any) -> None:
    wrong = {"name": "n", "type": "Text", "tier": 3, "tags": ["a"], "labels": {}, "valueWo": Secret("hunter2")}
    failures = {item.property: item.reason for item in world.engine.check(PARAMETER, wrong).failures}
    assert failures == {
        "type": "must be one of String, StringList, SecureString",
        "tier": "must be a text",
        "tags": "must be a map of texts",
        "labels": "is not supported by mlinfra's embedded AWS provider",
        "": "valueWo is not supported by mlinfra's embedded AWS provider",  # the engine would print a secret property
    }


def test_unknown_inputs_pass_the_check(world: Any) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": UNKNOWN}]}
    inputs = world.engine.checked(ROLE, {"name": UNKNOWN, "assumeRolePolicy": policy, "tags": UNKNOWN})
    assert inputs["assumeRolePolicy"] is UNKNOWN
    _, state = world.engine.create(ROLE, inputs, preview=True)
    assert state["tagsAll"] is UNKNOWN
    old = world.engine.checked(ROLE, {"name": "n", "assumeRolePolicy": "{}"})
    difference = world.engine.diff(ROLE, old, inputs, {})
    assert difference.replaces == ["name"]
    assert not difference.deleteBeforeReplace


def test_secret_inputs_come_back_secret_and_stay_out_of_errors(world: Any, failure: Any) -> None:
    program = {"name": "n", "assumeRolePolicy": "{}", "description": Secret("hunter2"), "tags": {"a": Secret("b4b4")}}
    inputs = world.engine.checked(ROLE, program)
    assert inputs["description"] == Secret("hunter2")
    assert inputs["tags"] == Secret({"a": "b4b4"})
    _, state = world.engine.create(ROLE, inputs)
    assert state["description"] == Secret("hunter2")
    assert state["tagsAll"] == Secret({"a": "b4b4"})

    for message in ("hunter2", 7):  # AWS's own words, and botocore's
        bad = {**inputs, "name": Secret(message), "maxSessionDuration": Secret("hunter2")}
        error, _ = failure(world.engine.create, ROLE, bad)
        assert "hunter2" not in error.details()


def test_a_message_of_aws_that_holds_a_secret_is_not_shown(world: Any, failure: Any) -> None:
    world.boto("iam").create_role(RoleName="hunter2", AssumeRolePolicyDocument="{}")
    inputs = world.engine.checked(ROLE, {"name": Secret("hunter2"), "assumeRolePolicy": "{}"})
    error, _ = failure(world.engine.create, ROLE, inputs)
    assert "EntityAlreadyExists" in error.details()
    assert "hunter2" not in error.details()


def test_policies_that_mean_the_same_are_no_difference(world: Any) -> None:
    def role(action: Any, principal: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Principal": principal}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return world.engine.checked(ROLE, {"name": "n", "assumeRolePolicy": json.dumps(policy, indent=3)})

    one = role("sts:AssumeRole", {"AWS": "111122223333"})
    same = role(["sts:AssumeRole"], {"AWS": ["arn:aws:iam::111122223333:root"]})
    other = role("sts:TagSession", {"AWS": "111122223333"})
    assert not world.engine.diff(ROLE, one, same, {}).diffs
    assert world.engine.diff(ROLE, one, other, {}).diffs == ["assumeRolePolicy"]


def test_paths_of_a_difference(world: Any) -> None:
    old = world.engine.checked(BUCKET, {"bucket": "first", "tags": {"gone": "1", "kept": "1", "a.b": "1"}})
    new = world.engine.checked(BUCKET, {"bucket": "second", "tags": {"new": "1", "kept": "1", "a.b": "2"}})
    kinds = provider_pb2.PropertyDiff.Kind
    found = {path: kinds.Name(item.kind) for path, item in world.engine.diff(BUCKET, old, new, {}).detailedDiff.items()}
    assert found == {
        "bucket": "UPDATE_REPLACE",
        "tags.gone": "DELETE",
        "tags.new": "ADD",
        'tags["a.b"]': "UPDATE",
    }


@pytest.mark.parametrize("call", ["check", "read", "lookup"])
def test_what_it_does_not_have_is_told(world: Any, failure: Any, call: str) -> None:
    body = {
        "check": lambda: world.engine.check("aws:lightsail/disk:Disk", {}),
        "read": lambda: world.engine.read("aws:lightsail/disk:Disk", "d"),
        "lookup": lambda: world.engine.invoke("aws:ec2/getAmi:getAmi", {}),
    }[call]
    error, _ = failure(body)
    assert "embedded AWS provider has no" in error.details()


def test_methods_of_the_protocol_that_it_does_not_offer(world: Any, failure: Any) -> None:
    error, _ = failure(world.engine.stub.GetSchema, provider_pb2.GetSchemaRequest())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_lookups(world: Any) -> None:
    def ask(name: str, **arguments: Any) -> dict[str, Any]:
        answer = world.engine.invoke(f"aws:index/{name}:{name}", arguments)
        assert not answer.failures
        return decode(getattr(answer, "return"))

    assert ask("getCallerIdentity")["accountId"] == world.account
    assert ask("getRegion")["region"] == "us-east-1"
    assert ask("getRegion", region="eu-west-1")["region"] == "eu-west-1"
    assert ask("getPartition") == {
        "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws", "id": "aws",
    }  # fmt: skip
    zones = ask("getAvailabilityZones", state="available", excludeNames=["us-east-1a"])
    assert zones["names"][0] == "us-east-1b"
    assert len(zones["zoneIds"]) == len(zones["names"]) > 1
    wrong = world.engine.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"zones": 1})
    assert [item.property for item in wrong.failures] == ["zones"]


def test_as_a_plugin_process(world: Any) -> None:
    environment = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:1", "AWS_PROFILE": "none", "AWS_CONFIG_FILE": "/none"}
    command = [sys.executable, "-m", "mlinfra.providers.aws", "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            world.address = f"127.0.0.1:{int(process.stdout.readline())}"
            engine = world.another()
            assert engine.create(BUCKET, engine.checked(BUCKET, {"bucket": "plugged"}))[0] == "plugged"
        finally:
            process.terminate()
    assert world.boto("s3").head_bucket(Bucket="plugged")
