"""A stack's state, by the commands: its versions, going back, damage, cancelling, and moving without a loss."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mlinfra.project import Project
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from tests.e2e.conftest import Lab, new_lab

pytestmark = pytest.mark.e2e

SECRET = "canary-of-the-state-5d1c"
BLUEPRINT = """
from mlinfra import Blueprint, Environment, Params, Raw, Secret, blueprint


class Values(Params):
    value: str = "one"
    secret: str = "SECRET"
    more: bool = False
    count: int = 0


@blueprint("kept", version="1.0.0")
def kept(env: Environment, p: Values) -> Blueprint:
    inputs = {"name": "/hidden", "type": "SecureString", "value": Secret(p.secret)}
    hidden = Raw("hidden", type="aws:ssm/parameter:Parameter", inputs=inputs)
    topics = [Raw("topic", type="aws:sns/topic:Topic", inputs={"name": "topic", "displayName": p.value})]
    if p.more:
        topics.append(Raw("more", type="aws:sns/topic:Topic", inputs={"name": "more"}))
    many = [Raw(f"b{i}", type="aws:s3/bucket:Bucket", inputs={"bucket": f"kept-{i}"}) for i in range(p.count)]
    return Blueprint(hidden, *topics, *many, outputs={"hidden": hidden.output("value")})
""".replace("SECRET", SECRET)


@pytest.fixture(scope="module")
def kept(lab: Lab) -> Lab:
    lab.blueprint("kept", BLUEPRINT)
    return lab


def until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def rows(lab: Lab, *arguments: str, kind: str) -> list[dict[str, Any]]:
    return lab.run("state", *arguments, "--json").lines(kind)


def refusal(lab: Lab, *arguments: str) -> dict[str, Any]:
    """The one error that a command ends with."""
    [told] = [item for item in lab.run(*arguments, "--json", code=1).lines("diagnostic") if item["severity"] == "error"]
    return told


def test_versions_are_listed_shown_compared_and_restored(kept: Lab) -> None:
    lab, stack = kept, ("--stack", "past")
    lab.stack("past", blueprint="kept")
    lab.report("up", *stack, "--yes")
    lab.stack("past", blueprint="kept", params={"value": "two", "secret": f"{SECRET}-2", "more": True})
    lab.report("up", *stack, "--yes")

    listed = rows(lab, "list", *stack, kind="version")
    assert [(item["version"], item["verb"], item["result"]) for item in listed] == [
        (2, "up", "succeeded"),
        (1, "up", "succeeded"),
    ]
    assert listed[0]["changes"]["update"] >= 2
    assert listed[0]["changes"]["create"] == 2  # the resource, and its component
    assert all("@" in item["who"] and item["time"].endswith("Z") for item in listed)

    found = {item["node"]: item for item in rows(lab, "diff", *stack, "1", "2", kind="difference")}
    assert found["more/resource"]["operation"] == "create"
    assert {"path": "inputs.displayName", "kind": "update", "old": "one", "new": "two"} in found["topic/resource"][
        "changes"
    ]
    hidden = {item["path"]: item["kind"] for item in found["hidden/resource"]["changes"]}
    assert hidden["inputs.value"] == hidden["outputs.value"] == "secret changed"

    [shown] = rows(lab, "show", *stack, "1", kind="state")
    [resource] = [item for item in shown["deployment"]["resources"] if item["urn"].endswith("::hidden/resource")]
    assert resource["inputs"]["value"] == "[secret]"
    whole = lab.run("state", "show", *stack, "--json").out
    assert SECRET not in whole
    assert "ciphertext" not in whole
    raw = lab.run("state", "show", *stack, "--json", "--raw").out
    assert SECRET not in raw
    assert "ciphertext" in raw
    told = lab.run("state", "show", *stack).out
    assert "more/resource" in told
    assert "aws:sns/topic:Topic" in told
    assert refusal(lab, "state", "show", *stack, "7")["code"] == "state-version"

    assert refusal(lab, "state", "restore", *stack, "1")["code"] == "confirmation"
    restored = lab.run("state", "restore", *stack, "1", "--yes")
    assert "as version 3" in restored.out
    assert "mlinfra refresh --stack past" in restored.out
    assert rows(lab, "diff", *stack, "1", "3", kind="difference") == []
    assert rows(lab, "list", *stack, kind="version")[0]["message"] == "version 1 restored"


@pytest.mark.slow
def test_a_state_that_is_elsewhere_is_not_made_a_second_time(kept: Lab) -> None:
    """Moved from the service to files and back, with everything that was there; and refused wherever it is not."""
    lab, stack = kept, ("--stack", "moving")
    lab.stack("moving", blueprint="kept")
    lab.report("up", *stack, "--yes")
    lab.stack("moving", blueprint="kept", state={"backend": "files"})
    for verb in ("preview", "destroy"):
        told = refusal(lab, verb, *stack, *(["--yes"] if verb == "destroy" else []))
        assert told["code"] == "state-elsewhere"
        assert "mlinfra state move --stack moving --from service --to files" in told["remedy"]
    moved = lab.run("state", "move", *stack, "--from", "service", "--to", "files", "--yes")
    assert "state: {backend: files}" in moved.out
    assert SECRET not in moved.out + moved.err
    assert set(lab.report("preview", *stack)["counts"]) == {"same"}
    assert lab.run("outputs", *stack, "--show-secrets", "--json").lines("outputs")[0]["outputs"]["hidden"] == SECRET
    assert [item["verb"] for item in rows(lab, "list", *stack, "--at", "service", kind="version")] == ["up"]
    assert refusal(lab, "state", "show", *stack, "1")["code"] == "state-version"

    lab.stack("moving", blueprint="kept")
    for arguments in (("up", "--yes"), ("outputs",)):
        told = refusal(lab, arguments[0], *stack, *arguments[1:])
        assert told["code"] == "state-moved"
        assert 'state: {backend: "files"}' in told["remedy"]
    assert refusal(lab, "state", "move", *stack, "--from", "service", "--to", "files", "--yes")["code"] == "state-moved"
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in lab.written() if not path.is_relative_to(lab.root / ".mlinfra" / "local")
    )


@pytest.mark.slow
def test_a_run_that_is_cancelled_stops_and_loses_nothing(kept: Lab) -> None:
    lab, stack = kept, ("--stack", "cancelled")
    lab.stack("cancelled", blueprint="kept", params={"count": 100})
    lab.run("local", "up", *stack)
    client = lab.client("cancelled", "s3")
    process = lab.start("up", *stack, "--yes", "--json")
    with states_of(Project(lab.root)) as states:
        until(lambda: bool(client.list_buckets()["Buckets"]))
        # The command takes a second to start, in which the run might end.
        assert f"process {process.pid} on" in states.cancel("kept", "cancelled")
        ran = lab.end(process)
        assert ran.code == 1
        codes = [item["code"] for item in ran.lines("diagnostic") if item["severity"] == "error"]
        assert "cancelled" in codes, ran.out
        assert "internal" not in codes
        assert len(client.list_buckets()["Buckets"]) < 100
        with states.hold("kept", "cancelled", "up"):
            told = refusal(lab, "up", *stack, "--yes")
            assert (told["code"], "mlinfra cancel --stack cancelled" in told["remedy"]) == ("locked", True)
            taken = lab.run("cancel", *stack, "--yes", "--json").lines("message")[0]
            assert (taken["cancelled"], f"process {os.getpid()} on" in taken["holder"]) == (True, True)
    lab.report("up", *stack, "--yes")
    assert len(client.list_buckets()["Buckets"]) == 100
    assert set(lab.report("preview", *stack)["counts"]) == {"same"}
    assert "Nobody had cancelled" in lab.run("cancel", *stack, "--yes").out


def test_a_damaged_database_is_found(kept: Lab, tmp_path: Path) -> None:
    """In a copy of the project's states: bytes of a deployment are flipped, then pages of the file."""
    lab = new_lab(tmp_path)
    lab.stack("none", blueprint="kept")
    assert lab.run("state", "verify").out.strip() == "All states are whole."
    with states_of(Project(lab.root)) as states:
        states.replace("kept", "none", Untyped(deployment={"manifest": {}, "resources": []}), "made by hand")
    file = lab.root / ".mlinfra" / "state" / "state.db"
    assert lab.run("state", "verify", "--stack", "none").out.strip() == "The state of none is whole."
    with sqlite3.connect(file) as database:
        database.execute("UPDATE deployments SET sealed = CAST(substr(sealed, 1, 40) || 'x' AS BLOB)")
    database.close()
    told = refusal(lab, "state", "verify")
    assert told["code"] == "state-damaged"
    assert "deployments/1/1" in told["detail"]
    content = bytearray(file.read_bytes())
    content[4096:12288] = bytes(byte ^ 0xFF for byte in content[4096:12288])
    file.write_bytes(content)
    assert refusal(lab, "state", "verify")["code"] == "state-damaged"


def keyed(lab: Lab, *arguments: str) -> dict[str, Any]:
    """The report of a run whose engine asks KMS.

    Its SDK now and then loses an answer that came (github.com/aws/aws-sdk-go-v2/issues/1825), before anything is done.
    The error says to run the command again.
    """
    try:
        return lab.report(*arguments)
    except AssertionError as error:
        if not all(words in str(error) for words in ("KMS: Decrypt", "use of closed network connection")):
            raise
    return lab.report(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["service", "files"])
def test_secrets_are_encrypted_with_a_key_of_kms(kept: Lab, place: str) -> None:
    """Every command uses the key, with the user's credentials; without those no secret of the state can be read."""
    lab, name = kept, f"keyed-{place}"
    lab.stack("keys", blueprint="kept")
    lab.run("local", "up", "--stack", "keys")
    keys = lab.client("keys", "kms")
    key = keys.create_key()["KeyMetadata"]["KeyId"]
    provider = f"awskms:///{key}?region=us-east-1&awssdk=v2"
    lab.stack(name, blueprint="kept", state={"backend": place, "secrets_provider": provider})
    lab.environment.update({key: value for key, value in lab.access("keys").items() if key.startswith("AWS_")})
    try:
        keyed(lab, "up", "--stack", name, "--yes")
        [shown] = lab.run("outputs", "--stack", name, "--show-secrets", "--json").lines("outputs")
        assert shown["outputs"]["hidden"] == SECRET
        [state] = rows(lab, "show", "--stack", name, "--raw", kind="state")
        assert state["deployment"]["secrets_providers"]["type"] == "cloud"
        assert set(keyed(lab, "preview", "--stack", name)["counts"]) == {"same"}
        seen = dict(lab.environment)
        lab.environment.clear()  # who may not use the key reads no secret
        told = lab.run("outputs", "--stack", name, "--show-secrets", "--json", code=1)
        assert SECRET not in told.out + told.err
        lab.environment.update(seen)
        keyed(lab, "destroy", "--stack", name, "--yes")
    finally:
        lab.environment.clear()
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in lab.written() if not path.is_relative_to(lab.root / ".mlinfra" / "local")
    )


@pytest.mark.slow
def test_a_state_goes_round_every_place_and_loses_nothing(kept: Lab, tmp_path: Path) -> None:
    lab, stack = kept, ("--stack", "round")
    lab.stack("round", blueprint="kept")
    lab.report("up", *stack, "--yes")
    client = lab.client("round", "s3")
    client.create_bucket(Bucket="states")
    seen = lab.access("round")
    endpoint = seen["AWS_ENDPOINT_URL"].removeprefix("http://")
    bucket = f"s3://states?region=us-east-1&endpoint={endpoint}&disableSSL=true&s3ForcePathStyle=true"
    lab.environment |= {
        "PULUMI_CONFIG_PASSPHRASE": "of the team",
        "AWS_ACCESS_KEY_ID": seen["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": seen["AWS_SECRET_ACCESS_KEY"],
    }
    whole = rows(lab, "show", *stack, kind="state")[0]["deployment"]
    places = ["service", f"file://{tmp_path}", bucket, "files", "service"]
    for origin, to in pairwise(places):
        [told] = lab.run("state", "move", *stack, "--to", to, "--yes", "--json").lines("message")
        assert json.dumps(to)[1:-1] in told["line"]
        assert refusal(lab, "preview", *stack)["code"] == "state-moved", origin
        lab.stack("round", blueprint="kept", state={"backend": to})
        assert set(lab.report("preview", *stack)["counts"]) == {"same"}
        shown = rows(lab, "show", *stack, kind="state")[0]["deployment"]
        assert shown["resources"] == whole["resources"]
        outputs = lab.run("outputs", *stack, "--show-secrets", "--json").lines("outputs")[0]["outputs"]
        assert outputs["hidden"] == SECRET
    lab.report("up", *stack, "--yes")
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
