"""What network policies of a graph let through, by the rules of Kubernetes' "Network Policies"."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.components.network_policies import NAMESPACE_LABEL
from mlinfra.graph import Graph, Ref, Value


@dataclass(frozen=True)
class Pod:
    """A pod of a namespace: of this graph, by a reference, or of another, by its name."""

    namespace: Value
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """Something outside the cluster."""

    text: str


def namespace_of(component: str) -> Ref:
    """The namespace that a cluster or a team makes."""
    return Ref(f"{component}/namespace", ("metadata", "name"))


def passes(graph: Graph, source: Pod | Address, target: Pod | Address, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection comes about: the source is let out, and the target lets it in."""
    return _let(graph, "Egress", source, target, port, protocol) and _let(
        graph, "Ingress", target, source, port, protocol
    )


def _let(graph: Graph, way: str, mine: Pod | Address, other: Pod | Address, port: int, protocol: str) -> bool:
    if isinstance(mine, Address):
        return True
    policies = [
        node.inputs
        for node in graph
        if node.type == "kubernetes:networking.k8s.io/v1:NetworkPolicy"
        and way in node.inputs["spec"]["policyTypes"]
        and node.inputs["metadata"]["namespace"] == mine.namespace
        and _selected(node.inputs["spec"]["podSelector"], mine.labels)
    ]
    if not policies:
        return True
    key, side = ("egress", "to") if way == "Egress" else ("ingress", "from")
    return any(
        _port(rule, port, protocol) and _peers(rule.get(side), policy["metadata"]["namespace"], other)
        for policy in policies
        for rule in policy["spec"].get(key, ())
    )


def _selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def _port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    return "ports" not in rule or {"port": port, "protocol": protocol} in rule["ports"]


def _peers(peers: list[Any] | None, own: Value, other: Pod | Address) -> bool:
    return peers is None or any(_peer(peer, own, other) for peer in peers)


def _peer(peer: Mapping[str, Any], own: Value, other: Pod | Address) -> bool:
    if "ipBlock" in peer:
        assert set(peer) == {"ipBlock"}
        network = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return isinstance(other, Address) and ipaddress.ip_address(other.text) in network
    if isinstance(other, Address):
        return False
    spaces = peer.get("namespaceSelector")
    here = other.namespace == own if spaces is None else spaces["matchLabels"] == {NAMESPACE_LABEL: other.namespace}
    return here and _selected(peer.get("podSelector", {}), other.labels)
