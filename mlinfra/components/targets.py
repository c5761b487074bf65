"""What a component asks of the target, told plainly where the target does not have it."""

from __future__ import annotations

from mlinfra.expansion import Scope


def needs_aws(scope: Scope) -> bool:
    """Whether the target has AWS; notes an error where it has not."""
    if scope.environment.has_aws:
        return True
    kind = type(scope.component).__name__
    scope.problem(
        f"{kind} {scope.component.name!r} needs AWS, and this target has none",
        detail="A stack with `target: {kind: kubeconfig}` reaches a Kubernetes cluster and nothing else.",
        remedy=f"Send the stack to a target of kind `aws` or `local`, or use a blueprint without {kind}.",
        code="target-without-aws",
    )
    return False


def needs_kubernetes(scope: Scope) -> bool:
    """Whether the target has a Kubernetes cluster; notes an error where it has not."""
    if scope.environment.has_kubernetes:
        return True
    kind = type(scope.component).__name__
    scope.problem(
        f"{kind} {scope.component.name!r} needs a Kubernetes cluster, and this target names none",
        remedy="Name the EKS cluster in the stack: `target: {kind: aws, …, cluster: <name>}`.",
        code="target-without-kubernetes",
    )
    return False
