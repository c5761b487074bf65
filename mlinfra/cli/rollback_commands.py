"""The command that goes back to what endpoints released before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import Call, WaitOption, YesOption, on_stack
from mlinfra.cli.stack_commands import end

if TYPE_CHECKING:
    from mlinfra.report import Report
    from mlinfra.workflow.rollback import Chosen

COLUMNS = ("component", "field", "now", "then")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollback)


@on_stack
def rollback(
    call: Call,
    component: Annotated[
        list[str] | None,
        typer.Option(
            "--component", "-c", help="An endpoint or batch inference; none: all. May be given several times."
        ),
    ] = None,
    to: Annotated[int | None, typer.Option("--to", help="A version of the state; none: the last good one.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Make again what the stack file says.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would change; nothing is changed.")] = False,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """Go back to the last good version: image, model and weights of traffic, as an ordinary change.

    The last good version is the newest of the state's that ended well and had released something else. How much runs
    stays as it is. As long as the stack file says what was withdrawn, each `up` keeps what was gone back to and says
    so; any other value in the file is taken, and ends it.

    Examples: mlinfra rollback --stack prod --preview; mlinfra rollback --stack prod --component api --yes
    """
    from mlinfra.workflow.rollback import rollback as work

    if not preview:
        call.need_yes(yes, "rollback", "rollback --preview")

    def show(chosen: Chosen, plan: Report) -> None:
        _tell(call, chosen)
        call.view.plan(plan)

    def confirm(chosen: Chosen, plan: Report) -> bool:
        show(chosen, plan)
        return yes or call.view.confirm(f"Make this {chosen.told} in {plan.stack}?")

    request = call.request(wait)
    chosen, report = work(
        request, component or (), version=to, undo=undo, confirm=confirm, show=show if preview else None
    )
    if report is None:
        call.view.message("Nothing was changed.", changed=False)
        raise typer.Exit(1)
    if preview and report.succeeded:
        return
    advice = [f"{request.command('rollback')} --undo   makes again what the stack file says"] if not undo else []
    end(call.view, report, advice)
    if chosen.write:
        file = f"stacks/{call.stack}.yaml"
        call.view.message(
            f"\n{file} still says what was withdrawn. Let it say what runs:\n\n{chosen.write}",
            file=file,
            write=chosen.write,
        )


def _tell(call: Call, chosen: Chosen) -> None:
    when = f", made {chosen.time}{f' by {chosen.who}' if chosen.who else ''}" if chosen.version else ""
    text = chosen.told[0].upper() + chosen.told[1:] + f"{when}:"
    fields = {"version": chosen.version, "time": chosen.time, "who": chosen.who, "write": chosen.write}
    call.view.message(text, rollback=fields)
    call.view.table("release", COLUMNS, chosen.rows())
