"""`LoadTest`: requests to an endpoint at a constant rate, held against thresholds, as a job.

The requests are k6's, which ends with the exit code 99 where a threshold was not kept (k6 documentation, "Thresholds"
and "Constant arrival rate"). The script is `load_test.js` beside this file, the same for all; what it sends is data.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.access import Workload, service_account
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import HttpPath
from mlinfra.components.job_pod import CONFIG, CONFIG_FILE, CONFIG_KEY
from mlinfra.components.job_template import add_template
from mlinfra.components.job_values import plain
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Image
from mlinfra.components.workload import (
    Request,
    check_placement,
    container_security,
    placement,
    pod_labels,
    pod_security,
    variables,
)
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value

SCRIPT: Final = Path(__file__).with_name("load_test.js")
IMAGE: Final = Image("docker.io/grafana/k6@sha256:f21270290d702cbf0a7d6ba5d7ed100b63bcb233b558b885ed787547b3488279")
"""k6 1.0.0."""

TARGET: Final = "TARGET_URL"
"""The variable with the address that is called in place of the endpoint's own."""

KEY: Final = "API_KEY"
"""The variable with the key that is sent with each request."""

_FOLDER: Final = "/etc/mlinfra"
_CONFIG, _SCRIPT = "config", "script"
_SENT: Final = (
    *("rate", "seconds", "method", "path", "key_header", "key_prefix", "clients", "timeout_seconds"),
    *("percentile", "error_percent", "missed_percent"),
)
"""The fields that the script reads as they are."""
_MOST_SENT: Final = 512 * 1024
_SLACK_SECONDS: Final = 3600
"""How long a pod may take beside the test itself: to find a machine, and what one run asks for with `--set`."""

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]
"""The name of an HTTP header (RFC 9110, section 5.1)."""


class LoadTest(Workload):
    """Requests to an endpoint, as many each second as `rate` says, for `seconds`. It has to keep up:

        LoadTest("burst", target=api, rate=50, seconds=120, bodies=[{"inputs": [[1, 2, 3]]}], latency_seconds=0.2)

        mlinfra run burst --stack staging
        mlinfra run burst --stack staging --set rate=200 --set seconds=600

    The run fails, and so does the command, where more than `error_percent` of the requests fail, where the `percentile`
    of response times is above `latency_seconds`, or where the endpoint is so slow that the rate is not reached. A
    rollout waits for it where a gate names it: `Gate(load_test="burst")`; the new version is called then, and not the
    one that serves.

    `up` declares it and starts nothing.
    """

    target: Endpoint
    """The endpoint that is called, at its address within the cluster."""

    cluster: Place | None = None
    """Where it runs: a cluster, or a team in one; by default where the endpoint does. A gate can only name one that
    runs there."""

    pool: NodePool | None = None
    """On which machines it runs; None: any without a taint. Not the endpoint's own, if they are to be measured."""

    rate: int = Field(ge=1, le=100_000)
    """Requests each second."""

    seconds: int = Field(default=60, ge=5, le=86_400)
    """How long requests are sent."""

    method: Literal["GET", "POST", "PUT"] = "POST"
    """The method of the requests."""

    path: HttpPath = "/"
    """The path of the requests, such as `/predict`."""

    bodies: Many[Any] = ()
    """What is sent, as JSON: each request has one of them, by chance. Not for personal data or secrets: they are stored
    as plain text."""

    headers: dict[HeaderName, str] = Field(default_factory=dict)
    """Further headers. Not for secrets: they are stored as plain text."""

    api_key: ManagedSecret | None = None
    """A key that is sent with each request; the secret has to be in the cluster: `in_cluster=[cluster]`."""

    key_header: HeaderName = "Authorization"
    """The header that the key is sent in."""

    key_prefix: str = Field(default="Bearer ", max_length=50)
    """What stands before the key in its header."""

    latency_seconds: float | None = Field(default=None, gt=0, le=600)
    """Longest that the slowest requests but the last few may take, see `percentile`; by default as the endpoint's
    alert says."""

    percentile: float = Field(default=95.0, ge=50, le=99.99)
    """Percent of the requests that have to be answered within `latency_seconds`."""

    error_percent: float = Field(default=1.0, ge=0, le=100)
    """Most requests that may fail: with a status of 400 and above, or without an answer."""

    missed_percent: float = Field(default=1.0, ge=0, le=100)
    """Most requests that may not be sent in time, because all clients wait for answers."""

    clients: int = Field(default=100, ge=1, le=10_000)
    """Most requests that wait for an answer at a time."""

    timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    """After how long a request without an answer has failed."""

    cpu: float = Field(default=1.0, gt=0)
    """Cores of the pod that sends them."""

    memory: float = Field(default=1.0, gt=0)
    """GiB of the pod that sends them; about 1 GiB for 300 clients."""

    keep_days: int = Field(default=7, ge=0, le=365)
    """Days that a run which has ended stays to be looked at, with its log."""

    image: Image = IMAGE
    """The image with k6, for example a mirror's."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.method == "GET" and self.bodies:
            raise ValueError('bodies: a GET request has none; write `method="POST"`, or leave them out')
        size = len(json.dumps(plain(list(self.bodies), "bodies")))
        if size > _MOST_SENT:
            raise ValueError(f"bodies: they have {size:,} bytes as JSON, more than {_MOST_SENT:,}")
        return self

    @property
    def place(self) -> Place:
        """Where it runs."""
        return self.cluster or self.target.cluster

    @property
    def template(self) -> Ref:
        """The name of the object that runs are made from."""
        return self.output("template", "metadata", "name")

    @property
    def request(self) -> Request:
        """What the pod asks for."""
        return Request(self.cpu, self.memory)

    def expand(self, scope: Scope) -> None:
        """The script, what it sends, an identity without any rights, and the template."""
        if not needs_kubernetes(scope):
            return
        self._check(scope)
        namespace = self.place.namespace
        account = service_account(scope, namespace, ())
        files = {_CONFIG: {CONFIG_KEY: Document(self._config())}, _SCRIPT: {SCRIPT.name: SCRIPT.read_text("utf-8")}}
        for local, data in files.items():
            name = f"{self.identity}-{local}"
            scope.kubernetes(local, "v1", "ConfigMap", name, {"data": data}, namespace=namespace)
        template = {"metadata": {"labels": pod_labels(scope)}, "spec": _spec(self, scope, account)}
        add_template(scope, namespace, template)

    def job_spec(self, scope: Scope, url: Value = None) -> dict[str, Value]:
        """The spec of a Job that runs the test, for whoever makes one by other means than its template.

        With `url` that is called in place of the endpoint's own address: `http://name.namespace.svc:port`.
        """
        return _spec(self, Scope(scope.expansion, self), self.service_account, url)

    def _config(self) -> dict[str, Value]:
        """What the script reads; `mlinfra run --set` changes it for one run."""
        latency = self.target.latency_seconds if self.latency_seconds is None else self.latency_seconds
        return {
            **{name: getattr(self, name) for name in _SENT},
            "url": self.target.url,
            "bodies": plain(list(self.bodies), "bodies"),
            "headers": dict(self.headers),
            "latency_seconds": latency,
        }

    def _check(self, scope: Scope) -> None:
        check_placement(scope, self.place, self.pool, self.request)
        here, there = self.place, self.target.cluster
        if here is not there and here not in self.target.callers:
            scope.problem(
                f"{self.name} runs in {here.name!r}, and endpoint {self.target.name!r} is not called from there",
                detail="Network policies refuse what no reference asks for.",
                remedy=f"Let it run where the endpoint does, or name its place there: `callers=[…, {here.name}]`.",
                code="load-test-not-a-caller",
            )
        if self.api_key and here not in self.api_key.in_cluster:
            scope.problem(
                f"{self.name} sends the secret {self.api_key.name!r}, which is not in {here.name!r}",
                remedy=f"Bring it there: `ManagedSecret({self.api_key.name!r}, in_cluster=[{here.name}], …)`.",
                code="load-test-secret-elsewhere",
            )


def _spec(test: LoadTest, scope: Scope, account: Value, url: Value = None) -> dict[str, Value]:
    """The Job (Kubernetes API reference, "JobSpec"). A test that failed is not tried again: it is a finding."""
    taken = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [taken]},
        "activeDeadlineSeconds": test.seconds + int(test.timeout_seconds) + _SLACK_SECONDS,
        "ttlSecondsAfterFinished": test.keep_days * 86_400,
        "template": {"metadata": {"labels": pod_labels(scope)}, "spec": _pod(test, scope, account, url)},
    }


def _pod(test: LoadTest, scope: Scope, account: Value, url: Value) -> dict[str, Value]:
    return {
        **placement(scope, test.pool),
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": test.place.priority_class("training-low"),
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(test.run_as_user),
        "restartPolicy": "Never",
        "containers": [_container(test, scope, url)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            *(
                {"name": local, "configMap": {"name": test.output(local, "metadata", "name")}}
                for local in (_CONFIG, _SCRIPT)
            ),
        ],
    }


def _container(test: LoadTest, scope: Scope, url: Value) -> dict[str, Value]:
    """k6's flags and variables: k6 documentation, "k6 options". It would look for settings of a user in its home."""
    env: dict[str, Value] = {CONFIG: CONFIG_FILE, "HOME": "/tmp", "K6_NO_USAGE_REPORT": "true"}  # noqa: S108
    if url is not None:
        env[TARGET] = url
    if test.api_key:
        env[KEY] = test.api_key.variables_in(scope, test.place.namespace).get(test.api_key.variable_name)
    mounts = [
        {"name": _CONFIG, "mountPath": CONFIG_FILE, "subPath": CONFIG_KEY, "readOnly": True},
        {"name": _SCRIPT, "mountPath": f"{_FOLDER}/{SCRIPT.name}", "subPath": SCRIPT.name, "readOnly": True},
    ]
    return {
        "name": "load",
        "image": test.image,
        "command": ["k6", "run", "--quiet", "--no-color", "--address", "", f"{_FOLDER}/{SCRIPT.name}"],
        "env": variables(env),
        "resources": test.request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],  # noqa: S108 — the container's own
    }
