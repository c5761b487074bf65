"""What commands on a stack advise to do next."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlinfra.cli.main import app
from mlinfra.report import Operation, Report, State, Step
from mlinfra.workflow.request import Request

DRIFTED = Report(
    verb="refresh",
    stack="dev",
    blueprint="sample@1.0.0",
    environment="dev",
    target="local",
    succeeded=True,
    steps=(Step("data/bucket", "aws:s3/bucket:Bucket", "data", Operation.UPDATE, State.DONE),),
    counts={Operation.UPDATE: 1},
)


@pytest.mark.parametrize("sent", ["", " --rehearse", " --target local", " --target kubeconfig:other"])
def test_refresh_advises_an_update_of_the_same_stack(
    sent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Request] = []

    def refreshed(request: Request) -> Report:
        asked.append(request)
        return DRIFTED

    for folder in ("stacks", "blueprints"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlinfra.workflow.refresh.refresh", refreshed)
    ran = CliRunner().invoke(app, ["refresh", "--stack", "dev", *sent.split()])
    assert ran.exit_code == 0, ran.output
    assert f"mlinfra up --stack dev{sent}   makes it again what the blueprint says" in ran.output
    (request,) = asked
    assert request.command("refresh") == f"mlinfra refresh --stack dev{sent}"
