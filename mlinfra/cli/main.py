"""The command `mlinfra`.

Exit codes: 0 done, or nothing to change; 1 failed; 2 there are changes, only with `preview --detailed-exitcode`.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final

import typer

from mlinfra.cli.streams import guard
from mlinfra.emit import ReaderGoneError

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "stack": ("validate", "preview", "up", "refresh", "destroy", "cancel", "outputs", "graph"),
    "capacity": ("capacity",),
    "rehearse": ("rehearse",),
    "run": ("run", "runs"),
    "rollout": ("rollout",),
    "rollback": ("rollback",),
    "export": ("export",),
    "project": ("stacks", "setup", "doctor", "version"),
    "state": ("state",),
    "local": ("local",),
    "report": ("report",),
}
"""The commands that each module beside this one, `NAME_commands`, registers, in the order in which help has them."""


def build(command: str = "") -> typer.Typer:
    """The command line; where it is known which command is called, with no more than its module.

    All of them take `mlinfra validate` a twentieth of its time.
    """
    app = typer.Typer(
        name="mlinfra",
        help="Provision machine-learning infrastructure from typed Python blueprints.",
        epilog="Start with: mlinfra stacks, mlinfra preview --stack dev, mlinfra up --stack dev.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help, in half the time: typer would load rich, and its Markdown, to draw boxes
        pretty_exceptions_enable=False,
        add_completion=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(lambda: None)  # without it, a single command would be called without its name
    for group in [name for name, commands in GROUPS.items() if command in commands] or GROUPS:
        importlib.import_module(f"mlinfra.cli.{group}_commands").register(app)
    return app


def __getattr__(name: str) -> Any:
    """`app`: the whole command line, for what documents or tests it."""
    if name != "app":
        raise AttributeError(name)
    return globals().setdefault("app", build())


def main() -> None:
    """Run the command line and exit. A wrong call exits with 1: 2 is kept for `preview --detailed-exitcode`."""
    out = guard()
    try:
        code = build(sys.argv[1] if len(sys.argv) > 1 else "")(standalone_mode=False)
    except typer.Exit as ending:
        code = ending.exit_code
    except ReaderGoneError:
        code = 1
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("Aborted.\n")
        code = 1
    except Exception as error:
        show = getattr(error, "show", None)  # a usage error, of which typer does not export the class
        if show is None:
            raise
        show()
        code = 1
    try:
        out.flush()
    except ReaderGoneError:
        code = code or 1
    if out.trouble:
        sys.stderr.write(
            f"error: standard output is not whole: {out.trouble}\n  → Send it to where it can be written.\n"
        )
        code = code or 1
    gc.freeze()  # on the way out Python would look through all that was loaded: 4 % of `validate`
    sys.exit(code or 0)
