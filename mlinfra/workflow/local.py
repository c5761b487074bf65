"""`local`: the local target on its own, without a run of the engine."""

from __future__ import annotations

from contextlib import suppress

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.local.target import LocalAccess, LocalTarget, stop_all
from mlinfra.project import Project
from mlinfra.report import Emit, Fact
from mlinfra.stack import LocalTarget as LocalSection
from mlinfra.stack import Stack, load_stack, stack_names
from mlinfra.workflow.compile import compile_request
from mlinfra.workflow.request import Request


def start(request: Request) -> LocalAccess:
    """Start what does not run, with the machines that the stack declares."""
    stack = _local_stack(request)
    return _target(request, stack).up(compile_request(request, stand_in=True, look_far=False).graph.pools)


def environment(request: Request) -> dict[str, str]:
    """The environment variables that lead clients to the stack's local target, which must run."""
    stack = _local_stack(request)
    access = _target(request, stack).access()
    if access is None:
        raise MlinfraError(
            Diagnostic(
                f"the local target of {request.state_name} does not run",
                remedy=f"Start it: {request.command('local up')}, or {request.command('up')}.",
                code="local-stopped",
            )
        )
    return access.environment()


def stop(request: Request) -> None:
    """Stop the stack's cluster, which keeps what it holds."""
    _target(request, _local_stack(request)).down()


def stop_everything(project: Project, emit: Emit) -> None:
    """Stop all of the project's local target; moto forgets what it holds."""
    stop_all(project, emit)


def reset(request: Request) -> None:
    """Throw away the stack's cluster and what moto holds of its account."""
    _target(request, _local_stack(request)).reset()


def status(project: Project) -> list[Fact]:
    """How the local target of each stack is, rehearsals included."""
    clusters = project.home / "local" / "kubernetes" / "clusters"
    made = {path.name for path in clusters.glob("*")} if clusters.is_dir() else set()
    return [_fact(project, name) for name in sorted(made | set(stack_names(project)))]


def _fact(project: Project, name: str) -> Fact:
    found = LocalTarget(project, name, account=_account_name(project, name)).status()
    moto = f"AWS at {found.aws_endpoint} as account {found.account}" if found.moto_running else "AWS stopped"
    cluster = f"cluster {found.cluster}" + (f" with {found.nodes} nodes" if found.cluster == "running" else "")
    return Fact(name, found.moto_running and found.cluster == "running", f"{moto}; {cluster}", found.as_json())


def _account_name(project: Project, state_name: str) -> str:
    """What the account of a stack or of its rehearsal is called; as the stack where its file is not there."""
    stacks = [name for name in stack_names(project) if state_name == name or state_name.startswith(f"{name}-")]
    with suppress(MlinfraError, ValueError):
        name = max(stacks, key=len)
        return f"{load_stack(project, name).file.environment.name}{state_name.removeprefix(name)}"
    return state_name


def _target(request: Request, stack: Stack) -> LocalTarget:
    section = stack.file.target
    assert isinstance(section, LocalSection)
    account = request.account_name(stack)
    return LocalTarget(request.project, request.state_name, request.emit, section.region, account)


def _local_stack(request: Request) -> Stack:
    stack = request.stack()
    if not isinstance(stack.file.target, LocalSection):
        raise MlinfraError(
            Diagnostic(
                f"stack {request.stack_name} does not land on the local target, but on {stack.file.target.kind}",
                remedy="Add --rehearse to work with the local target of its rehearsal.",
                location=stack.place("target"),
                code="not-local",
            )
        )
    return stack
