"""The commands that work on a project or on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from mlinfra.cli.command import Call, on_project


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for body in (stacks, setup, doctor, version):
        app.command()(body)


@on_project
def stacks(call: Call) -> None:
    """List the project's stacks.

    Example: mlinfra stacks
    """
    from mlinfra.project import find_project
    from mlinfra.workflow.stacks import list_stacks

    call.view.rows("stack", list_stacks(find_project()))


@on_project
def setup(
    call: Call,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Prometheus, Alertmanager and Pushgateway, too, with their tools.")
    ] = False,
    rollouts: Annotated[
        bool, typer.Option("--rollouts", help="The controller of Argo Rollouts, too: minutes to build.")
    ] = False,
) -> None:
    """Get the engine and the local target's tools, so that later commands need not.

    Example: mlinfra setup --monitoring
    """
    from mlinfra.workflow.tools import setup as work

    call.view.rows("tool", work(call.view.event, monitoring=monitoring, rollouts=rollouts))


@on_project
def doctor(call: Call) -> None:
    """Check this machine and this project: tools, local targets, stack files. Exit code 1 when something is wrong.

    Example: mlinfra doctor
    """
    from mlinfra.workflow.tools import doctor as work

    facts = work()
    call.view.rows("check", facts)
    if not all(item.well for item in facts):
        raise typer.Exit(1)


@on_project
def version(call: Call) -> None:
    """Show the versions of mlinfra and of what it stands on.

    Example: mlinfra version
    """
    from mlinfra.workflow.versions import versions

    found = versions()
    call.view.message("\n".join(f"{name} {number}" for name, number in found.items()), versions=found)
