"""The command that tells whether a stack fits its machines."""

from __future__ import annotations

import typer

from mlinfra.cli.command import Call, on_stack


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(capacity)


@on_stack
def capacity(call: Call) -> None:
    """Show what a stack asks for against what its machines have; exit code 1 when something can never fit.

    Pods are placed machine by machine, from the graph alone; no engine and no cluster is asked. Where the stack lands
    on AWS and there are credentials, its machines are compared with the account's quotas.

    Example: mlinfra capacity --stack prod
    """
    from mlinfra.diagnostics import Severity
    from mlinfra.workflow.capacity import capacity as work

    report, warnings = work(call.request())
    call.view.diagnostics(warnings)
    call.view.capacity(report, call.stack)
    if any(item.severity is Severity.ERROR for item in report.problems):
        raise typer.Exit(1)
