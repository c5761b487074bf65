"""Values of secrets through the real engine: got once, kept, changed on purpose, never shown."""

from __future__ import annotations

import base64
import os
import pty
import sys
from typing import Any

import pytest

from tests.e2e.conftest import COMMAND, Lab, Ran

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FIRST, SECOND, TYPED = "canary-first-51c0", "canary-second-9d2e", "canary-typed-77aa"
BLUEPRINT = """
from mlinfra import (
    Blueprint, Endpoint, Environment, FromEnvironment, FromPrompt, Generated, ManagedSecret, Params, TrainingCluster,
    blueprint,
)


class Values(Params):
    generation: int = 1
    asks: bool = False


@blueprint("vault", version="1.0.0")
def vault(env: Environment, p: Values) -> Blueprint:
    cluster = TrainingCluster("team")
    made = ManagedSecret("made-up", value_from=Generated(length=40), generation=p.generation, in_cluster=[cluster])
    token = ManagedSecret("hub-token", value_from=FromEnvironment("HUB_TOKEN"), in_cluster=[cluster])
    api = Endpoint("api", cluster=cluster, reads=[made, token])
    typed = [ManagedSecret("typed", value_from=FromPrompt(question="The master key:"))] if p.asks else []
    return Blueprint(api, *typed, outputs={"token": token.value, "arn": token.arn})
"""


def clean(lab: Lab, *runs: Ran, more: tuple[str, ...] = ()) -> None:
    """No value in what was printed or written, but for what stands in for AWS and Kubernetes themselves."""
    values = [FIRST, SECOND, TYPED, *more]
    forms = [form for value in values for form in (value.encode(), base64.b64encode(value.encode()).rstrip(b"=")[:-1])]
    for ran in runs:
        assert not any(form in (ran.out + ran.err).encode() for form in forms)
    for path in lab.written():
        if not path.is_relative_to(lab.root / ".mlinfra" / "local"):
            content = path.read_bytes()
            assert not any(form in content for form in forms), path


def stored(lab: Lab, stack: str, name: str) -> str:
    """The value in Secrets Manager."""
    secret = f"vault-{stack}-{name}"
    return str(lab.client(stack, "secretsmanager").get_secret_value(SecretId=secret)["SecretString"])


def in_cluster(lab: Lab, stack: str, name: str) -> str:
    """The value in the Kubernetes Secret."""
    kept: dict[str, Any] = lab.kubectl(stack, "get", "secret", name, "--namespace", f"vault-{stack}-team")
    return base64.b64decode(kept["data"]["value"]).decode()


def test_values_are_got_once_and_kept(lab: Lab) -> None:
    lab.blueprint("vault", BLUEPRINT)
    lab.stack("dev", blueprint="vault")
    refused = lab.run("up", "--stack", "dev", "--yes", "--json", code=1)
    (told,) = [item for item in refused.lines("diagnostic") if item["severity"] == "error"]
    assert (told["code"], told["component"]) == ("secret-missing", "hub-token")
    assert "export HUB_TOKEN=" in told["remedy"]
    assert not refused.lines("step")
    plan = lab.run("preview", "--stack", "dev", "--json")
    assert [item["code"] for item in plan.lines("diagnostic")] == ["endpoint-waits", "secret-missing"]

    lab.environment["HUB_TOKEN"] = FIRST
    ran = [lab.run("up", "--stack", "dev", "--yes", "--json", "--debug"), lab.run("graph", "--stack", "dev", "--json")]
    made = stored(lab, "dev", "made-up")
    assert len(made) == 40
    assert in_cluster(lab, "dev", "made-up") == made
    assert stored(lab, "dev", "hub-token") == in_cluster(lab, "dev", "hub-token") == FIRST
    shown = lab.run("outputs", "--stack", "dev", "--show-secrets", "--json").lines("outputs")
    assert shown[0]["outputs"]["token"] == FIRST

    del lab.environment["HUB_TOKEN"]
    for verb in (["up", "--yes"], ["up", "--yes", "--refresh"], ["refresh"]):
        ran.append(lab.run(*verb, "--stack", "dev", "--json", "--debug"))
        assert set(ran[-1].lines("report")[0]["counts"]) == {"same"}, verb
    ran.append(lab.run("preview", "--stack", "dev", "--json"))
    assert [item["code"] for item in ran[-1].lines("diagnostic")] == ["endpoint-waits"]
    assert (stored(lab, "dev", "made-up"), stored(lab, "dev", "hub-token")) == (made, FIRST)

    lab.environment["HUB_TOKEN"] = SECOND
    ran.append(lab.run("up", "--stack", "dev", "--yes", "--debug"))
    assert stored(lab, "dev", "hub-token") == in_cluster(lab, "dev", "hub-token") == SECOND
    assert stored(lab, "dev", "made-up") == made
    del lab.environment["HUB_TOKEN"]
    lab.stack("dev", blueprint="vault", params={"generation": 2})
    ran.append(lab.run("up", "--stack", "dev", "--yes", "--debug"))
    another = stored(lab, "dev", "made-up")
    assert another != made
    assert in_cluster(lab, "dev", "made-up") == another
    assert stored(lab, "dev", "hub-token") == SECOND

    clean(lab, *ran, more=(made, another))
    ran.append(lab.run("destroy", "--stack", "dev", "--yes", "--debug"))
    clean(lab, *ran, more=(made, another))


def typing(lab: Lab, *arguments: str, types: str) -> tuple[int, str]:
    """Run a command at a terminal of its own and type a line when it asks; its exit code and what the screen showed."""
    child, screen = pty.fork()
    if child == 0:
        os.chdir(lab.root)
        os.execve(sys.executable, [*COMMAND, *arguments], lab.variables())
    shown, typed = b"", False
    while True:
        try:
            chunk = os.read(screen, 4096)
        except OSError:  # how Linux tells the end
            break
        if not chunk:
            break
        shown += chunk
        if not typed and b"The master key:" in shown:
            os.write(screen, types.encode() + b"\n")
            typed = True
    _, status = os.waitpid(child, 0)
    os.close(screen)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_a_person_is_asked_once(lab: Lab) -> None:
    lab.blueprint("vault", BLUEPRINT)
    lab.stack("asked", blueprint="vault", params={"asks": True}, state={"backend": "files"})
    lab.environment["HUB_TOKEN"] = FIRST
    refused = lab.run("up", "--stack", "asked", "--yes", code=1)
    assert "is to be typed at a terminal" in refused.err
    code, screen = typing(lab, "up", "--stack", "asked", "--yes", types=TYPED)
    assert code == 0, screen
    assert TYPED not in screen
    assert stored(lab, "asked", "typed") == TYPED
    again = lab.run("up", "--stack", "asked", "--yes", "--json")
    assert set(again.lines("report")[0]["counts"]) == {"same"}
    clean(lab, refused, again, Ran(0, screen, ""))
    del lab.environment["HUB_TOKEN"]
    lab.run("destroy", "--stack", "asked", "--yes")


def test_a_rehearsal_makes_do_with_values_of_its_own(lab: Lab) -> None:
    lab.blueprint("vault", BLUEPRINT)
    lab.stack("far", blueprint="vault", params={"asks": True})
    lab.run("up", "--stack", "far", "--rehearse", "--yes")
    shown = lab.run("outputs", "--stack", "far", "--rehearse", "--show-secrets", "--json").lines("outputs")
    assert len(shown[0]["outputs"]["token"]) == 32
    lab.run("destroy", "--stack", "far", "--rehearse", "--yes")
