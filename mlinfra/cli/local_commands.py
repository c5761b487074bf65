"""The commands for the local target: moto for AWS and a Kubernetes control plane, on this machine."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from mlinfra.cli.command import Call, RehearseOption, TargetOption, on_project, on_stack

app = typer.Typer(
    help="The local target: moto for AWS and a Kubernetes control plane of its own for each stack.",
    no_args_is_help=True,
)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="local")


@app.command()
@on_stack
def up(call: Call) -> None:
    """Start what is not running, with the machines that the stack declares.

    Example: mlinfra local up --stack dev
    """
    from mlinfra.workflow import local

    access = local.start(call.request())
    call.view.message(
        f"The local target of {call.stack} runs: AWS at {access.aws_endpoint} as account {access.account}, "
        f"Kubernetes by {access.kubeconfig}.",
        **access.environment(),
    )


@app.command()
@on_project
def status(call: Call) -> None:
    """Show what runs, for every stack.

    Example: mlinfra local status
    """
    from mlinfra.project import find_project
    from mlinfra.workflow import local

    call.view.rows("local", local.status(find_project()))


@app.command()
@on_stack
def env(call: Call) -> None:
    """Print export lines with which aws, boto3 and kubectl see what a stack made.

    Example: eval "$(mlinfra local env --stack dev)"
    """
    from mlinfra.workflow import local

    variables = local.environment(call.request())
    if call.json:
        call.view.message("environment", **variables)
    else:
        sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


@app.command()
@on_stack
def token(
    call: Call,
    user: Annotated[str, typer.Option("--user", "-u", help="Who: a name, such as ada or ada@example.com.")],
    groups: Annotated[str, typer.Option("--groups", "-g", help="In which groups, separated by commas.")] = "",
    group: Annotated[
        list[str] | None, typer.Option("--group", help="One more group, as it is: cn=ml-leads,ou=groups,dc=example.")
    ] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440, help="How long it is good for.")] = 60,
    kubeconfig: Annotated[bool, typer.Option("--kubeconfig", help="Print a kubeconfig that signs in with it.")] = False,
) -> None:
    """Print a token with which one is somebody else on the local cluster, to try what people's roles allow.

    It is good for the stack's local cluster alone. In a kubeconfig that has a certificate, as the cluster's own has,
    that goes before kubectl's `--token`: --kubeconfig prints one that has the token instead.

    Example: mlinfra local token --stack dev --user ada --groups search-devs --kubeconfig > ada.yaml
    """
    from mlinfra.workflow import local

    named = [*(name for name in groups.split(",") if name), *(group or ())]
    made = local.token(call.request(), user, named, minutes)
    if call.json:
        call.view.message("token", user=user, groups=named, server=made.server, token=made.text)
    else:
        sys.stdout.write(made.kubeconfig() if kubeconfig else f"{made.text}\n")


@app.command()
@on_project
def down(
    call: Call,
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", envvar="MLINFRA_STACK", help="The stack; none: everything.")
    ] = None,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
) -> None:
    """Stop a stack's cluster, which keeps what it holds; without --stack stop moto, too, which forgets.

    Examples: mlinfra local down --stack dev; mlinfra local down
    """
    from mlinfra.project import find_project
    from mlinfra.workflow import local

    if stack is None:
        local.stop_everything(find_project(), call.view.event)
        call.view.message("The local target is stopped.")
    else:
        local.stop(call.about(stack, rehearse, target).request())
        call.view.message(f"The cluster of {stack} is stopped; moto runs on.")


@app.command()
@on_stack
def reset(call: Call) -> None:
    """Throw away a stack's local target, with all that it holds. The next up makes it anew.

    The AWS account goes with it, and in it what other stacks of the same environment have made.

    Example: mlinfra local reset --stack dev
    """
    from mlinfra.workflow import local

    local.reset(call.request())
    call.view.message(f"The local target of {call.stack} is gone.")
