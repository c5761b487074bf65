"""The commands that work on a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli.command import (
    DebugOption,
    JsonOption,
    RefreshOption,
    RehearseOption,
    StackOption,
    TargetOption,
    WaitOption,
    YesOption,
    command,
    may_ask,
    need_yes,
    request_for,
)

if TYPE_CHECKING:
    from mlinfra.report import Report
    from mlinfra.views.view import View
    from mlinfra.workflow.request import Request


def register(app: typer.Typer) -> None:
    """Add the commands, in the order in which a newcomer meets them."""
    for body in (validate, preview, up, refresh, destroy, cancel, outputs, graph):
        app.command()(body)


def validate(
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a stack and its blueprint: no engine, no network, no credentials.

    Example: mlinfra validate --stack prod
    """
    with command(json, debug) as view:
        from mlinfra.workflow.compile import compile_request

        compiled = compile_request(request_for(view, stack, rehearse, target), stand_in=True, look_far=False)
        view.diagnostics(compiled.warnings)
        count = len(compiled.graph.nodes)
        view.message(f"Stack {stack} is valid: {count} nodes.", stack=stack, valid=True, nodes=count)


def preview(
    stack: StackOption,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
    ] = False,
    refresh: RefreshOption = False,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what an update would change; nothing is changed.

    Example: mlinfra preview --stack staging --detailed-exitcode
    """
    with command(json, debug) as view:
        from mlinfra.workflow.preview import preview as work

        report = work(request_for(view, stack, rehearse, target, wait), refresh=refresh)
        if not report.succeeded:
            _end(view, report)
        view.plan(report)
        if detailed_exitcode and report.changes:
            raise typer.Exit(2)


def up(
    stack: StackOption,
    yes: YesOption = False,
    refresh: RefreshOption = False,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make the target what the blueprint says.

    Example: mlinfra up --stack dev
    """
    with command(json, debug) as view:
        from dataclasses import replace

        from mlinfra.workflow.up import up as work

        need_yes(yes, json, "up", stack, "preview")

        def confirm(plan: Report) -> bool:
            view.plan(plan)
            return view.confirm(f"Make these changes to {plan.stack}?")

        request = request_for(view, stack, rehearse, target, wait)
        if may_ask(json):
            request = replace(request, ask=view.ask_secret)
        report = work(request, None if yes else confirm, refresh=refresh)
        if report is None:
            view.message("Nothing was changed.", changed=False)
            raise typer.Exit(1)
        _end(view, report, _after_up(request, report) if report.changes else [])


def refresh(
    stack: StackOption,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Read every resource as it really is, and note the differences in the state.

    Example: mlinfra refresh --stack prod
    """
    with command(json, debug) as view:
        from mlinfra.workflow.refresh import refresh as work

        request = request_for(view, stack, rehearse, target, wait)
        report = work(request)
        if report.steps and report.succeeded:
            view.plan(report)
        again = f"{request.command('up')}   makes it again what the blueprint says"
        _end(view, report, [again] if report.steps else [])


def destroy(
    stack: StackOption,
    yes: YesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Destroy a protected stack, too.")] = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The stack's name, where --force would ask for it.")
    ] = None,
    wait: WaitOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take away everything that a stack made.

    Examples: mlinfra destroy --stack dev; mlinfra destroy --stack prod --force --confirm prod --yes
    """
    with command(json, debug) as view:
        from mlinfra.workflow.destroy import destroy as work

        need_yes(yes, json, "destroy", stack, "graph")

        def agree(name: str, resources: list[str], guarded: bool) -> bool:
            if guarded:
                given = confirm
                if given is None and may_ask(json):
                    question = f"Type the name of the stack to destroy its {len(resources)} resources:"
                    given = view.ask(question).strip()
                return given == name
            return yes or view.confirm(f"Destroy the {len(resources)} resources of {name}?")

        report = work(request_for(view, stack, rehearse, target, wait), agree, force=force)
        if report is None:
            view.message(
                "Nothing was destroyed: the stack's name was not confirmed." if force else "Nothing was destroyed."
            )
            raise typer.Exit(1)
        _end(view, report)


def cancel(
    stack: StackOption,
    yes: YesOption = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take a stack from whoever has it: their engine stops at its next step. What it was in the middle of, it finishes.

    Example: mlinfra cancel --stack prod
    """
    with command(json, debug) as view:
        from mlinfra.workflow.cancel import cancel as work

        need_yes(yes, json, "cancel", stack, "state list")
        request = request_for(view, stack, rehearse, target)
        name = request.state_name

        def confirm(who: str) -> bool:
            return yes or view.confirm(f"{name} is held by {who} Take it?")

        who = work(request, confirm)
        if who is None:
            view.message("Nothing was cancelled.", cancelled=False)
            raise typer.Exit(1)
        text = f"{name} was taken from {who}." if who else f"Nobody had {name}."
        view.message(text, cancelled=bool(who), holder=who)


def outputs(
    stack: StackOption,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Show secret outputs as they are.")] = False,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the outputs of a stack's last update.

    Example: mlinfra outputs --stack dev --json
    """
    with command(json, debug) as view:
        from mlinfra.workflow.outputs import outputs as work

        view.outputs(work(request_for(view, stack, rehearse, target), show_secrets=show_secrets))


def graph(
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the resources that a stack comes to, and what refers to what.

    Example: mlinfra graph --stack dev
    """
    with command(json, debug) as view:
        from mlinfra.workflow.compile import compile_request

        compiled = compile_request(request_for(view, stack, rehearse, target), stand_in=True, look_far=False)
        view.diagnostics([item for item in compiled.warnings if item.code == "import-not-up"])
        view.graph(compiled.graph)


def _end(view: View, report: Report, advice: list[str] | None = None) -> None:
    """Show the report; exit with 1 when the run failed or was interrupted."""
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
