"""The stock engine on the service: every command, kills, races, and no secret in the open anywhere."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.verb import Verb
from mlinfra.project import Project
from mlinfra.report import Event, Operation, Printed
from mlinfra.state.service import serve_state, states_of
from mlinfra.tools.install import ensure
from tests.state.running import OTHER_SECRET, PROJECT_NAME, SECRET, opened

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.chaos  # the real engine, dozens of runs, some of them killed


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    ensure(["pulumi"])


def changes(counts: Any) -> dict[Operation, int]:
    return {key: value for key, value in counts.items() if key is not Operation.SAME}


def start(root: Path, verb: str, count: int = 40, stack: str = "dev") -> subprocess.Popen[str]:
    """A run in a process of its own; returns once its stack is open."""
    command = [sys.executable, "-m", "tests.state.running", str(root), "service", stack, str(count), verb]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline(), "it ended before it began"
    return process


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something to happen while a process runs."""
    while not true():
        assert process.poll() is None, "the process ended first"
        time.sleep(0.005)


# ------------------------------------------------------------------------------------------------ every command


def test_every_command_of_the_engine(tmp_path: Path) -> None:
    with opened(tmp_path) as stack:
        assert stack.run(Verb.PREVIEW).counts[Operation.CREATE] == 3
        up = stack.run(Verb.UP)
        assert (up.succeeded, stack.names(), stack.made()) == (True, stack.made(), ["data-t0", "data-t1", "data-t2"])
        assert changes(stack.run(Verb.UP).counts) == {}
        assert stack.run(Verb.UP, value="2").counts[Operation.UPDATE] == 3
        (stack.cloud / "data-t1").unlink()
        assert stack.run(Verb.REFRESH).succeeded
        assert stack.names() == ["data-t0", "data-t2"]
        assert stack.run(Verb.UP, value="2").counts[Operation.CREATE] == 1

        assert stack.pulumi("stack", "output", "password", "--show-secrets", "--stack", "dev").strip() == SECRET
        whole = stack.pulumi("stack", "export", "--stack", "dev")
        assert SECRET not in whole
        file = tmp_path / "exported.json"
        file.write_text(whole)
        stack.pulumi("stack", "import", "--stack", "dev", "--file", str(file))
        again = stack.pulumi("stack", "export", "--stack", "dev")
        assert comparable(json.loads(again)) == comparable(json.loads(whole))
        assert changes(stack.run(Verb.UP, value="2").counts) == {}

        stack.pulumi("stack", "tag", "set", "team", "ml", "--stack", "dev")
        assert stack.pulumi("stack", "tag", "get", "team", "--stack", "dev").strip() == "ml"
        history = json.loads(stack.pulumi("stack", "history", "--stack", "dev", "--json"))
        assert [item["kind"] for item in history][-1] == "update"
        assert "dev" in stack.pulumi("stack", "ls", "--json")
        stack.pulumi("config", "set", "--secret", "answer", "forty-two", "--stack", "dev")
        assert stack.pulumi("config", "get", "answer", "--stack", "dev").strip() == "forty-two"
        stack.pulumi("config", "rm", "answer", "--stack", "dev")
        assert "cancelled" not in stack.pulumi("cancel", "--yes", "--stack", "dev", code=255)  # there is nothing to

        urn = next(item["urn"] for item in stack.session.resources() if item["urn"].endswith("data/t2"))
        stack.pulumi("state", "delete", urn, "--yes", "--stack", "dev")
        assert stack.names() == ["data-t0", "data-t1"]
        stack.run(Verb.UP, value="2")
        refused = stack.pulumi("stack", "rm", "--yes", "--stack", "dev", code=255)
        assert "still has resources" in refused
        assert changes(stack.run(Verb.DESTROY).counts) == {Operation.DELETE: 3}
        assert stack.made() == []
        stack.pulumi("stack", "rm", "--yes", "--stack", "dev")
        assert not stack.session.backend.states.exists(PROJECT_NAME, "dev")


def test_a_renamed_stack_has_nothing_to_do(tmp_path: Path) -> None:
    with opened(tmp_path) as stack:
        stack.run(Verb.UP)
        stack.pulumi("stack", "rename", "prod", "--stack", "dev")
        assert not stack.backend.states.exists(PROJECT_NAME, "dev")
    with opened(tmp_path, stack="prod") as stack:
        renamed = stack.run(Verb.UP)
        assert (renamed.succeeded, changes(renamed.counts)) == (True, {})


@pytest.mark.parametrize("again", ["files", "service"])
def test_a_stack_may_change_its_backend_and_back(tmp_path: Path, again: str) -> None:
    """Each backend has a state of its own; what one leaves in the work folder does not stand in the other's way."""
    for url in ("files", "service", again):
        with opened(tmp_path, url) as stack:
            assert stack.run(Verb.UP).succeeded
            assert stack.pulumi("stack", "output", "password", "--show-secrets", "--stack", "dev").strip() == SECRET


def test_the_state_is_what_the_engines_own_backend_keeps(tmp_path: Path) -> None:
    found: dict[str, list[Any]] = {"files": [], "service": []}
    for url, states in found.items():
        with opened(tmp_path / url, url) as stack:
            for verb, value in ((Verb.UP, "1"), (Verb.UP, "2"), (Verb.REFRESH, "2")):
                assert stack.run(verb, value=value).succeeded
                states.append(comparable(json.loads(stack.pulumi("stack", "export", "--stack", "dev"))))
    assert found["files"][:2] == found["service"][:2]
    # After a refresh the engine's journal leaves out that a property depends on nothing: `rebuildDependencies` in
    # pkg/backend/journal.go. The meaning is the same.
    assert [without_empty(item) for item in found["files"]] == [without_empty(item) for item in found["service"]]


def comparable(whole: Any) -> Any:
    """An export without what is another in every run: times, ciphertexts, the provider's id, the secrets manager."""
    if isinstance(whole, dict):
        left = {"created", "modified", "time", "ciphertext", "secrets_providers"}
        items = {key: comparable(value) for key, value in whole.items() if key not in left}
        if isinstance(items.get("resources"), list):  # of the origin, a mapping by component
            items["resources"].sort(key=lambda item: item["urn"])
        return items
    if isinstance(whole, str):
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", whole)
    return [comparable(item) for item in whole] if isinstance(whole, list) else whole


def without_empty(whole: Any) -> Any:
    for item in whole["deployment"]["resources"]:
        by_property = item.pop("propertyDependencies", {})
        item["propertyDependencies"] = {key: urns for key, urns in by_property.items() if urns}
    return whole


# ---------------------------------------------------------------------------------------------------- secrets


def test_no_secret_stands_anywhere_in_the_open(tmp_path: Path) -> None:
    """In nothing that is written or told, after an update, a failure that prints one, an import that does not match
    what is there, and a kill."""
    with opened(tmp_path) as stack:
        tokens = [stack.backend.environment["PULUMI_ACCESS_TOKEN"]]
        assert stack.run(Verb.UP).succeeded
        events: list[Event] = []
        failed = stack.run(Verb.UP, failing=True, emit=events.append)
        assert not failed.succeeded
        assert any(isinstance(event, Printed) and event.text for event in events)
        assert SECRET not in f"{failed.diagnostics} {failed.steps} {events}"
        (stack.cloud / "there").touch()
        mismatched = stack.run(Verb.UP, importing="there", emit=events.append)
        # The engine of version 3.222.0 imports what is there as it is, then updates it to what the program wants.
        assert changes(mismatched.counts) == {Operation.IMPORT: 1, Operation.UPDATE: 1}
        told = f"{mismatched.diagnostics} {mismatched.steps} {events}"
        assert SECRET not in told
        assert OTHER_SECRET not in told
        stack.run(Verb.UP)
        assert written_with(tmp_path, SECRET, OTHER_SECRET, *tokens) == []
    process = start(tmp_path, "up")
    until(lambda: len(list((tmp_path / "cloud-dev").iterdir())) > 8, process)
    process.kill()
    process.wait()
    end_engines(tmp_path)
    assert written_with(tmp_path, SECRET, *tokens) == []
    with opened(tmp_path) as stack:
        assert stack.run(Verb.UP).succeeded
    assert written_with(tmp_path, SECRET, *tokens) == []
    # What killed runs left of their credentials is gone too.
    assert list((tmp_path / ".mlinfra" / "state").glob("run-*")) == []


def written_with(root: Path, *texts: str) -> list[str]:
    """Files that hold one of the texts; what is a file in memory is not written."""
    found = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [f"{path}: {text}" for text in texts if text.encode() in data]
    return found


# ------------------------------------------------------------------------------------------- one at a time


RACER = """
import sys, time
from pathlib import Path
from mlinfra.project import Project
from mlinfra.state import updates
from mlinfra.state.refused import RefusedError
from mlinfra.state.service import serve_state
from mlinfra.state.stacks import Name, need
root = Path(sys.argv[1])
with serve_state(Project(root)) as service:
    with service.states.store.transaction() as tx:
        stack = need(tx, Name("organization", "demo", "dev"))
        identity = updates.create(tx, stack, updates.Asked("update", False, "racer"))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with service.states.store.transaction() as tx:
            stack = need(tx, stack.name)
            updates.start(tx, stack, updates.find(tx, stack, identity))
        print("works", flush=True)
    except RefusedError as refused:
        print(refused.text, flush=True)
    sys.stdin.readline()
"""


def test_of_twenty_processes_one_works_and_nineteen_say_so(tmp_path: Path) -> None:
    with states_of(Project(tmp_path)) as states, states.hold("demo", "dev", "making the stack"):
        pass
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(20)
    ]
    try:
        assert [read(racer) for racer in racers] == ["ready"] * 20
        for racer in racers:
            write(racer)
        said = [read(racer) for racer in racers]
        assert said.count("works") == 1, said
        holder = racers[said.index("works")].pid
        others = [text for text in said if text != "works"]
        assert all(text.startswith("Conflict: Another update") and f"process {holder} on" in text for text in others)
        # Killed, the holder counts for nothing from then on.
        racers[said.index("works")].kill()
        racers[said.index("works")].wait()
        with states_of(Project(tmp_path)) as states:
            assert [item.code for item in states.settle("demo", "dev")] == ["repaired"]
            assert states.settle("demo", "dev") == []
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def write(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_work_on_two_stacks_of_one_database(tmp_path: Path) -> None:
    Project(tmp_path).folder("state")
    processes = [start(tmp_path, "up", 30, stack) for stack in ("one", "two")]
    for process in processes:
        out, _ = process.communicate()
        assert json.loads(out) == {"succeeded": True, "diagnostics": []}
    with states_of(Project(tmp_path)) as states:
        assert states.verify() == []
        for name in ("one", "two"):
            assert len(states.show(PROJECT_NAME, name, 1)["resources"]) == 33


def test_a_second_update_is_refused_and_a_cancelled_one_stops(tmp_path: Path) -> None:
    process = start(tmp_path, "up", 400)
    until(lambda: len(list((tmp_path / "cloud-dev").iterdir())) > 4, process)
    with serve_state(Project(tmp_path)) as service:
        states = service.states
        with pytest.raises(Exception, match="in use"):
            states.settle(PROJECT_NAME, "dev")
        assert str(process.pid) in states.cancel(PROJECT_NAME, "dev")
        assert states.cancel(PROJECT_NAME, "dev") == ""
    out, _ = process.communicate()
    assert json.loads(out)["succeeded"] is False
    with opened(tmp_path) as stack:
        assert stack.run(Verb.UP, 400).succeeded
        assert stack.names() == stack.made()


# ------------------------------------------------------------------------------------------------- kills


@pytest.fixture(params=["mlinfra", "engine"])
def victim(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("verb", ["up", "destroy"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 11))])
def test_killed_in_the_middle_the_next_run_is_whole(tmp_path: Path, victim: str, verb: str, seed: int) -> None:
    chance, count = random.Random(f"{victim}-{verb}-{seed}"), 60
    if verb == "destroy":
        with opened(tmp_path) as stack:
            assert stack.run(Verb.UP, count).succeeded
    before = len(list((tmp_path / "cloud-dev").iterdir())) if verb == "destroy" else 0
    process = start(tmp_path, verb, count)
    enough = chance.randrange(1, count - 10)
    cloud = tmp_path / "cloud-dev"
    until(lambda: abs(len(list(cloud.iterdir())) - before) >= enough, process)
    for pid in engines_of(process.pid) if victim == "engine" else [process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    with opened(tmp_path) as stack:
        # Of a deletion that was cut off nobody knows whether it took effect: what is left is read anew.
        assert stack.run(Verb.UP, count, refresh=True).succeeded
        assert stack.names() == stack.made()
        assert changes(stack.run(Verb.UP, count).counts) == {}
        assert stack.run(Verb.DESTROY, count).succeeded
        assert (stack.names(), stack.made()) == ([], [])
    with states_of(Project(tmp_path)) as states:
        assert states.verify() == []
    end_engines(tmp_path)


def engines_of(pid: int) -> list[int]:
    """The `pulumi` processes that a process started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def end_engines(root: Path) -> None:
    """End the engines that a killed process left; they ask a while for a service that is gone."""
    for path in Path("/proc").glob("[0-9]*/cwd"):
        if _points_to(path, root):
            with suppress(ProcessLookupError):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _points_to(link: Path, root: Path) -> bool:
    try:
        return link.readlink().is_relative_to(root)
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _no_passphrase_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)


def test_a_run_that_was_expected_to_change_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as stack:
        assert stack.run(Verb.UP, expects_changes=False).counts[Operation.CREATE] == 3
        assert stack.names() == stack.made() == ["data-t0", "data-t1", "data-t2"]
        assert changes(stack.run(Verb.UP, expects_changes=False).counts) == {}
        told = [stack.session.environment(expects_changes=expected) for expected in (True, False)]
        assert [key for key in told[0] if told[0][key] != told[1][key]] == ["PULUMI_JOURNALING_BATCH_PERIOD"]


def test_what_the_engine_is_told(tmp_path: Path) -> None:
    with serve_state(Project(tmp_path)) as service, serve_state(Project(tmp_path)) as other:
        environment = service.environment()
        assert environment["PULUMI_BACKEND_URL"].startswith("http://127.0.0.1:")
        assert environment["PULUMI_ENABLE_JOURNALING"] == "true"
        assert environment["PULUMI_ACCESS_TOKEN"] != other.environment()["PULUMI_ACCESS_TOKEN"]
        folder = Path(environment["PULUMI_CREDENTIALS_PATH"])
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
