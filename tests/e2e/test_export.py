"""What `export` writes, held against a real API server: accepted as strictly as it can be, and what `up` has made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STACKS = ("prod", "platform-prod", "features-prod")
"""A stack of the tier prod of each blueprint that has objects in a cluster, each after those that it imports from."""


class Stacks:
    """The stacks, each brought up when it is first asked for."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self._up = lab, set[str]()

    def __getitem__(self, stack: str) -> Lab:
        if stack == "features-prod":
            self["platform-prod"]  # it imports from it
        if stack not in self._up:
            self.lab.run("up", "--stack", stack, "--yes")
            self._up.add(stack)
        return self.lab


@pytest.fixture(scope="module")
def stacks(lab: Lab) -> Stacks:
    return Stacks(lab)


def kubectl(lab: Lab, stack: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", *arguments]
    return subprocess.run(
        command, input=text, env=lab.access(stack), cwd=lab.root, capture_output=True, text=True, check=False
    )


def written(lab: Lab, stack: str, folder: Path) -> list[Path]:
    lab.run("export", "--stack", stack, "--resolved", "--out", str(folder))
    return sorted(folder.rglob("*.yaml"))


@pytest.mark.parametrize("stack", STACKS)
def test_the_server_takes_every_manifest_and_finds_nothing_to_change(
    stacks: Stacks, stack: str, tmp_path: Path
) -> None:
    lab = stacks[stack]
    files = written(lab, stack, tmp_path)
    where = ("--recursive", "--filename", str(tmp_path))
    taken = kubectl(lab, stack, "apply", "--dry-run=server", "--validate=strict", *where)
    assert taken.returncode == 0, taken.stderr
    objects = sum(path.read_text().count("\n---\n") for path in files)
    assert len(taken.stdout.splitlines()) == objects > 0
    assert all(line.endswith(" configured (server dry run)") for line in taken.stdout.splitlines()), taken.stdout
    for way in ((), ("--server-side", "--force-conflicts")):
        found = kubectl(lab, stack, "diff", *way, *where)
        assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_a_difference_would_be_seen(stacks: Stacks, tmp_path: Path) -> None:
    [path] = [path for path in written(stacks["prod"], "prod", tmp_path) if path.stem.endswith("-api")]
    path.write_text(path.read_text().replace("revisionHistoryLimit: 5", "revisionHistoryLimit: 6"))
    found = kubectl(stacks["prod"], "prod", "diff", "--filename", str(path))
    assert found.returncode == 1
    assert "+  revisionHistoryLimit: 6" in found.stdout
    path.write_text(path.read_text().replace("revisionHistoryLimit", "revisionHistoryLimits"))
    refused = kubectl(stacks["prod"], "prod", "apply", "--dry-run=server", "--validate=strict", "--filename", str(path))
    assert refused.returncode == 1
    assert 'unknown field "spec.revisionHistoryLimits"' in refused.stderr


def test_the_stream_can_be_applied_from_its_beginning_to_its_end(stacks: Stacks) -> None:
    """On a cluster that has none of it yet, another stack's: a namespace comes before what is in it."""
    stream = stacks["prod"].run("export", "--stack", "prod").out
    applied = kubectl(
        stacks["platform-prod"], "platform-prod", "apply", "--validate=strict", "--filename", "-", text=stream
    )
    assert applied.returncode == 0, applied.stderr
    assert all(line.endswith(" created") for line in applied.stdout.splitlines()), applied.stdout
    again = kubectl(stacks["platform-prod"], "platform-prod", "diff", "--filename", "-", text=stream)
    assert (again.returncode, again.stdout) == (0, "")
    kubectl(stacks["platform-prod"], "platform-prod", "delete", "--wait=false", "--filename", "-", text=stream)
