from __future__ import annotations

from typing import Any

import pytest

from mlinfra.authoring import Component
from mlinfra.components.network import Network
from mlinfra.components.network_rules import closed_group, open_port, pods_group
from mlinfra.components.network_values import ExistingNetwork
from mlinfra.expansion import Scope
from mlinfra.graph import Ref

NETWORK = ExistingNetwork(vpc_id="vpc-00000001", cidr="10.7.0.0/16", private_subnet_ids=["subnet-00000001"])


class Listening(Component):
    """Something in a network that listens on port 5432, opened twice."""

    network: Network
    by_pods: bool = False

    def expand(self, scope: Scope) -> None:
        group = closed_group(scope, self.network, "group", "Postgres")
        source = pods_group(scope) if self.by_pods else None
        first = open_port(scope, self.network, "in", to=group, port=5432, source=source, why="Readers")
        assert open_port(scope, self.network, "in", to=group, port=5432, source=source, why="Readers") == first


RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def rules(result: Any) -> dict[str, Any]:
    return {node.name: node.inputs for node in result.graph if node.type == RULE}


def test_a_group_is_closed_until_it_is_opened(expanded: Any) -> None:
    result = expanded(lambda: Listening("db", network=Network("net", existing=NETWORK)))
    group = result.inputs("db/group")
    assert (group["vpcId"], group["description"]) == ("vpc-00000001", "Postgres")
    assert {"ingress", "egress"}.isdisjoint(group)
    (rule,) = rules(result).values()
    assert (rule["securityGroupId"], rule["cidrIpv4"], rule["description"]) == (
        Ref("db/group"),
        "10.7.0.0/16",
        "Readers",
    )
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 5432, 5432)
    assert rule["tags"]["mlinfra:component"] == "db"


def test_the_private_subnets_of_a_network_that_is_made_are_let_in_one_by_one(expanded: Any) -> None:
    result = expanded(lambda: Listening("db", network=Network("net", zones=3)))
    assert {name: rule["cidrIpv4"] for name, rule in rules(result).items()} == {
        "db/in-1": "10.0.0.0/19",
        "db/in-2": "10.0.32.0/19",
        "db/in-3": "10.0.64.0/19",
    }


@pytest.mark.parametrize(
    ("target", "peer"),
    [
        ("eks", {"referencedSecurityGroupId": Ref("@cluster", ("vpcConfig", "clusterSecurityGroupId"))}),
        ("local", {"cidrIpv4": "10.7.0.0/16"}),
        ("aws-only", {"cidrIpv4": "10.7.0.0/16"}),
    ],
)
def test_the_pods_of_a_cluster(expanded: Any, target: str, peer: dict[str, Any]) -> None:
    result = expanded(lambda: Listening("db", network=Network("net", existing=NETWORK), by_pods=True), target)
    (rule,) = rules(result).values()
    assert peer.items() <= rule.items()
    assert ("@cluster" in result.graph.nodes) is (target == "eks")
