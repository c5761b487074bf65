"""EKS's own add-ons of a cluster, and the roles of what runs for the cluster itself.

Those that machines cannot do without come before the first machine; those that run on machines come after it, as they
are not `ACTIVE` before (EKS user guide, "Amazon EKS add-ons").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlinfra.components.access import Grant, account_id, associate, partition, pod_trust, policy
from mlinfra.components.eks_values import AddonName, Eks
from mlinfra.components.node_group import AUTOSCALER
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value, join

SYSTEM: Final = "kube-system"
"""The namespace of what runs for the cluster itself."""
INSIGHTS: Final = "amazon-cloudwatch"
"""The namespace of the add-on for CloudWatch."""
AUTOSCALER_ACCOUNT: Final = "cluster-autoscaler"


def add_first_addons(scope: Scope, eks: Eks, cluster: Value) -> tuple[str, ...]:
    """Add what machines need to be ready: the network plugin, kube-proxy and the agent by which pods get their roles.

    The network plugin enforces network policies (EKS user guide, "Limit Pod traffic with Kubernetes network policies").
    """
    agent = _addon(scope, eks, cluster, "eks-pod-identity-agent")
    network = _role(scope, "network", SYSTEM, "aws-node", "AmazonEKS_CNI_Policy")
    policies = {"enableNetworkPolicy": "true"}
    return (
        agent,
        _addon(scope, eks, cluster, "kube-proxy"),
        _addon(scope, eks, cluster, "vpc-cni", settings=policies, roles={"aws-node": network}, after=(agent,)),
    )


def add_addons(scope: Scope, eks: Eks, cluster: Value, *, after: tuple[str, ...]) -> tuple[str, ...]:
    """Add what runs on machines: names of hosts, volumes, and where it is wanted what reports to CloudWatch."""
    account = "ebs-csi-controller-sa"
    volumes = _role(scope, "volumes", SYSTEM, account, "service-role/AmazonEBSCSIDriverPolicy")
    found = [
        _addon(scope, eks, cluster, "coredns", after=after),
        _addon(scope, eks, cluster, "aws-ebs-csi-driver", roles={account: volumes}, after=after),
    ]
    if eks.container_insights:
        account = "cloudwatch-agent"
        agent = _role(scope, "insights", INSIGHTS, account, "CloudWatchAgentServerPolicy")
        found.append(
            _addon(scope, eks, cluster, "amazon-cloudwatch-observability", roles={account: agent}, after=after)
        )
    return tuple(found)


def add_autoscaler_role(scope: Scope, cluster: Value, name: str) -> None:
    """Add the role of the autoscaler's pods: look, and change how many machines this cluster's pools have.

    Source: Cluster Autoscaler, "Cluster Autoscaler on AWS", "IAM Policy" with tag-based conditions.
    """
    groups = join(
        f"arn:{partition(scope)}:eks:{scope.environment.region}:", account_id(scope), f":nodegroup/{name}/*/*"
    )
    owned = {"StringEquals": {f"aws:ResourceTag/{AUTOSCALER}/{name}": "owned"}}
    grants = (
        Grant(_LOOKS, ("*",)),
        Grant(("eks:DescribeNodegroup",), (groups,)),
        Grant(("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"), ("*",), owned),
    )
    role = _pods_role(scope, "autoscaler", SYSTEM, AUTOSCALER_ACCOUNT)
    statements = [grant.statement() for grant in grants]
    scope.aws(
        "autoscaler-policy",
        "aws:iam/rolePolicy:RolePolicy",
        {"role": role, "name": "access", "policy": policy(statements)},
    )
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
    roles: Mapping[str, Ref] | None = None,
    after: Sequence[str] = (),
) -> str:
    """Add an add-on; `roles` are those of its service accounts, by EKS Pod Identity. Returns the node's name."""
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
    if roles:
        inputs["podIdentityAssociations"] = [
            {"serviceAccount": account, "roleArn": Ref(role.node, ("arn",))} for account, role in roles.items()
        ]
    return scope.aws(f"addon-{name}", "aws:eks/addon:Addon", inputs, depends_on=tuple(after)).node


def _role(scope: Scope, part: str, namespace: str, account: str, managed: str) -> Ref:
    """A role of the pods of a service account, with a policy of AWS's."""
    role = _pods_role(scope, part, namespace, account)
    scope.aws(
        f"{part}-policy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": role, "policyArn": f"arn:{partition(scope)}:iam::aws:policy/{managed}"},
    )
    return role


def _pods_role(scope: Scope, part: str, namespace: str, account: str) -> Ref:
    return scope.aws(
        f"{part}-role",
        "aws:iam/role:Role",
        {
            "name": scope.label_name(part, limit=64),
            "description": f"Pods of service account {account} in {namespace}",
            "assumeRolePolicy": policy([pod_trust(scope, namespace, account)]),
            "tags": scope.tags,
        },
    )
