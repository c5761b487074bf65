"""The scan of manifests: rows as Checkov writes them, and the scan itself with the real program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audit.checkov import KINDS, Scanned, answers_to, document, of_kinds, read_findings
from audit.checkov_standing import STANDING, standing_reason
from audit.findings import Answer, needless, waivers
from mlinfra.graph import Graph
from tests.e2e.clients import programs

ROOT = Path(__file__).parents[2]
CHECKOV = "3.3.30"


def scanned(folder: Path, **waive: str) -> Scanned:
    """A cluster with a job in it, of which Checkov finds what it finds of the sample."""
    golden = folder / "golden"
    golden.mkdir()
    graph = json.loads((KINDS / "TrainingJob.prod.json").read_text())
    graph["nodes"]["fit"]["inputs"] = {"waive": waive} if waive else {}
    (golden / "TrainingJob.prod.json").write_text(json.dumps(graph))
    [found] = of_kinds(golden, folder / "manifests")
    return found


def path_of(one: Scanned, component: str) -> str:
    return next(path for path, file in one.files.items() if file.component == component)


def report(one: Scanned, *failed: str, passed: tuple[str, ...] = ()) -> dict[str, Any]:
    def row(check: str) -> dict[str, Any]:
        resource = "CronJob.sample-prod-train.fit"
        return {
            "check_id": check,
            "check_name": "It should be so",
            "file_path": f"/{path_of(one, 'fit')}",
            "resource": resource,
            "severity": None,
        }

    return {
        "results": {"passed_checks": [row(item) for item in passed], "failed_checks": [row(item) for item in failed]}
    }


def test_a_finding_is_of_the_node_whose_object_it_names(tmp_path: Path) -> None:
    one = scanned(tmp_path)
    [(owner, found)] = read_findings(report(one, "CKV_K8S_22"), [one])
    assert owner is one
    assert (found.node, found.component, found.passed, found.text) == ("fit/template", "fit", False, "It should be so")
    assert one.kind(found.node) == "TrainingJob"
    assert one.node(path_of(one, "fit"), "CronJob.elsewhere.fit") == ""


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        ("CKV_K8S_11", Answer.STANDING),  # of any kind
        ("CKV_K8S_22", Answer.STANDING),  # of this kind
        ("CKV_K8S_8", Answer.OPEN),  # of another kind
        ("CKV_K8S_99", Answer.WAIVED),
    ],
)
def test_every_failure_has_its_answer(check: str, answer: Answer, tmp_path: Path) -> None:
    one = scanned(tmp_path, CKV_K8S_99="for a reason", s3_bucket_object_lock="for Prowler")
    [told] = answers_to(list(read_findings(report(one, check, passed=("CKV_K8S_1",)), [one])))
    assert told.answer is answer
    assert bool(told.reason) is (answer is not Answer.OPEN)
    unused = [] if answer is Answer.WAIVED else [("fit", "CKV_K8S_99")]
    assert needless([told], waivers(one.graph, ("CKV",))) == unused


def test_the_page_has_what_failed_and_what_passed(tmp_path: Path) -> None:
    one = scanned(tmp_path)
    found = list(read_findings(report(one, "CKV_K8S_22", "CKV_ODD", passed=("CKV_K8S_20",)), [one]))
    page = document([item for _, item in found], answers_to(found), "Checkov 3")
    assert "1 findings pass, 2 fail, of 2 checks" in page
    assert "| `CKV_ODD` | – | fit/template | It should be so |" in page
    assert "| `CKV_K8S_20` | no container can gain privileges |" in page


def test_reasons_are_for_kinds_that_there_are() -> None:
    kinds = {path.name.partition(".")[0] for path in KINDS.glob("*.json")}
    assert {kind for _, kind, _ in STANDING} <= {"", *kinds}
    assert all(len(reason) > 30 for reason in STANDING.values())
    assert standing_reason("CKV_K8S_22", "Endpoint", "deployment") == ""


def test_every_kind_has_manifests_or_none(tmp_path: Path) -> None:
    found = {one.name: one for one in of_kinds(KINDS, tmp_path)}
    assert len(found) == len(list(KINDS.glob("*.prod.json")))
    assert found["kind-Key"].files == {}
    assert isinstance(found["kind-Endpoint"].graph, Graph)
    assert all((tmp_path / path).exists() for one in found.values() for path in one.files)


@pytest.mark.slow
def test_every_finding_on_prod_has_an_answer(tmp_path: Path) -> None:
    page = tmp_path / "checkov.md"
    program = os.environ.get("MLINFRA_CHECKOV") or shutil.which("checkov")
    program = program or str(programs(f"checkov-{CHECKOV}", f"checkov=={CHECKOV}") / "checkov")
    command = [sys.executable, "-m", "audit.checkov", "--checkov", program, "--page", str(page)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "warning: " not in ran.stderr, "no waiver is needless"
    assert "## Open" not in page.read_text()
