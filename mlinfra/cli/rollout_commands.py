"""The commands for rollouts of endpoints: how far they are, going on, going back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import Call, YesOption, on_stack

if TYPE_CHECKING:
    from mlinfra.rollouts import RolloutState
    from mlinfra.workflow.request import Request

app = typer.Typer(help="Rollouts of endpoints: see, promote, abort.", no_args_is_help=True)

EndpointArgument = Annotated[
    str | None, typer.Argument(help="The endpoint: the name of a component; none: all, or the only one there is.")
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="rollout")


@app.command()
@on_stack
def status(
    call: Call,
    endpoint: EndpointArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until each has ended, or waits for a person.")
    ] = False,
) -> None:
    """Show how far the new versions of endpoints are, and what their gates saw.

    Exit code 1 where one was aborted, or cannot go on. Ctrl-C ends the following, not the rollout.

    Examples: mlinfra rollout status --stack prod; mlinfra rollout status api --stack prod --follow
    """
    from mlinfra.workflow import rollouts as work

    request = call.request()
    with work.opened(request) as stage:
        try:
            found = work.follow(stage, endpoint, request.emit) if follow else work.states(stage, endpoint)
        except KeyboardInterrupt:
            call.view.message("The rollouts are not followed any more. They go on.", followed=False)
            raise typer.Exit(1) from None
        if len(found) == 1:
            call.view.rollout(found[0], _next(request, found[0]))
        else:
            call.view.rollouts(found)
    if any(_failed(state) for state in found):
        raise typer.Exit(1)


@app.command()
@on_stack
def promote(
    call: Call,
    endpoint: EndpointArgument = None,
    full: Annotated[
        bool, typer.Option("--full", help="To its end, past all steps, pauses and gates that are left.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Let a rollout go on: to its next step, or with --full to its end.

    Examples: mlinfra rollout promote api --stack prod; mlinfra rollout promote api --stack prod --full --yes
    """
    from mlinfra.workflow import rollouts as work

    call.need_yes(yes, "rollout promote", "rollout status")
    request = call.request()
    with work.opened(request) as stage:
        served = stage.steered(endpoint, "promote")
        how = "to its end, past all gates" if full else "to its next step"
        if not yes and not call.view.confirm(f"Let the rollout of {served.endpoint} go on {how}?"):
            call.view.message("Nothing was promoted.", promoted=False)
            raise typer.Exit(1)
        found = work.promote(stage, served, full=full)
        call.view.rollout(found, [f"{request.command(f'rollout status {served.endpoint} --follow')}   follows it"])


@app.command()
@on_stack
def abort(
    call: Call,
    endpoint: EndpointArgument = None,
    yes: YesOption = False,
) -> None:
    """End a rollout, and take all traffic back to the version before.

    The stack still names the new version: the next `up` leaves the rollout as it is, until it names another one.

    Example: mlinfra rollout abort api --stack prod
    """
    from mlinfra.workflow import rollouts as work

    call.need_yes(yes, "rollout abort", "rollout status")
    request = call.request()
    with work.opened(request) as stage:
        served = stage.steered(endpoint, "abort")
        question = f"End the rollout of {served.endpoint}, and take all traffic back to the version before?"
        if not yes and not call.view.confirm(question):
            call.view.message("Nothing was aborted.", aborted=False)
            raise typer.Exit(1)
        found = work.abort(stage, served)
        advice = [f"{request.command('up')}   once the stack names the version before, or another one"]
        call.view.rollout(found, advice)


def _failed(state: RolloutState) -> bool:
    from mlinfra.rollouts import Progress

    return state.progress in (Progress.ABORTED, Progress.DEGRADED)


def _next(request: Request, state: RolloutState) -> list[str]:
    """What a person can do about a rollout just now."""
    if state.kind != "Rollout" or state.progress.ended or state.new == state.stable:
        return []
    return [
        f"{request.command(f'rollout promote {state.endpoint}')}   goes on",
        f"{request.command(f'rollout abort {state.endpoint}')}   goes back",
    ]
