"""`python -m audit.prowler`: bring prod stacks up on the local target, scan them with Prowler, write docs/prowler.md.

Prowler is a package of its own, with pins of its own, so it lives in a virtual environment of its own:
`python -m venv prowler && prowler/bin/pip install prowler`, then `--prowler prowler/bin/prowler`. It is pointed at
moto by the variables that `mlinfra local env` prints (`AWS_ENDPOINT_URL` and a key that chooses the account), so it
sees what it would see in an account, as far as moto answers.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.findings import Answer, Answered, Finding, answered, document, needless, nodes_of, read_findings, waivers
from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "prowler.md"
STACKS = {"prod": "the reference blueprint", "audited": "a blueprint with every kind (`audit/blueprints/audited.py`)"}
REGIONS = ("us-east-1", "eu-central-1")
"""Where the stacks are, replicas among them."""
SERVICES = ("s3", "kms", "ecr", "rds", "iam", "vpc")


def main() -> int:
    """Scan; 1 where a finding has no answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prowler", default=shutil.which("prowler"), help="the program; by default from PATH")
    parser.add_argument("--services", nargs="+", default=SERVICES, help="what Prowler calls them")
    parser.add_argument("--stacks", nargs="+", default=list(STACKS), choices=list(STACKS))
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the page")
    asked = parser.parse_args()
    if not asked.prowler:
        parser.error("prowler is not on PATH; say where it is with --prowler")
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        lab = Lab(Path(folder), asked.prowler)
        findings, answers, open_ones = [], [], 0
        try:
            for stack in asked.stacks:
                found, told, waived = lab.scan(stack, asked.services)
                findings += found
                answers += told
                for component, check in needless(told, waived):
                    print(f"warning: {component} of {stack} waives {check}, which does not fail", file=sys.stderr)
        finally:
            lab.mlinfra("local", "down")
        for item in answers:
            if item.answer is Answer.OPEN:
                open_ones += 1
                print(f"open: {item.finding.check} of {item.finding.node or 'the account'}: {item.finding.text}")
        about = " and on ".join(STACKS[stack] for stack in asked.stacks)
        asked.page.write_text(document(findings, answers, lab.version(), about), encoding="utf-8")
    return 1 if open_ones else 0


def audited_project(root: Path) -> Project:
    """A copy of this project with one stack more, of a blueprint with every kind."""
    for name in ("blueprints", "stacks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "audit" / "blueprints" / "audited.py", root / "blueprints")
    (root / "stacks" / "audited.yaml").write_text(
        "blueprint: audited\nenvironment: {name: audited, tier: prod}\nowner: {team: platform, cost_center: ml-001}\n"
    )
    return Project(root)


class Lab:
    """A project of its own with the stacks to scan."""

    def __init__(self, root: Path, prowler: str) -> None:
        self.root, self.prowler = root, prowler
        audited_project(root)

    def mlinfra(self, *arguments: str) -> str:
        """What a command of ours prints; raises where it fails."""
        command = [sys.executable, "-m", "mlinfra", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=self.root, env=environment, check=True, stdout=subprocess.PIPE
        ).stdout.decode()

    def scan(self, stack: str, services: list[str]) -> tuple[list[Finding], list[Answered], dict[str, dict[str, str]]]:
        """The findings on a stack, the answers to those that fail, and what the blueprint waives."""
        self.mlinfra("up", "--stack", stack, "--yes")
        project = Project(self.root)
        compiled = compile_stack(project, load_stack(project, stack))
        waived = waivers(compiled.graph, tuple(f"{service}_" for service in services))
        shown = self.mlinfra("state", "show", "--stack", stack, "--json").splitlines()
        state = next(record for record in map(json.loads, shown) if record["type"] == "state")
        output = self._prowler(stack, services, {**self._variables(stack), "HOME": str(self.root)})
        nodes = nodes_of(state["deployment"]["resources"])
        with output.open(encoding="utf-8", newline="") as file:
            findings = list(read_findings(file, nodes))
        return findings, answered(findings, waived), waived

    def _variables(self, stack: str) -> dict[str, str]:
        """What leads AWS SDKs to what the stack has made."""
        lines = self.mlinfra("local", "env", "--stack", stack).splitlines()
        words = [shlex.split(line) for line in lines if line.startswith("export ")]
        return dict(word.split("=", 1) for _, word in words)

    def _prowler(self, stack: str, services: list[str], variables: Mapping[str, str]) -> Path:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE"))}
        options = ["--region", *REGIONS, "--output-formats", "csv", "--output-directory", str(self.root / "found")]
        options += ["--output-filename", stack, "--no-banner", "--no-color", "--ignore-exit-code-3"]
        options += ["--log-level", "CRITICAL", "--aws-retries-max-attempts", "1"]
        command: list[Any] = [self.prowler, "aws", "--service", *services, *options]
        subprocess.run(command, cwd=self.root, env={**kept, **variables}, check=True, stdout=sys.stderr)
        return self.root / "found" / f"{stack}.csv"

    def version(self) -> str:
        """Name and version of the scanner."""
        told = subprocess.run([self.prowler, "--version"], check=True, capture_output=True, text=True).stdout
        return " ".join(told.split()[:2])


if __name__ == "__main__":
    sys.exit(main())
