"""The commands that work on a stack."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import Call, RefreshOption, WaitOption, YesOption, on_stack
from mlinfra.emit import ReaderGoneError

if TYPE_CHECKING:
    from mlinfra.report import Report
    from mlinfra.views.view import View
    from mlinfra.workflow.request import Request


def register(app: typer.Typer) -> None:
    """Add the commands, in the order in which a newcomer meets them."""
    for body in (validate, preview, up, refresh, destroy, cancel, outputs, graph):
        app.command()(body)


@on_stack
def validate(call: Call) -> None:
    """Check a stack and its blueprint: no engine, no network, no credentials.

    Example: mlinfra validate --stack prod
    """
    from mlinfra.workflow.compile import compile_request

    compiled = compile_request(call.request(), stand_in=True, look_far=False)
    call.view.diagnostics(compiled.warnings)
    count = len(compiled.graph.nodes)
    call.view.message(f"Stack {call.stack} is valid: {count} nodes.", stack=call.stack, valid=True, nodes=count)


@on_stack
def preview(
    call: Call,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
    ] = False,
    refresh: RefreshOption = False,
    wait: WaitOption = False,
) -> None:
    """Show what an update would change; nothing is changed.

    Example: mlinfra preview --stack staging --detailed-exitcode
    """
    from mlinfra.workflow.preview import preview as work

    report = work(call.request(wait), refresh=refresh)
    if not report.succeeded:
        end(call.view, report)
    call.view.plan(report)
    if detailed_exitcode and report.changes:
        raise typer.Exit(2)


@on_stack
def up(
    call: Call,
    yes: YesOption = False,
    refresh: RefreshOption = False,
    wait: WaitOption = False,
) -> None:
    """Make the target what the blueprint says.

    Example: mlinfra up --stack dev
    """
    from dataclasses import replace

    from mlinfra.workflow.up import up as work

    call.need_yes(yes, "up", "preview")

    def confirm(plan: Report) -> bool:
        call.view.plan(plan)
        return call.view.confirm(f"Make these changes to {plan.stack}?")

    request = call.request(wait)
    if call.may_ask:
        request = replace(request, ask=call.view.ask_secret)
    report = work(request, None if yes else confirm, refresh=refresh)
    if report is None:
        call.view.message("Nothing was changed.", changed=False)
        raise typer.Exit(1)
    end(call.view, report, _after_up(request, report) if report.changes else [])


@on_stack
def refresh(
    call: Call,
    wait: WaitOption = False,
) -> None:
    """Read every resource as it really is, and note the differences in the state.

    Example: mlinfra refresh --stack prod
    """
    from mlinfra.workflow.refresh import refresh as work

    request = call.request(wait)
    report = work(request)
    if report.steps and report.succeeded:
        with suppress(ReaderGoneError):
            call.view.plan(report)
    again = f"{request.command('up')}   makes it again what the blueprint says"
    end(call.view, report, [again] if report.steps else [])


@on_stack
def destroy(
    call: Call,
    yes: YesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Destroy a protected stack, too.")] = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The stack's name, where --force would ask for it.")
    ] = None,
    wait: WaitOption = False,
) -> None:
    """Take away everything that a stack made.

    Examples: mlinfra destroy --stack dev; mlinfra destroy --stack prod --force --confirm prod --yes
    """
    from mlinfra.workflow.destroy import destroy as work

    call.need_yes(yes, "destroy", "graph")

    def agree(name: str, resources: list[str], guarded: bool) -> bool:
        if guarded:
            given = confirm
            if given is None and call.may_ask:
                question = f"Type the name of the stack to destroy its {len(resources)} resources:"
                given = call.view.ask(question).strip()
            return given == name
        return yes or call.view.confirm(f"Destroy the {len(resources)} resources of {name}?")

    report = work(call.request(wait), agree, force=force)
    if report is None:
        call.view.message(
            "Nothing was destroyed: the stack's name was not confirmed." if force else "Nothing was destroyed."
        )
        raise typer.Exit(1)
    end(call.view, report)


@on_stack
def cancel(
    call: Call,
    yes: YesOption = False,
) -> None:
    """Take a stack from whoever has it: their engine stops at its next step. What it was in the middle of, it finishes.

    Example: mlinfra cancel --stack prod
    """
    from mlinfra.workflow.cancel import cancel as work

    call.need_yes(yes, "cancel", "state list")
    request = call.request()
    name = request.state_name

    def confirm(who: str) -> bool:
        return yes or call.view.confirm(f"{name} is held by {who} Take it?")

    who = work(request, confirm)
    if who is None:
        call.view.message("Nothing was cancelled.", cancelled=False)
        raise typer.Exit(1)
    text = f"{name} was taken from {who}." if who else f"Nobody had {name}."
    call.view.message(text, cancelled=bool(who), holder=who)


@on_stack
def outputs(
    call: Call,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Show secret outputs as they are.")] = False,
) -> None:
    """Show the outputs of a stack's last update.

    Example: mlinfra outputs --stack dev --json
    """
    from mlinfra.workflow.outputs import outputs as work

    call.view.outputs(work(call.request(), show_secrets=show_secrets))


@on_stack
def graph(call: Call) -> None:
    """Show the resources that a stack comes to, and what refers to what.

    Example: mlinfra graph --stack dev
    """
    from mlinfra.workflow.rolled_back import compile_kept

    compiled = compile_kept(call.request(), stand_in=True, look_far=False)
    call.view.diagnostics([item for item in compiled.warnings if item.code == "import-not-up"])
    call.view.graph(compiled.graph)


def end(view: View, report: Report, advice: list[str] | None = None) -> None:
    """Show the report; exit with 1 when the run failed or was interrupted, and not because nobody reads of it."""
    with suppress(ReaderGoneError):
        view.report(report, advice or [] if report.succeeded else [])
    if not report.succeeded:
        raise typer.Exit(1)


def _after_up(request: Request, report: Report) -> list[str]:
    advice = [f"{request.command('outputs')}   shows the outputs again"]
    if report.target == "local":
        advice.append(f'eval "$({request.command("local env")})"   lets aws, boto3 and kubectl see what was made')
    advice.append(f"{request.command('preview')}   shows what your next change to the blueprint would do")
    advice.append(f"{request.command('destroy')}   takes it all away")
    return advice
