"""What the pods of a `Monitoring` have in common: each part has labels and a name of its own; all reach each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlinfra.components.network_policies import among
from mlinfra.components.workload import COMPONENT_LABEL, container_security, pod_labels, pod_security
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value

MONITORING_LABEL: Final = f"{DOMAIN}/monitoring"
"""The label of all pods of a `Monitoring`, whatever part they are; its value is the component's identity."""

NOBODY: Final = 65534  # the user that the images of Prometheus' projects are built for


def shared_labels(scope: Scope) -> dict[str, str]:
    """The label by which all pods of a `Monitoring` are found."""
    return {MONITORING_LABEL: scope.component.identity}


def connect_parts(scope: Scope, namespace: Value) -> None:
    """Let the parts reach each other, where the namespace is closed."""
    among(scope, namespace, shared_labels(scope))


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs beside Prometheus, in pods of its own: `name` and the TCP port that it listens on."""

    scope: Scope
    namespace: Value
    name: str
    port: int

    @property
    def identity(self) -> str:
        """Its name in Kubernetes: `watch-alertmanager`."""
        return f"{self.scope.component.identity}-{self.name}"

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which its pods are found. They are not the component's own, which are Prometheus'."""
        return {COMPONENT_LABEL: f"{self.scope.component.identity}.{self.name}"}

    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return {**pod_labels(self.scope), **self.selector, **shared_labels(self.scope)}

    def scraped(self, path: str = "/metrics") -> dict[str, str]:
        """The annotations by which Prometheus scrapes its pods."""
        return {"prometheus.io/scrape": "true", "prometheus.io/port": str(self.port), "prometheus.io/path": path}

    def add_service(self, *, headless: bool = False) -> Ref:
        """Add the Service that has the part's name and port; returns a reference to its name.

        A headless one names each pod, also before it is ready.
        """
        ports = [{"name": self.name, "port": self.port, "targetPort": self.port, "protocol": "TCP"}]
        spec: dict[str, Value] = {"selector": self.selector, "ports": ports}
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True} if headless else {"type": "ClusterIP"}
        made = self.scope.kubernetes(
            f"{self.name}-service", "v1", "Service", self.identity, {"spec": spec}, namespace=self.namespace
        )
        return Ref(made.node, ("metadata", "name"))

    def pod(self, account: Ref, priority: Value, container: Mapping[str, Value], **spec: Value) -> dict[str, Value]:
        """The spec of a pod with one container, which runs as nobody and has no token for the Kubernetes API."""
        only = {"name": self.name, "securityContext": container_security(read_only=True), **container}
        return {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "priorityClassName": priority,
            "securityContext": pod_security(NOBODY),
            "containers": [only],
            **spec,
        }

    def probes(self, ready: str, alive: str) -> dict[str, Value]:
        """A container's probes, by these two paths."""
        return {
            "readinessProbe": {"httpGet": {"path": ready, "port": self.port}, "periodSeconds": 10},
            "livenessProbe": {
                "httpGet": {"path": alive, "port": self.port},
                "periodSeconds": 10,
                "failureThreshold": 6,
            },
        }
