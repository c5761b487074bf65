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
def token(
    stack: StackOption,
    user: Annotated[str, typer.Option("--user", "-u", help="Who: a name, such as ada or ada@example.com.")],
    groups: Annotated[str, typer.Option("--groups", "-g", help="In which groups, separated by commas.")] = "",
    group: Annotated[
        list[str] | None, typer.Option("--group", help="One more group, as it is: cn=ml-leads,ou=groups,dc=example.")
    ] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440, help="How long it is good for.")] = 60,
    kubeconfig: Annotated[bool, typer.Option("--kubeconfig", help="Print a kubeconfig that signs in with it.")] = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print a token with which one is somebody else on the local cluster, to try what people's roles allow.

    It is good for the stack's local cluster alone. In a kubeconfig that has a certificate, as the cluster's own has,
    that goes before kubectl's `--token`: --kubeconfig prints one that has the token instead.

    Example: mlinfra local token --stack dev --user ada --groups search-devs --kubeconfig > ada.yaml
    """
    with command(json, debug) as view:
        from mlinfra.workflow import local

        named = [*(name for name in groups.split(",") if name), *(group or ())]
        made = local.token(request_for(view, stack, rehearse, target), user, named, minutes)
        if json:
            view.message("token", user=user, groups=named, server=made.server, token=made.text)
        else:
            sys.stdout.write(made.kubeconfig() if kubeconfig else f"{made.text}\n")


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
