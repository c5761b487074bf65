"""From components to nodes: names, marks, providers and former names come of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlinfra.authoring import Blueprint, BlueprintFunction, Component, Many, Params
from mlinfra.diagnostics import Location
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import AWS, CLUSTER, IN_CLUSTER, KUBERNETES, PROVIDERS, ClusterAccess, Scope, expand
from mlinfra.graph import Call, Graph, Kind, Options, Pool, Ref
from mlinfra.tiers import Tier

ENVIRONMENT = Environment("dev", Tier.DEV, Owner("Team A", "ml-042"), "111122223333", "eu-west-1", "ml-dev")


class Thing(Component):
    """A queue, a fact about the account and a config map."""

    def expand(self, scope: Scope) -> None:
        """One of each."""
        queue = scope.aws("queue", "aws:sqs/queue:Queue", {"name": scope.label_name("q")}, protect=scope.protected)
        fact = scope.lookup("account", "aws:index/getCallerIdentity:getCallerIdentity", {})
        body = {"data": {"queue": queue, "account": Ref(fact.node, ("accountId",))}}
        scope.kubernetes(
            "map", "v1", "ConfigMap", "thing", body, namespace="ml", labels={"x": "y"}, annotations={"a": "b"}
        )
        scope.kubernetes("deploy", "apps/v1", "Deployment", "thing", {}, depends_on=(queue.node,))
        scope.pool(Pool(f"pool-{self.name}", "m6i.large", 2, 8))
        if self.name == "odd":
            scope.problem("this is odd", remedy="even it", code="odd")


def expanded(*components: Component, environment: Environment = ENVIRONMENT, **options: Any) -> Graph:
    function = BlueprintFunction("rec", "1.2.0", Params, lambda env, p: Blueprint(), Location("b.py", 1))
    return expand(function, Blueprint(*components), environment, **options)[0]


def test_nodes_have_their_component_and_their_provider() -> None:
    graph = expanded(Thing("thing"))
    assert {node.name: (node.kind, node.component, node.options.provider) for node in graph} == {
        "@aws": (Kind.PROVIDER, None, None),
        "@cluster": (Kind.LOOKUP, None, "@aws"),
        "@kubernetes": (Kind.PROVIDER, None, None),
        "thing": (Kind.COMPONENT, None, None),
        "thing/account": (Kind.LOOKUP, "thing", AWS),
        "thing/deploy": (Kind.RESOURCE, "thing", KUBERNETES),
        "thing/map": (Kind.RESOURCE, "thing", KUBERNETES),
        "thing/queue": (Kind.RESOURCE, "thing", AWS),
    }
    assert {name: graph.nodes[name].type for name in PROVIDERS} == PROVIDERS
    assert graph.nodes["thing"].type == "mlinfra:component:Thing"
    assert graph.nodes["thing/map"].type == "kubernetes:core/v1:ConfigMap"
    assert graph.nodes["thing/deploy"].type == "kubernetes:apps/v1:Deployment"
    assert graph.nodes["thing/deploy"].options.depends_on == ("thing/queue",)


def test_what_carries_which_marks() -> None:
    metadata = expanded(Thing("thing")).nodes["thing/map"].inputs["metadata"]
    assert metadata == {
        "name": "thing",
        "namespace": "ml",
        "annotations": {"a": "b"},
        "labels": {
            "app.kubernetes.io/name": "thing",
            "app.kubernetes.io/part-of": "rec",
            "app.kubernetes.io/instance": "rec-dev",
            "app.kubernetes.io/managed-by": "mlinfra",
            "mlinfra.dev/blueprint-version": "1.2.0",
            "mlinfra.dev/environment": "dev",
            "mlinfra.dev/owner": "team-a",
            "mlinfra.dev/cost-center": "ml-042",
            "x": "y",
        },
    }


def test_the_cluster_that_a_stack_names_is_looked_up() -> None:
    graph = expanded(Thing("thing"))
    assert graph.nodes[AWS].inputs == {"region": "eu-west-1"}
    assert graph.nodes[CLUSTER].inputs == {"name": "ml-dev"}
    kubeconfig = graph.nodes[KUBERNETES].inputs["kubeconfig"]
    assert isinstance(kubeconfig, Call)
    assert kubeconfig.function == "eks_kubeconfig"
    assert not graph.dangling()


@pytest.mark.parametrize("cluster", ["local", ""])
def test_other_clusters_are_the_targets_own_affair(cluster: str) -> None:
    graph = expanded(Thing("thing"), environment=replace(ENVIRONMENT, cluster=cluster))
    assert graph.nodes[KUBERNETES].inputs == {}
    assert CLUSTER not in graph.nodes


def test_a_renamed_component_keeps_its_physical_names_and_says_its_former_ones() -> None:
    before, after = expanded(Thing("old")), expanded(Thing("new", moved_from="old"))
    assert after.nodes["new/queue"].inputs == before.nodes["old/queue"].inputs == {"name": "rec-dev-old-q"}
    assert after.nodes["new"].options.aliases == ("old",)
    assert after.nodes["new/queue"].options.aliases == ("old/queue",)


def test_what_the_stack_protects() -> None:
    graph = expanded(Thing("one"), Thing("two"), protect=frozenset({"two"}))
    assert [graph.nodes[f"{name}/queue"].options.protect for name in ("one", "two")] == [False, True]


def test_what_a_component_waives_is_said_of_it_and_changes_nothing_that_is_made() -> None:
    waived = {"s3_bucket_object_lock": "it can be made again"}
    with_it, without = expanded(Thing("thing", waive=waived)), expanded(Thing("thing"))
    assert with_it.nodes["thing"].inputs == {"waive": waived}
    assert {node.name for node in with_it if node != without.nodes[node.name]} == {"thing"}


def test_pools_are_sorted_and_problems_point_at_their_component() -> None:
    function = BlueprintFunction("rec", "1.2.0", Params, lambda env, p: Blueprint(), Location("b.py", 1))
    odd = Thing("odd")
    graph, problems = expand(function, Blueprint(odd, Thing("even")), ENVIRONMENT)
    assert [pool.name for pool in graph.pools] == ["pool-even", "pool-odd"]
    (told,) = problems.errors
    assert (told.summary, told.component, told.code, told.location) == ("this is odd", "odd", "odd", odd.source)


def test_two_nodes_of_one_name_are_a_mistake_of_the_kind() -> None:
    class Twice(Component):
        def expand(self, scope: Scope) -> None:
            for _ in range(2):
                scope.aws("queue", "aws:sqs/queue:Queue", {})

    with pytest.raises(ValueError, match="t/queue is declared twice by Twice"):
        expanded(Twice("t"))


class Home(Component):
    """A component that brings a cluster along, and has a namespace in it."""

    def expand(self, scope: Scope) -> None:
        """A provider instance, a namespace and an object that is in none."""
        provider = scope.add(IN_CLUSTER, PROVIDERS[KUBERNETES], {"kubeconfig": "x"}, Kind.PROVIDER, Options())
        scope.enter_cluster(ClusterAccess(provider.node, "ml", "ml", "sg-1"))
        scope.kubernetes("namespace", "v1", "Namespace", self.name, {})


class Guest(Component):
    """A component that refers to others, and has an object in a namespace or in none."""

    homes: Many[Component] = ()
    space: Any = None

    def expand(self, scope: Scope) -> None:
        """One object."""
        scope.kubernetes("object", "v1", "ConfigMap", self.name, {}, namespace=self.space)


def provider_of_object(graph: Graph, guest: str = "guest") -> str | None:
    return graph.nodes[f"{guest}/object"].options.provider


def test_objects_go_to_the_cluster_that_their_namespace_is_in() -> None:
    one, other = Home("one"), Home("other")
    graph = expanded(Guest("guest", homes=[one, other], space=other.output("namespace", "metadata", "name")))
    assert graph.nodes["one/namespace"].options.provider == "one/kubernetes"
    assert provider_of_object(graph) == "other/kubernetes"
    assert KUBERNETES not in graph.nodes


@pytest.mark.parametrize("space", [None, "kube-system"])
def test_objects_in_no_namespace_of_the_blueprint_go_to_the_nearest_cluster(space: str | None) -> None:
    one, other = Home("one"), Home("other")
    middle = Guest("middle", homes=[other])
    graph = expanded(Guest("guest", homes=[middle, one], space=space))
    assert provider_of_object(graph) == "one/kubernetes"
    assert provider_of_object(graph, "middle") == "other/kubernetes"


def test_who_leads_to_no_cluster_is_in_the_stacks() -> None:
    graph = expanded(Home("one"), Guest("guest"), Guest("second", space="default"))
    assert provider_of_object(graph) == provider_of_object(graph, "second") == KUBERNETES


def test_a_namespace_in_the_stacks_cluster_stays_there_whatever_else_a_component_refers_to() -> None:
    class Space(Component):
        def expand(self, scope: Scope) -> None:
            scope.kubernetes("namespace", "v1", "Namespace", self.name, {})

    one, space = Home("one"), Space("space")
    graph = expanded(Guest("guest", homes=[one, space], space=space.output("namespace", "metadata", "name")))
    assert provider_of_object(graph) == KUBERNETES


def test_the_names_of_a_cluster_are_known_to_all_that_lead_to_it() -> None:
    class Asks(Component):
        homes: Many[Component] = ()

        def expand(self, scope: Scope) -> None:
            cluster = scope.cluster_of()
            assert cluster is not None
            scope.aws("queue", "aws:sqs/queue:Queue", {"name": cluster.name})

    graph = expanded(Asks("asks", homes=[Guest("guest", homes=[Home("one")])]))
    assert graph.nodes["asks/queue"].inputs == {"name": "ml"}
