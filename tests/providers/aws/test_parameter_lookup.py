"""The lookup of parameters: those of the account, AWS's public ones, and what stands in for what the emulator lacks."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from mlinfra.graph import Secret
from mlinfra.wire.values import decode
from tests.providers.aws.conftest import World

LOOKUP = "aws:ssm/getParameter:getParameter"
LINUX = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default"
DEEP = "/aws/service/deeplearning/ami/{}/oss-nvidia-driver-gpu-pytorch-2.10-amazon-linux-2023/latest/ami-id"


def ask(world: World, name: str, **more: Any) -> Any:
    answer = world.engine.invoke(LOOKUP, {"name": name, **more})
    assert not answer.failures
    return decode(getattr(answer, "return"))


def test_a_parameter_of_the_account(world: World) -> None:
    world.boto("ssm").put_parameter(Name="/golden/training", Value="ami-0123456789abcdef0", Type="String")
    found = ask(world, "/golden/training")
    assert found["insecureValue"] == "ami-0123456789abcdef0"
    assert found["value"] == Secret("ami-0123456789abcdef0")
    assert (found["name"], found["type"], found["version"]) == ("/golden/training", "String", 1)
    assert found["arn"] == f"arn:aws:ssm:us-east-1:{world.account}:parameter/golden/training"


def test_a_secret_one_is_shown_nowhere_else(world: World) -> None:
    world.boto("ssm").put_parameter(Name="token", Value="sesame", Type="SecureString")
    found = ask(world, "token")
    assert found["value"] == Secret("sesame")
    assert found["insecureValue"] == ""


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_amazon_linux_stands_in_for_the_deep_learning_images(world: World, architecture: str) -> None:
    plain, deep = ask(world, f"{LINUX}-{architecture}"), ask(world, DEEP.format(architecture))
    assert plain["insecureValue"].startswith("ami-")
    assert deep["insecureValue"] == plain["insecureValue"]
    assert deep["name"] == DEEP.format(architecture)


def test_one_that_is_not_there(world: World) -> None:
    with pytest.raises(grpc.RpcError, match="there is no parameter /golden/nothing in us-east-1"):
        ask(world, "/golden/nothing")
