"""A project of its own for the tests that use the real engine: the command line as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from mlinfra.project import cache_folder
from mlinfra.tools.install import ensure

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "mlinfra"]


@dataclass
class Ran:
    """What one call of the command came to."""

    code: int
    out: str
    err: str

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The JSON lines of one type."""
        records = [json.loads(line) for line in self.out.splitlines()]
        return [record for record in records if record["type"] == kind]


@dataclass
class Lab:
    """A project folder, a home folder of its own, and the command line in it."""

    root: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_", "KUBE"))}
        return {**kept, "HOME": str(self.home), "MLINFRA_CACHE": str(cache_folder()), **self.environment}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.root,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str], timeout: float = 240) -> Ran:
        out, err = process.communicate(timeout=timeout)
        return Ran(process.returncode, out, err)

    def run(self, *arguments: str, code: int | None = 0) -> Ran:
        """Run a command; `code` is the exit code that it must have, None for any."""
        ran = self.end(self.start(*arguments))
        assert code is None or ran.code == code, f"exit code {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def report(self, *arguments: str, code: int | None = 0) -> dict[str, Any]:
        """Run a command with --json; its report or plan."""
        ran = self.run(*arguments, "--json", code=code)
        found = ran.lines("report") or ran.lines("plan")
        assert len(found) == 1, ran.out + ran.err
        return found[0]

    # -------------------------------------------------------------------------------- files

    def blueprint(self, name: str, text: str) -> None:
        (self.root / "blueprints" / f"{name}.py").write_text(text)

    def stack(self, name: str, **changes: Any) -> None:
        """Write a stack file; `changes` replace its top-level values."""
        values = {
            "blueprint": "thread",
            "environment": {"name": name, "tier": "dev"},
            "owner": {"team": "tests", "cost_center": "none"},
            "target": {"kind": "local"},
            **changes,
        }
        (self.root / "stacks" / f"{name}.yaml").write_text(yaml.safe_dump(values))

    # -------------------------------------------------------------------------------- what others see

    def access(self, stack: str) -> dict[str, str]:
        """The variables that `local env` prints, as a shell would take them."""
        lines = self.run("local", "env", "--stack", stack).out.splitlines()
        script = "\n".join([*lines, f"exec {sys.executable} -c 'import os, json; print(json.dumps(dict(os.environ)))'"])
        shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=self.variables())
        return dict(json.loads(shell.stdout))

    def client(self, stack: str, service: str) -> Any:
        """A boto3 client on what the stack made."""
        return self.clients(stack, service)[0]

    def clients(self, stack: str, *services: str) -> list[Any]:
        """A boto3 client for each service, on what the stack made."""
        seen = self.access(stack)
        return [
            boto3.client(
                service,
                endpoint_url=seen["AWS_ENDPOINT_URL"],
                region_name=seen["AWS_REGION"],
                aws_access_key_id=seen["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=seen["AWS_SECRET_ACCESS_KEY"],
                config=Config(proxies={}, retries={"max_attempts": 2}),
            )
            for service in services
        ]

    def kubectl(self, stack: str, *arguments: str) -> Any:
        """What kubectl says, as data."""
        ran = subprocess.run(
            ["kubectl", *arguments, "-o", "json"], env=self.access(stack), capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def written(self) -> Iterator[Path]:
        """Every file that mlinfra wrote in the project and in the home folder."""
        for folder in (self.root / ".mlinfra", self.home):
            yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def copy_project(folder: Path) -> Path:
    """The repository's own blueprints and stacks, in a folder of their own."""
    for name in ("blueprints", "stacks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def tools() -> Mapping[str, Path]:
    """The tools; had as a user has them when they are not there yet."""
    return ensure(["pulumi", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl"])


def new_lab(folder: Path) -> Lab:
    (folder / "home").mkdir()
    project = folder / "project"
    project.mkdir()
    copy_project(project)
    return Lab(project, folder / "home")


def close_lab(lab: Lab) -> None:
    lab.run("local", "down", code=None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tools: Mapping[str, Path]) -> Iterator[Lab]:
    """A project for the tests of one module."""
    made = new_lab(tmp_path_factory.mktemp("lab"))
    yield made
    close_lab(made)


def interrupt(process: subprocess.Popen[str], times: int, pause: float = 0.0) -> None:
    """Ctrl-C, as a terminal sends it to the foreground process."""
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
