"""The command that writes what a stack comes to in the form of another tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlinfra.cli.command import Call, on_stack


class Format(StrEnum):
    """What can be written."""

    KUBERNETES = "kubernetes"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


@on_stack
def export(
    call: Call,
    format: Annotated[  # noqa: A002, ARG001 — the option's name; there is one form so far
        Format, typer.Option("--format", help="Manifests of Kubernetes objects, as YAML.")
    ] = Format.KUBERNETES,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write to, a file a component; none: to stdout.")
    ] = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Fill in what only an update makes known, from the stack's state.")
    ] = False,
) -> None:
    """Write a stack's Kubernetes objects as manifests that `kubectl apply` takes, without an engine.

    Secrets are never among them: their names are told. What is not known before an update is marked KNOWN_AFTER_UP.

    Examples: mlinfra export --stack prod --out manifests; mlinfra export --stack prod --resolved | kubectl diff -f -
    """
    from mlinfra.workflow.export import export as work

    found = work(call.request(), resolved=resolved, one=out is None and not call.json)
    call.view.diagnostics(found.notes)
    if out is None:
        call.view.document(found.stream, "manifest", found.records())
        return
    written = found.write(out)
    count = sum(len(file.manifests) for file in found.files)
    told = f"{count} objects, by component, in {out}. Apply them with: kubectl apply --recursive -f {out}"
    call.view.message(
        told if count else f"Stack {call.stack} has no Kubernetes objects.",
        objects=count,
        files=[str(path) for path in written],
        left_out=[item.title for item in found.left_out],
    )
