"""The S3-compatible store of a cluster: one pod of VersityGW, in which each bucket is a folder on a volume of its own.

Why this server, and why one for all buckets of a cluster: docs/decisions/0023-object-store.md. What is said here of the
server is from its documentation and its source, version 1.8.

The nodes belong to the cluster, whose buckets come and go. Whoever adds a bucket has noted it on its component, and the
pod is made anew of all that are noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.components import cluster_store
from mlinfra.components.access import POLICY_VERSION, Grant, policy
from mlinfra.components.place import Place
from mlinfra.components.secret_sources import Generated, add_value
from mlinfra.components.workload import (
    COMPONENT_LABEL,
    Request,
    container_security,
    pod_labels,
    pod_security,
)
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Kind, Ref, Value
from mlinfra.naming import dns_label

REGION: Final = "us-east-1"
"""The region that the server goes by; it stands in signatures and means nothing else."""
PORT: Final = 7070
HEALTH: Final = "/health"
BUCKETS: Final = "/srv/buckets"
METADATA: Final = "/srv/metadata"
ACCOUNTS: Final = "/etc/object-store/accounts"
POLICIES: Final = "/etc/object-store/policies"
USERS: Final = "users.json"

SERVER: Final = "object-store"
_SECRET: Final = "object-store-accounts"  # noqa: S105 — names of nodes
_POLICIES: Final = "object-store-policies"
_ROOT: Final = "mlinfra.root"
"""The access key of the server's own administrator, which nobody is given; no component has a dot in its name."""
_ROOT_SECRET: Final = "root-secret"  # noqa: S105 — the key in the Secret
_PART: Final = {"app.kubernetes.io/component": "object-store"}

LINKS: Final = f"""set -eu
for folder in {BUCKETS}/*/; do
  name=$(basename "$folder")
  mkdir -p "{METADATA}/$name/meta"
  ln -sfn "{POLICIES}/$name.json" "{METADATA}/$name/meta/policy"
done
"""
"""Where the server looks for a bucket's policy there is a link to the one that Kubernetes mounts, and keeps up to date:
another reader takes effect without a restart."""


@dataclass(frozen=True, slots=True)
class Member:
    """A bucket of the store: its name, the node of its claim, what it adds to what the server asks for."""

    name: str
    claim: str
    image: str
    cpu: float
    memory: float


def name_of(cluster: Place) -> str:
    """The name of the store's objects in the cluster's namespace."""
    return dns_label(cluster.identity, "object-store")


def pods_of(cluster: Place) -> dict[str, str]:
    """The labels by which the store's pod is found."""
    return {COMPONENT_LABEL: cluster.identity, **_PART}


def members(scope: Scope, cluster: Place) -> list[Member]:
    """The buckets that are in the store so far, by their names."""
    server = cluster.node(SERVER)
    found = [
        Member(**{name: node.inputs[name] for name in Member.__slots__})
        for node in scope.expansion.nodes.values()
        if node.kind is Kind.COMPONENT and node.inputs.get("store") == server
    ]
    return sorted(found, key=lambda member: member.name)


def add_bucket(scope: Scope, cluster: Place, member: Member) -> None:
    """Put a bucket into the store, which is made for the first one."""
    store = Scope(scope.expansion, cluster)
    if cluster.node(SERVER) not in scope.expansion.nodes:
        _add_store(store, cluster)
    facts = {name: getattr(member, name) for name in Member.__slots__}
    scope.describe(store=cluster.node(SERVER), **facts)
    scope.expansion.change(cluster.node(SERVER), spec=_spec(store, cluster, members(scope, cluster)))
    _change(scope, cluster.node(_POLICIES), "data", f"{member.name}.json", policy([]).value)


def add_account(scope: Scope, cluster: Place, name: str, secret: Ref) -> None:
    """Let somebody sign in by a name, which is the access key; that alone allows nothing."""
    account = {"access": name, "secret": secret, "role": "user", "userID": 0, "groupID": 0, "projectID": 0}
    users = _held(scope, cluster.node(_SECRET), "stringData", USERS)
    added = {**users["accessAccounts"], name: account}
    _change(scope, cluster.node(_SECRET), "stringData", USERS, {"accessAccounts": added})


def allow(scope: Scope, cluster: Place, bucket: str, account: str, grant: Grant) -> None:
    """Add a grant to a bucket's policy; the server names principals by their access keys."""
    file = f"{bucket}.json"
    statement = {**grant.statement(), "Principal": {"AWS": [account]}}
    statements = _held(scope, cluster.node(_POLICIES), "data", file)["Statement"]
    if statement not in statements:
        whole = {"Version": POLICY_VERSION, "Statement": [*statements, statement]}
        _change(scope, cluster.node(_POLICIES), "data", file, whole)


def _held(scope: Scope, node: str, key: str, file: str) -> Any:
    return scope.expansion.nodes[node].inputs[key][file].value


def _change(scope: Scope, name: str, key: str, file: str, value: Mapping[str, Value]) -> None:
    held = scope.expansion.nodes[name].inputs[key]
    scope.expansion.change(name, **{key: {**held, file: Document(value)}})


# -------------------------------------------------------------------------------------------- what it is made of


def _add_store(scope: Scope, cluster: Place) -> None:
    """Accounts, policies, address; a network policy that lets nobody in; and the pod, of no bucket yet."""
    name, namespace, pods = name_of(cluster), cluster.namespace, pods_of(cluster)
    root = add_value(scope, Generated(length=40), 1, "object-store-root")
    nobody = Document({"accessAccounts": {}})
    accounts = {"type": "Opaque", "stringData": {_ROOT_SECRET: root, USERS: nobody}}
    scope.kubernetes(_SECRET, "v1", "Secret", f"{name}-accounts", accounts, namespace=namespace)
    scope.kubernetes(_POLICIES, "v1", "ConfigMap", f"{name}-policies", {"data": {}}, namespace=namespace)
    cluster_store.close(scope, "object-store-closed", name, pods, namespace, _PART)
    server = scope.kubernetes(SERVER, "apps/v1", "StatefulSet", name, {"spec": {}}, namespace=namespace, labels=_PART)
    ports = [{"name": "s3", "port": PORT, "targetPort": "s3", "protocol": "TCP"}]
    for local, suffix, kind in (
        ("object-store-pods", "-pods", {"clusterIP": "None"}),
        ("object-store-service", "", {}),
    ):
        # The one without an address gives the pod its name; clients, which may remember addresses, use the other.
        spec = {"selector": pods, "ports": ports, **kind}
        scope.kubernetes(
            local,
            "v1",
            "Service",
            f"{name}{suffix}",
            {"spec": spec},
            namespace=namespace,
            labels=_PART,
            depends_on=(server.node,),  # a service is waited for until it has pods
        )


def _spec(scope: Scope, cluster: Place, buckets: list[Member]) -> dict[str, Value]:
    """Of one replica: a volume is for one machine at a time. A disruption budget would only block drains."""
    return {
        "serviceName": f"{name_of(cluster)}-pods",
        "replicas": 1,
        "selector": {"matchLabels": pods_of(cluster)},
        "template": {
            "metadata": {"labels": {**pod_labels(scope), **pods_of(cluster)}},
            "spec": _pod(cluster, buckets),
        },
    }


def _pod(cluster: Place, buckets: list[Member]) -> dict[str, Value]:
    secret = Ref(cluster.node(_SECRET), ("metadata", "name"))
    policies = Ref(cluster.node(_POLICIES), ("metadata", "name"))
    users = [{"key": USERS, "path": USERS}]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": cluster.priority_class("serving"),
        "terminationGracePeriodSeconds": 60,
        # A volume with many files need not be gone through at each start.
        "securityContext": {**pod_security(), "fsGroupChangePolicy": "OnRootMismatch"},
        "initContainers": [_links(buckets)],
        "containers": [_server(buckets, secret)],
        "volumes": [
            {"name": "run", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "accounts", "secret": {"secretName": secret, "items": users, "defaultMode": 0o440}},
            {"name": "policies", "configMap": {"name": policies, "defaultMode": 0o444}},
            *(
                {
                    "name": f"bucket-{number}",
                    "persistentVolumeClaim": {"claimName": Ref(member.claim, ("metadata", "name"))},
                }
                for number, member in enumerate(buckets, start=1)
            ),
        ],
    }


def _mounts(buckets: list[Member]) -> list[Value]:
    """Of each volume two folders: objects, and what the server notes of them (type, checksum, tags)."""
    return [
        {"name": "run", "mountPath": BUCKETS, "subPath": "buckets"},
        {"name": "run", "mountPath": METADATA, "subPath": "metadata"},
        {"name": "policies", "mountPath": POLICIES, "readOnly": True},
        *(
            {"name": f"bucket-{number}", "mountPath": f"{folder}/{member.name}", "subPath": part}
            for number, member in enumerate(buckets, start=1)
            for folder, part in ((BUCKETS, "objects"), (METADATA, "metadata"))
        ),
    ]


def _links(buckets: list[Member]) -> dict[str, Value]:
    return {
        "name": "policies",
        "image": buckets[0].image,
        "command": ["/bin/sh", "-c", LINKS],
        "resources": Request(0.05, 0.0625).resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": _mounts(buckets),
    }


def _server(buckets: list[Member], secret: Ref) -> dict[str, Value]:
    """The image starts the server with the arguments that it is given. ACLs are off: what a bucket's policy does not
    allow, the administrator alone may do.
    """
    request = Request(sum(member.cpu for member in buckets), sum(member.memory for member in buckets))
    alive = {"httpGet": {"path": HEALTH, "port": "s3"}, "timeoutSeconds": 5}
    arguments = ["--port", f":{PORT}", "--region", REGION, "--health", HEALTH, "--quiet", "--disable-acl"]
    arguments += ["--iam-dir", ACCOUNTS, "posix", "--sidecar", METADATA, BUCKETS]
    return {
        "name": "versitygw",
        "image": buckets[0].image,
        "args": arguments,
        "ports": [{"name": "s3", "containerPort": PORT, "protocol": "TCP"}],
        "env": [
            {"name": "ROOT_ACCESS_KEY", "value": _ROOT},
            {"name": "ROOT_SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": _ROOT_SECRET}}},
        ],
        "resources": request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            *_mounts(buckets),
            {"name": "accounts", "mountPath": ACCOUNTS, "readOnly": True},
            {"name": "run", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108 — the container's own
        ],
        "startupProbe": {**alive, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 3},
        "livenessProbe": {**alive, "periodSeconds": 20, "failureThreshold": 6},
    }
