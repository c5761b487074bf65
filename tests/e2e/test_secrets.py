"""A canary in every place that takes a secret: it reaches the provider, and nothing that is written or printed."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Lab, Ran

pytestmark = pytest.mark.e2e

CANARY = "canary-7f3a-do-not-tell"
BLUEPRINT = """
from mlinfra import Blueprint, Environment, Params, Raw, Secret, blueprint


class Values(Params):
    broken: str = ""


@blueprint("secretive", version="1.0.0")
def secretive(env: Environment, p: Values) -> Blueprint:
    parameter = Raw(
        "parameter",
        type="aws:ssm/parameter:Parameter",
        inputs={"name": "/secretive", "type": "SecureString", "value": Secret("CANARY")},
    )
    kept = Raw(
        "kept",
        type="kubernetes:core/v1:Secret",
        inputs={"metadata": {"name": "kept", "namespace": "default"}, "stringData": {"key": Secret("CANARY")}},
    )
    # An API token in the settings of a provider instance: inputs of a provider are in the state too.
    instance = Raw(
        "instance",
        type="kubernetes:core/v1:ConfigMap",
        inputs={"metadata": {"name": "instance", "namespace": "default"}},
        provider={"kubeconfig": Secret(KUBECONFIG)},
    )
    secret = Raw("secret", type="aws:secretsmanager/secret:Secret", inputs={"name": "s", "recoveryWindowInDays": 0})
    version = Raw(
        "version",
        type="aws:secretsmanager/secretVersion:SecretVersion",
        inputs={"secretId": secret.output("id"), "secretString": Secret("CANARY")},
    )
    made = [parameter, kept, instance, secret, version]
    if p.broken == "refused":
        made.append(
            Raw(
                "refused",
                type="kubernetes:core/v1:ConfigMap",
                inputs={"metadata": {"name": "refused", "namespace": "default"}, "data": {"a b": Secret("CANARY")}},
            )
        )
    if p.broken == "checked":
        made.append(
            Raw(
                "checked",
                type="aws:sns/topic:Topic",
                inputs={"name": "checked", "policy": Secret("{CANARY")},
            )
        )
    return Blueprint(*made, outputs={"parameter": parameter.output("value")})
""".replace("CANARY", CANARY)


def clean(lab: Lab, *runs: Ran) -> None:
    """No form of the canary in what was printed or written; its source, the blueprint, is not ours to change."""
    forms = [CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"=")[:-1]]
    for ran in runs:
        for form in forms:
            assert form not in (ran.out + ran.err).encode()
    cluster = lab.root / ".mlinfra" / "local"  # what stands in for AWS and Kubernetes themselves
    for path in lab.written():
        if path.is_relative_to(cluster):
            continue
        content = path.read_bytes()
        for form in forms:
            assert form not in content, path


@pytest.fixture
def temporary(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """The folder for temporary files, of these runs alone."""
    lab.environment["TMPDIR"] = str(tmp_path)
    yield tmp_path
    del lab.environment["TMPDIR"]


def with_token(kubeconfig: Path) -> str:
    """A kubeconfig with a token in it, of a user that nobody is."""
    settings = yaml.safe_load(kubeconfig.read_text())
    settings["users"].append({"name": "nobody", "user": {"token": CANARY}})
    return json.dumps(settings)


def kill_when_something_is_made(lab: Lab, *arguments: str) -> Ran:
    """Run a command and kill it as soon as it tells of something that it made, whatever else it was at."""
    process = lab.start(*arguments, "--json")
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if '"done"' in line and '"create"' in line:
            process.kill()
            break
    rest, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed + err
    return Ran(process.returncode, printed + rest, err)


def test_secrets_stay_secret(lab: Lab, temporary: Path) -> None:
    lab.stack("secretive", blueprint="secretive")
    lab.blueprint("secretive", BLUEPRINT.replace("KUBECONFIG", '""'))
    lab.run("local", "up", "--stack", "secretive")
    kubeconfig = Path(lab.access("secretive")["KUBECONFIG"])
    lab.blueprint("secretive", BLUEPRINT.replace("KUBECONFIG", repr(with_token(kubeconfig))))
    ran = [
        lab.run("graph", "--stack", "secretive", "--json"),
        lab.run("preview", "--stack", "secretive"),
        lab.run("up", "--stack", "secretive", "--yes", "--json"),
        lab.run("preview", "--stack", "secretive", "--json"),
        lab.run("refresh", "--stack", "secretive", "--debug"),
        lab.run("outputs", "--stack", "secretive"),
    ]
    clean(lab, *ran)
    value = lab.client("secretive", "ssm").get_parameter(Name="/secretive", WithDecryption=True)["Parameter"]["Value"]
    assert value == CANARY
    kept = lab.kubectl("secretive", "get", "secret", "kept", "--namespace", "default")
    assert base64.b64decode(kept["data"]["key"]).decode() == CANARY
    shown = lab.run("outputs", "--stack", "secretive", "--show-secrets", "--json").lines("outputs")
    assert shown[0]["outputs"]["parameter"] == CANARY

    for broken in ("refused", "checked"):
        lab.stack("secretive", blueprint="secretive", params={"broken": broken})
        failed = lab.run("up", "--stack", "secretive", "--yes", "--debug", code=1)
        assert f"{broken}/resource" in failed.err
        assert "pulumi | " in failed.err
        clean(lab, failed)
    lab.stack("secretive", blueprint="secretive")
    clean(lab, lab.run("destroy", "--stack", "secretive", "--yes", "--debug"))

    clean(lab, kill_when_something_is_made(lab, "up", "--stack", "secretive", "--yes", "--debug"))
    clean(lab, lab.run("up", "--stack", "secretive", "--yes", "--debug"))
    for path in temporary.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
