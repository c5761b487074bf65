"""From components to the graph: what a component's `expand` writes its nodes with, and the walk over all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra import naming
from mlinfra.authoring import Blueprint, BlueprintFunction, Component
from mlinfra.diagnostics import Problems
from mlinfra.environment import Environment
from mlinfra.graph import Call, Graph, Kind, Node, Options, Pool, Ref, Value

AWS = "@aws"
KUBERNETES = "@kubernetes"
PROVIDERS = {AWS: "pulumi:providers:aws", KUBERNETES: "pulumi:providers:kubernetes"}
"""Names and types of the default provider instances; no component's name begins with `@`."""

CLUSTER = "@cluster"
"""The lookup of the EKS cluster that a stack names."""

IN_CLUSTER = "kubernetes"
"""The node of a component that is the provider instance leading to a cluster which it makes or brings along."""

MANAGER = "mlinfra"
DOMAIN = "mlinfra.dev"
"""Prefix of our own labels and annotations."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """An EKS cluster that a component makes, or brings along, and how the stack gets into it.

    `provider` is the provider instance that leads to it. `name` is its name as text; `known_as` is the name as an
    output of what makes it, for whatever must not be made before it. `security_group` is that of its nodes.
    """

    provider: str
    name: str
    known_as: Value
    security_group: Value
    insights: bool = False
    """Whether CloudWatch Container Insights are collected in it."""


@dataclass
class Expansion:
    """Everything that the components of one blueprint have added so far."""

    blueprint: str
    version: str
    environment: Environment
    protect: frozenset[str] = frozenset()
    nodes: dict[str, Node] = field(default_factory=dict)
    pools: list[Pool] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
    clusters: dict[str, ClusterAccess] = field(default_factory=dict)
    """The clusters that components make or bring along, by their provider instances; the stack's own is not in it."""

    def provider(self, name: str) -> str:
        """The name of a default provider instance, which is added to the graph when first asked for."""
        if name not in self.nodes:
            inputs = {"region": self.environment.region} if name == AWS else self._cluster_access()
            self.nodes[name] = Node(name, PROVIDERS[name], inputs, Kind.PROVIDER)
        return name

    def change(self, name: str, /, **inputs: Value) -> None:
        """Put these inputs in the place of those that a node has: many components may add to what one has made."""
        node = self.nodes[name]
        self.nodes[name] = replace(node, inputs={**node.inputs, **inputs})

    def _cluster_access(self) -> dict[str, Value]:
        """How to reach the EKS cluster that the stack names; on other targets the target itself knows."""
        name = self.environment.eks_cluster
        if not name:
            return {}
        options = Options(provider=self.provider(AWS))
        self.nodes[CLUSTER] = Node(
            CLUSTER, "aws:eks/getCluster:getCluster", {"name": name}, Kind.LOOKUP, options=options
        )
        authority = Ref(CLUSTER, ("certificateAuthorities", 0, "data"))
        region = self.environment.region
        return {"kubeconfig": Call("eks_kubeconfig", (name, Ref(CLUSTER, ("endpoint",)), authority, region))}


@dataclass(frozen=True)
class Scope:
    """One component's view of the expansion: it adds the component's nodes, named, tagged and owned as they must be."""

    expansion: Expansion
    component: Component

    @property
    def environment(self) -> Environment:
        """The environment that the blueprint is compiled for."""
        return self.expansion.environment

    @property
    def problems(self) -> Problems:
        """Where an `expand` notes what is wrong; use `problem` for one that points at this component."""
        return self.expansion.problems

    @property
    def protected(self) -> bool:
        """Whether the stack protects this component by name."""
        return self.component.name in self.expansion.protect

    def problem(self, summary: str, **fields: Any) -> None:
        """Note an error of this component."""
        self.problems.error(summary, component=self.component.name, location=self.component.source, **fields)

    def warning(self, summary: str, **fields: Any) -> None:
        """Note a warning of this component."""
        self.problems.warning(summary, component=self.component.name, location=self.component.source, **fields)

    def describe(self, **facts: Value) -> None:
        """Note facts about the component itself for whoever reads the graph, such as which part of a bucket it is."""
        self.expansion.change(self.component.name, **facts)

    # ------------------------------------------------------------------------------------ names and marks

    def label_name(self, *parts: str, limit: int = 63) -> str:
        """A name within this stack: environment and component, then the parts. For names unique in an account."""
        return naming.dns_label(
            self.expansion.blueprint, self.environment.name, self.component.identity, *parts, limit=limit
        )

    def global_name(self, *parts: str, limit: int = 63) -> str:
        """A name unique in the world, for S3."""
        return naming.global_name(
            self.expansion.blueprint,
            self.environment.name,
            self.component.identity,
            *parts,
            scope=self.environment.account,
            limit=limit,
        )

    @property
    def tags(self) -> dict[str, str]:
        """The AWS tags of everything that this component makes."""
        owner = self.environment.owner
        return {
            f"{MANAGER}:blueprint": self.expansion.blueprint,
            f"{MANAGER}:version": self.expansion.version,
            f"{MANAGER}:environment": self.environment.name,
            f"{MANAGER}:component": self.component.name,
            f"{MANAGER}:owner": owner.team,
            f"{MANAGER}:cost-center": owner.cost_center,
        }

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every Kubernetes object that this component makes.

        The first four are Kubernetes' recommended ones ("Recommended Labels").
        """
        owner = self.environment.owner
        return {
            "app.kubernetes.io/name": self.component.name,
            "app.kubernetes.io/part-of": naming.dns_label(self.expansion.blueprint),
            "app.kubernetes.io/instance": naming.dns_label(self.expansion.blueprint, self.environment.name),
            "app.kubernetes.io/managed-by": MANAGER,
            f"{DOMAIN}/blueprint-version": self.expansion.version,
            f"{DOMAIN}/environment": self.environment.name,
            f"{DOMAIN}/owner": naming.dns_label(owner.team),
            f"{DOMAIN}/cost-center": naming.dns_label(owner.cost_center),
        }

    # ------------------------------------------------------------------------------------ nodes

    def add(self, local: str, type: str, inputs: Mapping[str, Value], kind: Kind, options: Options) -> Ref:  # noqa: A002
        """Add a node of this component; returns a reference to its id."""
        name = self.component.node(local)
        if self.component.moved_from:
            options = replace(options, aliases=(*options.aliases, f"{self.component.moved_from}/{local}"))
        if name in self.expansion.nodes:
            raise ValueError(f"{name} is declared twice by {self.component!r}")
        self.expansion.nodes[name] = Node(name, type, dict(inputs), kind, self.component.name, options)
        return Ref(name)

    def aws(self, local: str, type: str, inputs: Mapping[str, Value], **options: Any) -> Ref:  # noqa: A002
        """Add an AWS resource; `options` are fields of `Options`."""
        options.setdefault("provider", self.expansion.provider(AWS))
        return self.add(local, type, inputs, Kind.RESOURCE, Options(**options))

    def lookup(self, local: str, type: str, inputs: Mapping[str, Value], **options: Any) -> Ref:  # noqa: A002
        """Add an AWS lookup: a fact that is asked for (account id, zones), not made."""
        options.setdefault("provider", self.expansion.provider(AWS))
        return self.add(local, type, inputs, Kind.LOOKUP, Options(**options))

    def enter_cluster(self, cluster: ClusterAccess) -> None:
        """From here on this component, and all that refer to it, are in this cluster and not in the stack's."""
        self.expansion.clusters[cluster.provider] = cluster

    def cluster_of(self, namespace: Value = None) -> ClusterAccess | None:
        """The cluster that a namespace is in, as a component has brought it along; None: the stack's own.

        A namespace that is an output of a node is where that node is. For any other, and for none, it is the nearest
        cluster that this component's fields lead to.
        """
        clusters = self.expansion.clusters
        if not clusters:
            return None
        if isinstance(namespace, Ref):
            node = self.expansion.nodes.get(namespace.node)
            return clusters.get(node.options.provider or "") if node else None
        return next((clusters[name] for name in self._providers() if name in clusters), None)

    def _providers(self) -> Iterator[str]:
        """The provider instances that components would bring along, the nearest first, in the order of fields."""
        waiting, seen = deque([self.component]), {id(self.component)}
        while waiting:
            component = waiting.popleft()
            yield component.node(IN_CLUSTER)
            for part in component.parts():
                if id(part) not in seen:
                    seen.add(id(part))
                    waiting.append(part)

    def kubernetes_provider(self, namespace: Value = None) -> str:
        """The name of the provider instance for objects in a namespace, or for those in none."""
        cluster = self.cluster_of(namespace)
        return cluster.provider if cluster else self.expansion.provider(KUBERNETES)

    def kubernetes(
        self,
        local: str,
        api_version: str,
        kind: str,
        name: str,
        body: Mapping[str, Value],
        *,
        namespace: Value = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, Value] | None = None,
        **options: Any,
    ) -> Ref:
        """Add a Kubernetes object; `body` is what stands beside `metadata`; `options` are fields of `Options`.

        It goes to the cluster that its namespace is in; one without a namespace to that of the component.
        """
        metadata: dict[str, Value] = {"name": name, "labels": {**self.labels, **(labels or {})}}
        if namespace is not None:
            metadata["namespace"] = namespace
        if annotations:
            metadata["annotations"] = dict(annotations)
        token = f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{kind}"
        if "provider" not in options:
            options["provider"] = self.kubernetes_provider(namespace)
        inputs = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}
        return self.add(local, token, inputs, Kind.RESOURCE, Options(**options))

    def pool(self, pool: Pool) -> None:
        """Declare machines."""
        self.expansion.pools.append(pool)


def expand(
    function: BlueprintFunction[Any],
    result: Blueprint,
    environment: Environment,
    protect: frozenset[str] = frozenset(),
) -> tuple[Graph, Problems]:
    """The graph of what a blueprint function returned, and the problems that its components have with each other."""
    expansion = Expansion(function.name, function.version, environment, protect)
    components = result.reached()
    for component in components:
        aliases = (component.moved_from,) if component.moved_from else ()
        waived = {"waive": component.waive} if component.waive else {}
        expansion.nodes[component.name] = Node(
            component.name, component_type(component), waived, Kind.COMPONENT, None, Options(aliases=aliases)
        )
        component.expand(Scope(expansion, component))
    graph = Graph(
        blueprint=function.name,
        version=function.version,
        environment=environment.name,
        nodes=expansion.nodes,
        outputs=result.outputs,
        pools=tuple(sorted(expansion.pools, key=lambda pool: pool.name)),
        sources={component.name: component.source for component in components if component.source},
    )
    return graph, expansion.problems


def component_type(component: Component) -> str:
    """The type token of a component resource."""
    return f"mlinfra:component:{type(component).__name__}"
