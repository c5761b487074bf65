"""Rollouts on a real control plane: what the Kubernetes API holds at each step.

Canaries are moved by Argo Rollouts' own controller, and their gates ask a real Prometheus. KWOK makes pods ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.rollout_gates import API
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from tests.e2e.conftest import Lab, interrupt
from tests.e2e.rollout_world import Controller, Model, eventually, prometheus, served

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STACK = "served"
NAMESPACE = f"rollouts-{STACK}-train"
BLUEPRINT = '''
from mlinfra import (
    Autoscale, BlueGreen, Blueprint, Canary, Endpoint, Environment, Gate, NodePool, Params, Step, TrainingCluster,
    blueprint,
)
from mlinfra.components.endpoint_values import GatewayAddress


class RolloutsParams(Params):
    version: str = "1"
    how: str = "canary"
    prometheus: str = "http://127.0.0.1:9"
    approve: bool = False
    cpu: float = 0.5


@blueprint("rollouts", version="1.0.0")
def rollouts(env: Environment, p: RolloutsParams) -> Blueprint:
    """An endpoint whose versions take over in one way or another."""
    pool = NodePool("cpu", instance_type="m6i.2xlarge", min=2, max=4)
    cluster = TrainingCluster(
        "train", pools=[pool], argo_rollouts=p.how != "alone", argo_gateway_plugin=True, gateway_api=True
    )
    gate = Gate(error_percent=5, latency_seconds=1, accuracy=0.8, every_seconds=5, window_seconds=10)
    steps = [Step(weight=25, seconds=10, approve=p.approve), Step(weight=50, seconds=10)]
    traffic = "gateway" if p.how == "gateway" else "replicas"
    ways = {
        "alone": BlueGreen(),
        "blue-green": BlueGreen(approve=True, keep_seconds=30),
        "canary": Canary(steps=steps, gate=gate, prometheus=p.prometheus),
        "gateway": Canary(steps=steps, gate=gate, prometheus=p.prometheus, traffic="gateway"),
    }
    address = GatewayAddress(host="api.example.com", gateway="shared", controller_namespace="envoy-gateway-system")
    world = {"address": address, "auth": "elsewhere"} if p.how == "gateway" else {}
    image = "registry.example.com/serve@sha256:" + p.version * 64
    api = Endpoint("api", cluster=cluster, pool=pool, image=image, cpu=p.cpu, memory=0.5, startup_seconds=60,
                   scale=Autoscale(min=4, max=4), rollout=ways[p.how], **world)
    return Blueprint(api)
'''


class World:
    """A stack, its cluster, and what the API holds of its endpoint."""

    def __init__(self, lab: Lab, **params: Any) -> None:
        self.lab, self.stack, self.params, self.namespace = lab, STACK, params, NAMESPACE
        self._cluster: Cluster | None = None

    def write(self, **params: Any) -> None:
        self.params = {**self.params, **params}
        self.lab.stack(self.stack, blueprint="rollouts", params=self.params)

    def up(self, **params: Any) -> dict[str, Any]:
        self.write(**params)
        return self.lab.report("up", "--stack", self.stack, "--yes")

    def changes_nothing(self) -> None:
        """Neither a preview nor a refresh nor an update finds anything to do, nor does anything."""
        before = self.specs()
        assert self.lab.report("preview", "--stack", self.stack)["steps"] == []
        assert self.lab.report("refresh", "--stack", self.stack)["steps"] == []
        assert set(self.lab.report("up", "--stack", self.stack, "--yes")["counts"]) == {"same"}
        assert self.specs() == before

    def specs(self) -> dict[str, Any]:
        """What the Services, routes and the Rollout are told, by kind and name."""
        kinds = [("v1", "Service"), (API, "Rollout"), ("gateway.networking.k8s.io/v1", "HTTPRoute")]
        found: dict[str, Any] = {}
        for kind in kinds:
            with suppress(ApiError):  # there may be no such kind
                found |= {f"{kind[1]}/{item['metadata']['name']}": item["spec"] for item in self.list(*kind)}
        return found

    @property
    def kubeconfig(self) -> str:
        return self.lab.access(self.stack)["KUBECONFIG"]

    @property
    def cluster(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster.from_kubeconfig(Path(self.kubeconfig))
        return self._cluster

    def list(self, api: str, kind: str) -> list[Object]:
        return self.cluster.list(api, kind, self.namespace)

    def get(self, api: str, kind: str, name: str = "api") -> Object:
        found = self.cluster.get(api, kind, name, self.namespace)
        assert found, f"no {kind} {name}"
        return found

    def rollout(self) -> Object:
        return self.get(API, "Rollout")

    def status(self) -> dict[str, Any]:
        return dict(self.rollout().get("status") or {})

    def seen(self) -> bool:
        """Whether the controller has looked at what was declared last."""
        live = self.rollout()
        return str((live.get("status") or {}).get("observedGeneration")) == str(live["metadata"]["generation"])

    def healthy(self, pods: int = 4) -> bool:
        status = self.status()
        return (
            self.seen()
            and status.get("phase") == "Healthy"
            and len(self.pods()) == pods == status.get("availableReplicas")
        )

    def pods(self, version: str = "") -> list[Object]:
        """The endpoint's pods that are ready and not going, of one version or of all."""
        return [
            pod
            for pod in self.list("v1", "Pod")
            if not pod["metadata"].get("deletionTimestamp")
            and pod["metadata"]["labels"].get("mlinfra.dev/component") == "api"
            and pod["status"].get("phase") == "Running"
            and (not version or pod["spec"]["containers"][0]["image"].endswith(version * 64))
        ]

    def labelled(self, version: str) -> set[str]:
        """What the label of the variant says of the pods of a version."""
        return {pod["metadata"]["labels"].get("mlinfra.dev/variant", "") for pod in self.pods(version)}

    def runs(self, version: str = "") -> list[Object]:
        """The AnalysisRuns of the present version, in the order of their steps."""
        mark = self.status()["currentPodHash"]
        found = self.cluster.list(API, "AnalysisRun", self.namespace, labels=f"rollouts-pod-template-hash={mark}")
        return sorted(found, key=lambda run: run["metadata"]["labels"].get("step-index", ""))

    def told(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What `mlinfra rollout …` says."""
        ran = self.lab.run("rollout", *arguments, "--stack", self.stack, "--json", code=code)
        return ran.lines("rollout")[-1] if code == 0 or ran.lines("rollout") else ran.lines("diagnostic")[0]


def ready(world: World, seconds: float = 120) -> None:
    assert eventually(world.healthy, seconds), world.status()


def at_step(world: World, index: int) -> Callable[[], bool]:
    return lambda: world.seen() and world.status().get("currentStepIndex") == index


# ------------------------------------------------------------------------------------------------ by Kubernetes alone


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    """One stack for all: a cluster takes its time."""
    lab.blueprint("rollouts", BLUEPRINT)
    made = World(lab)
    made.up(how="alone", version="1")
    return made


def test_blue_green_by_kubernetes_alone(world: World) -> None:

    def leads_to() -> str:
        return str(world.get("v1", "Service")["spec"]["selector"]["mlinfra.dev/version"])

    def deployments() -> dict[str, int]:
        return {item["metadata"]["name"]: item["spec"]["replicas"] for item in world.list("apps/v1", "Deployment")}

    first = leads_to()
    assert deployments() == {f"api-{first}": 4}
    world.changes_nothing()

    # What the autoscaler does is nobody else's business.
    path = world.cluster.path("apps/v1", "Deployment", world.namespace, f"api-{first}")
    world.cluster.merge(f"{path}/scale", {"spec": {"replicas": 5}})
    assert deployments() == {f"api-{first}": 5}
    world.changes_nothing()

    # A version that never becomes ready: the old one keeps the traffic and its pods, whoever stops waiting.
    world.write(version="2", cpu=7.5)  # no machine has so much beside the old ones
    process = world.lab.start("up", "--stack", STACK, "--yes", "--json")
    assert eventually(lambda: len(deployments()) == 2, 60)
    assert leads_to() == first
    assert len(world.pods("1")) >= 4
    interrupt(process, 1)
    assert world.lab.end(process).code == 1
    assert leads_to() == first
    assert len(world.pods("1")) >= 4

    # A good one takes over, all at once, and what nobody uses any more goes.
    world.up(version="3", cpu=0.5)
    new = leads_to()
    assert new != first
    assert deployments() == {f"api-{new}": 4}
    assert len(world.pods("3")) == 4
    target = world.get("autoscaling/v2", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"api-{new}"}
    world.changes_nothing()
    state = world.told("status", "api")
    assert (state["strategy"], state["progress"], state["kind"]) == ("blue-green", "done", "Deployment")
    assert world.told("abort", "api", "--yes", code=1)["code"] == "rollout-not-steered"


def test_what_a_controller_would_write_is_no_drift(world: World) -> None:
    """The plugin for Gateway API is played: the same patches, of an HTTPRoute's weights and of Services' selectors."""
    world.up(how="gateway", version="1")
    assert world.told("status", "api")["progress"] == "unseen"
    route = world.get("gateway.networking.k8s.io/v1", "HTTPRoute")
    refs = route["spec"]["rules"][0]["backendRefs"]
    assert [(ref["name"], ref["weight"]) for ref in refs] == [("api", 100), ("api-canary", 0)]
    refs[0]["weight"], refs[1]["weight"] = 75, 25
    path = world.cluster.path("gateway.networking.k8s.io/v1", "HTTPRoute", world.namespace, "api")
    world.cluster.request("PUT", f"{path}?fieldManager=gatewayapi", route)
    for name, mark in (("api", "aaaa"), ("api-canary", "bbbb")):
        service = world.cluster.path("v1", "Service", world.namespace, name)
        note = {"argo-rollouts.argoproj.io/managed-by-rollouts": "api"}
        patch = {"metadata": {"annotations": note}, "spec": {"selector": {"rollouts-pod-template-hash": mark}}}
        world.cluster.merge(service, patch)
    world.changes_nothing()
    # Another version of the model changes the Rollout, and still not what is the controller's.
    world.up(version="2")
    refs = world.get("gateway.networking.k8s.io/v1", "HTTPRoute")["spec"]["rules"][0]["backendRefs"]
    assert [ref["weight"] for ref in refs] == [75, 25]
    selector = world.get("v1", "Service")["spec"]["selector"]
    assert selector == {"rollouts-pod-template-hash": "aaaa"}


# ------------------------------------------------------------------------------------------------ by the controller


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def address(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(model) as port, prometheus(tmp_path_factory.mktemp("prometheus"), port) as found:
        yield found


@pytest.fixture(scope="module")
def controller(world: World, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """The controller, once the first version is everybody's."""
    world.up(how="canary", version="1", prometheus=address)
    found = Controller(world.kubeconfig, tmp_path_factory.mktemp("controller") / "run")
    found.start()
    try:
        ready(world)
        yield found
    finally:
        found.stop()


def test_the_first_version_has_no_steps(world: World, controller: Controller) -> None:
    assert world.labelled("1") == {"stable"}
    assert world.runs() == []
    world.changes_nothing()


def test_a_gate_that_passes_goes_to_the_end(world: World, controller: Controller, model: Model) -> None:
    world.up(version="2")
    # The first gate looks on: a quarter of the pods is new, and Prometheus can tell them from the others.
    assert eventually(at_step(world, 1), 60), world.status()
    assert eventually(lambda: len(world.runs()) == 1 and len(world.pods("2")) == 1)
    assert len(world.pods("1")) >= 3
    assert (world.labelled("1"), world.labelled("2")) == ({"stable"}, {"canary"})
    state = world.told("status", "api")
    assert (state["progress"], state["step"], state["steps"], state["weight"]) == ("progressing", 1, 4, 25)

    # The controller dies, and a new `up` comes in the middle: nothing of it changes anything.
    controller.kill()
    step, mark = world.status()["currentStepIndex"], world.status()["currentPodHash"]
    world.changes_nothing()
    assert (world.status()["currentStepIndex"], world.status()["currentPodHash"]) == (step, mark)
    assert (len(world.pods("1")), len(world.pods("2"))) == (3, 1)

    # A new one goes on where it was.
    controller.start()
    assert eventually(at_step(world, 3), 90), world.status()
    assert eventually(lambda: len(world.pods("2")) == 2)
    world.changes_nothing()
    ready(world)
    assert len(world.pods("2")) == 4
    assert eventually(lambda: world.labelled("2") == {"stable"})
    assert world.status()["stableRS"] == mark
    first, second = world.runs()
    for run in (first, second):
        assert run["status"]["phase"] == "Successful"
        results = {item["name"]: item for item in run["status"]["metricResults"]}
        assert set(results) == {"errors", "latency", "accuracy"}
        assert all(item["phase"] == "Successful" and item["successful"] == 2 for item in results.values())
    state = world.told("status", "api")
    assert (state["progress"], state["weight"]) == ("done", 100)
    world.changes_nothing()


def test_a_gate_that_fails_goes_back(world: World, controller: Controller, model: Model) -> None:
    model.failing = 30.0
    try:
        world.up(version="3")
        assert eventually(lambda: world.seen() and world.status().get("abort"), 90), world.status()
    finally:
        model.failing = 0.0
    assert eventually(lambda: len(world.pods("2")) == 4 and not world.pods("3")), world.pods()
    (run,) = world.runs()
    results = {item["name"]: item for item in run["status"]["metricResults"]}
    assert (run["status"]["phase"], results["errors"]["phase"]) == ("Failed", "Failed")
    state = world.told("status", "api", code=1)
    assert (state["progress"], state["weight"]) == ("aborted", 0)
    assert next(look for look in state["gates"] if look["name"] == "errors")["bad"] == 1
    # It stays so: the same version again is no new try, and cannot be promoted.
    world.changes_nothing()
    assert world.status()["abort"] is True
    assert world.told("promote", "api", "--yes", code=1)["code"] == "rollout-aborted"
    # The version before is known to be good: it is everybody's at once.
    world.up(version="2")
    ready(world, 60)
    assert len(world.pods("2")) == 4


def test_a_version_that_is_not_accurate_goes_back(world: World, controller: Controller, model: Model) -> None:
    model.accuracy = 0.5
    try:
        world.up(version="4")
        assert eventually(lambda: world.seen() and world.status().get("abort"), 90), world.status()
    finally:
        model.accuracy = 0.95
    (run,) = world.runs()
    bad = {item["name"] for item in run["status"]["metricResults"] if item["phase"] == "Failed"}
    assert bad == {"accuracy"}
    assert eventually(lambda: not world.pods("4"))
    world.up(version="2")
    ready(world, 60)


def test_a_gate_that_sees_no_requests_waits_for_a_person(world: World, controller: Controller, model: Model) -> None:
    model.rate = 0.0
    try:
        world.up(version="5", approve=True)
        assert eventually(lambda: world.status().get("pauseConditions"), 90), world.status()
    finally:
        model.rate = 50.0
    assert world.status()["pauseConditions"][0]["reason"] == "InconclusiveAnalysisRun"
    state = world.told("status", "api", "--follow")
    assert (state["progress"], state["waits_for_person"]) == ("paused", True)
    # A person lets it go on: past the gate, and then past the pause that the step ends with.
    world.told("promote", "api", "--yes")
    assert eventually(at_step(world, 2), 30), world.status()
    assert eventually(lambda: world.status().get("pauseConditions"), 30), world.status()
    assert len(world.pods("5")) == 1
    world.changes_nothing()
    world.told("promote", "api", "--yes")
    assert eventually(at_step(world, 4), 60), world.status()
    # And another one has second thoughts.
    state = world.told("abort", "api", "--yes")
    assert eventually(lambda: not world.pods("5") and len(world.pods("2")) == 4)
    assert world.told("status", "api", code=1)["progress"] == "aborted"
    world.changes_nothing()
    world.up(version="2", approve=False)
    ready(world, 60)


def test_blue_green_by_the_controller(world: World, controller: Controller) -> None:
    """The same endpoint, in another way from now on."""
    world.up(how="blue-green")
    ready(world)
    assert eventually(lambda: world.get("v1", "Service")["spec"].get("selector"))
    old = world.get("v1", "Service")["spec"]["selector"]
    assert old == {"rollouts-pod-template-hash": world.status()["stableRS"]}
    world.changes_nothing()
    world.up(version="6")
    assert eventually(lambda: world.status().get("pauseConditions"), 60), world.status()
    assert len(world.pods("2")) == 4  # as many as before
    assert len(world.pods("6")) == 4
    assert world.get("v1", "Service")["spec"]["selector"] == old
    preview = world.get("v1", "Service", "api-preview")["spec"]["selector"]
    assert preview == {"rollouts-pod-template-hash": world.status()["currentPodHash"]}
    world.changes_nothing()
    state = world.told("status", "api")
    assert (state["strategy"], state["waits_for_person"]) == ("blue-green", True)
    world.told("promote", "api", "--yes")
    assert eventually(lambda: world.get("v1", "Service")["spec"]["selector"] == preview, 60)
    assert len(world.pods("2")) == 4  # they stay for a while, and then go
    assert eventually(lambda: world.healthy() and not world.pods("2"), 90), world.status()
    world.changes_nothing()
