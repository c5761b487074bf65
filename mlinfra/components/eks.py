"""An EKS cluster that a `TrainingCluster` makes or brings along: the cluster, who is let in, and the way into it.

What runs for the cluster itself is in `eks_addons` and `eks_objects`, its machines are in `node_group`, and what keeps
it from coming up is found by `eks_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlinfra import naming
from mlinfra.components.access import add_role, arn_here, attach, partition, trusted
from mlinfra.components.eks_addons import add_addons, add_autoscaler_role, add_first_addons
from mlinfra.components.eks_checks import check_eks
from mlinfra.components.eks_objects import add_autoscaler, add_device_plugin, add_storage_class
from mlinfra.components.eks_values import Eks, ExistingEks
from mlinfra.components.key import add_key
from mlinfra.components.log_groups import add_log_group
from mlinfra.components.network import Network
from mlinfra.components.network_policies import HTTPS
from mlinfra.components.network_rules import add_rule
from mlinfra.components.node_group import add_node_group
from mlinfra.components.node_pool import NodePool
from mlinfra.environment import LOCAL
from mlinfra.expansion import IN_CLUSTER, KUBERNETES, PROVIDERS, ClusterAccess, Scope
from mlinfra.graph import Call, Kind, Options, Ref, Value

CLUSTER: Final = "eks"
"""The node of the cluster."""
OIDC: Final = "oidc"
"""The node of the IAM identity provider of its service accounts."""

_TOKEN: Final = "aws:eks/cluster:Cluster"  # noqa: S105 — a type token
_LOOKUP: Final = "aws:eks/getCluster:getCluster"

LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All of the control plane's logs (EKS user guide, "Send control plane logs to CloudWatch Logs")."""

_POLICIES: Final = {"admins": "AmazonEKSClusterAdminPolicy", "viewers": "AmazonEKSViewPolicy"}
"""Access policies, for the whole cluster (EKS user guide, "Review access policy permissions")."""


def enter(scope: Scope, eks: Eks | ExistingEks | None, pools: Sequence[NodePool]) -> None:
    """Make the component's own cluster, or find the one that it brings along, and go into it.

    Nothing is done on a target without AWS, which has a cluster itself; nor for a cluster that is there already on the
    local target, where the stack's own stands in for it.
    """
    if eks is None or not scope.environment.has_aws:
        return
    if isinstance(eks, Eks):
        if check_eks(scope, eks, pools):
            assert eks.network is not None
            _make(scope, eks, eks.network, pools)
    elif scope.environment.account != LOCAL:
        _find(scope, eks)


def _find(scope: Scope, eks: ExistingEks) -> None:
    """Look a cluster up, to know the way into it."""
    found = scope.lookup(CLUSTER, _LOOKUP, {"name": eks.name}).node
    authority = Ref(found, ("certificateAuthorities", 0, "data"))
    group = Ref(found, ("vpcConfig", "clusterSecurityGroupId"))
    provider = _provider(scope, eks.name, (eks.name, Ref(found, ("endpoint",)), authority), ())
    scope.enter_cluster(ClusterAccess(provider, eks.name, eks.name, group))


def _make(scope: Scope, eks: Eks, network: Network, pools: Sequence[NodePool]) -> None:
    """The cluster; then its machines; then the way into it, and what runs for it."""
    name = scope.label_name()
    cluster = _cluster(scope, eks, network, name).node
    known_as = Ref(cluster, ("name",))
    _let_in(scope, eks, known_as)
    group = Ref(cluster, ("vpcConfig", "clusterSecurityGroupId"))
    for number, cidr in enumerate(eks.private_cidrs, start=1):
        why = "The Kubernetes API from within the network"
        add_rule(scope, f"api-from-{number}", to=group, port=HTTPS, peer={"cidrIpv4": cidr}, why=why)
    issuer = Ref(cluster, ("identities", 0, "oidcs", 0, "issuer"))
    scope.aws(
        OIDC,
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": issuer, "clientIdLists": ["sts.amazonaws.com"], "tags": {**eks.tags, **scope.tags}},
    )
    provider = scope.component.node(IN_CLUSTER)
    # From here on what is made in the cluster, and the roles of its pods, know which cluster it is.
    scope.enter_cluster(ClusterAccess(provider, name, known_as, group, insights=eks.container_insights))
    role, permitted = _machines_role(scope)
    before = (*add_first_addons(scope, eks, known_as), *permitted)
    nodes = tuple(
        add_node_group(scope, pool, eks, network, cluster=known_as, cluster_name=name, role=role, after=before)
        for pool in pools
    )
    addons = add_addons(scope, eks, known_as, name, after=nodes)
    authority = Ref(cluster, ("certificateAuthority", "data"))
    # The cluster can be used once it has machines and add-ons; and these stay until all that is in it is gone, since a
    # volume or a load balancer goes only where its controller runs.
    _provider(scope, name, (known_as, Ref(cluster, ("endpoint",)), authority), (*nodes, *addons))
    add_storage_class(scope)
    if any(pool.machine.gpus for pool in pools):
        add_device_plugin(scope, eks)
    if eks.autoscaler:
        add_autoscaler_role(scope, known_as, name)
        add_autoscaler(scope, eks, name)


def _provider(scope: Scope, name: str, cluster: tuple[Value, Value, Value], after: tuple[str, ...]) -> str:
    """Add the provider instance that leads to a cluster, given by name, endpoint and certificate authority.

    Another endpoint or authority is another way to the same cluster (pulumi_kubernetes, `Provider`,
    `clusterIdentifier`). A cluster that is replaced keeps its name and has to go first; what is in it goes before it,
    because the engine asks what would become of this instance if `cluster` were not known.
    """
    kubeconfig = Call("eks_kubeconfig", (*cluster, scope.environment.region))
    inputs: dict[str, Value] = {"kubeconfig": kubeconfig, "cluster": cluster[0], "clusterIdentifier": name}
    # The engine closes an instance whose own diff calls for a replacement, and then deletes through it (pulumi 3.222,
    # `Registry.Diff`); by this option it replaces and does not close.
    options = Options(depends_on=after, replace_on_changes=("cluster",))
    return scope.add(IN_CLUSTER, PROVIDERS[KUBERNETES], inputs, Kind.PROVIDER, options).node


def _cluster(scope: Scope, eks: Eks, network: Network, name: str) -> Ref:
    tier = scope.environment.tier
    tags = {**eks.tags, **scope.tags}
    # EKS would make the group itself, and keep what is in it for ever.
    days = eks.log_days or tier.defaults.cluster_log_days
    logs = add_log_group(scope, "eks-logs", f"/aws/eks/{name}/cluster", days=days, key=eks.log_key, tags=eks.tags)
    role, permitted = _control_plane_role(scope, name)
    key = eks.key.arn if eks.key else add_key(scope, "eks", description=f"Kubernetes Secrets of {name}", tags=eks.tags)
    protected = tier.protected if eks.deletion_protection is None else eks.deletion_protection
    endpoint: dict[str, Value] = {"endpointPrivateAccess": True, "endpointPublicAccess": bool(eks.public_cidrs)}
    if eks.public_cidrs:
        endpoint["publicAccessCidrs"] = list(eks.public_cidrs)
    return scope.aws(
        CLUSTER,
        _TOKEN,
        {
            "name": name,
            "version": eks.version,
            "roleArn": role,
            "vpcConfig": {"subnetIds": network.private_subnet_ids, **endpoint},
            "accessConfig": {
                "authenticationMode": "API",
                "bootstrapClusterCreatorAdminPermissions": eks.creator_is_admin,
            },
            "encryptionConfig": {"provider": {"keyArn": key}, "resources": ["secrets"]},
            "enabledClusterLogTypes": list(LOG_TYPES),
            "bootstrapSelfManagedAddons": False,  # they are add-ons of EKS, which keep their versions
            "upgradePolicy": {"supportType": "EXTENDED" if eks.extended_support else "STANDARD"},
            "deletionProtection": protected,
            "tags": tags,
        },
        depends_on=(*permitted, logs.node),
        # It is looked at when the cluster is made, and another value would replace the cluster.
        ignore_changes=("accessConfig.bootstrapClusterCreatorAdminPermissions",),
        delete_before_replace=True,
        protect=scope.protected or tier.protected,
    )


def _let_in(scope: Scope, eks: Eks, cluster: Value) -> None:
    """Access entries. For the role of managed node groups' machines EKS makes one itself (EKS user guide, "Create
    access entries")."""
    for people, access in _POLICIES.items():
        for principal in getattr(eks, people):
            local = f"access-{_principal(principal)}"
            entry = _entry(scope, local, cluster, principal, {})
            scope.aws(
                f"{local}-policy",
                "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
                {
                    "clusterName": cluster,
                    "principalArn": Ref(entry.node, ("principalArn",)),
                    "policyArn": f"arn:{partition(scope)}:eks::aws:cluster-access-policy/{access}",
                    "accessScope": {"type": "cluster"},
                },
            )
    for principal, groups in eks.groups.items():
        _entry(scope, f"access-{_principal(principal)}", cluster, principal, {"kubernetesGroups": list(groups)})


def _entry(scope: Scope, local: str, cluster: Value, principal: str, more: dict[str, Value]) -> Ref:
    inputs = {"clusterName": cluster, "principalArn": principal, "type": "STANDARD", "tags": scope.tags, **more}
    return scope.aws(local, "aws:eks/accessEntry:AccessEntry", inputs)


def _principal(arn: str) -> str:
    """A short name for a principal that no other has."""
    return f"{naming.dns_label(arn.rpartition('/')[2], limit=40)}-{naming.short_hash(arn, length=6)}"


# ------------------------------------------------------------------------------------------------ roles


def _control_plane_role(scope: Scope, name: str) -> tuple[Value, tuple[str, ...]]:
    """The role of this one cluster's control plane.

    Sources: EKS user guide, "Amazon EKS cluster IAM role" and "Cross-service confused deputy prevention in Amazon EKS".
    """
    trust = trusted("eks.amazonaws.com", {"ArnLike": {"aws:SourceArn": arn_here(scope, "eks", f"cluster/{name}")}})
    return _role(scope, "eks-role", "control-plane", trust, f"Control plane of {name}", ("AmazonEKSClusterPolicy",))


def _machines_role(scope: Scope) -> tuple[Value, tuple[str, ...]]:
    """The role of machines: join the cluster, pull images. What the network plugin needs, only its pods have.

    Source: EKS user guide, "Amazon EKS node IAM role".
    """
    china = ".cn" if scope.environment.region.startswith("cn-") else ""
    trust = trusted(f"ec2.amazonaws.com{china}")
    policies = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
    return _role(scope, "machines-role", "machines", trust, f"Machines of {scope.label_name()}", policies)


def _role(
    scope: Scope, local: str, part: str, trust: dict[str, Value], description: str, policies: Sequence[str]
) -> tuple[Value, tuple[str, ...]]:
    """A role with policies of AWS's; returns its ARN, and the nodes by which it may do what they say."""
    role = add_role(scope, local, description, trust, part)
    attached = [attach(scope, f"{local}-{number}", role, name) for number, name in enumerate(policies, start=1)]
    return Ref(role.node, ("arn",)), tuple(item.node for item in attached)
