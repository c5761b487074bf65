"""A `Bucket` in the cluster: its volume in the cluster's store, who may do what with it, and what it cannot be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mlinfra.components import cluster_store, object_store
from mlinfra.components.access import Grant
from mlinfra.components.object_store import REGION, Member
from mlinfra.components.secret_sources import Generated, add_value
from mlinfra.components.workload import UNAWAITED
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.bucket import Bucket
    from mlinfra.components.place import Place

__all__ = ["ACCOUNT_LABEL", "CLASSIFICATION_LABEL", "REGION", "admit", "endpoint", "expand", "open_to", "variables"]

ACCOUNT_LABEL: Final = f"{DOMAIN}/object-store-account"
"""On a Secret: whose credentials it holds, by the name that the store's policies have for it."""
CLASSIFICATION_LABEL: Final = f"{DOMAIN}/classification"
_CREDENTIALS: Final = "object-store"
_SECRET_KEY: Final = "secret-access-key"  # noqa: S105 — the key in the Secret

_NO_VERSIONS: Final = "the store keeps no old versions, as nothing there would ever delete them"
_NO_LIFECYCLE: Final = "the store has no lifecycle: nothing there deletes or moves objects by their age"
_NO_LOGS: Final = "the store writes no access logs to buckets"
_NO_EVENTS: Final = "queues, topics and event buses are AWS's, and the store does not tell them of anything"
REFUSED: Final = {
    "key": "the store has no KMS keys; volumes are encrypted by their storage class",
    "versioning": _NO_VERSIONS,
    "old_version_days": _NO_VERSIONS,
    "old_version_transitions": _NO_VERSIONS,
    "expire_days": _NO_LIFECYCLE,
    "transitions": _NO_LIFECYCLE,
    "access_logs": _NO_LOGS,
    "access_log_days": _NO_LOGS,
    "lock": "whoever administers the cluster can delete the volume, so that a lock there would promise too much",
    "replica": "the store has no other region",
    "cors": "network policies let pods of the cluster in and nobody else, so that no browser reaches it",
    "notifications": _NO_EVENTS,
    "eventbridge": _NO_EVENTS,
}
"""What a bucket in the cluster cannot be told, with the reason. To switch something off is no demand."""


def expand(bucket: Bucket, scope: Scope) -> None:
    """The volume's claim, and its place in the store of the cluster."""
    if not _possible(bucket, scope):
        return
    assert bucket.image is not None
    cluster, tier, name = _cluster(bucket), scope.environment.tier, scope.label_name()
    namespace = cluster.namespace
    spec = cluster_store.claim(scope, name, namespace, bucket.storage_gib, bucket.storage_class, name)
    claim = scope.kubernetes(
        "claim",
        "v1",
        "PersistentVolumeClaim",
        name,
        {"spec": spec},
        namespace=namespace,
        labels={CLASSIFICATION_LABEL: bucket.classification},
        # Many storage classes bind a volume when a pod wants it, and the pod waits for the claim.
        annotations=UNAWAITED,
        protect=scope.protected or tier.protected,
    )
    member = Member(name, claim.node, bucket.image, bucket.cpu, bucket.memory)
    object_store.add_bucket(scope, cluster, member)


def _possible(bucket: Bucket, scope: Scope) -> bool:
    """Note as errors what is missing, and what cannot be had in the cluster."""
    found = len(scope.problems.found)
    if bucket.sensitive:
        scope.problem(
            f"bucket {bucket.name!r} is {bucket.classification}, and is in the cluster",
            detail="Such data wants a key of its own, access logs and TLS, and pii a time after which it goes. The "
            "store in the cluster has none of these.",
            remedy="Send the stack to a target with AWS, or keep no such data in it and say so: "
            '`classification="internal"`.',
            code="bucket-in-cluster",
        )
    for option, why in REFUSED.items():
        if option in bucket.model_fields_set and getattr(bucket, option):
            scope.problem(
                f"bucket {bucket.name!r} is in the cluster and cannot have `{option}`",
                detail=f"Bucket: {why}.",
                remedy=f"Leave out `{option}`, or send the stack to a target with AWS.",
                code="bucket-in-cluster",
            )
    if lacking := [name for name in ("cluster", "image") if getattr(bucket, name) is None]:
        scope.problem(
            f"bucket {bucket.name!r} is in the cluster and names no {' and no '.join(lacking)}",
            remedy="Name the cluster in whose store it is, and the image of VersityGW by its digest: "
            '`cluster=cluster, image="docker.io/versity/versitygw@sha256:…"`.',
            code="bucket-cluster",
        )
    elif others := [item for item in object_store.members(scope, _cluster(bucket)) if item.image != bucket.image]:
        scope.problem(
            f"bucket {bucket.name!r} names another image than {others[0].claim.partition('/')[0]!r}",
            detail=f"All buckets of cluster {_cluster(bucket).name!r} are in one store.",
            remedy="Name the same image for all of them.",
            code="bucket-store-image",
        )
    return len(scope.problems.found) == found


def endpoint(bucket: Bucket) -> Value:
    """The URL of the store, for pods of the cluster."""
    cluster = _cluster(bucket)
    return join("http://", object_store.name_of(cluster), ".", cluster.namespace, f".svc:{object_store.PORT}")


def variables(bucket: Bucket, scope: Scope) -> dict[str, Value]:
    """What AWS's SDKs read (AWS SDKs and Tools reference, "Environment variables list"); so do DVC and MLflow."""
    name = Ref(scope.component.node(_CREDENTIALS), ("metadata", "name"))
    return {
        "AWS_ENDPOINT_URL_S3": endpoint(bucket),
        "AWS_ACCESS_KEY_ID": scope.component.identity,  # a name; what is secret is the other one
        "AWS_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": name, "key": _SECRET_KEY}},
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def open_to(bucket: Bucket, scope: Scope, namespace: Value) -> None:
    """Let the pods of another component reach the store; they have to be in the same namespace."""
    if bucket.cluster is None:
        return
    if bucket.cluster.namespace != namespace:
        scope.problem(
            f"{scope.component.name} refers to bucket {bucket.name!r}, which is in another cluster's store",
            detail="Pods have one endpoint and one pair of credentials for S3, those of their own cluster's store.",
            remedy=f"Give both the same cluster, {bucket.cluster.name!r} or the other.",
            code="bucket-other-cluster",
        )
        return
    cluster_store.let_in(scope, "object-store", object_store.pods_of(bucket.cluster), object_store.PORT, namespace)


def admit(bucket: Bucket, scope: Scope, grants: Iterable[Grant]) -> None:
    """Give a component an account of the store, if it has none, and add the grants to the bucket's policy."""
    cluster = bucket.cluster
    if cluster is None or bucket.node("claim") not in scope.expansion.nodes:
        return  # the bucket has said why
    account = scope.component.identity
    if scope.component.node(_CREDENTIALS) not in scope.expansion.nodes:
        key = add_value(scope, Generated(length=40), 1, "object-store-key")
        scope.kubernetes(
            _CREDENTIALS,
            "v1",
            "Secret",
            f"{account}-object-store",
            {"type": "Opaque", "stringData": {_SECRET_KEY: key}},
            namespace=cluster.namespace,
            labels={ACCOUNT_LABEL: account},
        )
        object_store.add_account(scope, cluster, account, key)
    name = Scope(scope.expansion, bucket).label_name()
    for grant in grants:
        object_store.allow(scope, cluster, name, account, grant)


def _cluster(bucket: Bucket) -> Place:
    assert bucket.cluster is not None
    return bucket.cluster
