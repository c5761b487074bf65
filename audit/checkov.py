"""`python -m audit.checkov`: export prod stacks as manifests, scan them with Checkov, write docs/checkov.md.

Checkov is a package of its own, with pins of its own, so it lives in a virtual environment of its own:
`python -m venv checkov && checkov/bin/pip install checkov`, then `--checkov checkov/bin/checkov`. It reads files, asks
nobody, and needs neither a cluster nor an account.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.checkov_standing import FIXED, standing_reason
from audit.findings import Answer, Answered, Finding, needless, page, waivers
from audit.prowler import ROOT, audited_project
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.stack import load_stack, stack_names
from mlinfra.tiers import Tier
from mlinfra.workflow.export import export
from mlinfra.workflow.manifest_files import ManifestFile, files, text, write
from mlinfra.workflow.manifests import Manifest, Manifests
from mlinfra.workflow.request import Request

PAGE = ROOT / "docs" / "checkov.md"
KINDS = ROOT / "tests" / "golden" / "kinds"
OWN = ("CKV",)
"""How the names of Checkov's checks begin."""


@dataclass(frozen=True)
class Scanned:
    """A graph and the files that were written of it, by their paths within the folder that is scanned."""

    name: str
    graph: Graph
    files: Mapping[str, ManifestFile]

    def node(self, path: str, resource: str) -> str:
        """The node of an object that Checkov names `Kind.namespace.name` in a file."""
        kind, _, rest = resource.partition(".")
        for item in self.files[path].manifests:
            metadata = item.body["metadata"]
            if kind == item.body["kind"] and rest == f"{metadata.get('namespace', 'default')}.{metadata['name']}":
                return item.node
        return ""

    def kind(self, node: str) -> str:
        """The kind of the component that a node belongs to."""
        owner = self.graph.nodes[node].component if node in self.graph.nodes else None
        return self.graph.nodes[owner].type.rpartition(":")[2] if owner else ""


def main() -> int:
    """Scan; 1 where a finding has no answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkov", default=shutil.which("checkov"), help="the program; by default from PATH")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the page")
    asked = parser.parse_args()
    if not asked.checkov:
        parser.error("checkov is not on PATH; say where it is with --checkov")
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        root = Path(folder).resolve()
        manifests = root / "manifests"
        scanned = [*exported(audited_project(root / "project"), manifests), *of_kinds(KINDS, manifests)]
        found = list(read_findings(_checkov(asked.checkov, manifests), scanned))
    answers = answers_to(found)
    for one in scanned:
        told = answers_to([(owner, item) for owner, item in found if owner is one])
        for component, check in needless(told, waivers(one.graph, OWN)):
            print(f"warning: {component} of {one.name} waives {check}, which does not fail", file=sys.stderr)
    open_ones = [item for item in answers if item.answer is Answer.OPEN]
    for item in open_ones:
        print(f"open: {item.finding.check} of {item.finding.node}: {item.finding.text}")
    asked.page.write_text(document([item for _, item in found], answers, _version(asked.checkov)), encoding="utf-8")
    return 1 if open_ones else 0


def exported(project: Project, folder: Path) -> Iterator[Scanned]:
    """The manifests of every stack of the tier prod, written into the folder."""
    for name in stack_names(project):
        if load_stack(project, name).file.environment.tier is Tier.PROD:
            found = export(Request(project, name))
            found.write(folder / name)
            yield Scanned(name, found.graph, {f"{name}/{file.name}": file for file in found.files})


def of_kinds(golden: Path, folder: Path) -> Iterator[Scanned]:
    """The manifests of every kind of component by its golden graph of the tier prod, written into the folder."""
    for path in sorted(golden.glob(f"*.{Tier.PROD}.json")):
        graph = Graph.from_json(json.loads(path.read_text(encoding="utf-8")))
        name = f"kind-{path.name.partition('.')[0]}"
        made = files([item for item in Manifests(graph).objects() if isinstance(item, Manifest)], {})
        write(folder / name, {file.name: text(file, name, ()) for file in made})
        yield Scanned(name, graph, {f"{name}/{file.name}": file for file in made})


def read_findings(report: Mapping[str, Any], scanned: list[Scanned]) -> Iterator[tuple[Scanned, Finding]]:
    """The findings in Checkov's JSON, each with what it was found in."""
    owners = {path: one for one in scanned for path in one.files}
    for passed in (True, False):
        for row in report["results"]["passed_checks" if passed else "failed_checks"]:
            path = row["file_path"].lstrip("/")
            owner = owners[path]
            node = owner.node(path, row["resource"])
            severity = (row.get("severity") or "").lower()
            yield owner, Finding(row["check_id"], "kubernetes", severity, passed, row["check_name"], node)


def answers_to(found: Iterable[tuple[Scanned, Finding]]) -> list[Answered]:
    """The failed checks with their answers."""
    return [Answered(item, *_answer(one, item)) for one, item in found if not item.passed]


def _answer(one: Scanned, finding: Finding) -> tuple[Answer, str]:
    if reason := waivers(one.graph, OWN).get(finding.component, {}).get(finding.check, ""):
        return Answer.WAIVED, reason
    if reason := standing_reason(finding.check, one.kind(finding.node), finding.part):
        return Answer.STANDING, reason
    return Answer.OPEN, ""


def document(findings: list[Finding], answers: list[Answered], scanner: str) -> str:
    """The findings as a Markdown page."""
    intro = [
        "# Checkov on prod",
        "",
        f"What {scanner} finds in the manifests (`mlinfra export`) of every blueprint's stack of the tier prod, of a",
        "blueprint with every kind that keeps data (`audit/blueprints/audited.py`), and of each kind of component by",
        "itself (`tests/golden/kinds/`). `python -m audit.checkov` scans again and writes this page; it fails while a",
        "finding has no answer. A waiver is a line of the blueprint, on the component whose object fails:",
        '`waive={"CKV_K8S_22": "reason"}`; or where a kind of component is so on purpose, a line of',
        "`audit/checkov_standing.py`.",
    ]
    return page(intro, findings, answers, FIXED)


def _checkov(program: str, folder: Path) -> dict[str, Any]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE", "BC_", "PRISMA_"))}
    options = ["--framework", "kubernetes", "--compact", "--skip-download", "--soft-fail", "--output", "json"]
    command = [program, "--directory", str(folder), *options]
    environment = {**kept, "HOME": str(folder.parent), "LOG_LEVEL": "ERROR"}
    ran = subprocess.run(command, cwd=folder.parent, env=environment, check=True, stdout=subprocess.PIPE)
    report: dict[str, Any] = json.loads(ran.stdout)
    if report["summary"]["parsing_errors"]:
        raise SystemExit(f"Checkov cannot read {report['results']['parsing_errors']}")
    return report


def _version(program: str) -> str:
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return f"Checkov {told.split()[-1]}"


if __name__ == "__main__":
    sys.exit(main())
