"""`report data`: what data a stack holds and who can read it, found in its graph alone."""

from __future__ import annotations

from mlinfra.checks.data import DataReport
from mlinfra.checks.data import data_report as report_of
from mlinfra.diagnostics import Diagnostic
from mlinfra.workflow.compile import compile_request
from mlinfra.workflow.request import Request


def data_report(request: Request) -> tuple[DataReport, list[Diagnostic]]:
    """The report on a stack as its files are now, and what stands in it for imports from stacks that are not up.

    Nothing is asked of AWS, and nothing of the stack's own state.
    """
    compiled = compile_request(request, stand_in=True, look_far=False)
    warnings = [item for item in compiled.warnings if item.code == "import-not-up"]
    return report_of(compiled.graph, compiled.environment.account), warnings
