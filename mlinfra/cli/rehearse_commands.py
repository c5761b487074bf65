"""The command that proves a stack on the local target before anything real is touched."""

from __future__ import annotations

from typing import Annotated

import typer

from mlinfra.cli.command import Call, StackOption, on_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rehearse)


@on_project
def rehearse(
    call: Call,
    stack: StackOption,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the rehearsal's local target running, to look at.")
    ] = False,
) -> None:
    """Bring a stack up and down on a local target of its own, and prove each step. No account is touched.

    Up, with a machine for each one that the pools may have; every pod and every job placed by the real scheduler, or
    the reason why not; a second run that changes nothing; drift put in by hand, found and repaired; destroy; and a
    search for anything left. Exit code 1 when a step fails.

    Example: mlinfra rehearse --stack prod
    """
    from mlinfra.workflow.rehearse import rehearse as work
    from mlinfra.workflow.rehearse_results import COLUMNS

    found = work(call.about(stack).request(), keep=keep)
    call.view.table("rehearsal", COLUMNS, [item.as_row() for item in found.results])
    bad = [item.step for item in found.results if item.result != "ok"]
    text = f"Rehearsal of {stack}: " + (f"not well: {', '.join(bad)}." if bad else "all is well.")
    kept = str(found.kept) if found.kept else None
    if kept:
        text += (
            f"\nIts local target is kept and runs: `. {kept}` leads aws, boto3 and kubectl to it. "
            "The next rehearsal of the stack removes it, `mlinfra local down` stops it."
        )
    call.view.message(text, succeeded=found.succeeded, seconds=round(found.seconds, 1), kept=kept)
    if not found.succeeded:
        raise typer.Exit(1)
