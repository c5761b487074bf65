from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.diagnostics import MlinfraError
from mlinfra.functions import eks_kubeconfig
from mlinfra.providers.base import text
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.kubeconfig import load


def config(server: str = "https://10.0.0.1:6443/", **cluster: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": "hunter2"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "c", "namespace": "team"}},
        ],
        "current-context": "one",
    }


def test_the_current_context_and_a_named_one() -> None:
    access = load(json.dumps(config()))
    assert (access.server, access.namespace) == ("https://10.0.0.1:6443", "default")
    assert access.credentials.headers() == {"Authorization": "Bearer hunter2"}
    named = load(json.dumps(config()), "two")
    assert named.namespace == "team"
    assert named.credentials.headers() == {}


CARELESS: dict[str, Any] = {"insecure-skip-tls-verify": True}


def test_trust() -> None:
    access = load(json.dumps(config()))
    assert access.tls is not None
    assert access.tls.verify_mode == ssl.CERT_REQUIRED
    careless = load(json.dumps(config(**CARELESS)))
    assert careless.tls is not None
    assert careless.tls.verify_mode == ssl.CERT_NONE
    assert load(json.dumps(config("http://10.0.0.1"))).tls is None


def test_certificates_in_place_are_those_in_files(kubeconfig: Path, cluster: Cluster) -> None:
    content = yaml.safe_load(kubeconfig.read_text())
    for section, kind, keys in (
        ("clusters", "cluster", ["certificate-authority"]),
        ("users", "user", ["client-certificate", "client-key"]),
    ):
        record = content[section][0][kind]
        for key in keys:
            source = Path(record.pop(key))
            record[f"{key}-data"] = base64.b64encode(source.read_bytes()).decode()
    assert Cluster.from_kubeconfig(json.dumps(content)).get("v1", "Namespace", "default") is not None


def test_relative_paths_start_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    wanted = config()
    wanted["users"][0]["user"] = {"tokenFile": "token"}
    path = tmp_path / "config"
    path.write_text(json.dumps(wanted))
    assert load(path).credentials.headers() == {"Authorization": "Bearer from-file"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The kubeconfig of the local target's cluster."""
    path = tmp_path / "own"
    path.write_text(json.dumps(config("http://127.0.0.1:6443")))
    return path


def of_eks(server: str) -> str:
    return eks_kubeconfig("ml-prod", server, base64.b64encode(b"an authority").decode(), "eu-west-1")


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost:1", "https://[::1]:6443"])
def test_on_the_local_target_its_own_cluster_stands_in_for_one_of_eks(own: Path, server: str) -> None:
    """Whatever the port was when it was noted: the cluster may have moved, or was made anew, since."""
    access = load(of_eks(server), local=own)
    assert access.server == "http://127.0.0.1:6443"
    assert access.credentials.headers() == {"Authorization": "Bearer hunter2"}  # no program was run


@pytest.mark.parametrize("server", ["https://ABC.gr7.eu-west-1.eks.amazonaws.com", "https://127.0.0.1.example.com"])
def test_on_the_local_target_no_program_signs_in_elsewhere(own: Path, server: str) -> None:
    with pytest.raises(MlinfraError, match="'ml-prod' is not the local target's") as told:
        load(of_eks(server), local=own)
    assert told.value.diagnostics[0].code == "kubeconfig-not-local"


def test_a_kubeconfig_that_runs_no_program_is_taken_as_it_is(own: Path) -> None:
    assert load(json.dumps(config()), local=own).server == "https://10.0.0.1:6443"


NO_CERTIFICATE = config(**{"certificate-authority-data": base64.b64encode(b"nothing").decode()})
WRONG: dict[str, tuple[str, str]] = {
    "no file": ("/not/there", "No such file"),
    "no YAML": ("token: hunter2\n\t- [", "not YAML at line 2"),
    "no mapping": ("- hunter2\n", "not a YAML mapping"),
    "no context": (json.dumps({**config(), "current-context": ""}), "no current-context"),
    "an unknown context": (
        json.dumps({**config(), "current-context": "x"}),
        "no entry 'x' in contexts; there: one, two",
    ),
    "no cluster": (json.dumps({**config(), "clusters": None}), "no entry 'c' in clusters; there: none"),
    "no server": (json.dumps(config("")), "'c' has no server"),
    "no certificate": (json.dumps(NO_CERTIFICATE), "certificates cannot be loaded"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_without_credentials(case: str) -> None:
    source, words = WRONG[case]
    with pytest.raises(MlinfraError) as error:
        load(source)
    assert words in text(error.value)
    assert "hunter2" not in text(error.value)
