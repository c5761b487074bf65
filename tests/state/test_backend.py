"""What a stack file's `state` comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.state.backend import PASSPHRASE, PASSPHRASE_FILE, open_backend, using_backend


def test_files_are_encrypted_with_a_key_of_the_projects_own(tmp_path: Path) -> None:
    backends = [open_backend(Project(tmp_path), "files", "passphrase") for _ in range(2)]
    assert backends[0] == backends[1]
    assert backends[0].url == f"file://{tmp_path}/.mlinfra/state"
    assert (backends[0].local, backends[0].states) == (True, None)
    assert Path(backends[0].environment[PASSPHRASE_FILE]).stat().st_mode & 0o777 == 0o600


def test_service_is_served_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    with using_backend(Project(tmp_path), "service", "passphrase") as backend:
        assert (backend.local, backend.secrets_provider) == (True, "default")
        assert backend.environment["PULUMI_BACKEND_URL"] == backend.url
        assert backend.states is not None
        assert not backend.states.exists("demo", "dev")
    with using_backend(Project(tmp_path), "service", "awskms://alias/state") as backend:
        assert backend.secrets_provider == "awskms://alias/state"


def test_other_backends_need_a_passphrase_or_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)
    monkeypatch.delenv(PASSPHRASE_FILE, raising=False)
    with pytest.raises(MlinfraError) as raised, using_backend(Project(tmp_path), "s3://bucket", "passphrase"):
        pass
    assert raised.value.diagnostics[0].code == "state-passphrase"
    with using_backend(Project(tmp_path), "s3://bucket", "awskms://alias/state") as backend:
        assert (backend.url, backend.local, dict(backend.environment)) == ("s3://bucket", False, {})
    monkeypatch.setenv(PASSPHRASE, "secret")
    with using_backend(Project(tmp_path), "s3://bucket", "passphrase") as backend:
        assert backend.environment == {PASSPHRASE: "secret"}
