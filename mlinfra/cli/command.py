"""What every command does alike: its common options, its view, and how errors become an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.diagnostics import Diagnostic, MlinfraError

if TYPE_CHECKING:
    from mlinfra.views.view import View
    from mlinfra.workflow.request import Request

StackOption = Annotated[
    str, typer.Option("--stack", "-s", envvar="MLINFRA_STACK", help="The stack: a file in stacks/, without .yaml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One versioned JSON object a line on stdout.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks and all that the engine printed.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RehearseOption = Annotated[
    bool, typer.Option("--rehearse", help="Send the stack to the local target, under a state of its own.")
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="Another target: local or kubeconfig:PATH, under a state of its own."),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for a run that has the stack, rather than be refused.")]
RefreshOption = Annotated[bool, typer.Option("--refresh", help="Read the real resources first.")]


@contextmanager
def command(as_json: bool, debug: bool) -> Iterator[View]:
    """The view for the block; whatever ends the block becomes diagnostics and exit code 1, never a traceback."""
    view = _view(as_json, debug)
    try:
        yield view
    except typer.Exit:
        raise
    except MlinfraError as error:
        view.diagnostics(error.diagnostics, error.debug if debug else "")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        view.diagnostics([Diagnostic("interrupted", remedy="Run the command again to go on.", code="interrupted")])
        raise typer.Exit(1) from None
    except OSError as error:
        view.diagnostics([_of_system(error)], traceback.format_exc() if debug else "")
        raise typer.Exit(1) from None
    except Exception as error:
        view.diagnostics([_of_bug(error)], traceback.format_exc() if debug else "")
        raise typer.Exit(1) from None
    finally:
        view.close()


def request_for(
    view: View, stack: str, rehearse: bool = False, target: str | None = None, wait: bool = False
) -> Request:
    """The request that the common options make, for the project that the working folder is in."""
    from mlinfra.project import find_project
    from mlinfra.workflow.request import Request

    return Request(find_project(), stack, rehearse, target, view.event, wait)


def may_ask(as_json: bool) -> bool:
    """Whether there is somebody to ask."""
    return not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def need_yes(yes: bool, as_json: bool, verb: str, stack: str, first: str) -> None:
    """Raise `MlinfraError` where nobody can be asked and `--yes` was not given; `first` is the command to look with."""
    if yes or may_ask(as_json):
        return
    raise MlinfraError(
        Diagnostic(
            f"{verb} of {stack} wants a yes, and there is no terminal to ask at",
            remedy=f"Look first with `mlinfra {first} --stack {stack}`, then add --yes.",
            code="confirmation",
        )
    )


def _view(as_json: bool, debug: bool) -> View:
    if as_json:
        from mlinfra.views.json_view import JsonView

        return JsonView(debug=debug)
    from mlinfra.views.person import PersonView

    return PersonView(debug=debug)


def _of_system(error: OSError) -> Diagnostic:
    named = f": {error.filename}" if error.filename else ""
    return Diagnostic(f"{error.strerror or error}{named}", remedy=_SYSTEM.get(error.errno or 0, ""), code="system")


_SYSTEM = {
    28: "Free some space on the disk and run the command again; nothing half-written is left.",
    13: "Give yourself the right to the file, or run mlinfra as the user who owns it.",
    30: "mlinfra writes to .mlinfra/ in the project folder and to its cache; make them writable.",
}
"""Remedies by errno: no space (ENOSPC), no permission (EACCES), read-only (EROFS)."""


def _of_bug(error: Exception) -> Diagnostic:
    return Diagnostic(
        f"a bug in mlinfra: {type(error).__name__}: {error}",
        detail="This is not your mistake.",
        remedy="Run the command again with --debug and report what it shows.",
        code="internal",
    )
