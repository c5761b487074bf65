"""What a command asks for, and the stack that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError
from mlinfra.emit import Emit, silent
from mlinfra.graph import Graph
from mlinfra.naming import short_hash
from mlinfra.project import Project
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget, Stack, load_stack, stack_names


@dataclass(frozen=True)
class Request:
    """A stack of a project, and whether it goes elsewhere than its file says.

    `rehearse` sends it to the local target. `target` is `local` or `kubeconfig:PATH`. Either way the run has a state of
    its own, so that the stack's real state never learns of it.
    """

    project: Project
    stack_name: str
    rehearse: bool = False
    target: str | None = None
    emit: Emit = silent
    wait: bool = False
    """Whether to wait for a run that has the stack, rather than to be refused."""
    ask: Callable[[str], str] | None = None
    """Asks a person for a secret value, which is not shown while it is typed; None: nobody is there to be asked."""

    def command(self, verb: str) -> str:
        """A command on the same stack, sent to the same place, for messages to name."""
        flag = " --rehearse" if self.rehearse else f" --target {self.target}" if self.target else ""
        return f"mlinfra {verb} --stack {self.stack_name}{flag}"

    def fitted(self, graph: Graph) -> Graph:
        """The graph as a run of this sort has it made: as it is."""
        return graph

    @property
    def state_name(self) -> str:
        """The name under which state, local cluster and history are kept."""
        if self.rehearse:
            return f"{self.stack_name}-rehearsal"
        if not self.target:
            return self.stack_name
        kind, _, path = self.target.partition(":")
        # Two clusters are two states: what one of them has says nothing of the other.
        which = f"-{short_hash(str(self._absolute(path)), length=6)}" if path else ""
        return f"{self.stack_name}-{kind}{which}"

    def account_name(self, stack: Stack) -> str:
        """What the AWS account on the local target is called: by the environment, so that its stacks share one.

        Runs that are sent elsewhere have accounts of their own, as they have states of their own.
        """
        return f"{stack.file.environment.name}{self.state_name.removeprefix(self.stack_name)}"

    def _absolute(self, path: str) -> Path:
        return (self.project.root / Path(path).expanduser()).resolve()

    def stack(self) -> Stack:
        """The stack, sent where the request says; raises `MlinfraError` for what is wrong with it."""
        stack = load_stack(self.project, self.stack_name)
        if self.state_name != self.stack_name and self.state_name in stack_names(self.project):
            raise MlinfraError(
                Diagnostic(
                    f"this run would share the state of stack {self.state_name}",
                    detail=f"{self.stack_name}, sent elsewhere, keeps its state under the name {self.state_name}.",
                    remedy=f"Give stacks/{self.state_name}.yaml another name.",
                    location=Location(f"stacks/{self.state_name}.yaml", 1),
                    code="state-name",
                )
            )
        if self.rehearse or self.target == "local":
            return stack.with_target(_local_like(stack))
        kind, _, path = (self.target or "").partition(":")
        if kind == "kubeconfig" and path:
            return stack.with_target(KubeconfigTarget(kind="kubeconfig", path=path))
        if self.target:
            raise MlinfraError(
                Diagnostic(
                    f"{self.target!r} is no target",
                    detail="An AWS account is named in the stack file, never on the command line.",
                    remedy="Write --target local or --target kubeconfig:PATH.",
                    code="target-unknown",
                )
            )
        return stack


def _local_like(stack: Stack) -> LocalTarget:
    """The local target, standing in for the region that the stack is meant for."""
    target = stack.file.target
    return LocalTarget(region=target.region) if isinstance(target, AwsTarget | LocalTarget) else LocalTarget()
