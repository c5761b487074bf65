"""The room of a rehearsal: beside everything else, and the stack in it as it is rehearsed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.emit import silent
from mlinfra.graph import Graph, Kind, Node, Options
from mlinfra.project import Project
from mlinfra.stack import LocalTarget
from mlinfra.workflow.rehearse_room import PATIENCE, Rehearsing, Room, clear, interruptible, protected, room, rooms

STACK = """\
blueprint: shop
environment: {name: prod, tier: prod}
owner: {team: tests, cost_center: none}
target: {kind: aws, account: "111122223333", region: eu-west-1}
state: {backend: "s3://bucket", secrets_provider: "awskms://alias/state"}
"""


def test_a_room_is_a_folder_of_its_own(tmp_path: Path) -> None:
    project = Project(tmp_path)
    made = Room(tmp_path, "prod")
    assert rooms(project) == []
    assert made.folder("local", "moto") == tmp_path / ".mlinfra" / "rehearse" / "prod" / "local" / "moto"
    assert made.stacks == project.stacks
    assert (tmp_path / ".mlinfra").stat().st_mode & 0o777 == 0o700
    assert rooms(project) == [made]


def test_what_was_left_is_thrown_away_and_so_is_the_room(tmp_path: Path) -> None:
    project = Project(tmp_path)
    left = Room(tmp_path, "prod").folder("state") / "state.db"
    left.write_text("of a rehearsal that was killed")
    with room(project, "prod", silent) as made:
        assert not left.exists()
        made.folder("state")
        clear(made, silent, "removing it")
    assert rooms(project) == []


def test_one_rehearsal_of_a_stack_at_a_time(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with room(project, "prod", silent):
        with room(project, "dev", silent):
            pass
        with pytest.raises(MlinfraError, match="a rehearsal of prod is going on"), room(project, "prod", silent):
            pass


def test_a_stack_is_rehearsed_on_the_local_target_with_its_state_in_the_room(project: Any) -> None:
    own = project(stacks={"prod": STACK, "base": STACK})
    main = Rehearsing(Room(own.root, "prod"), "prod", rehearse=True, room_of="prod")
    stack = main.stack()
    assert stack.file.target == LocalTarget(region="eu-west-1")
    assert (stack.file.state.backend, stack.file.state.secrets_provider) == ("service", "passphrase")
    assert main.command("up") == "mlinfra rehearse --stack prod"


def test_workloads_have_less_patience(tmp_path: Path) -> None:
    kinds = ("apps/v1:Deployment", "core/v1:ConfigMap", "apps/v1:StatefulSet")
    nodes = {kind: Node(kind, f"kubernetes:{kind}") for kind in kinds}
    nodes["slow"] = Node("slow", "kubernetes:batch/v1:Job", options=Options(timeout_seconds=5))
    nodes["part"] = Node("part", "mlinfra:component:Job", kind=Kind.COMPONENT)
    nodes["db"] = Node("db", "aws:rds/instance:Instance")
    graph = Graph("b", "1", "prod", nodes)
    fitted = Rehearsing(Room(tmp_path, "prod"), "prod", room_of="prod").fitted(graph)
    assert {node.name: node.options.timeout_seconds for node in fitted} == {
        "apps/v1:Deployment": PATIENCE,
        "apps/v1:StatefulSet": PATIENCE,
        "core/v1:ConfigMap": 0,
        "slow": 5,
        "part": 0,
        "db": 0,
    }


def test_what_aws_protects_is_let_go_before_a_destroy(tmp_path: Path) -> None:
    held = {"deletionProtection": True, "skipFinalSnapshot": False, "deleteAutomatedBackups": False}
    free = {name: not value for name, value in held.items()}
    nodes = {
        "db": Node("db", "aws:rds/instance:Instance", {**held, "a": 1}),
        "open": Node("open", "aws:rds/instance:Instance", free),
        "map": Node("map", "kubernetes:core/v1:ConfigMap", {"deletionProtection": True}),
    }
    graph = Graph("b", "1", "prod", nodes)
    assert protected(graph) == ["db"]
    main = Rehearsing(Room(tmp_path, "prod"), "prod", room_of="prod")
    assert main.fitted(graph) == graph
    fitted = replace(main, giving_up=True).fitted(graph)
    assert fitted.nodes["db"].inputs == {**free, "a": 1}
    assert protected(fitted) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_ci_system_or_a_closed_terminal_sends_is_an_interrupt(number: signal.Signals) -> None:
    ignored = signal.signal(number, signal.SIG_DFL)  # a test run under `nohup` ignores SIGHUP
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, ignored)
