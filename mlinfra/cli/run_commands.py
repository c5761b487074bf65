"""The commands for runs of training jobs: make one, follow it, see which there are, stop one, take one away."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import Call, YesOption, on_stack

if TYPE_CHECKING:
    from mlinfra.runs import JobRun
    from mlinfra.views.view import View
    from mlinfra.workflow.request import Request
    from mlinfra.workflow.runs_access import Job, Stage

app = typer.Typer(help="Runs of training jobs: see, follow, cancel, delete.", no_args_is_help=True)

RunArgument = Annotated[
    str,
    typer.Argument(help="The run: its name, its --name, the beginning of its digest; or a job, for its newest run."),
]
TailOption = Annotated[
    int, typer.Option("--tail", min=0, help="How many of the last lines of each log to begin with; 0: all.")
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.command()(run)
    root.add_typer(app, name="runs")


@on_stack
def run(
    call: Call,
    job: Annotated[str, typer.Argument(help="The training job: the name of a component of the blueprint.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the job's config for this run, key=value; may be given several times."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What people call the run.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Make another run, though there is one with the same inputs.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow it.")] = False,
    tail: TailOption = 0,
) -> None:
    """Make a run of a training job, and follow its state and its log. Exit code 1 when it fails.

    A run is made from the template that the last update left in the cluster. A run with the same inputs (template and
    config) is not made twice: one that goes on is followed, of one that has ended it is told what came of it.

    Values are YAML: 0.1, 1e-3, true, null, [1, 2]; dots lead into groups of values. Ctrl-C ends the following, not the
    run.

    Examples: mlinfra run fit --stack dev; mlinfra run fit --stack dev --set lr=0.1 --set model.layers=[64,32] --name
    small
    """
    from mlinfra.workflow.run_job import begin
    from mlinfra.workflow.runs_access import opened_stage

    request = call.request()
    with opened_stage(request) as stage:
        begun = begin(stage, job, settings or (), title=name, again=again)
        found = begun.run
        if found.phase.ended:
            _end(call.view, found, _other(request, found, settings or ()))
        elif detach or not stage.computes(begun.job):
            call.view.run(found, _next(request, found))
        else:
            _follow(call.view, stage, begun.job, found, tail)


@app.command("list")
@on_stack
def list_(
    call: Call,
    job: Annotated[str | None, typer.Argument(help="The training job; none: all of the stack's.")] = None,
) -> None:
    """List runs, newest first: state, times, who made them, and what of their config differs from the job's.

    Examples: mlinfra runs list --stack dev; mlinfra runs list fit --stack dev --json
    """
    from mlinfra.workflow.runs_access import opened_stage
    from mlinfra.workflow.runs_look import all_runs

    with opened_stage(call.request()) as stage:
        call.view.runs([found for _, found in all_runs(stage, job)])


@app.command()
@on_stack
def show(
    call: Call,
    run: RunArgument,
) -> None:
    """Show all that is known of a run, its pods too: where they run, or why they do not.

    Examples: mlinfra runs show fit --stack dev; mlinfra runs show fit-3f9a51c07e --stack dev
    """
    from mlinfra.workflow.runs import seen
    from mlinfra.workflow.runs_access import opened_stage
    from mlinfra.workflow.runs_look import find

    with opened_stage(call.request()) as stage:
        call.view.run(seen(stage, *find(stage, run)), whole=True)


@app.command()
@on_stack
def follow(
    call: Call,
    run: RunArgument,
    tail: TailOption = 0,
) -> None:
    """Follow a run's state and log until it has ended; of one that has ended show the log. Exit code 1 if it failed.

    Example: mlinfra runs follow fit --stack dev --tail 20
    """
    from mlinfra.workflow.runs_access import opened_stage
    from mlinfra.workflow.runs_look import find

    with opened_stage(call.request()) as stage:
        _follow(call.view, stage, *find(stage, run), tail)


@app.command()
@on_stack
def cancel(
    call: Call,
    run: RunArgument,
    yes: YesOption = False,
) -> None:
    """Stop a run. Its pods get the time that the job gives them to end; the run is kept, one in a queue is not.

    Example: mlinfra runs cancel fit --stack dev
    """
    from mlinfra.workflow.runs import cancel as work
    from mlinfra.workflow.runs_access import opened_stage
    from mlinfra.workflow.runs_look import find

    call.need_yes(yes, "runs cancel", "runs list")
    request = call.request()
    with opened_stage(request) as stage:
        job, found = find(stage, run)
        if not found.phase.ended and not yes and not call.view.confirm(f"Stop {found.name}, which is {found.phase}?"):
            call.view.message("Nothing was cancelled.", cancelled=False)
            raise typer.Exit(1)
        kept = work(stage, job, found)
        text = f"{found.name} is being stopped." if kept else f"{found.name} was taken out of its queue."
        call.view.message(text, cancelled=True, run=found.name, kept=kept)


@app.command()
@on_stack
def delete(
    call: Call,
    run: RunArgument,
    yes: YesOption = False,
) -> None:
    """Take a run away, with its pods, logs and config. What it wrote to buckets stays.

    Example: mlinfra runs delete fit-3f9a51c07e --stack dev --yes
    """
    from mlinfra.workflow.runs import delete as work
    from mlinfra.workflow.runs_access import opened_stage
    from mlinfra.workflow.runs_look import find

    call.need_yes(yes, "runs delete", "runs list")
    with opened_stage(call.request()) as stage:
        job, found = find(stage, run)
        stopped = "" if found.phase.ended else ", and is stopped by it"
        question = f"Delete {found.name} with its log? It is {found.phase}{stopped}."
        if not yes and not call.view.confirm(question):
            call.view.message("Nothing was deleted.", deleted=False)
            raise typer.Exit(1)
        work(stage, job, found)
        call.view.message(f"{found.name} is deleted.", deleted=True, run=found.name)


def _follow(view: View, stage: Stage, job: Job, run: JobRun, tail: int) -> None:
    """Follow a run, and end as it does. Whoever presses Ctrl-C stops following alone."""
    from mlinfra.workflow.runs_follow import follow as work

    try:
        ended = work(stage, job, run, tail=tail)
    except KeyboardInterrupt:
        advice = _next(stage.request, run)
        text = "\n  ".join((f"{run.name} is not followed any more. It goes on.", *advice))
        view.message(text, run=run.name, followed=False)
        raise typer.Exit(1) from None
    _end(view, ended, [])


def _end(view: View, run: JobRun, advice: list[str]) -> None:
    from mlinfra.runs import Phase

    view.run(run, advice)
    if run.phase is not Phase.SUCCEEDED:
        raise typer.Exit(1)


def _next(request: Request, run: JobRun) -> list[str]:
    return [
        f"{request.command(f'runs follow {run.name}')}   follows it",
        f"{request.command(f'runs cancel {run.name}')}   stops it",
    ]


def _other(request: Request, run: JobRun, settings: Sequence[str]) -> list[str]:
    """What to do about a run that was made before, and has ended."""
    given = "".join(f" --set {shlex.quote(setting)}" for setting in settings)
    return [
        f"{request.command(f'runs follow {run.name}')}   shows its log",
        f"{request.command(f'run {run.job}')}{given} --again   makes another run with the same inputs",
    ]
