"""The whole protocol against a real control plane."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.empty_pb2 import Empty

from mlinfra.functions import UNKNOWN, eks_kubeconfig, holds, reveal
from mlinfra.graph import Secret
from mlinfra.providers.kubernetes import serve
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.provider import Provider
from mlinfra.wire.protocol import engine_pb2_grpc, provider_pb2
from mlinfra.wire.server import Server
from mlinfra.wire.values import encode
from tests.providers.kubernetes import kinds
from tests.providers.kubernetes.engine import Engine, Failed

NONE = provider_pb2.DiffResponse.DIFF_NONE
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOB = "kubernetes:batch/v1:Job"
SECRET = "kubernetes:core/v1:Secret"


def live(cluster: Cluster, token: str, name: str, namespace: str) -> Any:
    group_version, kind = token.split(":")[1:]
    return cluster.get(group_version.removeprefix("core/"), kind, name, namespace)


# ------------------------------------------------------------------------------------------------ every kind


@pytest.fixture
def needs(cluster: Cluster) -> None:
    """What objects of the cases stand on."""
    cluster.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", **kinds.STORAGE_CLASS}, manager="test")


@pytest.mark.usefixtures("needs")
@pytest.mark.parametrize("kind", kinds.CASES)
def test_lifecycle(engine: Engine, cluster: Cluster, namespace: str, kind: str) -> None:
    token, inputs, changed = kinds.CASES[kind]
    name = inputs["metadata"]["name"]

    preview = engine.preview("it", token, inputs)
    assert preview["metadata"]["uid"] is UNKNOWN
    assert live(cluster, token, name, namespace) is None

    made = engine.create("it", token, inputs)
    assert made.reasons == []
    assert made.identity in (name, f"{namespace}/{name}")
    first = live(cluster, token, name, namespace)
    assert made.outputs["metadata"]["uid"] == first["metadata"]["uid"]
    assert "managedFields" not in made.outputs["metadata"]

    assert engine.diff("it", token, inputs).changes == NONE
    refreshed = engine.read("it", token)
    assert refreshed is not None
    assert refreshed.inputs == made.inputs

    answer = engine.diff("it", token, changed)
    assert answer.changes != NONE
    assert not answer.replaces
    engine.preview("it", token, changed)
    assert engine.update("it", token, changed).reasons == []
    second = live(cluster, token, name, namespace)
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert engine.diff("it", token, changed).changes == NONE

    engine.delete("it", token)
    assert live(cluster, token, name, namespace) is None


def test_removed_keys_are_removed(engine: Engine, cluster: Cluster, namespace: str) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1", b="2"))
    engine.update("it", CONFIG_MAP, kinds.config_map(a="1"))
    assert live(cluster, CONFIG_MAP, "settings", namespace)["data"] == {"a": "1"}


def test_custom_resources(engine: Engine, cluster: Cluster, namespace: str) -> None:
    crd, token = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "kubernetes:tests.example.com/v1:Widget"
    widget = {"metadata": {"name": "w"}, "spec": {"mode": "fast", "size": 1}}
    engine.preview("crd", crd, kinds.definition("widgets", "Widget"))
    projected = engine.preview("w", token, widget)  # its kind is not there yet
    assert projected["spec"] == widget["spec"]

    engine.create("crd", crd, kinds.definition("widgets", "Widget"))
    engine.create("w", token, widget)
    in_place = engine.diff("w", token, {**widget, "spec": {"mode": "fast", "size": 2}})
    assert not in_place.replaces
    # Only the definition's own rule says that this cannot be changed: the dry run finds it.
    replaced = engine.diff("w", token, {**widget, "spec": {"mode": "slow", "size": 1}})
    assert list(replaced.replaces) == ["spec.mode"]
    assert replaced.deleteBeforeReplace
    engine.delete("w", token)
    engine.delete("crd", crd)


def test_scope_of_custom_resources_follows_their_definition(engine: Engine) -> None:
    crd, token = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "kubernetes:tests.example.com/v1:Wide"
    engine.checked("crd", crd, kinds.definition("wides", "Wide", "Cluster"))
    assert "namespace" not in engine.checked("w", token, {"metadata": {"name": "w"}})["metadata"]


# ------------------------------------------------------------------------------------------------ replacement

REPLACED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a rule": (
        DEPLOYMENT,
        kinds.deployment(replicas=0),
        kinds.deployment(
            replicas=0,
            selector={"matchLabels": {"app": "other"}},
            template={"metadata": {"labels": {"app": "other"}}, "spec": {"containers": kinds.CONTAINERS}},
        ),
        "spec.selector.matchLabels.app",
    ),
    "a dry run": (
        JOB,
        kinds.job(suspend=True),
        kinds.job(suspend=True, backoffLimit=1, completions=3),
        "spec.completions",
    ),
    "another name": (CONFIG_MAP, kinds.config_map("a", x="1"), kinds.config_map("b", x="1"), "metadata.name"),
    "an immutable Secret": (
        SECRET,
        {"metadata": {"name": "s"}, "immutable": True, "data": {"a": "MQ=="}},
        {"metadata": {"name": "s"}, "immutable": True, "data": {"a": "Mg=="}},
        "data.a",
    ),
}


@pytest.mark.parametrize("case", REPLACED)
def test_replacement(engine: Engine, cluster: Cluster, namespace: str, case: str) -> None:
    token, old, new, path = REPLACED[case]
    engine.create("it", token, old)
    answer = engine.diff("it", token, new)
    assert path in answer.replaces
    same_name = old["metadata"]["name"] == new["metadata"]["name"]
    assert answer.deleteBeforeReplace == same_name
    if not same_name:
        return
    kept = engine.state.pop("it")
    engine.preview("it", token, new)  # the old object is still in its place
    engine.state["it"] = kept
    engine.delete("it", token)
    made = engine.create("it", token, new)
    assert made.outputs["metadata"]["uid"] != kept.outputs["metadata"]["uid"]


def test_a_creation_waits_for_what_is_being_deleted(engine: Engine, cluster: Cluster, namespace: str) -> None:
    held = {**kinds.config_map(x="1"), "metadata": {"name": "settings", "finalizers": ["example.com/hold"]}}
    first = engine.create("it", CONFIG_MAP, held)
    with pytest.raises(Failed, match=r"is being deleted but is not gone\nfinalizers: example.com/hold"):
        engine.delete("it", CONFIG_MAP, timeout=1)
    del engine.state["it"]
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(engine.create, "it", CONFIG_MAP, kinds.config_map(x="2"))
        path = cluster.path("v1", "ConfigMap", namespace, "settings")
        patch = [{"op": "remove", "path": "/metadata/finalizers"}]
        cluster.request("PATCH", path, patch, content_type="application/json-patch+json")
        assert second.result().outputs["metadata"]["uid"] != first.outputs["metadata"]["uid"]


# ------------------------------------------------------------------------------------------------ readiness


def test_ready_is_waited_for(engine: Engine, cluster: Cluster, namespace: str) -> None:
    made = engine.create("web", DEPLOYMENT, kinds.deployment(replicas=3))
    assert made.outputs["status"]["availableReplicas"] == 3
    service = {"metadata": {"name": "web"}, "spec": {"selector": kinds.LABELS, "ports": [{"port": 80}]}}
    assert engine.create("svc", "kubernetes:core/v1:Service", service).reasons == []


def test_a_pod_that_fits_nowhere_is_named(engine: Engine, namespace: str) -> None:
    resources = {"limits": {"nvidia.com/gpu": 1}}
    containers = [{**kinds.CONTAINERS[0], "resources": resources}]
    asks = kinds.deployment("gpu", template=kinds.template(containers=containers))
    made = engine.create("gpu", DEPLOYMENT, asks, timeout=4)
    (reason,) = made.reasons
    assert f"Deployment {namespace}/gpu was applied but is not ready: timed out" in reason
    assert f"pod {namespace}/gpu-" in reason
    assert "Unschedulable" in reason
    assert "Insufficient nvidia.com/gpu" in reason
    # The state keeps the object, so that the next run mends it and a destroy deletes it.
    assert made.identity == f"{namespace}/gpu"
    assert made.outputs["metadata"]["uid"]
    refreshed = engine.read("gpu", DEPLOYMENT)
    assert refreshed is not None
    assert "0 of 1 replicas are available" in refreshed.reasons[0]
    mended = engine.update("gpu", DEPLOYMENT, kinds.deployment("gpu"))
    assert mended.reasons == []


def test_a_job_is_waited_for(engine: Engine) -> None:
    assert engine.create("job", JOB, kinds.job()).outputs["status"]["succeeded"] == 1


def test_a_failed_job_is_told_at_once(engine: Engine) -> None:
    late = kinds.job(activeDeadlineSeconds=1, template=kinds.template(restartPolicy="Never", nodeName="nowhere"))
    (reason,) = engine.create("late", JOB, late).reasons
    assert "the job failed: DeadlineExceeded" in reason


def test_jobs_and_claims(engine: Engine, cluster: Cluster) -> None:
    claim = "kubernetes:core/v1:PersistentVolumeClaim"
    volume = {
        "metadata": {"name": "disk-1"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "static",
            "hostPath": {"path": "/nowhere"},
        },
    }
    wants = {"metadata": {"name": "disk"}, "spec": {**kinds.CLAIM_SPEC, "storageClassName": "static"}}
    (reason,) = engine.create("disk", claim, wants, timeout=2).reasons
    assert "waiting for a volume (phase Pending, storage class static)" in reason
    engine.create("volume", "kubernetes:core/v1:PersistentVolume", volume)
    assert engine.update("disk", claim, wants).outputs["status"]["phase"] == "Bound"


def test_waiting_for_a_field(engine: Engine, cluster: Cluster, namespace: str) -> None:
    metadata = {"name": "settings", "annotations": {"pulumi.com/waitFor": "jsonpath={.data.written}=yes"}}
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(engine.create, "it", CONFIG_MAP, {"metadata": metadata, "data": {"x": "1"}})
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": namespace}}
        while live(cluster, CONFIG_MAP, "settings", namespace) is None:
            assert not made.done()
        cluster.apply({**theirs, "data": {"written": "yes"}}, manager="controller")
        assert made.result().outputs["data"] == {"x": "1", "written": "yes"}


def test_cancel_ends_the_wait_and_keeps_the_object(engine: Engine, cluster: Cluster, namespace: str) -> None:
    stuck = kinds.deployment(template=kinds.template(nodeSelector={"pool": "none"}))
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(engine.create, "web", DEPLOYMENT, stuck, 600)
        while live(cluster, DEPLOYMENT, "web", namespace) is None:
            assert not made.done()
        engine.cancel()
        (reason,) = made.result().reasons
    assert "cancelled while waiting, waiting for" in reason


class _Messages(engine_pb2_grpc.EngineServicer):  # type: ignore[misc]  # generated code has no types
    """The engine's own service, which takes messages."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.enough = threading.Event()

    def Log(self, request: Any, _: Any) -> Empty:
        self.said.append(request.message)
        self.enough.set()
        return Empty()


def test_progress_is_told(engine: Engine, cluster: Cluster) -> None:
    messages = _Messages()
    stuck = kinds.deployment(template=kinds.template(nodeSelector={"pool": "none"}))
    with Server(engine_pb2_grpc.add_EngineServicer_to_server, messages, 2) as listening, ThreadPoolExecutor(1) as pool:
        engine.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=listening.address))
        made = pool.submit(engine.create, "web", DEPLOYMENT, stuck, 600)
        assert messages.enough.wait(60)
        engine.cancel()
        made.result()
    assert "waiting for 0 of 1 replicas are available; pod" in messages.said[0]
    assert "didn't match Pod's node affinity/selector" in messages.said[0]


# ------------------------------------------------------------------------------------------------ whose it is


def test_objects_of_others_are_refused(engine: Engine, cluster: Cluster, namespace: str) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": namespace}}
    cluster.apply({**theirs, "data": {"a": "theirs"}}, manager="somebody")
    refusal = f"ConfigMap {namespace}/settings exists already and was not made by this stack"
    for declared in (kinds.config_map(a="ours"), kinds.config_map(b="ours")):  # with and without a conflict
        with pytest.raises(Failed, match=refusal):
            engine.preview("it", CONFIG_MAP, declared)
        with pytest.raises(Failed, match=refusal):
            engine.create("it", CONFIG_MAP, declared)
    assert live(cluster, CONFIG_MAP, "settings", namespace)["data"] == {"a": "theirs"}

    taken = {
        **kinds.config_map(a="ours"),
        "metadata": {"name": "settings", "annotations": {"pulumi.com/patchForce": "true"}},
    }
    engine.preview("it", CONFIG_MAP, taken)
    engine.create("it", CONFIG_MAP, taken)
    assert live(cluster, CONFIG_MAP, "settings", namespace)["data"] == {"a": "ours"}


def test_two_stacks_do_not_share_an_object(engine: Engine, address: str, kubeconfig: Path, namespace: str) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    with Engine(address, stack="prod") as other:
        other.configure({"kubeconfig": kubeconfig.read_text(), "namespace": namespace})
        with pytest.raises(Failed, match="was not made by this stack"):
            other.create("it", CONFIG_MAP, kinds.config_map(a="1"))


def test_an_interrupted_creation_is_taken_up(engine: Engine) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    lost = engine.state.pop("it")
    engine.preview("it", CONFIG_MAP, kinds.config_map(a="2"))
    again = engine.create("it", CONFIG_MAP, kinds.config_map(a="2"))
    assert again.outputs["metadata"]["uid"] == lost.outputs["metadata"]["uid"]


def test_a_conflict_names_field_and_manager(engine: Engine, cluster: Cluster, namespace: str) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": namespace}}
    cluster.apply({**theirs, "data": {"b": "theirs"}}, manager="somebody")
    with pytest.raises(Failed, match=r'.data.b: owned by "somebody"'):
        engine.update("it", CONFIG_MAP, kinds.config_map(a="1", b="ours"))
    assert live(cluster, CONFIG_MAP, "settings", namespace)["data"]["b"] == "theirs"


def scale(cluster: Cluster, namespace: str, replicas: int) -> None:
    path = cluster.path("apps/v1", "Deployment", namespace, "web") + "/scale?fieldManager=kubectl"
    patch = {"spec": {"replicas": replicas}}
    cluster.request("PATCH", path, patch, content_type="application/merge-patch+json")


def test_drift_is_found_and_set_back(engine: Engine, cluster: Cluster, namespace: str) -> None:
    declared = kinds.deployment(replicas=1)
    engine.create("web", DEPLOYMENT, declared)
    scale(cluster, namespace, 2)
    found = engine.read("web", DEPLOYMENT)
    assert found is not None
    assert found.inputs["spec"]["replicas"] == 2
    answer = engine.diff("web", DEPLOYMENT, declared)
    assert list(answer.detailedDiff) == ["spec.replicas"]
    assert not answer.replaces
    assert engine.update("web", DEPLOYMENT, declared).outputs["spec"]["replicas"] == 1


def test_what_is_not_declared_is_not_drift(engine: Engine, cluster: Cluster, namespace: str) -> None:
    declared = kinds.deployment()
    del declared["spec"]["replicas"]  # left to an autoscaler
    made = engine.create("web", DEPLOYMENT, declared)
    scale(cluster, namespace, 2)
    found = engine.read("web", DEPLOYMENT)
    assert found is not None
    assert found.inputs == made.inputs
    engine.update("web", DEPLOYMENT, {**declared, "metadata": {"name": "web", "labels": {"a": "b"}}})
    assert live(cluster, DEPLOYMENT, "web", namespace)["spec"]["replicas"] == 2


def test_the_servers_own_writing_is_not_drift(engine: Engine) -> None:
    resources = {"requests": {"cpu": "1000m", "memory": "1024Mi"}}
    declared = kinds.deployment(template=kinds.template(containers=[{**kinds.CONTAINERS[0], "resources": resources}]))
    made = engine.create("web", DEPLOYMENT, declared)
    requests = made.outputs["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert requests["cpu"] == "1"
    made.outputs["metadata"]["resourceVersion"] = "1"  # so that it is compared
    found = engine.read("web", DEPLOYMENT)
    assert found is not None
    assert found.inputs == made.inputs


def test_gone_objects_are_told_as_gone(engine: Engine, cluster: Cluster, namespace: str) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    cluster.delete("v1", "ConfigMap", "settings", namespace)
    assert engine.read("it", CONFIG_MAP) is None
    engine.delete("it", CONFIG_MAP)


def test_an_object_made_anew_by_others_is_not_deleted(engine: Engine, cluster: Cluster, namespace: str) -> None:
    engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    cluster.delete("v1", "ConfigMap", "settings", namespace)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": namespace}}
    cluster.apply(theirs, manager="somebody")
    engine.delete("it", CONFIG_MAP)
    assert live(cluster, CONFIG_MAP, "settings", namespace) is not None


def test_import(engine: Engine, cluster: Cluster, namespace: str) -> None:
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", **kinds.deployment()}
    theirs["metadata"] = {"name": "web", "namespace": namespace, "labels": {"old": "label"}}
    path = cluster.path("apps/v1", "Deployment", namespace) + "?fieldManager=kubectl-create"
    cluster.request("POST", path, theirs)
    engine.read("web", DEPLOYMENT, identity=f"{namespace}/web")
    labelled = {**kinds.deployment(), "metadata": {"name": "web", "labels": {"old": "label"}}}
    assert engine.diff("web", DEPLOYMENT, labelled).changes == NONE  # the server's defaults are no change
    changed = {**kinds.deployment(replicas=2), "metadata": {"name": "web"}}
    assert "spec.replicas" in engine.diff("web", DEPLOYMENT, changed).detailedDiff
    engine.update("web", DEPLOYMENT, changed)
    after = live(cluster, DEPLOYMENT, "web", namespace)
    assert after["spec"]["replicas"] == 2
    assert "labels" not in after["metadata"]  # what is left out goes, although kubectl had written it
    assert engine.diff("web", DEPLOYMENT, changed).changes == NONE


def test_state_of_the_official_provider_is_taken_over(engine: Engine, cluster: Cluster, namespace: str) -> None:
    declared = {"apiVersion": "v1", "kind": "ConfigMap", **kinds.config_map(a="1", b="2")}
    declared["metadata"] = {"name": "settings", "namespace": namespace}
    made = cluster.request(
        "POST", cluster.path("v1", "ConfigMap", namespace) + "?fieldManager=pulumi-kubernetes-1a2b", declared
    )
    made["metadata"].pop("managedFields")
    kept = engine.create("other", CONFIG_MAP, kinds.config_map("other"))
    kept.identity, kept.inputs = f"{namespace}/settings", declared
    kept.outputs = {
        **made,
        "__inputs": declared,
        "__initialApiVersion": "v1",
        "__fieldManager": "pulumi-kubernetes-1a2b",
    }
    engine.state["it"] = kept
    assert engine.diff("it", CONFIG_MAP, kinds.config_map(a="1", b="2")).changes == NONE
    outputs = engine.update("it", CONFIG_MAP, kinds.config_map(a="3")).outputs
    assert outputs["__fieldManager"] == "pulumi-kubernetes-1a2b"
    assert live(cluster, CONFIG_MAP, "settings", namespace)["data"] == {"a": "3"}


def test_state_has_what_the_official_provider_needs(engine: Engine) -> None:
    made = engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))
    assert made.inputs["apiVersion"] == "v1"
    assert made.inputs["kind"] == "ConfigMap"
    assert made.outputs["__inputs"] == made.inputs
    assert made.outputs["__initialApiVersion"] == "v1"
    assert made.outputs["__fieldManager"].startswith("mlinfra-dev-")


# ------------------------------------------------------------------------------------------------ secrets, unknowns


def test_data_of_secrets_is_secret_whether_marked_or_not(engine: Engine, cluster: Cluster, namespace: str) -> None:
    made = engine.create("it", SECRET, {"metadata": {"name": "keys"}, "stringData": {"token": "hunter2"}})
    assert isinstance(made.inputs["data"], Secret)
    assert isinstance(made.outputs["data"], Secret)
    assert isinstance(made.outputs["__inputs"]["data"], Secret)
    assert reveal(made.outputs["data"]) == {"token": "aHVudGVyMg=="}
    assert live(cluster, SECRET, "keys", namespace)["data"] == {"token": "aHVudGVyMg=="}
    found = engine.read("it", SECRET)
    assert found is not None
    assert isinstance(found.inputs["data"], Secret)
    imported = engine.read("new", SECRET, identity=f"{namespace}/keys")
    assert imported is not None
    assert isinstance(imported.inputs["data"], Secret)
    assert isinstance(imported.outputs["data"], Secret)


def test_a_list_with_a_secret_is_secret_as_a_whole(engine: Engine, cluster: Cluster, namespace: str) -> None:
    containers = [{**kinds.CONTAINERS[0], "env": [{"name": "TOKEN", "value": Secret("hunter2")}]}]
    declared = kinds.deployment(replicas=0, template=kinds.template(containers=containers))
    made = engine.create("web", DEPLOYMENT, declared)
    for outputs in (made.outputs, made.outputs["__inputs"]):
        assert isinstance(outputs["spec"]["template"]["spec"]["containers"], Secret)
    assert "hunter2" not in str(made)
    scale(cluster, namespace, 1)
    found = engine.read("web", DEPLOYMENT)
    assert "hunter2" not in str(found)
    assert reveal(found.inputs["spec"]["template"]["spec"]["containers"]) == reveal(containers)  # type: ignore[union-attr]


def test_a_refusal_does_not_quote_secrets(engine: Engine) -> None:
    policy = kinds.deployment(template=kinds.template(restartPolicy=Secret("hunter2")))
    for attempt in (engine.preview, engine.create):
        with pytest.raises(Failed, match=r"restartPolicy: Unsupported value: \"\[secret\]\"") as error:
            attempt("web", DEPLOYMENT, policy)
        assert "hunter2" not in str(error.value)


UNKNOWNS: dict[str, dict[str, Any]] = {
    "a value": {"metadata": {"name": "x"}, "data": {"a": UNKNOWN}},
    "the name": {"metadata": {"name": UNKNOWN}, "data": {"a": "1"}},
    "the namespace": {"metadata": {"name": "x", "namespace": UNKNOWN}},
    "the annotations": {"metadata": {"annotations": UNKNOWN}},
    "all metadata": {"metadata": UNKNOWN},
    "the data": {"metadata": {"name": "x"}, "data": UNKNOWN},
    "a secret": {"metadata": {"name": "x"}, "data": Secret(UNKNOWN)},
    "kind and version": {"apiVersion": UNKNOWN, "kind": UNKNOWN, "metadata": {"name": "x"}},
}


@pytest.mark.parametrize("where", UNKNOWNS)
@pytest.mark.parametrize("token", [CONFIG_MAP, SECRET])
def test_unknowns_can_be_anything(engine: Engine, where: str, token: str) -> None:
    inputs = UNKNOWNS[where]
    preview = engine.preview("new", token, inputs)
    assert preview["kind"] in ("ConfigMap", "Secret")
    assert holds(preview, type(UNKNOWN))
    engine.create("old", token, {"metadata": {"name": "x"}, "data": {"a": "MQ=="}})
    engine.diff("old", token, inputs)
    engine.preview("old", token, inputs)
    engine.delete("old", token)


def test_a_preview_tells_the_servers_defaults(engine: Engine) -> None:
    preview = engine.preview("web", DEPLOYMENT, kinds.deployment())
    assert preview["spec"]["strategy"]["type"] == "RollingUpdate"
    assert preview["status"] is UNKNOWN


def test_a_preview_bears_a_namespace_that_is_not_there_yet(engine: Engine) -> None:
    later = {**kinds.config_map(a="1"), "metadata": {"name": "x", "namespace": "not-yet"}}
    assert engine.preview("it", CONFIG_MAP, later)["data"] == {"a": "1"}


def test_a_preview_refuses_what_the_server_refuses(engine: Engine) -> None:
    wrong = kinds.deployment(
        template={"metadata": {"labels": {"app": "another"}}, "spec": {"containers": kinds.CONTAINERS}}
    )
    with pytest.raises(Failed, match="`selector` does not match template `labels`"):
        engine.preview("it", DEPLOYMENT, wrong)
    with pytest.raises(Failed, match="field not declared in schema"):
        engine.preview("it", DEPLOYMENT, kinds.deployment(replica=1))


def test_automatic_names_stay(engine: Engine) -> None:
    made = engine.create("My_Settings", CONFIG_MAP, {"data": {"a": "1"}})
    name = made.inputs["metadata"]["name"]
    assert name.startswith("my-settings-")
    assert engine.diff("My_Settings", CONFIG_MAP, {"data": {"a": "1"}}).changes == NONE
    assert engine.update("My_Settings", CONFIG_MAP, {"data": {"a": "2"}}).inputs["metadata"]["name"] == name


# ------------------------------------------------------------------------------------------------ instances


def test_instances_are_told_apart(address: str, kubeconfig: Path, engine: Engine, cluster: Cluster) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "second"}}, manager="test")
    with Engine(address) as other:
        other.configure({"kubeconfig": str(kubeconfig), "namespace": "second"})
        assert other.checked("it", CONFIG_MAP, {})["metadata"]["namespace"] == "second"
        assert engine.checked("it", CONFIG_MAP, {})["metadata"]["namespace"] != "second"
        other.create("it", CONFIG_MAP, kinds.config_map("only-second"))
    assert cluster.get("v1", "ConfigMap", "only-second", "second") is not None


def test_an_unknown_kubeconfig_is_enough_for_a_preview(address: str) -> None:
    with Engine(address) as engine:
        engine.configure({"kubeconfig": Secret(UNKNOWN)})
        assert engine.preview("it", CONFIG_MAP, kinds.config_map(a="1"))["data"] == {"a": "1"}
        assert engine.preview("web", DEPLOYMENT, kinds.deployment())["metadata"]["uid"] is UNKNOWN
        with pytest.raises(Failed, match="the kubeconfig of this Kubernetes provider is not known"):
            engine.create("it", CONFIG_MAP, kinds.config_map(a="1"))


def test_a_missing_kubeconfig_is_never_guessed(address: str) -> None:
    with Engine(address) as engine:
        reply = engine.stub.CheckConfig(provider_pb2.CheckRequest(news=encode({"namespace": "x"})))
        assert reply.failures[0].reason.endswith("name the cluster's kubeconfig, as a path or as its text")
        with pytest.raises(Failed, match="has no kubeconfig"):
            engine.configure({})


NOWHERE = """
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: a, context: {cluster: a}}]
current-context: a
"""


def test_an_unreachable_cluster_is_told_by_the_instance(address: str) -> None:
    with Engine(address) as engine:
        with pytest.raises(Failed) as error:
            engine.configure({"kubeconfig": NOWHERE})
        assert str(error.value).startswith("the Kubernetes API server at https://127.0.0.1:1 cannot be reached\n")
        assert "Connection refused" in str(error.value)


def test_credentials_that_are_not_taken_are_told_by_the_instance(address: str, kubeconfig: Path) -> None:
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "hunter2"}
    with Engine(address) as engine:
        with pytest.raises(Failed, match="Sign in to the cluster again") as error:
            engine.configure({"kubeconfig": json.dumps(config)})
        assert "hunter2" not in str(error.value)


def test_another_kubeconfig_replaces_nothing() -> None:
    request = provider_pb2.DiffRequest(old_inputs=encode({"kubeconfig": "a"}), news=encode({"kubeconfig": Secret("b")}))
    answer = Provider().DiffConfig(request, None)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(answer.diffs) == ["kubeconfig"]
    assert not answer.replaces


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ("one", "one", []),
        ("one", "two", ["clusterIdentifier"]),
        ("one", UNKNOWN, ["clusterIdentifier"]),
        (None, "a", []),
    ],
)
def test_another_cluster_replaces_all_that_is_in_it(old: Any, new: Any, replaces: list[str]) -> None:
    given = [{key: item for key, item in {"kubeconfig": "a", "clusterIdentifier": side}.items() if item is not None}
             for side in (old, new)]  # fmt: skip
    request = provider_pb2.DiffRequest(old_inputs=encode(given[0]), news=encode(given[1]))
    assert list(Provider().DiffConfig(request, None).replaces) == replaces


def test_the_local_cluster_stands_in_for_one_of_eks(kubeconfig: Path, namespace: str, cluster: Cluster) -> None:
    text = eks_kubeconfig("ml", cluster.server, "", "us-east-1")
    with serve(threads=8, local=kubeconfig) as server, Engine(server.address) as engine:
        engine.configure({"kubeconfig": text, "namespace": namespace})
        assert engine.create("it", CONFIG_MAP, kinds.config_map(a="1")).identity == f"{namespace}/settings"
        elsewhere = eks_kubeconfig("ml", "https://example.com", "", "us-east-1")
    refused = pytest.raises(Failed, match="nothing of that goes elsewhere")
    with serve(threads=8, local=kubeconfig) as server, Engine(server.address) as engine, refused:
        engine.configure({"kubeconfig": elsewhere})


def test_the_plugin_process(kubeconfig: Path, namespace: str) -> None:
    command = [sys.executable, "-m", "mlinfra.providers.kubernetes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            with Engine(f"127.0.0.1:{port}") as engine:
                assert engine.stub.GetPluginInfo(Empty()).version == "4.34.2"
                engine.configure({"kubeconfig": kubeconfig.read_text(), "namespace": namespace})
                assert engine.create("it", CONFIG_MAP, kinds.config_map(a="1")).identity == f"{namespace}/settings"
        finally:
            process.kill()


def test_calls_that_are_not_offered_are_refused(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as error:
        engine.stub.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:yaml:decode"))
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
