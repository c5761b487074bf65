"""Parameters, against moto."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.graph import Secret

PARAMETER = "aws:ssm/parameter:Parameter"


def parameter(world: Any, name: str) -> Any:
    try:
        live = world.boto("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return None
    described = world.boto("ssm").describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])
    about = described["Parameters"][0]
    tags = world.tags("ssm", ResourceType="Parameter", ResourceId=name)
    return live["Type"], live["Value"], about.get("Description") or "", tags


@pytest.mark.parametrize("key", ["value", "insecureValue"])
def test_parameter(lifecycle: Any, key: str) -> None:
    kind = "SecureString" if key == "value" else "String"

    def drift(world: Any, name: str) -> None:
        world.boto("ssm").put_parameter(Name=name, Value="theirs", Type=kind, Overwrite=True, Description="")

    lifecycle(
        PARAMETER,
        inputs=lambda words: {
            "name": "/ml/key",
            "type": kind,
            key: "first",
            "description": "a key",
            "tags": {"a": "b"},
        },
        look=parameter,
        made=lambda words: (kind, "first", "a key", {"a": "b"}),
        outputs=lambda words: {"arn": f"arn:aws:ssm:us-east-1:{words['account']}:parameter/ml/key", "version": 1},
        change=lambda words: {key: "second", "description": None, "tags": {"c": "d"}},
        changed=lambda words: (kind, "second", "", {"c": "d"}),
        replaces=lambda words: [{"name": "/ml/other"}, {"type": "StringList"}],
        drift=drift,
        drifted={key: "theirs"},
    )


def test_the_value_is_secret_everywhere(world: Any) -> None:
    program = {"name": "password", "type": "SecureString", "value": "hunter2hunter2"}
    inputs = world.engine.checked(PARAMETER, program)  # not marked by the program
    assert inputs["value"] == Secret("hunter2hunter2")
    resource_id, state = world.engine.create(PARAMETER, inputs)
    assert state["value"] == Secret("hunter2hunter2")
    live, outputs = world.engine.read(PARAMETER, resource_id)
    assert live["value"] == outputs["value"] == Secret("hunter2hunter2")
    new = world.engine.checked(PARAMETER, {**program, "value": Secret("correct horse")})
    assert world.engine.update(PARAMETER, resource_id, inputs, new, state)["value"] == Secret("correct horse")


def test_the_version_is_unknown_before_an_update_and_counts_up(world: Any) -> None:
    old = world.engine.checked(PARAMETER, {"name": "n", "type": "String", "insecureValue": "1"})
    new = world.engine.checked(PARAMETER, {"name": "n", "type": "String", "insecureValue": "2"})
    resource_id, state = world.engine.create(PARAMETER, old)
    assert world.engine.update(PARAMETER, resource_id, old, new, state)["version"] == 2


def test_an_existing_parameter_is_overwritten_only_when_told_so(world: Any, failure: Any) -> None:
    world.boto("ssm").put_parameter(Name="theirs", Value="1", Type="String")
    program = {"name": "theirs", "type": "String", "insecureValue": "2", "tags": {"a": "b"}}
    error, _ = failure(world.engine.create, PARAMETER, world.engine.checked(PARAMETER, program))
    assert "ParameterAlreadyExists" in error.details()
    assert parameter(world, "theirs")[1] == "1"
    world.engine.create(PARAMETER, world.engine.checked(PARAMETER, {**program, "overwrite": True}))
    assert parameter(world, "theirs") == ("String", "2", "", {"a": "b"})


def test_an_advanced_parameter_cannot_become_a_standard_one(world: Any) -> None:
    program = {"name": "n", "type": "String", "insecureValue": "1"}
    standard = world.engine.checked(PARAMETER, program)
    advanced = world.engine.checked(PARAMETER, {**program, "tier": "Advanced"})
    assert not world.engine.diff(PARAMETER, standard, advanced, {}).replaces
    assert world.engine.diff(PARAMETER, advanced, standard, {}).replaces == ["tier"]
