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
    """Whether there is a Kubernetes cluster for the component: the target's, or one that the stack brings along.

    Notes an error where there is none.
    """
    if scope.environment.has_kubernetes or scope.cluster_of() is not None:
        return True
    kind = type(scope.component).__name__
    scope.problem(
        f"{kind} {scope.component.name!r} needs a Kubernetes cluster, and this target names none",
        remedy="Name the EKS cluster in the stack: `target: {kind: aws, …, cluster: <name>}`.\n"
        'Or let the stack make one: `TrainingCluster(…, eks=Eks(version="…"))`.',
        code="target-without-kubernetes",
    )
    return False
