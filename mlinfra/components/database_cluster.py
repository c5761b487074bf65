"""A `Database` in the cluster: one pod with a volume, its password, its address, and who may reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components import cluster_store
from mlinfra.components.secret_sources import Generated, add_value
from mlinfra.components.signals import PROMETHEUS_LABEL, Signal
from mlinfra.components.workload import (
    COMPONENT_LABEL,
    Request,
    container_security,
    pod_labels,
    pod_security,
    selector,
)
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.database import Database
    from mlinfra.components.place import Place

PASSWORD: Final = "password"  # noqa: S105 — the key in the Secret
_DATA: Final = "/var/lib/postgresql/data"
_SECRETS: Final = "/run/secrets/postgres"


def expand(database: Database, scope: Scope) -> None:
    """Password, pod, address; and a network policy that lets nobody in but who is let in by another."""
    if database.cluster is None or database.image is None:
        lacking = [name for name in ("cluster", "image") if getattr(database, name) is None]
        scope.problem(
            f"database {database.name!r} runs in the cluster and names no {' and no '.join(lacking)}",
            remedy="Name the cluster in whose namespace it runs, and the image of PostgreSQL by its digest: "
            '`cluster=cluster, image="docker.io/library/postgres@sha256:…"`.',
            code="database-cluster",
        )
        return
    namespace, name = database.cluster.namespace, database.identity
    password = add_value(scope, Generated(), 1, "password")
    secret = scope.kubernetes(
        "secret", "v1", "Secret", name, {"type": "Opaque", "stringData": {PASSWORD: password}}, namespace=namespace
    )
    cluster_store.close(scope, "closed", name, selector(scope), namespace)
    pod = scope.kubernetes(
        "instance",
        "apps/v1",
        "StatefulSet",
        name,
        {"spec": _spec(database, database.cluster, scope, secret)},
        namespace=namespace,
    )
    ports = [{"name": "postgres", "port": database.port, "targetPort": "postgres", "protocol": "TCP"}]
    scope.kubernetes(
        "service",
        "v1",
        "Service",
        name,
        {"spec": {"clusterIP": "None", "selector": selector(scope), "ports": ports}},
        namespace=namespace,
        depends_on=(pod.node,),  # a service is waited for until it has pods
    )


def signals(database: Database) -> tuple[Signal, ...]:
    """Its pod is not ready (kube-state-metrics, "Pod Metrics")."""
    mine = f'on (namespace, pod) group_left () kube_pod_labels{{label_{PROMETHEUS_LABEL}="{database.identity}"}}'
    ready = f'sum(kube_pod_status_ready{{condition="true"}} * {mine})'
    return (
        Signal("Down", "critical", f"{ready} < 1 or absent({ready})", 5, f"Database {database.name} does not answer"),
    )


def open_to(database: Database, scope: Scope, namespace: Value) -> None:
    """Let the pods of another component in, by a network policy of its own; they have to be in the same namespace."""
    if database.cluster is None:
        return
    if database.cluster.namespace != namespace:
        scope.problem(
            f"{scope.component.name} refers to database {database.name!r}, which is in another cluster's namespace",
            detail="Its password is in a Secret of its own namespace, which no other can read.",
            remedy=f"Give both the same cluster, {database.cluster.name!r} or the other.",
            code="database-other-cluster",
        )
        return
    pods = {COMPONENT_LABEL: database.identity}
    cluster_store.let_in(scope, database.identity, pods, database.port, namespace)


def _spec(database: Database, cluster: Place, scope: Scope, secret: Ref) -> dict[str, Value]:
    """Of one replica: PostgreSQL has one that writes, and a second would be another database."""
    kept = "Delete" if scope.environment.tier.defaults.empty_on_delete else "Retain"
    claim = {
        "metadata": {"name": "data", "labels": pod_labels(scope)},
        "spec": cluster_store.claim(
            scope,
            f"data-{database.identity}-0",
            cluster.namespace,
            database.storage_gib,
            database.storage_class,
            scope.label_name(),
        ),
    }
    return {
        "serviceName": database.identity,
        "replicas": 1,
        "selector": {"matchLabels": selector(scope)},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": kept, "whenScaled": "Retain"},
        "volumeClaimTemplates": [claim],
        "template": {"metadata": {"labels": pod_labels(scope)}, "spec": _pod(database, cluster, secret)},
    }


def _pod(database: Database, cluster: Place, secret: Ref) -> dict[str, Value]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": cluster.priority_class("serving"),
        "terminationGracePeriodSeconds": 120,  # PostgreSQL writes what it has in memory before it goes
        "securityContext": pod_security(database.run_as_user),
        "containers": [_container(database)],
        "volumes": [
            {"name": "secrets", "secret": {"secretName": Ref(secret.node, ("metadata", "name")), "defaultMode": 0o440}},
            {"name": "run", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
        ],
    }


def _container(database: Database) -> dict[str, Value]:
    """Variables: the official image's documentation. The password is a file, which no `env` shows."""
    request = Request(database.cpu, database.memory)
    env = {
        "PGDATA": f"{_DATA}/pgdata",  # not the volume's root, which may hold `lost+found`
        "POSTGRES_DB": database.database_name,
        "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --data-checksums",
        "POSTGRES_PASSWORD_FILE": f"{_SECRETS}/{PASSWORD}",
        "POSTGRES_USER": database.username,
    }
    settings = [part for name, value in sorted(database.parameters.items()) for part in ("-c", f"{name}={value}")]
    # Over the network: while the image sets a new database up, a server answers on the socket alone, and goes again.
    asking = ["pg_isready", "-q", "-h", "127.0.0.1", "-U", database.username, "-d", database.database_name]
    ready = {"exec": {"command": asking}}
    return {
        "name": "postgres",
        "image": database.image,
        **({"args": settings} if settings else {}),
        "ports": [{"name": "postgres", "containerPort": database.port, "protocol": "TCP"}],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "resources": request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "secrets", "mountPath": _SECRETS, "readOnly": True},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "run", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108 — the container's own
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 — 64 MiB are too few for parallel queries
        ],
        # After a crash it reads its log again, which may take long; until then the other two wait.
        "startupProbe": {**ready, "periodSeconds": 5, "failureThreshold": 120, "timeoutSeconds": 5},
        "readinessProbe": {**ready, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        "livenessProbe": {**ready, "periodSeconds": 20, "failureThreshold": 6, "timeoutSeconds": 5},
    }
