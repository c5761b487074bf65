"""A run of a training job, made from its template as `kubectl create job --from=cronjob/fit` makes one."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mlinfra.serving.drift.problems import DriftError
from mlinfra.serving.drift.settings import RetrainSettings

ACCESS: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token (Kubernetes, "Accessing the Kubernetes API from a Pod")."""

_SECONDS: Final = 30
_CONFLICT: Final = 409
_REASON: Final = "mlinfra.dev/drift"
_STARTED_BY: Final = "mlinfra.dev/started-by"


@dataclass(frozen=True, slots=True)
class Api:
    """The Kubernetes API, as the service account of a pod may use it."""

    url: str
    token: str
    namespace: str
    authority: str

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ, access: Path = ACCESS) -> Api:
        """The API of the cluster that this process is a pod of. Raises `DriftError` where it is none."""
        try:
            host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
            token, namespace = ((access / name).read_text().strip() for name in ("token", "namespace"))
        except (KeyError, OSError) as error:
            raise DriftError(f"there is no way to the Kubernetes API: {type(error).__name__}: {error}") from None
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", token, namespace, str(access / "ca.crt"))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request. Raises `HTTPError`, an `OSError`, for one that is refused."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 — the API server
            f"{self.url}/apis/batch/v1/namespaces/{self.namespace}/{path}", data, headers, method=method
        )
        context = ssl.create_default_context(cafile=self.authority)
        with urllib.request.urlopen(request, timeout=_SECONDS, context=context) as answer:  # noqa: S310
            return json.load(answer)


def retrain(api: Api, settings: RetrainSettings, monitor: str, features: Sequence[str], now: datetime) -> str | None:
    """Make a run because these features have drifted; its name, or None where the run of these days is there.

    Its name has the first of these days, so that a second one is refused by the API server, whoever asks for it.
    Raises `DriftError` where it cannot be made.
    """
    day = now.astimezone(UTC).date()
    first = day - timedelta(days=day.toordinal() % settings.days)
    name = f"{settings.cron_job}-drift-{first:%Y%m%d}"
    try:
        template = api.ask("GET", f"cronjobs/{settings.cron_job}")["spec"]["jobTemplate"]
        api.ask("POST", "jobs?fieldValidation=Strict", _run(template, name, monitor, features))
    except urllib.error.HTTPError as error:
        if error.code == _CONFLICT:
            return None
        raise DriftError(
            f"run {name} cannot be made: {error.code} {error.read(2000).decode(errors='replace')}"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise DriftError(f"run {name} cannot be made: {type(error).__name__}: {error}") from None
    return name


def _run(template: Mapping[str, Any], name: str, monitor: str, features: Sequence[str]) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    annotations = {
        **(metadata.get("annotations") or {}),
        "cronjob.kubernetes.io/instantiate": "manual",  # as kubectl notes it
        _STARTED_BY: monitor,
        _REASON: ", ".join(features)[:1000],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": metadata.get("labels") or {}, "annotations": annotations},
        "spec": template["spec"],
    }
