"""The commands for a stack's state: its versions, whether it is whole, and where it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import Call, WaitOption, YesOption, on_project, on_stack

if TYPE_CHECKING:
    from mlinfra.report import Step

app = typer.Typer(help="A stack's state: its versions, whether it is whole, where it is kept.", no_args_is_help=True)

AtOption = Annotated[
    str | None, typer.Option("--at", help="Another place than the stack file names: service, files or a URL.")
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="state")


@app.command("list")
@on_stack
def list_(
    call: Call,
    at: AtOption = None,
) -> None:
    """List the versions of a stack's state, newest first: when, who, what, and what it changed.

    Examples: mlinfra state list --stack prod; mlinfra state list --stack prod --at service --json
    """
    from mlinfra.workflow.history import versions

    rows = versions(call.request(), at)
    call.view.table("version", ("version", "time", "who", "verb", "result", "resources", "changes", "message"), rows)


@app.command()
@on_stack
def show(
    call: Call,
    version: Annotated[int | None, typer.Argument(help="The version; none: the newest.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="With --json: leave secrets in it, encrypted as they are stored.")
    ] = False,
    at: AtOption = None,
) -> None:
    """Show the resources of a version; with --json the whole deployment, without secrets.

    Examples: mlinfra state show --stack prod 12; mlinfra state show --stack prod --json
    """
    from mlinfra.workflow.history import show as work

    shown = work(call.request(), version, place=at, raw=raw)
    call.view.state(shown.number, shown.resources, shown.deployment)


@app.command()
@on_stack
def diff(
    call: Call,
    older: Annotated[int, typer.Argument(help="The older version.")],
    newer: Annotated[int | None, typer.Argument(help="The newer version; none: the newest.")] = None,
    at: AtOption = None,
) -> None:
    """Show what differs between two versions, resource by resource; of a secret only that it changed.

    Examples: mlinfra state diff --stack prod 11 12; mlinfra state diff --stack prod 11
    """
    from mlinfra.workflow.history import diff as work

    steps = work(call.request(), older, newer, place=at)
    call.view.differences(steps, f"From version {older} to {newer or 'the newest'}")


@app.command()
@on_stack
def restore(
    call: Call,
    version: Annotated[int, typer.Argument(help="The version that becomes the newest again.")],
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Make an older version of the state the newest, as a version of its own. The resources are not touched.

    Example: mlinfra state restore --stack prod 11
    """
    from mlinfra.workflow.restore import restore as work

    call.need_yes(yes, "state restore", "state list")

    def confirm(steps: list[Step]) -> bool:
        if yes:
            return True
        call.view.differences(steps, f"The state of {call.stack} becomes")
        return call.view.confirm(f"Restore version {version} of {call.stack}? Its resources are not touched.")

    request = call.request(wait)
    number = work(request, version, confirm)
    if number is None:
        call.view.message("Nothing was restored.", restored=False)
        raise typer.Exit(1)
    call.view.message(
        f"Version {version} of {call.stack} is restored as version {number}. No resource was touched: look at what is "
        f"really there with `{request.command('refresh')}`, then at `{request.command('preview')}`.",
        restored=True,
        version=number,
    )


@app.command()
@on_project
def verify(
    call: Call,
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", envvar="MLINFRA_STACK", help="The stack; none: the whole project.")
    ] = None,
) -> None:
    """Check that the states are whole: the database, every version in it, the engine's files. Exit code 1 if not.

    Examples: mlinfra state verify; mlinfra state verify --stack prod
    """
    from mlinfra.project import find_project
    from mlinfra.workflow.history import verify as work

    request = call.about(stack).request() if stack else None
    problems = work(request.project if request else find_project(), request)
    call.view.diagnostics(problems)
    if problems:
        raise typer.Exit(1)
    call.view.message(f"The state of {stack} is whole." if stack else "All states are whole.", whole=True)


@app.command()
@on_stack
def move(
    call: Call,
    to: Annotated[str, typer.Option("--to", help="Where to: service, files, or a URL such as s3://bucket.")],
    origin: Annotated[str | None, typer.Option("--from", help="Where from; none: where the stack file says.")] = None,
    secrets_provider: Annotated[
        str | None,
        typer.Option("--secrets-provider", help="What encrypts secrets there; none: what the stack file says."),
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Move a stack's state to another place: read back and compared before the old one is marked as moved.

    Examples: mlinfra state move --stack prod --to s3://my-team-state; mlinfra state move --stack dev --from files
    --to service
    """
    from mlinfra.workflow.move import move as work

    call.need_yes(yes, "state move", "state list")
    request = call.request(wait)
    line = work(
        request,
        to,
        lambda question: yes or call.view.confirm(question),
        origin=origin,
        secrets_provider=secrets_provider,
    )
    if line is None:
        call.view.message("Nothing was moved.", moved=False)
        raise typer.Exit(1)
    call.view.message(
        f"The state of {request.state_name} is in {to}. Write in stacks/{call.stack}.yaml:\n\n{line}\n",
        moved=True,
        line=line,
    )
