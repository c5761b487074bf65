"""The commands that tell what a stack comes to, for those who answer for it."""

from __future__ import annotations

from typing import Annotated

import typer

from mlinfra.cli.command import Call, on_stack

app = typer.Typer(help="Reports on a stack, from its files alone: no engine, no credentials.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="report")


@app.callback()
def report() -> None:
    """Reports on a stack, from its files alone: no engine, no credentials."""


@app.command()
@on_stack
def data(
    call: Call,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A Markdown document, for a record or a review.")
    ] = False,
) -> None:
    """Show what data a stack holds, for how long, where, encrypted with what, and everybody who can read it.

    Readers are computed from the policies of roles, buckets, queues, secrets and keys, whoever wrote them; a new reader
    is a new row.

    Examples: mlinfra report data --stack prod; mlinfra report data --stack prod --markdown > data.md
    """
    from mlinfra.workflow.data import data_report

    report, warnings = data_report(call.request())
    call.view.diagnostics(warnings)
    call.view.data(report, call.stack, markdown=markdown)
