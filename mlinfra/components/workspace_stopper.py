"""Stop a notebook server that nobody uses: `python workspace_stopper.py MINUTES STATEFULSET`.

It runs beside the server, in the same pod and from the same image, which is why it needs nothing but Python's standard
library. It asks the server every minute when it was last used, and scales the StatefulSet to none when that is long
enough ago. A kernel that is at work counts as use, whether it prints something or not.

Environment: JUPYTER_TOKEN; JUPYTER_URL; KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which every pod has; and
API_ACCESS, the folder with `token`, `ca.crt` and `namespace`.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

PAUSE = 60
"""Seconds between two looks."""

_SECONDS = 10


def idle_seconds(url: str, token: str, now: float) -> float:
    """For how long the server at `url` has not been used; 0 while a kernel is at work.

    Source: Jupyter Server, "REST API": `/api/status` and `/api/kernels`. Neither of these calls counts as use.
    """
    headers = {"Authorization": f"token {token}"}
    kernels = _ask(f"{url}/api/kernels?no_track_activity=1", headers)
    if any(kernel.get("execution_state") == "busy" for kernel in kernels):
        return 0.0
    status = _ask(f"{url}/api/status", headers)
    return max(0.0, now - max(_seconds(status["last_activity"]), _seconds(status["started"])))


def scale_to_none(name: str, access: Path) -> None:
    """Scale the StatefulSet `name` of this namespace to no replicas; its volume claims stay.

    Sources: Kubernetes, "Accessing the Kubernetes API from a Pod"; API reference, "Scale".
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    namespace = (access / "namespace").read_text().strip()
    _ask(
        f"https://{host}:{port}/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}/scale",
        {
            "Authorization": f"Bearer {(access / 'token').read_text().strip()}",
            "Content-Type": "application/merge-patch+json",
        },
        method="PATCH",
        body={"spec": {"replicas": 0}},
        context=ssl.create_default_context(cafile=str(access / "ca.crt")),
    )


def look(minutes: float, name: str) -> bool:
    """Look once; whether the server was stopped."""
    idle = idle_seconds(os.environ["JUPYTER_URL"], os.environ["JUPYTER_TOKEN"], time.time())
    if idle < minutes * 60:
        return False
    _say(f"not in use for {idle / 60:.0f} minutes: stopping")
    scale_to_none(name, Path(os.environ["API_ACCESS"]))
    return True


def main(minutes: float, name: str) -> None:
    """Look again and again; what goes wrong is told, and tried again: the server may not have started yet."""
    while True:
        try:
            look(minutes, name)
        except (OSError, ValueError, KeyError) as error:
            _say(f"cannot tell, or cannot stop it: {error}")
        time.sleep(PAUSE)


def _ask(
    url: str,
    headers: dict[str, str],
    method: str = "GET",
    body: Any = None,
    context: ssl.SSLContext | None = None,
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 — this pod's own server, or the API
    with urllib.request.urlopen(request, timeout=_SECONDS, context=context) as answer:  # noqa: S310
        return json.load(answer)


def _say(text: str) -> None:
    """Into the log of the container."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default for it
    main(float(sys.argv[1]), sys.argv[2])
