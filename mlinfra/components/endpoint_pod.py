"""The pod of an `Endpoint`: its containers, when it counts as alive and ready, how it leaves, where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components import endpoint_auth, endpoint_model
from mlinfra.components.access import data_variables
from mlinfra.components.endpoint_images import pinned
from mlinfra.components.endpoint_runtimes import FILES, MODELS
from mlinfra.components.rollout import besides
from mlinfra.components.workload import (
    HTTP,
    SHARED_MEMORY,
    Request,
    container_security,
    placement,
    pod_labels,
    pod_security,
    selector,
    shared_memory,
    variables,
)
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value
from mlinfra.naming import short_hash

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

MODEL_PORT: Final = "model"
"""The name of the model's own port, where a proxy has `http`."""

CURL_IMAGE: Final = "docker.io/curlimages/curl@sha256:c1fe1679c34d9784c1b0d1e5f62ac0a79fca01fb6377cdd33e90473c6f9f9a69"
"""8.11.1."""

_LEAVE_SECONDS: Final = 10
"""How long a replica that goes still takes requests: services and load balancers learn of it only by and by."""

_TMP: Final = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 — the container's own
_WARM_UP: Final = Request(cpu=0.01, memory=0.03125)
_WAIT: Final = "trap 'exit 0' TERM; while true; do sleep 3600 & wait $!; done"
_SHARED: Final = 0.25
"""Share of a pod's memory for `/dev/shm`, where a runtime wants one."""


def add_files(endpoint: Endpoint, scope: Scope) -> dict[str, str]:
    """The ConfigMap with what the runtime and the proxy read when they start; returns its files."""
    files = dict(endpoint.served_by.files)
    if keys := endpoint_auth.keys_of(endpoint):
        files[endpoint_auth.FILE] = endpoint_auth.configuration(endpoint, len(keys))
    if files:
        name, namespace = f"{endpoint.identity}.files", endpoint.cluster.namespace
        scope.kubernetes("files", "v1", "ConfigMap", name, {"data": files}, namespace=namespace)
    return files


def template(endpoint: Endpoint, scope: Scope, account: Ref, files: Mapping[str, str]) -> dict[str, Any]:
    """The template of its pods; a variant's is made of the endpoint as the variant has it. `files` are in the
    ConfigMap `files`."""
    notes: dict[str, Value] = {}
    if endpoint.scraped_at:
        port, path = endpoint.scraped_at
        notes = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}
    if files:
        # Programs read their files when they start: another content makes another pod.
        notes[f"{DOMAIN}/config-hash"] = short_hash(*files.values(), length=16)
    if keys := endpoint_auth.keys_of(endpoint):
        # Another value of a key reaches pods that start anew.
        notes[f"{DOMAIN}/keys"] = ",".join(f"{key.identity}-{key.generation}" for key in keys)
    metadata = {"labels": pod_labels(scope), **({"annotations": notes} if notes else {})}
    return {"metadata": metadata, "spec": _spec(endpoint, scope, account, bool(files))}


def _spec(endpoint: Endpoint, scope: Scope, account: Ref, with_files: bool) -> dict[str, Value]:
    runtime = endpoint.served_by
    env = _environment(endpoint, scope)
    before: list[Value] = []
    volumes: list[Value] = [{"name": "tmp", "emptyDir": {}}]
    if endpoint.runtime != "custom":
        before.append(_model(endpoint, scope, env))
        volumes.append({"name": endpoint_model.VOLUME, "emptyDir": {"sizeLimit": f"{endpoint.model_gib}Gi"}})
    if endpoint_auth.keys_of(endpoint):
        image = pinned(scope, endpoint.helpers.proxy, endpoint_auth.IMAGE, "helpers=HelperImages(proxy=…)")
        before.append(endpoint_auth.container(endpoint, image, endpoint_auth.keys(endpoint, scope)))
    if with_files:
        volumes.append({"name": "files", "configMap": {"name": endpoint.output("files", "metadata", "name")}})
    if runtime.shares_memory:
        volumes.append(shared_memory(endpoint.memory * _SHARED))
    return {
        **placement(scope, endpoint.pool),
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": endpoint.cluster.priority_class("serving"),
        "terminationGracePeriodSeconds": _LEAVE_SECONDS + endpoint.drain_seconds,
        "securityContext": pod_security(endpoint.run_as_user),
        "topologySpreadConstraints": [
            _spread(scope, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        **({"initContainers": before} if before else {}),
        "containers": [_serve(endpoint, scope, env), *_warm_up(endpoint, scope)],
        "volumes": volumes,
    }


def _spread(scope: Scope, key: str) -> dict[str, Value]:
    """Replicas of one version spread over zones and machines as well as the machines there are allow."""
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(scope)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _environment(endpoint: Endpoint, scope: Scope) -> dict[str, Value]:
    """What a pod is told; what the author says comes last."""
    stores = (*endpoint.writes, *([endpoint.request_log] if endpoint.request_log else []))
    return {
        **data_variables(scope, endpoint.cluster.namespace, endpoint.read_stores, stores),
        **endpoint_model.variables_of(endpoint.model),
        "MLINFRA_COMPONENT": endpoint.identity,
        "PORT": str(endpoint.port),
        **endpoint.served_by.env,
        **endpoint.env,
    }


def _model(endpoint: Endpoint, scope: Scope, env: Mapping[str, Value]) -> dict[str, Value]:
    """The container that copies the model for a runtime."""
    in_registry = endpoint_model.in_registry(endpoint.model)
    usual = endpoint_model.MLFLOW_IMAGE if in_registry else endpoint_model.S3_IMAGE
    image = pinned(scope, endpoint.helpers.model, usual, "helpers=HelperImages(model=…)")
    return endpoint_model.copying(endpoint.model, image, dict(env), endpoint.served_by.folder)


def _serve(endpoint: Endpoint, scope: Scope, env: Mapping[str, Value]) -> dict[str, Value]:
    runtime = endpoint.served_by
    image = endpoint.image or _usual(endpoint, scope, runtime.image or "")
    command = list(runtime.command)
    mounts: list[Value] = [_TMP]
    if endpoint.runtime != "custom":
        mounts.append({"name": endpoint_model.VOLUME, "mountPath": MODELS, "readOnly": True})
    if runtime.files:
        mounts.append({"name": "files", "mountPath": FILES, "readOnly": True})
    if runtime.shares_memory:
        mounts.append(SHARED_MEMORY)
    startup: dict[str, Any] = {"path": runtime.ready}
    if endpoint.warm_up and endpoint.warm_up.text is None:
        startup = {"path": endpoint.warm_up.path or runtime.predict, "seconds": endpoint.warm_up.seconds}
    return {
        "name": "serve",
        "image": image,
        **({"command": command} if command else {}),
        **({"args": list(endpoint.arguments)} if endpoint.arguments else {}),
        "ports": _ports(endpoint),
        "env": variables(env),
        "resources": endpoint.request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": mounts,
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_SECONDS}}},
        # Until startup has succeeded the other two wait, so that a large model is not killed while it loads.
        "startupProbe": _probe(endpoint, period=5, failures=-(-endpoint.startup_seconds // 5), **startup),
        "readinessProbe": _probe(endpoint, runtime.ready, period=5, failures=3),
        "livenessProbe": _probe(endpoint, runtime.live, period=10, failures=6),
    }


def _usual(endpoint: Endpoint, scope: Scope, image: str) -> str:
    """The runtime's own image, for what has no other: the endpoint, or some of its variants, which it names then."""
    versions = besides(endpoint)
    bare = [item for item in versions if item.image is None]
    if not endpoint.variants or bare == list(versions):
        return pinned(scope, None, image, "image=…")
    how = ", ".join(f"{type(item).__name__}(name={item.name!r}, image=…)" for item in bare)
    names = " and ".join(repr(item.name) for item in bare)
    who = f"variants {names} of {endpoint.name} have" if len(bare) > 1 else f"variant {names} of {endpoint.name} has"
    return pinned(scope, None, image, how, who)


def _ports(endpoint: Endpoint) -> list[Value]:
    ports = {_own_port(endpoint): endpoint.port}
    if own := endpoint.served_by.metrics_port:
        ports["metrics"] = own
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def _own_port(endpoint: Endpoint) -> str:
    return MODEL_PORT if endpoint_auth.keys_of(endpoint) else HTTP


def _probe(endpoint: Endpoint, path: str, *, period: int, failures: int, seconds: int = 3) -> dict[str, Value]:
    return {
        "httpGet": {"path": path, "port": _own_port(endpoint)},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": seconds,
    }


def _warm_up(endpoint: Endpoint, scope: Scope) -> Iterable[dict[str, Value]]:
    """A container that counts as started once the model has answered a real request, and does nothing more.

    The pod is ready only when all of its containers are; kubelet's own probes cannot send a body, and a model's image
    need not have anything that could. Source: Kubernetes, "Configure Liveness, Readiness and Startup Probes".
    """
    warm_up = endpoint.warm_up
    body = warm_up.text if warm_up else endpoint.served_by.warm_up
    if not body:
        return
    path = (warm_up.path if warm_up else None) or endpoint.served_by.predict
    seconds, kind = (warm_up.seconds, warm_up.content_type) if warm_up else (60, "application/json")
    send = [
        *("curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", "--max-time", str(seconds)),
        *("--header", f"Content-Type: {kind}", "--data-raw", body, f"http://localhost:{endpoint.port}{path}"),
    ]
    yield {
        "name": "warm-up",
        "image": pinned(scope, endpoint.helpers.warm_up, CURL_IMAGE, "helpers=HelperImages(warm_up=…)"),
        "command": ["sh", "-c", _WAIT],
        "resources": _WARM_UP.resources(),
        "securityContext": container_security(read_only=True),
        "startupProbe": {
            "exec": {"command": send},
            "periodSeconds": 5,
            "failureThreshold": -(-endpoint.startup_seconds // 5),
            "timeoutSeconds": seconds + 1,
        },
    }
