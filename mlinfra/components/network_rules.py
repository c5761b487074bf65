"""Which component may speak to which: security groups that are closed, and the rules that references open them with.

A component that others speak to has a group without rules (`closed_group`). Whoever refers to it opens it by
`open_port`, for one port and one peer, so that nothing is open that nobody uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mlinfra.expansion import CLUSTER, KUBERNETES, Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.network import Network

_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

MACHINE_GROUP: Final = "machine-group"
"""The node of the security group of a component that is a machine itself."""


def closed_group(scope: Scope, network: Network, local: str, purpose: str) -> Ref:
    """Add a security group in the network's VPC that lets nothing in or out; returns a reference to its id.

    AWS answers a caller that was let in whatever goes out (Amazon VPC user guide, "Security groups": stateful), so what
    only answers needs no rule to go out. `purpose` may hold the characters that EC2 takes in a description: letters,
    digits, spaces and `._-:/()#,@[]+=&;{}!$*`.
    """
    name = scope.label_name(local, limit=255)
    return scope.aws(
        local,
        _GROUP,
        {
            "name": name,
            "description": purpose,
            "vpcId": network.vpc_id,
            "tags": {**scope.tags, "Name": name},
        },
    )


def open_port(
    scope: Scope, network: Network, local: str, *, to: Value, port: int, source: Value | None = None, why: str
) -> tuple[str, ...]:
    """Let `source` reach port `port` (TCP) of what has the security group `to`; returns the names of the rules' nodes.

    `source` is the id of a security group; without one, all in the network's private subnets is let in. `why` is the
    rules' description, of the same characters as that of a group. A rule that is there already, by the same component
    and the same `local`, is not added again.
    """
    peers: list[tuple[str, dict[str, Value]]] = (
        [(local, {"referencedSecurityGroupId": source})]
        if source is not None
        else [(f"{local}-{number}", {"cidrIpv4": item}) for number, item in enumerate(network.private_ranges, start=1)]
    )
    for name, peer in peers:
        if scope.component.node(name) not in scope.expansion.nodes:
            add_rule(scope, name, to=to, port=port, peer=peer, why=why)
    return tuple(scope.component.node(name) for name, _ in peers)


def add_rule(scope: Scope, local: str, *, to: Value, port: int, peer: Mapping[str, Value], why: str) -> None:
    """Add a rule that lets `peer`, as EC2 names one, reach port `port` (TCP) of what has the security group `to`."""
    rule = {"securityGroupId": to, "ipProtocol": "tcp", "fromPort": port, "toPort": port, "description": why}
    scope.aws(local, _RULE, {**rule, **peer, "tags": scope.tags})


def callers_group(scope: Scope) -> Value:
    """The security group that calls of `scope`'s component come from: a machine's own, else that of pods."""
    own = scope.component.node(MACHINE_GROUP)
    return Ref(own) if own in scope.expansion.nodes else pods_group(scope)


def pods_group(scope: Scope) -> Value:
    """The security group that the component's pods have in their EKS cluster; None where they are in no such cluster.

    It is the cluster's own, which EKS gives to its nodes (EKS user guide, "Amazon EKS security group requirements").
    """
    if cluster := scope.cluster_of():
        return cluster.security_group
    if not scope.environment.eks_cluster:
        return None
    scope.expansion.provider(KUBERNETES)  # adds the lookup of the cluster
    return Ref(CLUSTER, ("vpcConfig", "clusterSecurityGroupId"))
