"""The commands that tell what a stack comes to, for those who answer for it."""

from __future__ import annotations

from typing import Annotated

import typer

from mlinfra.cli.command import DebugOption, JsonOption, RehearseOption, StackOption, TargetOption, command, request_for

app = typer.Typer(help="Reports on a stack, from its files alone: no engine, no credentials.", no_args_is_help=True)


@app.callback()
def report() -> None:
    """Reports on a stack, from its files alone: no engine, no credentials."""


@app.command()
def data(
    stack: StackOption,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A Markdown document, for a record or a review.")
    ] = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what data a stack holds, for how long, where, encrypted with what, and everybody who can read it.

    Readers are computed from the policies of roles, buckets, queues, secrets and keys, whoever wrote them; a new reader
    is a new row.

    Examples: mlinfra report data --stack prod; mlinfra report data --stack prod --markdown > data.md
    """
    with command(json, debug) as view:
        from mlinfra.workflow.data import data_report

        report, warnings = data_report(request_for(view, stack, rehearse, target))
        view.diagnostics(warnings)
        view.data(report, stack, markdown=markdown)
