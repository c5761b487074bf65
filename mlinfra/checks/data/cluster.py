"""What a Kubernetes cluster holds: Secrets, and volumes of databases and the like; and which workloads can read them.

A Secret is read by the pods that name it, and by whom RBAC lets get or list it. Sources: Kubernetes, "Secrets", "Using
RBAC Authorization", "Good practices for Kubernetes Secrets".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.checks.data.held import CLUSTER, facts
from mlinfra.checks.data.record import Reader, Retention, Store, unique
from mlinfra.components.bucket_cluster import ACCOUNT_LABEL, CLASSIFICATION_LABEL
from mlinfra.components.job_template import MANIFEST, RAY_JOB, TEMPLATE_LABEL
from mlinfra.graph import Node, Secret
from mlinfra.holding import CLAIM, STATEFUL_SET

_CORE: Final = "kubernetes:core/v1:"
_RBAC: Final = "kubernetes:rbac.authorization.k8s.io/v1:"
SECRET: Final = f"{_CORE}Secret"
CONFIG: Final = f"{_CORE}ConfigMap"
_POD_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    f"{_CORE}Pod": ("spec",),
    f"{_CORE}PodTemplate": ("template", "spec"),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **{
        f"kubernetes:{kind}": ("spec", "template", "spec")
        for kind in (
            "apps/v1:DaemonSet",
            "apps/v1:Deployment",
            "apps/v1:ReplicaSet",
            "apps/v1:StatefulSet",
            "argoproj.io/v1alpha1:Rollout",
            "batch/v1:Job",
        )
    },
}
_BINDINGS: Final = (f"{_RBAC}RoleBinding", f"{_RBAC}ClusterRoleBinding")
_SECRETS: Final = (("secretName",), ("secretKeyRef", "name"), ("secretRef", "name"), ("secret", "name"))
"""Where a pod names a Secret: as a volume, a part of one, or for its variables."""
_CLAIMS: Final = (("claimName",),)
_READING: Final = frozenset({"get", "list", "watch", "*"})

AT_REST: Final = "what the cluster encrypts its storage with"
WHO_HAS_CREDENTIALS: Final = (
    "whoever has the credentials of one of its readers, and is let in by the network policies, can read it"
)
WHO_MAKES_PODS: Final = "whoever may make pods in its namespace can read it, too"


@dataclass(frozen=True)
class Rule:
    """What RBAC lets a subject read: Secrets of a namespace, empty for every one, by their names, empty for all."""

    subject: Any
    namespace: str
    names: tuple[str, ...]
    origin: str


class ClusterData:
    """The stores of a cluster in a graph."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self._pods = {node.name: self._pod(node) for node in symbols.of_type(*_POD_SPECS)}
        self._pods |= {node.name: self._manifest(node) for node in symbols.of_type(CONFIG) if self._is_template(node)}
        self._rules = list(self._allowed())

    def stores(self) -> Iterator[Store]:
        """Every store with its readers."""
        for node in self.symbols.of_type(SECRET):
            yield replace(self._facts(node, "Kubernetes secret"), readers=self._secret(node), notes=(WHO_MAKES_PODS,))
        for node in self.symbols.of_type(STATEFUL_SET):
            if self.symbols.input(node, "spec", "volumeClaimTemplates"):
                yield self._database(node)
        for node in self.symbols.of_type(CLAIM):
            yield self._volume(node)

    # ------------------------------------------------------------------------------------ stores

    def _facts(self, node: Node, kind: str) -> Store:
        """Labels say nothing of what is inside; Kubernetes keeps it until somebody deletes it."""
        place = f"{self._namespace(node)}/{self._name(node)}"
        known = {"where": CLUSTER, "place": place, "retention": Retention(), "encrypted_with": AT_REST}
        return facts(self.symbols, node, kind, **known)

    def _secret(self, node: Node) -> tuple[Reader, ...]:
        name = self._name(node)
        mounted = [
            self._workload(other, other)
            for other in self._in_namespace(node)
            if _names(self._pods[other], name, _SECRETS)
        ]
        return tuple(sorted((*mounted, *self._by_rules(node, name)), key=lambda item: (item.kind, item.name)))

    def _database(self, node: Node) -> Store:
        """Volumes that a StatefulSet makes: its own pods read them, and whoever has a Secret that it is given."""
        component = self.symbols.graph.nodes.get(node.component or "")
        kind = "database" if component is not None and component.type.endswith(":Database") else "volumes"
        given = [
            secret for secret in self._near(node, SECRET) if _names(self._pods[node.name], self._name(secret), _SECRETS)
        ]
        found = [self._workload(node.name, node.name)]
        for secret in given:
            found += [
                replace(reader, policies=(secret.name,))
                for reader in self._secret(secret)
                if reader.component != node.component
            ]
        notes = ("whoever has its password and is let in by the network policies can read it",) if given else ()
        return replace(self._facts(node, kind), readers=tuple(found), notes=notes)

    def _volume(self, node: Node) -> Store:
        """A claim: pods that name it read it; where it is a bucket, so do those whom its store's policy lets in."""
        users = [other for other in self._in_namespace(node) if _names(self._pods[other], self._name(node), _CLAIMS)]
        found = [self._workload(name, node.name) for name in users]
        component = self.symbols.graph.nodes.get(node.component or "")
        if component is None or not component.type.endswith(":Bucket"):
            return replace(self._facts(node, "volume"), readers=tuple(found))
        found += self._by_policy(node)
        return replace(
            self._facts(node, "bucket"),
            name=component.name,
            place=f"s3://{self._name(node)}",
            classification=str(self.symbols.input(node, "metadata", "labels", CLASSIFICATION_LABEL) or ""),
            readers=tuple(found),
            notes=(WHO_HAS_CREDENTIALS,),
        )

    def _by_policy(self, node: Node) -> Iterator[Reader]:
        """Pods that have the credentials of an account which a bucket's policy lets read."""
        for policy in self._near(node, CONFIG):
            text = self.symbols.input(policy, "data", f"{self._name(node)}.json")
            parts: dict[str, list[str]] = {}
            for statement in json.loads(text)["Statement"] if isinstance(text, str) else ():
                if "s3:GetObject" in statement["Action"]:
                    for account in statement["Principal"]["AWS"]:
                        parts.setdefault(account, []).extend(item.partition("/")[2] for item in statement["Resource"])
            for secret in self._near(node, SECRET):
                account = self.symbols.input(secret, "metadata", "labels", ACCOUNT_LABEL)
                if isinstance(account, str) and account in parts:
                    reads, why = unique(parts[account]), (policy.name, secret.name)
                    for reader in self._secret(secret):
                        yield replace(reader, reads=reads, actions=("s3:GetObject",), policies=why)

    def _near(self, node: Node, token: str) -> list[Node]:
        return [other for other in self.symbols.of_type(token) if self._namespace(other) == self._namespace(node)]

    # ------------------------------------------------------------------------------------ readers

    def _workload(self, name: str, origin: str) -> Reader:
        node = self.symbols.graph.nodes[name]
        kind = node.type.rpartition(":")[2]
        return Reader("workload", f"{kind} {self._name(node)}", "", node.component, reads=("*",), policies=(origin,))

    def _by_rules(self, node: Node, name: str) -> Iterator[Reader]:
        for rule in self._rules:
            if rule.namespace in ("", self._namespace(node)) and (not rule.names or name in rule.names):
                subject = rule.subject
                where = f"{at(subject, 'namespace')}/" if at(subject, "namespace") else ""
                yield Reader(
                    str(at(subject, "kind") or "").lower(),
                    f"{where}{at(subject, 'name') or ''}",
                    reads=("*",),
                    actions=("get",),
                    policies=(rule.origin,),
                )

    def _allowed(self) -> Iterator[Rule]:
        """What the bindings of the graph give of Secrets; roles that it does not make are not known."""
        symbols = self.symbols
        roles = {
            (kind, self._namespace(node) if kind == "Role" else "", self._name(node)): node
            for kind in ("Role", "ClusterRole")
            for node in symbols.of_type(f"{_RBAC}{kind}")
        }
        for binding in symbols.of_type(*_BINDINGS):
            kind, name = symbols.input(binding, "roleRef", "kind"), symbols.input(binding, "roleRef", "name")
            space = self._namespace(binding)
            role = roles.get((kind, space if kind == "Role" else "", name))
            for rule in symbols.items(role, "rules") if role is not None else ():
                if _reads_secrets(rule):
                    for subject in symbols.items(binding, "subjects"):
                        yield Rule(subject, space, _texts(rule, "resourceNames"), binding.name)

    # ------------------------------------------------------------------------------------ objects

    def _in_namespace(self, node: Node) -> list[str]:
        return [name for name in self._pods if self._namespace(self.symbols.graph.nodes[name]) == self._namespace(node)]

    def _pod(self, node: Node) -> Any:
        return self.symbols.input(node, *_POD_SPECS[node.type])

    def _is_template(self, node: Node) -> bool:
        """Whether a ConfigMap is what runs are made from: it holds the manifest of a RayJob with all of its pods."""
        return bool(self.symbols.input(node, "metadata", "labels", TEMPLATE_LABEL) == RAY_JOB)

    def _manifest(self, node: Node) -> Any:
        with suppress(ValueError):
            return json.loads(self.symbols.text(at(node.inputs, "data", MANIFEST)))
        return None

    def _name(self, node: Node) -> str:
        return str(self.symbols.output(node, "metadata", "name"))

    def _namespace(self, node: Node) -> str:
        found = self.symbols.input(node, "metadata", "namespace")
        return str(found) if found else "" if node.type == _BINDINGS[1] else "default"


def _reads_secrets(rule: Any) -> bool:
    groups = _texts(rule, "apiGroups") or ("",)
    return (
        not {"", "*"}.isdisjoint(groups)
        and not {"secrets", "*"}.isdisjoint(_texts(rule, "resources"))
        and not _READING.isdisjoint(_texts(rule, "verbs"))
    )


def _texts(value: Any, key: str) -> tuple[str, ...]:
    found = at(value, key)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def _names(value: Any, name: str, paths: tuple[tuple[str, ...], ...]) -> bool:
    """Whether a pod names something at one of these paths, wherever in its `spec` they begin."""
    match value:
        case Mapping():
            return any(at(value, *path) == name for path in paths) or any(
                _names(item, name, paths) for item in value.values()
            )
        case list():
            return any(_names(item, name, paths) for item in value)
        case Secret(inner):
            return _names(inner, name, paths)
        case _:
            return False
