"""`local`: the local target on its own, without a run of the engine."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from mlinfra.components.people import check_group
from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.emit import Emit, steady
from mlinfra.functions import kubeconfig
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.local.target import LocalAccess, LocalTarget, stop_all
from mlinfra.project import Project
from mlinfra.report import Fact
from mlinfra.stack import LocalTarget as LocalSection
from mlinfra.stack import Stack, load_stack, stack_names
from mlinfra.workflow.rehearse_room import Room, rooms
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept


@dataclass(frozen=True, slots=True)
class Token:
    """A person's token for a cluster at `server`, whose own kubeconfig is `admin`."""

    user: str
    text: str
    server: str
    admin: Path

    def kubeconfig(self) -> str:
        """A kubeconfig that signs in with the token; the authority is taken from the cluster's own."""
        cluster = yaml.safe_load(self.admin.read_text())["clusters"][0]["cluster"]
        trust = Path(cluster["certificate-authority"]).read_bytes()
        name = self.admin.parent.name
        authority = base64.b64encode(trust).decode()
        config = kubeconfig(name, self.server, authority, self.user, {"token": self.text})
        return yaml.safe_dump(config, sort_keys=False)


def start(request: Request) -> LocalAccess:
    """Start what does not run, with the machines that the stack declares."""
    stack = _local_stack(request)
    graph = compile_kept(request, stand_in=True, look_far=False).graph
    return bring_up(request, stack, graph)


def bring_up(request: Request, stack: Stack, graph: Graph) -> LocalAccess:
    """Start what does not run of a stack's local target, with the machines and the kinds that its graph wants."""
    access = _target(request, stack).up(graph.pools)
    definitions.ensure(access.kubeconfig, graph)
    return access


def environment(request: Request) -> dict[str, str]:
    """The environment variables that lead clients to the stack's local target, which must run."""
    return _running(request).environment()


def token(request: Request, user: str, groups: Sequence[str], minutes: int) -> Token:
    """A token with which somebody is a user, in groups, for the cluster of the stack's local target, which must run."""
    try:
        for name in (user, *groups):
            check_group(name)
    except ValueError as error:
        raise MlinfraError(
            Diagnostic(
                f"no token for this: {error}",
                remedy="Name the user and the groups as the identity provider would: "
                f"{request.command('local token')} --user ada --groups ml-leads,search-devs",
                code="token-name",
            )
        ) from None
    from mlinfra.local.oidc import Issuer  # no other command wants it

    access = _running(request)
    issuer = Issuer(access.kubeconfig.parent)
    try:
        made = issuer.token(user, groups, minutes * 60)
        taken = issuer.takes(access.kubernetes_server, made)
    except FileNotFoundError:
        taken = False
    if not taken:
        raise MlinfraError(
            Diagnostic(
                f"the local cluster of {request.state_name} takes no tokens yet",
                detail="It has been running since before there were any: it learns of them when it starts.",
                remedy=f"Stop it, it keeps what it holds: {request.command('local down')}; and start it again: "
                f"{request.command('local up')}.",
                code="local-cluster-tokens",
            )
        )
    return Token(user, made, access.kubernetes_server, access.kubeconfig)


def _running(request: Request) -> LocalAccess:
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
    return access


def stop(request: Request) -> None:
    """Stop the stack's cluster, which keeps what it holds."""
    _target(request, _local_stack(request)).down()


def stop_everything(project: Project, emit: Emit) -> None:
    """Stop all of the project's local target, those of rehearsals too; moto forgets what it holds."""
    stop_all(project, steady(emit))
    for room in rooms(project):
        stop_all(room)


def reset(request: Request) -> None:
    """Throw away the stack's cluster and what moto holds of its account."""
    _target(request, _local_stack(request)).reset()


def status(project: Project) -> list[Fact]:
    """How the local target of each stack is, rehearsals included."""
    clusters = project.home / "local" / "kubernetes" / "clusters"
    made = {path.name for path in clusters.glob("*")} if clusters.is_dir() else set()
    facts = [_fact(project, name) for name in sorted(made | set(stack_names(project)))]
    return facts + [_rehearsal(room) for room in rooms(project)]


def _rehearsal(room: Room) -> Fact:
    """How the local target of a rehearsal is: one that goes on, that was kept or that was killed."""
    found = LocalTarget(room, f"{room.name}-rehearsal").status()
    detail = f"cluster {found.cluster}, AWS {'runs' if found.moto_running else 'stopped'}; {room.home}"
    again = f"`mlinfra rehearse --stack {room.name}` begins anew and removes it"
    return Fact(f"rehearsal of {room.name}", found.moto_running, f"{detail}; {again}", found.as_json())


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
    return LocalTarget(
        request.project, request.state_name, steady(request.emit), section.region, account, stack.blueprint
    )


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
