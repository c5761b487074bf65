"""The command `mlinfra`.

Exit codes: 0 done, or nothing to change; 1 failed; 2 there are changes, only with `preview --detailed-exitcode`.
"""

from __future__ import annotations

import sys

import typer

from mlinfra.cli import (
    capacity_commands,
    export_commands,
    local_commands,
    project_commands,
    rehearse_commands,
    report_commands,
    rollback_commands,
    rollout_commands,
    run_commands,
    stack_commands,
    state_commands,
)

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
stack_commands.register(app)
capacity_commands.register(app)
rehearse_commands.register(app)
run_commands.register(app)
rollout_commands.register(app)
rollback_commands.register(app)
export_commands.register(app)
project_commands.register(app)
app.add_typer(state_commands.app, name="state")
app.add_typer(local_commands.app, name="local")
app.add_typer(report_commands.app, name="report")


def main() -> None:
    """Run the command line and exit. A wrong call exits with 1: 2 is kept for `preview --detailed-exitcode`."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as ending:
        code = ending.exit_code
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("Aborted.\n")
        code = 1
    except Exception as error:
        show = getattr(error, "show", None)  # a usage error, of which typer does not export the class
        if show is None:
            raise
        show()
        code = 1
    sys.exit(code or 0)
