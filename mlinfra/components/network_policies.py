"""Network policies of a namespace that is closed: nothing in, nothing out, and the openings that references need.

What an opening says holds on clusters whose network plugin enforces policies (Kubernetes, "Network Policies"). The
node that a pod runs on always reaches it, so that probes and port forwarding need no opening.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from mlinfra.authoring import Many
from mlinfra.components.values import Structure
from mlinfra.components.workload import selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value
from mlinfra.naming import component_of

NETWORKING: Final = "networking.k8s.io/v1"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that every namespace has (Kubernetes, "Well-Known Labels")."""
CLOSED: Final = "closed"
"""The node of a namespace's component that says that the namespace is closed."""
_EGRESS: Final = "egress"

HTTPS: Final = 443
API_SERVER: Final = (443, 6443)
"""The ports of API servers: EKS's, and kubeadm's, k3s' and kind's."""
BUILD: Final = {"app.kubernetes.io/component": "build"}
"""The label of pods that build images; they have no component of their own."""


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{error}: write a network such as 10.20.0.0/16, or one address, 10.20.1.5/32") from None


class Egress(Structure):
    """Somewhere outside the cluster that all pods of a closed namespace may connect to, by TCP."""

    cidr: Annotated[str, AfterValidator(_network)]
    """The addresses, such as `10.20.0.0/16`; `0.0.0.0/0` is everywhere. Policies know no names of hosts."""

    ports: Many[Annotated[int, Field(ge=1, le=65535)]] = (HTTPS,)
    """The ports."""

    def rule(self) -> dict[str, Value]:
        """The opening as a rule of a policy."""
        return {"to": [{"ipBlock": {"cidr": self.cidr}}], **tcp(*self.ports)}


# ------------------------------------------------------------------------------------------------ parts of rules


def tcp(*ports: int) -> dict[str, Value]:
    """These ports. A rule that says no more is about them wherever they are."""
    return {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}


def pods(labels: Mapping[str, str], namespace: Value) -> dict[str, Value]:
    """The pods with these labels, all where there are none, in a namespace."""
    return {
        "podSelector": {"matchLabels": dict(labels)} if labels else {},
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}},
    }


def names_of_hosts() -> dict[str, Value]:
    """DNS: CoreDNS and kube-dns, which have the same label, and what answers on each node.

    Sources: Kubernetes, "Customizing DNS Service" and "Using NodeLocal DNSCache in Kubernetes Clusters".
    """
    return {
        "to": [pods({"k8s-app": "kube-dns"}, "kube-system"), {"ipBlock": {"cidr": "169.254.20.10/32"}}],
        "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")],
    }


def pod_identity() -> dict[str, Value]:
    """Where pods on EKS get the credentials of their role (EKS user guide, "Learn how EKS Pod Identity works")."""
    addresses = ("169.254.170.23/32", "fd00:ec2::23/128")
    return {"to": [{"ipBlock": {"cidr": address}} for address in addresses], **tcp(80)}


def aws(*ports: int) -> tuple[dict[str, Value], ...]:
    """What pods with a role on AWS need: their credentials, and these ports, by default that of AWS's APIs.

    The addresses behind AWS's names change, and policies know no names, so that a port is open to everywhere.
    """
    return tcp(*(ports or (HTTPS,))), pod_identity()


# ------------------------------------------------------------------------------------------------ policies


def close(scope: Scope, namespace: Value, outside: Iterable[Egress]) -> None:
    """Close the namespace of `scope`'s component, but for the names of hosts and what is outside the cluster."""
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [names_of_hosts(), *(item.rule() for item in outside)],
    }
    _add(scope, CLOSED, f"{scope.component.identity}.{CLOSED}", spec, namespace)


def is_closed(scope: Scope, namespace: Value) -> bool:
    """Whether a namespace of this blueprint is closed."""
    return isinstance(namespace, Ref) and f"{component_of(namespace.node)}/{CLOSED}" in scope.expansion.nodes


def let_out(
    scope: Scope,
    namespace: Value,
    *rules: Mapping[str, Value],
    labels: Mapping[str, str] | None = None,
    local: str = _EGRESS,
) -> None:
    """Let the pods of `scope`'s component, or those with these labels, connect to more.

    One policy of the component has all that it is given, unless another node is named. Where the namespace is open
    there is none: it would close it for these pods.
    """
    if not is_closed(scope, namespace):
        return
    name = scope.component.node(local)
    if name not in scope.expansion.nodes:
        spec = {"podSelector": {"matchLabels": labels or selector(scope)}, "policyTypes": ["Egress"], "egress": []}
        _add(scope, local, f"{scope.component.identity}.{local}", spec, namespace)
    spec = scope.expansion.nodes[name].inputs["spec"]
    added = [dict(rule) for rule in rules if dict(rule) not in spec["egress"]]
    scope.expansion.change(name, spec={**spec, "egress": [*spec["egress"], *added]})


def among(scope: Scope, namespace: Value, labels: Mapping[str, str] | None = None) -> None:
    """Let the pods of `scope`'s component, or those with these labels, reach each other on every port: ranks of a job,
    or a head and its workers."""
    if not is_closed(scope, namespace):
        return
    same = {"podSelector": {"matchLabels": dict(labels or selector(scope))}}
    spec = {
        **same,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [same]}],
        "egress": [{"to": [same]}],
    }
    _add(scope, "among", f"{scope.component.identity}.among", spec, namespace)


def let_call(
    scope: Scope,
    namespace: Value,
    port: int,
    callers: Mapping[str, Value],
    others: Sequence[str] = (),
    *,
    labels: Mapping[str, str] | None = None,
    part: str = "",
) -> None:
    """Let the pods of whole namespaces connect to those of `scope`'s component, or of a part of it with these labels.

    `callers` are namespaces of this blueprint, by the names of their components; where they are closed they get a
    policy that lets them out. `others` are names of namespaces of which nothing is known here.
    """
    called, before = labels or selector(scope), f"{part}-" if part else ""
    name = ".".join(filter(None, (scope.component.identity, part)))
    if is_closed(scope, namespace):
        spaces = [*callers.values(), *others]
        spec = {
            "podSelector": {"matchLabels": dict(called)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [pods({}, space) for space in spaces], **tcp(port)}],
        }
        _add(scope, f"{before}callers", f"{name}.callers", spec, namespace)
    for caller, space in callers.items():
        if is_closed(scope, space):
            out = [{"to": [pods(called, namespace)], **tcp(port)}]
            spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": out}
            _add(scope, f"{before}calls-from-{caller}", f"{name}.calls", spec, space)


def let_scrape(scope: Scope, namespace: Value, port: int) -> None:
    """Let the pods of a namespace connect to a port of `scope`'s component in it that is for metrics alone."""
    if not is_closed(scope, namespace):
        return
    mine, name = {"podSelector": {"matchLabels": selector(scope)}}, scope.component.identity
    everybody = [{"from": [{"podSelector": {}}], **tcp(port)}]
    _add(scope, "scraped", f"{name}.scraped", {**mine, "policyTypes": ["Ingress"], "ingress": everybody}, namespace)
    out = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [mine], **tcp(port)}]}
    _add(scope, "scrapes", f"{name}.scrapes", out, namespace)


def _add(scope: Scope, local: str, name: str, spec: Mapping[str, Value], namespace: Value) -> None:
    """Names have a dot, which no component's name has."""
    scope.kubernetes(local, NETWORKING, "NetworkPolicy", name, {"spec": dict(spec)}, namespace=namespace)
