"""Pulumi's messages without the rest of its SDK, and the SDK whole beside them."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALONE = """
import sys
from mlinfra.wire import protocol
assert protocol.resource_pb2.RegisterResourceRequest(type="a:b:C").type == "a:b:C"
assert not [name for name in sys.modules if name.partition(".")[0] == "pulumi"], "the SDK was loaded"
"""
BEFORE = """
import pulumi
from mlinfra.wire import protocol
from pulumi.runtime.proto import resource_pb2
assert protocol.resource_pb2 is resource_pb2
"""
AFTER = """
from mlinfra.wire import protocol
import pulumi
from pulumi.runtime.proto import resource_pb2
assert pulumi.Output and pulumi.automation
message = resource_pb2.RegisterResourceRequest(type="a:b:C")
assert protocol.resource_pb2.RegisterResourceRequest.FromString(message.SerializeToString()).type == "a:b:C"
"""


@pytest.mark.parametrize("program", [ALONE, BEFORE, AFTER], ids=["alone", "before", "after"])
def test_messages_and_sdk_live_side_by_side(program: str) -> None:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
