"""`destroy`: take away everything that a stack made."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.run import Outcome, nothing_done
from mlinfra.engine.verb import Verb
from mlinfra.naming import component_of, name_of
from mlinfra.report import Note, Report
from mlinfra.stack import LocalTarget
from mlinfra.workflow.imports import refuse_imported
from mlinfra.workflow.keeping import kept_by_destroy
from mlinfra.workflow.opening import opened
from mlinfra.workflow.request import Request
from mlinfra.workflow.run import Run

Confirm = Callable[[str, list[str], bool], bool]
"""Asked before anything is deleted: the stack, the resources, and whether the stack's name must be typed."""


def destroy(request: Request, confirm: Confirm, *, force: bool = False) -> Report | None:
    """Destroy a stack; None when `confirm` turned it down.

    A stack of a protected tier, or with protected components, is refused without `force`; with it, `confirm` has to
    have the stack's name. What is protected and holds data stays even then, on the target and in the state, unless the
    stack gives it up in `allow_loss`; only a rehearsal keeps nothing. Raises `MlinfraError` for the refusal, before
    anything is deleted.
    """
    with opened(request, "destroy") as run:
        protected = _protected(run)
        guarded = bool(protected) or (run.compiled.environment.tier.protected and not request.rehearse)
        kept = frozenset() if request.rehearse else kept_by_destroy(run.landed.session.whole(), _kept(run, protected))
        going = [item for item in run.landed.resources if item["urn"] not in kept]
        # Values that the engine itself keeps (a secret that was made up) are not told as deleted, and so not counted.
        made = [item["urn"] for item in going if not item["type"].startswith("pulumi:")]
        names = sorted({name_of(urn) for urn in (*made, *_cut_off(run))})
        if guarded and names and not force:
            raise MlinfraError(_refusal(request, run, protected))
        if names:
            refuse_imported(request, force=force)
        if names and not confirm(request.state_name, names, guarded):
            return None
        if lifted := [item["urn"] for item in going if item.get("protect")]:
            # The engine would delete what depends on a protected resource, then stop.
            run.landed.session.unprotect(lifted)
        if names or not kept:
            outcome = _finish_creates(run) or run.engine(Verb.DESTROY, unprotect=True, excluded=kept)
        else:
            outcome = nothing_done(Verb.DESTROY)
        for told in _stays(request, run, kept):
            request.emit(Note(told))
        if outcome.succeeded:
            _clear_local(request, run)
        return run.finish(outcome, "destroy")


def _protected(run: Run) -> list[str]:
    """The names of what is there and is protected: by the stack, by the tier, by the blueprint."""
    there = {name_of(item["urn"]) for item in run.landed.resources}
    given_up = set(run.compiled.stack.file.allow_loss)
    nodes = (node for node in run.compiled.graph if node.options.protect and node.name in there)
    return sorted(node.name for node in nodes if component_of(node.name) not in given_up)


def _kept(run: Run, protected: Collection[str]) -> set[str]:
    """The URNs of what a destroy leaves where it is, without what that needs."""
    tier = run.compiled.environment.tier.defaults
    file = run.compiled.stack.file
    return {
        urn
        for urn in run.guard.held
        if component_of(name_of(urn)) not in file.allow_loss
        and (tier.keeps_data or name_of(urn) in protected or component_of(name_of(urn)) in file.protect)
    }


def _finish_creates(run: Run) -> Outcome | None:
    """Make what a run was making when it was cut off, so that the state knows of it and it can be destroyed.

    The outcome where that fails, None where all is well. What the blueprint no longer has was told of already.
    """
    targets = _cut_off(run)
    outcome = run.engine(Verb.UP, targets=targets, unprotect=True) if targets else None
    return None if outcome is None or outcome.succeeded else outcome


def _cut_off(run: Run) -> list[str]:
    """The URNs of what a run was making when it was cut off, as far as the blueprint still has them."""
    return [urn for urn in run.landed.cut_off.unfinished if name_of(urn) in run.compiled.graph.nodes]


def _refusal(request: Request, run: Run, protected: list[str]) -> Diagnostic:
    tier = run.compiled.environment.tier
    why = f"It protects {', '.join(protected)}." if protected else f"Its tier, {tier}, is a protected one."
    return Diagnostic(
        f"stack {request.state_name} is protected and is not destroyed without being told twice",
        detail=why,
        remedy=f"If destroying it is meant: {request.command('destroy')} --force",
        location=run.compiled.stack.place("protect" if run.compiled.stack.file.protect else "environment"),
        code="protected",
    )


def _stays(request: Request, run: Run, kept: Collection[str]) -> list[Diagnostic]:
    """What a destroy has left, why, and how to have it again or to be rid of it."""
    there = {item["urn"]: item for item in run.landed.resources}
    holding = sorted(urn for urn in kept if urn in run.guard.held)
    if not holding:
        return []
    needed = len([urn for urn in kept if urn in there]) - len(holding)
    given_up = sorted({*run.compiled.stack.file.allow_loss, *(component_of(name_of(urn)) for urn in holding)})
    lines = [f"{name_of(urn)}: {there[urn]['type']} {there[urn].get('id', '')}" for urn in holding]
    return [
        Diagnostic(
            f"{len(holding)} resources that hold data stay, and {needed} that belong to them or that they need",
            detail="\n".join(lines),
            remedy=f"They are in the stack's state: {request.command('up')} goes on with them as they are.\n"
            f"To lose them too, write into {run.compiled.stack.place().file}: allow_loss: [{', '.join(given_up)}]",
            location=run.compiled.stack.place("environment", "tier"),
            code="data-kept",
            severity=Severity.WARNING,
        )
    ]


def _clear_local(request: Request, run: Run) -> None:
    """On the local target the machines were stood in for; they go with the stack that declared them."""
    if isinstance(run.compiled.stack.file.target, LocalTarget):
        from mlinfra.local.target import LocalTarget as Local

        Local(request.project, request.state_name, request.emit).remove_nodes()
