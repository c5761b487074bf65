"""The job of a `DriftMonitor`: its config, its pod, what it may read, and what lets it make a run of another job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlinfra.components.access import DataStore, Grant, connect, data_variables, partition
from mlinfra.components.bucket_part import BucketPart
from mlinfra.components.endpoint_model import in_registry, store_of
from mlinfra.components.job_data import RUN
from mlinfra.components.job_pod import CONFIG, CONFIG_FILE, CONFIG_KEY, CONFIG_VOLUME
from mlinfra.components.job_ranks import JOB_NAME
from mlinfra.components.job_template import TEMPLATE, Due, add_template
from mlinfra.components.network_policies import API_SERVER, let_out, tcp
from mlinfra.components.people import bind
from mlinfra.components.workload import container_security, placement, pod_labels, pod_security, variables
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Join, Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.drift_monitor import DriftMonitor

PROFILE: Final = "profile.json"
"""The file beside a model."""

PROFILE_VARIABLE: Final = "PROFILE_URI"
PROGRAM: Final = ("python", "-m", "mlinfra.serving.drift")
_GATEWAY: Final = "pushgateway"
_S3: Final = "s3://"
_START_SECONDS: Final = 3600
_KEPT_SECONDS: Final = 7 * 86_400


class _Profile(BucketPart):
    """The profile beside a model that is in a bucket: that one object; no component of the blueprint."""

    def read_grants(self) -> tuple[Grant, ...]:
        """What reading the object takes, with its key; nothing is listed."""
        found = []
        for grant in super().read_grants():
            objects = tuple(
                Join((*resource.parts[:-1], f"/{self.folder}{PROFILE}"))
                for resource in grant.resources
                if isinstance(resource, Join) and str(resource.parts[-1]).endswith("/*")
            )
            if objects:
                found.append(replace(grant, resources=objects))
            elif not any(action.startswith("s3:") for action in grant.actions):
                found.append(grant)
        return tuple(found)

    def variables(self) -> dict[str, Value]:
        """Where it is."""
        return {PROFILE_VARIABLE: join(self.uri, f"/{PROFILE}")}

    def __repr__(self) -> str:
        """As the bucket: that is what a blueprint knows."""
        return repr(self.bucket)


class _ProfileAt(DataStore):
    """A profile in a bucket that the blueprint does not know; no component of the blueprint."""

    place: str
    region_partition: str

    def read_grants(self) -> tuple[Grant, ...]:
        """Getting the object. Of a key of its own nothing is known here."""
        return (Grant(("s3:GetObject",), (f"arn:{self.region_partition}:s3:::{self.place.removeprefix(_S3)}",)),)

    def write_grants(self) -> tuple[Grant, ...]:
        """It is read only."""
        return ()

    def variables(self) -> dict[str, Value]:
        """Where it is."""
        return {PROFILE_VARIABLE: self.place}

    def expand(self, scope: Scope) -> None:
        """Nothing: it is there."""


def profile_of(monitor: DriftMonitor, scope: Scope) -> DataStore | None:
    """The profile that requests are compared with; None where the model has none that can be found, or is not there."""
    model = monitor.served_model
    place = monitor.profile
    if place is None and isinstance(model, str) and not in_registry(model):
        place = f"{model.rstrip('/')}/{PROFILE}"
    if place is not None:
        return _ProfileAt.model_construct(name="profile", place=place, region_partition=partition(scope))
    store = store_of(model)
    if isinstance(store, BucketPart):
        folder = store.folder.removesuffix("/")
        return _Profile.model_construct(name=store.name, bucket=store.bucket, prefix=folder)
    return None


def add(monitor: DriftMonitor, scope: Scope) -> None:
    """The identity, which reads the log and the profile; the template where all is there that a run takes."""
    log, profile = monitor.endpoint.request_log, profile_of(monitor, scope)
    namespace = monitor.cluster.namespace
    reads = tuple(store for store in (log, profile) if store is not None)
    account = connect(scope, namespace, reads, (), anonymizes=None)
    if not monitor.runs:
        return
    config = scope.kubernetes(
        CONFIG_VOLUME,
        "v1",
        "ConfigMap",
        f"{monitor.identity}-{CONFIG_VOLUME}",
        {"data": {CONFIG_KEY: Document(settings(monitor))}},
        namespace=namespace,
    )
    if monitor.retrains:
        _let_retrain(monitor, scope, account)
    label = {"fieldRef": {"fieldPath": f"metadata.labels['{JOB_NAME}']"}}
    own: dict[str, Value] = {
        RUN: label,
        CONFIG: CONFIG_FILE,
        # SciPy and scikit-learn use a thread for each core of the machine otherwise.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    env = variables(data_variables(scope, namespace, reads, ()), own)
    spec = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 2,
        "activeDeadlineSeconds": monitor.deadline_minutes * 60,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": {
            "metadata": {"labels": pod_labels(scope)},
            "spec": _pod(monitor, scope, account, env, Ref(config.node, ("metadata", "name"))),
        },
    }
    template = {"metadata": {"labels": pod_labels(scope)}, "spec": spec}
    add_template(scope, namespace, template, Due(monitor.schedule, monitor.time_zone, _START_SECONDS))


def settings(monitor: DriftMonitor) -> dict[str, Value]:
    """What the program is told: the fields of `mlinfra.serving.drift.settings.Settings`."""
    found: dict[str, Value] = {
        "component": monitor.endpoint.identity,
        "monitor": monitor.identity,
        "hours": monitor.hours,
        "min_rows": monitor.min_rows,
        "max_rows": monitor.max_rows,
        "threshold": monitor.threshold,
        # What a program writes to its log is kept with other people's logs, and not erased on request.
        "tell_values": not (monitor.endpoint.log_requests and monitor.endpoint.log_requests.personal),
        "new_category_share": monitor.new_category_percent / 100,
    }
    if fairness := monitor.fairness:
        found["fairness"] = fairness.model_dump(mode="json", exclude={"most"})
    if retrain := monitor.retrains:
        template = retrain.job.output(TEMPLATE, "metadata", "name")
        found["retrain"] = {"cron_job": template, "days": retrain.days}
    return found


def tell_gateway(monitor: DriftMonitor, scope: Scope, address: Value) -> None:
    """Tell the program of a monitor that has been expanded where the Pushgateway is."""
    node = scope.expansion.nodes.get(monitor.node(CONFIG_VOLUME))
    if node is None:
        return
    told = Document({**node.inputs["data"][CONFIG_KEY].value, _GATEWAY: address})
    scope.expansion.change(node.name, data={CONFIG_KEY: told})


def _let_retrain(monitor: DriftMonitor, scope: Scope, account: Ref) -> None:
    """A role to read the job's template and to make Jobs; RBAC cannot say which ones (Kubernetes, "Using RBAC
    Authorization", "Referring to resources": `create` cannot be restricted by name)."""
    assert monitor.retrain is not None  # by `retrains`
    namespace = monitor.cluster.namespace
    name = monitor.retrain.job.output(TEMPLATE, "metadata", "name")
    rules = [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "resourceNames": [name], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    # The name has a dot, which no component's name has.
    bind(scope, "retrain", f"{monitor.identity}.retrain", rules, [subject], namespace)
    let_out(scope, namespace, tcp(*API_SERVER))


def _pod(monitor: DriftMonitor, scope: Scope, account: Ref, env: list[Value], config: Ref) -> dict[str, Value]:
    container = {
        "name": "compare",
        "image": monitor.image,
        "command": list(PROGRAM),
        "env": env,
        "resources": monitor.request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 — the container's own
            {"name": CONFIG_VOLUME, "mountPath": CONFIG_FILE, "subPath": CONFIG_KEY, "readOnly": True},
        ],
    }
    return {
        **placement(scope, monitor.pool),
        "serviceAccountName": account,
        # Only making a run needs the Kubernetes API.
        "automountServiceAccountToken": monitor.retrains is not None,
        "enableServiceLinks": False,
        "priorityClassName": monitor.cluster.priority_class("training-low"),
        "securityContext": pod_security(),
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": CONFIG_VOLUME, "configMap": {"name": config}}],
    }
