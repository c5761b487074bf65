"""What every command does alike: its common options, its view, and how errors become an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, Self, cast

import typer
from typer.models import ArgumentInfo

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.emit import ReaderGoneError

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


@dataclass(frozen=True)
class Call:
    """One call of a command: where it shows what it has to say, and the common options that it was given."""

    view: View
    json: bool
    stack: str = ""
    rehearse: bool = False
    target: str | None = None

    @property
    def may_ask(self) -> bool:
        """Whether there is somebody to ask."""
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    def need_yes(self, yes: bool, verb: str, first: str) -> None:
        """Raise `MlinfraError` where `--yes` is missing and nobody can be asked; `first` is what to look with."""
        if yes or self.may_ask:
            return
        raise MlinfraError(
            Diagnostic(
                f"{verb} of {self.stack} wants a yes, and there is no terminal to ask at",
                remedy=f"Look first with `mlinfra {first} --stack {self.stack}`, then add --yes.",
                code="confirmation",
            )
        )

    def request(self, wait: bool = False) -> Request:
        """The request that the common options make, for the project that the working folder is in."""
        from mlinfra.project import find_project
        from mlinfra.workflow.request import Request

        return Request(find_project(), self.stack, self.rehearse, self.target, self.view.event, wait)

    def about(self, stack: str, rehearse: bool = False, target: str | None = None) -> Self:
        """This call, for a stack that the command was given in a way of its own."""
        return replace(self, stack=stack, rehearse=rehearse, target=target)


P = ParamSpec("P")
Body = Callable[Concatenate[Call, P], None]


def on_project(body: Body[P]) -> Callable[..., None]:
    """A command that has `--json` and `--debug` beside the parameters that its body names after the call."""
    return _command(body, _EVERYWHERE)


def on_stack(body: Body[P]) -> Callable[..., None]:
    """A command that has `--stack`, `--rehearse` and `--target`, too: the call brings them."""
    return _command(body, _OF_A_STACK)


def _options(
    *,
    stack: StackOption,
    rehearse: RehearseOption = False,
    target: TargetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """The common options. Help shows a command's arguments, `--stack`, its own options, and then the rest of these."""


_OF_A_STACK = tuple(signature(_options, eval_str=True).parameters.values())
_EVERYWHERE = _OF_A_STACK[3:]


def _command(body: Body[P], common: tuple[Parameter, ...]) -> Callable[..., None]:
    """What typer sees of a body: its own parameters among the common ones."""
    own = [item.replace(kind=Parameter.KEYWORD_ONLY) for item in signature(body, eval_str=True).parameters.values()][1:]
    first = [item for item in common if item.default is Parameter.empty]
    rest = [item for item in common if item not in first]
    shown = sorted(
        (*first, *own, *rest), key=lambda item: not isinstance(item.annotation.__metadata__[0], ArgumentInfo)
    )

    @wraps(body)
    def run(**given: Any) -> None:
        taken = {item.name: given.pop(item.name) for item in common}
        with _ending(taken["json"], taken.pop("debug")) as view:
            cast("Any", body)(Call(view, **taken), **given)

    described = cast("Any", run)
    described.__signature__ = Signature(shown)
    described.__annotations__ = {item.name: item.annotation for item in shown}
    return run


@contextmanager
def _ending(as_json: bool, debug: bool) -> Iterator[View]:
    """The view for the block; whatever ends the block becomes diagnostics and exit code 1, never a traceback."""
    view = _view(as_json, debug)
    try:
        yield view
    except (typer.Exit, ReaderGoneError):
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


def _view(as_json: bool, debug: bool) -> View:
    if as_json:
        from mlinfra.views.json_view import JsonView

        return JsonView(debug=debug)
    from mlinfra.views.late import LateView

    return cast("View", LateView(debug=debug))


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
