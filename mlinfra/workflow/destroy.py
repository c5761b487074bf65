"""`destroy`: take away everything that a stack made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.run import Outcome, Verb
from mlinfra.report import Report
from mlinfra.stack import LocalTarget
from mlinfra.workflow.request import Request
from mlinfra.workflow.run import Run, opened

Confirm = Callable[[str, list[str], bool], bool]
"""Asked before anything is deleted: the stack, the resources, and whether the stack's name must be typed."""


def destroy(request: Request, confirm: Confirm, *, force: bool = False) -> Report | None:
    """Destroy a stack; None when `confirm` turned it down.

    A stack of a protected tier, or with protected components, is refused without `force`; with it, `confirm` has to
    have the stack's name. Raises `MlinfraError` for the refusal, before anything is deleted.
    """
    with opened(request, "destroy") as run:
        resources = run.landed.session.resources()
        protected = sorted(_name(item) for item in resources if item.get("protect"))
        guarded = bool(protected) or (run.compiled.environment.tier.protected and not request.rehearse)
        names = sorted({*(_name(item) for item in resources), *(_named(urn) for urn in _cut_off(run))})
        if guarded and names and not force:
            raise MlinfraError(_refusal(request, run, protected))
        if names and not confirm(request.state_name, names, guarded):
            return None
        if protected:
            _unprotect(run)
        outcome = _finish_creates(run) or run.engine(Verb.DESTROY, unprotect=force)
        if outcome.succeeded:
            _clear_local(request, run)
        return run.finish(outcome, "destroy")


def _finish_creates(run: Run) -> Outcome | None:
    """Make what a run was making when it was cut off, so that the state knows of it and it can be destroyed.

    The outcome where that fails, None where all is well. What the blueprint no longer has was told of already.
    """
    targets = _cut_off(run)
    outcome = run.engine(Verb.UP, targets=targets, unprotect=True) if targets else None
    return None if outcome is None or outcome.succeeded else outcome


def _cut_off(run: Run) -> list[str]:
    """The URNs of what a run was making when it was cut off, as far as the blueprint still has them."""
    return [urn for urn in run.landed.cut_off.unfinished if _named(urn) in run.compiled.graph.nodes]


def _name(resource: Mapping[str, Any]) -> str:
    return _named(str(resource["urn"]))


def _named(urn: str) -> str:
    return urn.rpartition("::")[2]


def _refusal(request: Request, run: Run, protected: list[str]) -> Diagnostic:
    tier = run.compiled.environment.tier
    why = f"It protects {', '.join(protected)}." if protected else f"Its tier, {tier}, is a protected one."
    return Diagnostic(
        f"stack {request.state_name} is protected and is not destroyed without being told twice",
        detail=why,
        remedy=f"If losing it is meant: mlinfra destroy --stack {request.stack_name} --force",
        location=run.compiled.stack.place("protect" if protected else "environment"),
        code="protected",
    )


def _unprotect(run: Run) -> None:
    """Take the protection out of the state: the engine would delete what depends on a protected resource, then stop."""
    session = run.landed.session
    ended = session.run("state", "unprotect", "--all", "--yes", "--stack", session.stack)
    if not ended.succeeded:
        raise MlinfraError(
            Diagnostic("the protection cannot be taken away", detail=ended.output.strip(), code="unprotect")
        )


def _clear_local(request: Request, run: Run) -> None:
    """On the local target the machines were stood in for; they go with the stack that declared them."""
    if isinstance(run.compiled.stack.file.target, LocalTarget):
        from mlinfra.local.target import LocalTarget as Local

        Local(request.project, request.state_name, request.emit).remove_nodes()
