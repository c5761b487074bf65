"""What goes wrong in the middle: interrupts, kills, a moto that forgets, a disk that is full."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.conftest import COMMAND, Lab, interrupt

pytestmark = pytest.mark.e2e

MANY = """
from mlinfra import Blueprint, Environment, Params, Raw, blueprint


class Count(Params):
    count: int = 40


@blueprint("many", version="1.0.0")
def many(env: Environment, p: Count) -> Blueprint:
    made = [Raw(f"b{i}", type="aws:s3/bucket:Bucket", inputs={"bucket": f"many-{i}"}) for i in range(p.count)]
    slow = Raw(
        "slow",
        type="kubernetes:apps/v1:Deployment",
        inputs={
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "slow", "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": {"app": "slow"}},
                "template": {
                    "metadata": {"labels": {"app": "slow"}},
                    "spec": {"containers": [{"name": "c", "image": "registry.example.com/slow:1"}]},
                },
            },
        },
    )
    return Blueprint(*made, slow)
"""


@pytest.fixture(scope="module")
def many(lab: Lab) -> Lab:
    lab.blueprint("many", MANY)
    return lab


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def buckets(lab: Lab, stack: str) -> set[str]:
    return {bucket["Name"] for bucket in lab.client(stack, "s3").list_buckets()["Buckets"]}


def recorded(lab: Lab, stack: str) -> dict[str, Any]:
    """The one run that the stack's history has."""
    [record] = (lab.root / ".mlinfra" / "history" / f"{stack}.jsonl").read_text().splitlines()
    return dict(json.loads(record))


def whole_again(lab: Lab, stack: str, count: int = 40) -> None:
    """The next up makes the stack whole, nothing twice, and the one after that finds nothing to do."""
    lab.report("up", "--stack", stack, "--yes")
    assert buckets(lab, stack) == {f"many-{i}" for i in range(count)}
    assert set(lab.report("up", "--stack", stack, "--yes")["counts"]) == {"same"}


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(many: Lab, times: int) -> None:
    lab, stack = many, f"interrupted-{'once' if times == 1 else 'twice'}"
    lab.stack(stack, blueprint="many")
    lab.run("local", "up", "--stack", stack)
    client = lab.client(stack, "s3")
    process = lab.start("up", "--stack", stack, "--yes")
    wait_until(lambda: bool(client.list_buckets()["Buckets"]))
    interrupt(process, times, pause=0.05)
    ran = lab.end(process)
    assert ran.code == 1
    assert "interrupted" in ran.err
    assert "the same command again" in ran.err
    assert "Traceback" not in ran.err
    whole_again(lab, stack)


ON_TERMINAL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize("closes", [False, True])
def test_at_a_terminal(many: Lab, closes: bool) -> None:
    """It asks, and is told yes; then the terminal stays, or is closed in the middle, which interrupts it."""
    lab, stack = many, "terminal-closed" if closes else "terminal"
    count = 300 if closes else 40
    lab.stack(stack, blueprint="many", params={"count": count})
    lab.run("local", "up", "--stack", stack)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", ON_TERMINAL, *COMMAND, "up", "--stack", stack]
    process = subprocess.Popen(
        command, cwd=lab.root, env={**lab.variables(), "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""

    def shows(text: bytes) -> bool:
        nonlocal seen
        if select.select([ours], [], [], 0)[0]:
            with suppress(OSError):  # Linux tells so that nobody writes any more
                seen += os.read(ours, 1 << 16)
        return text in seen

    wait_until(lambda: shows(b"[yes/no]"))
    os.write(ours, b"yes\n")
    wait_until(lambda: shows(b"created"))
    if closes:
        os.close(ours)
        assert process.wait(60) == 1
    else:
        wait_until(lambda: shows(b"takes it all away"))
        assert process.wait(60) == 0
        os.close(ours)
    assert recorded(lab, stack)["interrupted"] is closes
    whole_again(lab, stack, count)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_update_of_which_nobody_reads_goes_on_to_its_end(many: Lab, options: tuple[str, ...]) -> None:
    """As in `mlinfra up --yes 2>&1 | head -1`."""
    lab, stack = many, f"unread{''.join(options)}"
    lab.stack(stack, blueprint="many")
    lab.run("local", "up", "--stack", stack)
    process = lab.start("up", "--stack", stack, "--yes", *options)
    assert process.stdout
    assert process.stderr
    read, other = (process.stdout, process.stderr) if options else (process.stderr, process.stdout)
    other.close()
    read.readline()
    read.close()
    assert process.wait(240) == 0
    assert recorded(lab, stack)["succeeded"] is True
    assert buckets(lab, stack) == {f"many-{i}" for i in range(40)}
    assert set(lab.report("up", "--stack", stack, "--yes")["counts"]) == {"same"}


def test_a_run_that_was_killed_is_repaired_by_the_next(many: Lab) -> None:
    lab = many
    lab.stack("killed", blueprint="many")
    lab.run("local", "up", "--stack", "killed")
    client = lab.client("killed", "s3")
    process = lab.start("up", "--stack", "killed", "--yes")
    wait_until(lambda: bool(client.list_buckets()["Buckets"]))
    process.kill()
    process.communicate()
    whole_again(lab, "killed")


def test_one_run_at_a_time(many: Lab) -> None:
    lab = many
    lab.stack("busy", blueprint="many")
    lab.run("local", "up", "--stack", "busy")
    client = lab.client("busy", "s3")
    first = lab.start("up", "--stack", "busy", "--yes")
    wait_until(lambda: bool(client.list_buckets()["Buckets"]))
    second = lab.run("up", "--stack", "busy", "--yes", "--json", code=None)
    if first.poll() is None or second.code:
        [problem] = [item for item in second.lines("diagnostic") if item["severity"] == "error"]
        assert problem["code"] == "locked"
        assert str(first.pid) in problem["detail"]
    assert lab.end(first).code == 0
    whole_again(lab, "busy")


@pytest.mark.slow
def test_a_moto_that_was_killed_is_filled_again(many: Lab) -> None:
    lab = many
    lab.stack("forgetful", blueprint="many")
    lab.report("up", "--stack", "forgetful", "--yes")
    status = lab.run("local", "status", "--json").lines("local")
    assert next(item for item in status if item["name"] == "forgetful")["well"]
    record = json.loads((lab.root / ".mlinfra" / "local" / "moto" / "server.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    ran = lab.run("up", "--stack", "forgetful", "--yes")
    assert "has lost what it held" in ran.err
    whole_again(lab, "forgetful")
    assert lab.report("refresh", "--stack", "forgetful")["steps"] == []


def test_a_full_disk_is_said_plainly(many: Lab) -> None:
    """In a mount namespace of its own, with the project on a file system of two megabytes."""
    lab = many
    small = lab.root.parent / "small"
    small.mkdir()
    fill = f"dd if=/dev/zero of={small}/filler bs=1k count=99999 2>/dev/null"
    script = (
        f"mount -t tmpfs -o size=2m none {small} && cp -r {lab.root}/blueprints {lab.root}/stacks {small} && "
        f"cd {small} && {fill}; exec {' '.join(COMMAND)} up --stack full --yes"
    )
    lab.stack("full", blueprint="many")
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env=lab.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "No space left on device" in ran.stderr
    assert "Free some space" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_missing_tool_without_a_network_names_what_was_tried(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("cache")
    variables = {key: value for key, value in lab.variables().items() if not key.startswith("MLINFRA_TOOL_")} | {
        "MLINFRA_CACHE": str(empty),
        "PATH": "/usr/bin:/bin",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "GOPROXY": "off",
        "PIP_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "PIP_FIND_LINKS": "",
    }
    lab.blueprint("many", MANY)
    lab.stack("toolless", blueprint="many")
    ran = subprocess.run(
        [sys.executable, "-m", "mlinfra", "up", "--stack", "toolless", "--yes"],
        cwd=lab.root,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "pulumi" in ran.stderr
    assert "→" in ran.stderr
    assert "Traceback" not in ran.stderr
