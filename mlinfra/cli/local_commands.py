"""The commands for the local target: moto for AWS and a Kubernetes control plane, on this machine."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from mlinfra.cli.command import DebugOption, JsonOption, RehearseOption, StackOption, TargetOption, command, request_for

app = typer.Typer(
    help="The local target: moto for AWS and a Kubernetes control plane of its own for each stack.",
    no_args_is_help=True,
)


@app.command()
def up(
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Start what is not running, with the machines that the stack declares.

    Example: mlinfra local up --stack dev
    """
    with command(json, debug) as view:
        from mlinfra.workflow import local

        access = local.start(request_for(view, stack, rehearse, target))
        view.message(
            f"The local target of {stack} runs: AWS at {access.aws_endpoint} as account {access.account}, "
            f"Kubernetes by {access.kubeconfig}.",
            **access.environment(),
        )


@app.command()
def status(json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show what runs, for every stack.

    Example: mlinfra local status
    """
    with command(json, debug) as view:
        from mlinfra.project import find_project
        from mlinfra.workflow import local

        view.rows("local", local.status(find_project()))


@app.command()
def env(
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print export lines with which aws, boto3 and kubectl see what a stack made.

    Example: eval "$(mlinfra local env --stack dev)"
    """
    with command(json, debug) as view:
        from mlinfra.workflow import local

        variables = local.environment(request_for(view, stack, rehearse, target))
        if json:
            view.message("environment", **variables)
        else:
            sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


@app.command()
def down(
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", envvar="MLINFRA_STACK", help="The stack; none: everything.")
    ] = None,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Stop a stack's cluster, which keeps what it holds; without --stack stop moto, too, which forgets.

    Examples: mlinfra local down --stack dev; mlinfra local down
    """
    with command(json, debug) as view:
        from mlinfra.project import find_project
        from mlinfra.workflow import local

        if stack is None:
            local.stop_everything(find_project(), view.event)
            view.message("The local target is stopped.")
        else:
            local.stop(request_for(view, stack, rehearse, target))
            view.message(f"The cluster of {stack} is stopped; moto runs on.")


@app.command()
def reset(
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Throw away a stack's local target, with all that it holds. The next up makes it anew.

    The AWS account goes with it, and in it what other stacks of the same environment have made.

    Example: mlinfra local reset --stack dev
    """
    with command(json, debug) as view:
        from mlinfra.workflow import local

        local.reset(request_for(view, stack, rehearse, target))
        view.message(f"The local target of {stack} is gone.")
