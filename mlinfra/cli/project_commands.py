"""The commands that work on a project or on this machine."""

from __future__ import annotations

import typer

from mlinfra.cli.command import DebugOption, JsonOption, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for body in (stacks, setup, doctor, version):
        app.command()(body)


def stacks(json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the project's stacks.

    Example: mlinfra stacks
    """
    with command(json, debug) as view:
        from mlinfra.project import find_project
        from mlinfra.workflow.stacks import list_stacks

        view.rows("stack", list_stacks(find_project()))


def setup(json: JsonOption = False, debug: DebugOption = False) -> None:
    """Get the engine and the local target's tools, so that later commands need not.

    Example: mlinfra setup
    """
    with command(json, debug) as view:
        from mlinfra.workflow.tools import setup as work

        view.rows("tool", work(view.event))


def doctor(json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check this machine and this project: tools, local targets, stack files. Exit code 1 when something is wrong.

    Example: mlinfra doctor
    """
    with command(json, debug) as view:
        from mlinfra.workflow.tools import doctor as work

        facts = work()
        view.rows("check", facts)
        if not all(item.well for item in facts):
            raise typer.Exit(1)


def version(json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show the versions of mlinfra and of what it stands on.

    Example: mlinfra version
    """
    with command(json, debug) as view:
        from mlinfra.workflow.versions import versions

        found = versions()
        view.message("\n".join(f"{name} {number}" for name, number in found.items()), versions=found)
