"""The proxy in each replica that asks callers for a key: HAProxy, which takes keys from its environment.

Source of the configuration: HAProxy, "Configuration Manual".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.endpoint_runtimes import FILES
from mlinfra.components.endpoint_values import ApiKeys
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.workload import HTTP, Request, container_security, variables
from mlinfra.expansion import Scope
from mlinfra.graph import Value

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

PORT: Final = 8400
METRICS_PORT: Final = 8401
"""The ports of the proxy: for callers, who need a key, and for Prometheus, which gets the metrics and nothing else."""

FILE: Final = "haproxy.cfg"
IMAGE: Final = "docker.io/library/haproxy:3.2-alpine"

_REQUEST: Final = Request(cpu=0.1, memory=0.125)
_KEY: Final = "API_KEY_"

_GLOBAL: Final = """\
global
    maxconn 4096
{known}
defaults
    mode http
    timeout connect 5s
    timeout http-request 10s
    timeout client {seconds}s
    timeout server {seconds}s
"""
_CALLERS: Final = """
frontend callers
    bind :{port}
    acl asks_health path {health}
    http-request set-var(txn.key) http_auth_bearer
    http-request set-var(txn.key) req.fhdr(x-api-key) if {{ req.fhdr(x-api-key) -m found }}
    acl is_given var(txn.key) -m len 1:
{accepted}
    http-request return status 401 content-type text/plain string "a valid key is wanted, in X-API-Key\\n" \
unless asks_health or is_given is_known
    http-request del-header x-api-key
    http-request del-header authorization
    default_backend model
"""
_METRICS: Final = """
frontend metrics
    bind :{port}
    http-request deny deny_status 403 unless {{ path {path} }}
    default_backend model
"""
_MODEL: Final = """
backend model
    server model 127.0.0.1:{port}
"""


def configuration(endpoint: Endpoint, keys: int) -> str:
    """`haproxy.cfg`, for this number of keys. They are compared in constant time (`secure_memcmp`)."""
    numbers = range(1, keys + 1)
    runtime = endpoint.served_by
    text = _GLOBAL.format(
        known="\n".join(f"    set-var proc.key{number} env({_KEY}{number})" for number in numbers),
        seconds=max(endpoint.drain_seconds, 60),
    )
    accepted = "\n".join(f"    acl is_known var(txn.key),secure_memcmp(proc.key{number})" for number in numbers)
    text += _CALLERS.format(port=PORT, health=runtime.ready, accepted=accepted)
    if runtime.metrics and runtime.metrics_port is None:
        text += _METRICS.format(port=METRICS_PORT, path=runtime.metrics)
    return text + _MODEL.format(port=endpoint.port)


def container(endpoint: Endpoint, image: str, keys: list[Value]) -> dict[str, Value]:
    """The proxy: a container that starts before the others and ends after them (Kubernetes, "Sidecar Containers")."""
    found = {f"{_KEY}{number}": {"secretKeyRef": key} for number, key in enumerate(keys, start=1)}
    return {
        "name": "proxy",
        "image": image,
        "restartPolicy": "Always",
        "command": ["haproxy", "-W", "-db", "-f", f"{FILES}/{FILE}"],
        "env": variables(found),
        "ports": [{"name": HTTP, "containerPort": PORT, "protocol": "TCP"}],
        "resources": _REQUEST.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": "files", "mountPath": FILES, "readOnly": True}],
        "readinessProbe": {
            "httpGet": {"path": endpoint.served_by.ready, "port": HTTP},
            "periodSeconds": 5,
            "failureThreshold": 3,
            "timeoutSeconds": 3,
        },
    }


def keys_of(endpoint: Endpoint) -> tuple[ManagedSecret, ...]:
    """The secrets that callers may send one of; empty where no proxy asks for any."""
    return tuple(endpoint.auth.keys) if isinstance(endpoint.auth, ApiKeys) else ()


def keys(endpoint: Endpoint, scope: Scope) -> list[Value]:
    """The keys as pods find them; notes as errors those that are not in the endpoint's namespace."""
    found: list[Value] = []
    for secret in keys_of(endpoint):
        value = secret.variables_in(scope, endpoint.cluster.namespace).get(secret.variable_name)
        if isinstance(value, dict):
            found.append(value["secretKeyRef"])
            continue
        scope.problem(
            f"endpoint {endpoint.name!r} takes the key {secret.name!r}, which is not in its namespace",
            detail="Pods read Secrets of their own namespace alone.",
            remedy=f"Put it there: `in_cluster=[{endpoint.cluster.name}]` of {secret.name!r}.",
            code="endpoint-key-elsewhere",
        )
    return found
