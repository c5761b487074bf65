"""EKS's own add-ons of a cluster, and the roles of what runs for the cluster itself.

Those that machines cannot do without come before the first machine; those that run on machines come after it, as they
are not `ACTIVE` before (EKS user guide, "Amazon EKS add-ons").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.components.access import Grant, add_role, arn_here, associate, attach, permit, pod_trust
from mlinfra.components.eks_values import AddonName, Eks
from mlinfra.components.log_groups import add_log_group
from mlinfra.components.node_group import AUTOSCALER
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value

SYSTEM: Final = "kube-system"
"""The namespace of what runs for the cluster itself."""
INSIGHTS: Final = "amazon-cloudwatch"
"""The namespace of the add-on for CloudWatch."""
INSIGHTS_LOGS: Final = ("application", "dataplane", "host", "performance")
"""The log groups of Container Insights."""
AUTOSCALER_ACCOUNT: Final = "cluster-autoscaler"


def add_first_addons(scope: Scope, eks: Eks, cluster: Value) -> tuple[str, ...]:
    """Add what machines need to be ready: the network plugin, kube-proxy and the agent by which pods get their roles.

    The network plugin enforces network policies (EKS user guide, "Limit Pod traffic with Kubernetes network policies").
    """
    agent = _addon(scope, eks, cluster, "eks-pod-identity-agent")
    network = _identity(scope, "network", SYSTEM, "aws-node", "AmazonEKS_CNI_Policy")
    policies = {"enableNetworkPolicy": "true"}
    return (
        agent,
        _addon(scope, eks, cluster, "kube-proxy"),
        _addon(scope, eks, cluster, "vpc-cni", settings=policies, identity=network, after=(agent,)),
    )


def add_addons(scope: Scope, eks: Eks, cluster: Value, name: str, *, after: tuple[str, ...]) -> tuple[str, ...]:
    """Add what runs on machines: names of hosts, volumes, and where it is wanted what reports to CloudWatch."""
    volumes = _identity(scope, "volumes", SYSTEM, "ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy")
    found = [
        _addon(scope, eks, cluster, "coredns", after=after),
        _addon(scope, eks, cluster, "aws-ebs-csi-driver", identity=volumes, after=after),
    ]
    if eks.container_insights:
        agent = _identity(scope, "insights", INSIGHTS, "cloudwatch-agent", "CloudWatchAgentServerPolicy")
        logs = _insights_logs(scope, eks, name)
        after = (*after, *logs)
        found.append(_addon(scope, eks, cluster, "amazon-cloudwatch-observability", identity=agent, after=after))
    return tuple(found)


def _insights_logs(scope: Scope, eks: Eks, name: str) -> tuple[str, ...]:
    """Where the agents of Container Insights write to (CloudWatch user guide, "Container Insights performance log
    reference", and "Send logs to CloudWatch Logs" with Fluent Bit)."""
    days = eks.log_days or scope.environment.tier.defaults.cluster_log_days
    groups = (
        add_log_group(
            scope,
            f"insights-{kind}",
            f"/aws/containerinsights/{name}/{kind}",
            days=days,
            key=eks.log_key,
            tags=eks.tags,
        )
        for kind in INSIGHTS_LOGS
    )
    return tuple(group.node for group in groups)


def add_autoscaler_role(scope: Scope, cluster: Value, name: str) -> None:
    """Add the role of the autoscaler's pods: look, and change how many machines this cluster's pools have.

    Source: Cluster Autoscaler, "Cluster Autoscaler on AWS", "IAM Policy" with tag-based conditions.
    """
    owned = {"StringEquals": {f"aws:ResourceTag/{AUTOSCALER}/{name}": "owned"}}
    grants = (
        Grant(_LOOKS, ("*",)),
        Grant(("eks:DescribeNodegroup",), (arn_here(scope, "eks", f"nodegroup/{name}/*/*"),)),
        Grant(("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"), ("*",), owned),
    )
    role = _pods_role(scope, "autoscaler", SYSTEM, AUTOSCALER_ACCOUNT)
    permit(scope, "autoscaler-policy", role, grants)
    associate(scope, "autoscaler-identity", cluster, SYSTEM, AUTOSCALER_ACCOUNT, role)


_LOOKS: Final = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
)
"""Nothing of it can be narrowed to a resource (Service Authorization Reference)."""


def _addon(
    scope: Scope,
    eks: Eks,
    cluster: Value,
    name: AddonName,
    *,
    settings: Mapping[str, Value] | None = None,
    identity: Mapping[str, Value] | None = None,
    after: tuple[str, ...] = (),
) -> str:
    """Add an add-on; `identity` is the role of its service account, by EKS Pod Identity. Returns the node's name."""
    inputs: dict[str, Value] = {
        "clusterName": cluster,
        "addonName": name,
        # What is in the way is the add-on's own, of another version.
        "resolveConflictsOnCreate": "OVERWRITE",
        "resolveConflictsOnUpdate": "OVERWRITE",
        "tags": {**eks.tags, **scope.tags},
    }
    if name in eks.addon_versions:
        inputs["addonVersion"] = eks.addon_versions[name]
    if settings:
        inputs["configurationValues"] = Document(dict(settings))
    if identity:
        inputs["podIdentityAssociations"] = [identity]
    return scope.aws(f"addon-{name}", "aws:eks/addon:Addon", inputs, depends_on=after).node


def _identity(scope: Scope, part: str, namespace: str, account: str, managed: str) -> dict[str, Value]:
    """A service account with a role for its pods, which has a policy of AWS's."""
    role = _pods_role(scope, part, namespace, account)
    attach(scope, f"{part}-policy", role, managed)
    return {"serviceAccount": account, "roleArn": Ref(role.node, ("arn",))}


def _pods_role(scope: Scope, part: str, namespace: str, account: str) -> Ref:
    description = f"Pods of service account {account} in {namespace}"
    return add_role(scope, f"{part}-role", description, pod_trust(scope, namespace, account), part)
