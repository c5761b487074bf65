"""The commands for a stack's state: its versions, whether it is whole, and where it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import (
    DebugOption,
    JsonOption,
    RehearseOption,
    StackOption,
    TargetOption,
    WaitOption,
    YesOption,
    command,
    need_yes,
    request_for,
)

if TYPE_CHECKING:
    from mlinfra.report import Step

app = typer.Typer(help="A stack's state: its versions, whether it is whole, where it is kept.", no_args_is_help=True)

AtOption = Annotated[
    str | None, typer.Option("--at", help="Another place than the stack file names: service, files or a URL.")
]


@app.command("list")
def list_(
    stack: StackOption,
    at: AtOption = None,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the versions of a stack's state, newest first: when, who, what, and what it changed.

    Examples: mlinfra state list --stack prod; mlinfra state list --stack prod --at service --json
    """
    with command(json, debug) as view:
        from mlinfra.workflow.history import versions

        rows = versions(request_for(view, stack, rehearse, target), at)
        view.table("version", ("version", "time", "who", "verb", "result", "resources", "changes", "message"), rows)


@app.command()
def show(
    stack: StackOption,
    version: Annotated[int | None, typer.Argument(help="The version; none: the newest.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="With --json: leave secrets in it, encrypted as they are stored.")
    ] = False,
    at: AtOption = None,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the resources of a version; with --json the whole deployment, without secrets.

    Examples: mlinfra state show --stack prod 12; mlinfra state show --stack prod --json
    """
    with command(json, debug) as view:
        from mlinfra.workflow.history import show as work

        shown = work(request_for(view, stack, rehearse, target), version, place=at, raw=raw)
        view.state(shown.number, shown.resources, shown.deployment)


@app.command()
def diff(
    stack: StackOption,
    older: Annotated[int, typer.Argument(help="The older version.")],
    newer: Annotated[int | None, typer.Argument(help="The newer version; none: the newest.")] = None,
    at: AtOption = None,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what differs between two versions, resource by resource; of a secret only that it changed.

    Examples: mlinfra state diff --stack prod 11 12; mlinfra state diff --stack prod 11
    """
    with command(json, debug) as view:
        from mlinfra.workflow.history import diff as work

        steps = work(request_for(view, stack, rehearse, target), older, newer, place=at)
        view.differences(steps, f"From version {older} to {newer or 'the newest'}")


@app.command()
def restore(
    stack: StackOption,
    version: Annotated[int, typer.Argument(help="The version that becomes the newest again.")],
    yes: YesOption = False,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make an older version of the state the newest, as a version of its own. The resources are not touched.

    Example: mlinfra state restore --stack prod 11
    """
    with command(json, debug) as view:
        from mlinfra.workflow.restore import restore as work

        need_yes(yes, json, "state restore", stack, "state list")

        def confirm(steps: list[Step]) -> bool:
            if yes:
                return True
            view.differences(steps, f"The state of {stack} becomes")
            return view.confirm(f"Restore version {version} of {stack}? Its resources are not touched.")

        request = request_for(view, stack, rehearse, target, wait)
        number = work(request, version, confirm)
        if number is None:
            view.message("Nothing was restored.", restored=False)
            raise typer.Exit(1)
        view.message(
            f"Version {version} of {stack} is restored as version {number}. No resource was touched: look at what is "
            f"really there with `{request.command('refresh')}`, then at `{request.command('preview')}`.",
            restored=True,
            version=number,
        )


@app.command()
def verify(
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", envvar="MLINFRA_STACK", help="The stack; none: the whole project.")
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check that the states are whole: the database, every version in it, the engine's files. Exit code 1 if not.

    Examples: mlinfra state verify; mlinfra state verify --stack prod
    """
    with command(json, debug) as view:
        from mlinfra.project import find_project
        from mlinfra.workflow.history import verify as work

        request = request_for(view, stack) if stack else None
        problems = work(request.project if request else find_project(), request)
        view.diagnostics(problems)
        if problems:
            raise typer.Exit(1)
        view.message(f"The state of {stack} is whole." if stack else "All states are whole.", whole=True)


@app.command()
def move(
    stack: StackOption,
    to: Annotated[str, typer.Option("--to", help="Where to: service, files, or a URL such as s3://bucket.")],
    origin: Annotated[str | None, typer.Option("--from", help="Where from; none: where the stack file says.")] = None,
    secrets_provider: Annotated[
        str | None,
        typer.Option("--secrets-provider", help="What encrypts secrets there; none: what the stack file says."),
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Move a stack's state to another place: read back and compared before the old one is marked as moved.

    Examples: mlinfra state move --stack prod --to s3://my-team-state; mlinfra state move --stack dev --from files
    --to service
    """
    with command(json, debug) as view:
        from mlinfra.workflow.move import move as work

        need_yes(yes, json, "state move", stack, "state list")
        request = request_for(view, stack, rehearse, target, wait)
        line = work(
            request,
            to,
            lambda question: yes or view.confirm(question),
            origin=origin,
            secrets_provider=secrets_provider,
        )
        if line is None:
            view.message("Nothing was moved.", moved=False)
            raise typer.Exit(1)
        view.message(
            f"The state of {request.state_name} is in {to}. Write in stacks/{stack}.yaml:\n\n{line}\n",
            moved=True,
            line=line,
        )
