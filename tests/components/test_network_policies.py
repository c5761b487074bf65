"""What goes through between the pods of two teams, their stores and the world: each case is one connection."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.authoring import Component
from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.image_repository import ImageRepository
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.network_policies import BUILD, Egress, among
from mlinfra.components.node_pool import NodePool
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Route
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.expansion import Scope
from tests.components.flows import Address, Pod, namespace_of, passes

IMAGE = "registry.example.com/image@sha256:" + "ab" * 32
STORE = {COMPONENT_LABEL: "search", "app.kubernetes.io/component": "object-store"}


class Ranks(TrainingJob):
    """A job whose pods talk with each other."""

    def expand(self, scope: Scope) -> None:
        super().expand(scope)
        among(scope, self.cluster.namespace)


def declare() -> list[Component]:
    cpu = NodePool("cpu", instance_type="m6i.xlarge", max=8)
    cluster = TrainingCluster("train", pools=[cpu])
    search = Team("search", cluster=cluster, developers=["search-devs"], repository=ImageRepository("images"))
    ads = Team("ads", cluster=cluster, developers=["ads-devs"], egress=[Egress(cidr="10.20.0.0/16", ports=[5432])])
    legacy = TrainingCluster("legacy", network="open")
    inside = {"place": "cluster", "cluster": search, "image": IMAGE}
    small, online = Bucket("small", **inside), Database("online", **inside)
    data, features = Bucket("data"), Database("features", network=Network("net"))
    api = Endpoint("api", cluster=search, image=IMAGE, port=9000, callers=[ads], called_from=["ingress-nginx"])
    route = Route(critical="email:a@example.com", warning="email:a@example.com")  # type: ignore[arg-type]
    return [
        api,
        Endpoint("bids", cluster=ads, image=IMAGE),
        Endpoint("later", cluster=ads),
        Endpoint("old", cluster=legacy, image=IMAGE, callers=[ads]),
        TrainingJob("fit", cluster=search, pool=cpu, image=IMAGE, reads=[data], writes=[data]),
        TrainingJob("serve", cluster=search, pool=cpu, image=IMAGE, reads=[features]),
        TrainingJob("fill", cluster=search, pool=cpu, image=IMAGE, reads=[small], writes=[online]),
        TrainingJob("count", cluster=ads, pool=cpu, image=IMAGE),
        Ranks("ranks", cluster=ads, pool=cpu, image=IMAGE),
        Monitoring("watch", cluster=search, watches=[api], route=route, alertmanager="alerts.ops.svc:9093"),
    ]


def pod(component: str, team: str) -> Pod:
    return Pod(namespace_of(team), {COMPONENT_LABEL: component})


PLACES = {
    "api": pod("api", "search"),
    "fit": pod("fit", "search"),
    "serve": pod("serve", "search"),
    "fill": pod("fill", "search"),
    "watch": pod("watch", "search"),
    "online": pod("online", "search"),
    "store": Pod(namespace_of("search"), STORE),
    "build": Pod(namespace_of("search"), BUILD),
    "notebook": Pod(namespace_of("search"), {"app": "by-hand"}),
    "bids": pod("bids", "ads"),
    "later": pod("later", "ads"),
    "count": pod("count", "ads"),
    "ranks": pod("ranks", "ads"),
    "old": pod("old", "legacy"),
    "anybody": Pod("elsewhere"),
    "ingress": Pod("ingress-nginx"),
    "alerts": Pod("ops"),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "system": Pod("kube-system", {"k8s-app": "other"}),
    "node-dns": Address("169.254.20.10"),
    "world": Address("203.0.113.7"),
    "office": Address("10.20.1.5"),
    "metadata": Address("169.254.169.254"),
    "credentials": Address("169.254.170.23"),
}
CASES = {
    True: [
        "fit dns 53 UDP",
        "fit dns 53",
        "notebook dns 53 UDP",
        "count node-dns 53 UDP",
        # AWS: who reads what is there, by its port, with the credentials of a role
        "fit world 443",
        "fit credentials 80",
        "serve world 5432",
        "serve credentials 80",
        "build world 443",
        # stores in the cluster
        "fill store 7070",
        "fill online 5432",
        # an endpoint, from its own namespace, from a team that it names, from a namespace that it names
        "fit api 9000",
        "notebook api 9000",
        "count api 9000",
        "ingress api 9000",
        "count bids 8080",
        "anybody old 8080",
        "count old 8080",
        # Prometheus
        "watch api 9000",
        "watch world 443",
        "watch world 6443",
        "watch alerts 9093",
        # ranks
        "ranks ranks 29500",
        "ranks ranks 4711",
        # what a team is given for all of its pods
        "count office 5432",
        "ranks office 5432",
        # what is open
        "old world 80",
        "anybody world 80",
    ],
    False: [
        "fit world 80",
        "fit world 5432",
        "fit metadata 80",
        "fit system 53",
        "fit system 8080",
        "serve world 443",
        "notebook world 443",
        "notebook credentials 80",
        "count world 443",
        "fill world 443",
        "store world 443",
        "online world 443",
        "api world 443",
        # nobody but who refers to it
        "fit store 7070",
        "fit online 5432",
        "api online 5432",
        "notebook online 5432",
        "fill store 22",
        # the other team
        "fit count 8080",
        "count fit 8080",
        "count online 5432",
        "count store 7070",
        "fit bids 8080",
        "api bids 8080",
        "ranks fit 29500",
        # ranks are among themselves
        "count ranks 29500",
        "ranks count 29500",
        # from outside
        "anybody api 9000",
        "anybody bids 8080",
        "ingress bids 8080",
        "world api 9000",
        "ingress fit 9000",
        "old api 9000",
        "count api 22",
        "ingress api 22",
        # Prometheus looks at what answers, and nobody looks at it
        "watch fit 8080",
        "watch world 80",
        "fit watch 9090",
        "count office 443",
        "fit office 5432",
        "count later 8080",
    ],
}


@pytest.fixture(scope="module")
def graph(expanded: Any) -> Any:
    result = expanded(declare, "eks")
    assert set(result.codes) <= {"endpoint-waits"}
    return result.graph


@pytest.mark.parametrize(
    ("flow", "open_"),
    [(flow, is_open) for is_open, flows in CASES.items() for flow in flows],
    ids=lambda item: str(item),
)
def test_a_connection(graph: Any, flow: str, open_: bool) -> None:
    source, target, port, *protocol = flow.split()
    assert passes(graph, PLACES[source], PLACES[target], int(port), *protocol) is open_


def test_without_aws_nothing_goes_out_for_it(expanded: Any) -> None:
    def inside() -> TrainingJob:
        cpu = NodePool("cpu", instance_type="m6i.xlarge")
        cluster = TrainingCluster("train", pools=[cpu])
        store = Bucket("small", place="cluster", cluster=cluster, image=IMAGE)
        return TrainingJob("fit", cluster=cluster, pool=cpu, image=IMAGE, reads=[store])

    graph = expanded(inside, "kubeconfig").graph
    fit, store = pod("fit", "train"), Pod(namespace_of("train"), {**STORE, COMPONENT_LABEL: "train"})
    assert passes(graph, fit, store, 7070)
    assert not passes(graph, fit, PLACES["world"], 443)
    assert "train/egress" not in graph.nodes


def test_an_open_namespace_has_policies_of_its_stores_alone(expanded: Any) -> None:
    def opened() -> Endpoint:
        cluster = TrainingCluster("train", network="open", egress=[Egress(cidr="0.0.0.0/0")])
        online = Database("online", place="cluster", cluster=cluster, image=IMAGE)
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[online, Bucket("data")])

    graph = expanded(opened, "eks").graph
    policies = {node.name for node in graph if node.type.endswith(":NetworkPolicy")}
    assert policies == {"online/closed", "api/to-online"}
    assert not passes(graph, pod("fit", "train"), pod("online", "train"), 5432)
    assert passes(graph, pod("api", "train"), pod("online", "train"), 5432)
    assert passes(graph, pod("api", "train"), PLACES["world"], 80)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cidr": "10.20.0.1/16"}, "has host bits set"),
        ({"cidr": "example.com"}, "write a network such as"),
        ({"cidr": "10.20.0.0/16", "ports": [0]}, "greater than or equal to 1"),
        ({"cidr": "10.20.0.0/16", "ports": [70_000]}, "less than or equal to 65535"),
    ],
)
def test_mistakes(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Egress(**fields)
