"""`report data`: what data a stack holds and who can read it, found in its graph alone."""

from __future__ import annotations

from mlinfra.checks.data import DataReport
from mlinfra.checks.data import data_report as report_of
from mlinfra.diagnostics import Diagnostic
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept


def data_report(request: Request) -> tuple[DataReport, list[Diagnostic]]:
    """The report on a stack as `up` would make it, and what stands in it for imports from stacks that are not up.

    Nothing is asked of AWS, and of the stack's own state only what was rolled back and stays so.
    """
    compiled = compile_kept(request, stand_in=True, look_far=False)
    warnings = [item for item in compiled.warnings if item.code == "import-not-up"]
    return report_of(compiled.graph, compiled.environment.account), warnings
