"""What an EKS cluster runs by itself, as far as it takes room on the machines: the pods of its add-ons.

The requests are those of the add-ons' default manifests; an account's own settings of an add-on may change them.
Sources: amazon-vpc-cni-k8s, config/master/aws-k8s-cni.yaml (aws-node 25m, network policy agent 25m); EKS user guide,
"Manage kube-proxy" and "Manage CoreDNS" (their manifests: 100m; two of 100m and 70Mi); eks-pod-identity-agent, its Helm
chart (no request); aws-ebs-csi-driver, its Helm chart (10m and 40Mi for each container: three on every machine, six in
each of the two controllers). GPUs' device plugin asks for nothing and is a DaemonSet of the graph where the stack
installs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mlinfra.checks.access.symbols import Symbols
from mlinfra.checks.capacity.amounts import PODS
from mlinfra.checks.capacity.neighbours import Pod
from mlinfra.checks.capacity.requests import asked

NAMESPACE: Final = "kube-system"
ADDON: Final = "aws:eks/addon:Addon"
EKS_CLUSTER: Final = "aws:eks/cluster:Cluster"


class SystemPod(NamedTuple):
    """Pods of an add-on: on every machine, or a number of them wherever there is room without a taint."""

    name: str
    containers: tuple[Mapping[str, str], ...]
    replicas: int | None = None

    def pod(self) -> Pod:
        """As the scheduler sees it."""
        containers = [{"name": self.name, "resources": {"requests": item}} for item in self.containers]
        tolerations = [{"operator": "Exists"}] if self.replicas is None else []
        spec: dict[str, Any] = {"containers": containers, "tolerations": tolerations}
        return Pod(self.name, NAMESPACE, {"k8s-app": self.name}, spec, {**asked(spec), PODS: 1})


_SMALL: Final = {"cpu": "10m", "memory": "40Mi"}
SYSTEM_PODS: Final[Mapping[str, tuple[SystemPod, ...]]] = {
    "vpc-cni": (SystemPod("aws-node", ({"cpu": "25m"}, {"cpu": "25m"})),),
    "kube-proxy": (SystemPod("kube-proxy", ({"cpu": "100m"},)),),
    "eks-pod-identity-agent": (SystemPod("eks-pod-identity-agent", ({},)),),
    "coredns": (SystemPod("coredns", ({"cpu": "100m", "memory": "70Mi"},), replicas=2),),
    "aws-ebs-csi-driver": (
        SystemPod("ebs-csi-node", (_SMALL,) * 3),
        SystemPod("ebs-csi-controller", (_SMALL,) * 6, replicas=2),
    ),
}
"""The pods of each add-on that is known here, by the add-on's name."""

EXISTING: Final = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns")
"""Add-ons that an existing EKS cluster is taken to have: the default ones, and the agent from which pods get roles."""


def system_pods(symbols: Symbols, *, existing: bool) -> tuple[list[SystemPod], list[str]]:
    """The system's pods of the graph's own EKS cluster, or of an existing one; and the add-ons nobody knows here."""
    named = [symbols.text(node.inputs.get("addonName")) for node in symbols.of_type(ADDON)]
    if not named and existing:
        named = list(EXISTING)
    elif not named and symbols.of_type(EKS_CLUSTER):
        named = ["vpc-cni", "kube-proxy", "coredns"]  # EKS installs these where nobody chooses
    found = [item for name in dict.fromkeys(named) for item in SYSTEM_PODS.get(name, ())]
    return found, sorted({name for name in named if name and name not in SYSTEM_PODS})
