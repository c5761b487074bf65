"""Signing in to a cluster as one user of a kubeconfig: token, token file, password, or a program that gives a token.

Client certificates are part of the TLS connection: `mlinfra.providers.kubernetes.kubeconfig`.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError

_TOKEN_FILE_SECONDS: Final = 60.0  # a projected service account token is renewed on disk, long before it ends
_EXEC_SECONDS: Final = 60.0  # how long before its end a token is asked for anew
_EXEC_TIMEOUT: Final = 60.0
_FOR_EVER: Final = float("inf")


class Credentials:
    """The user of a kubeconfig, thread-safe. `folder` is where relative paths in it start from."""

    def __init__(self, user: Mapping[str, Any], folder: Path) -> None:
        self._user, self._folder = user, folder
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until = 0.0

    def headers(self) -> dict[str, str]:
        """The headers that sign in a request. Raises `MlinfraError` when no token can be had."""
        if "username" in self._user and "password" in self._user:
            pair = f"{self._user['username']}:{self._user['password']}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        token = self._current()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def forget(self) -> bool:
        """After a refusal: drop a token that can be had anew. Whether there is anything to try again with."""
        with self._lock:
            self._until = 0.0
        return bool(self._user.get("exec") or self._user.get("tokenFile"))

    def _current(self) -> str | None:
        with self._lock:
            if time.time() >= self._until:
                self._token, self._until = self._fetch()
            return self._token

    def _fetch(self) -> tuple[str | None, float]:
        if name := self._user.get("tokenFile"):
            path = self._folder / Path(name).expanduser()
            try:
                return path.read_text().strip(), time.time() + _TOKEN_FILE_SECONDS
            except OSError as error:
                raise _failed(f"the token file {path} cannot be read", str(error.strerror)) from None
        if login := self._user.get("exec"):
            return _run(login, self._folder)
        return self._user.get("token"), _FOR_EVER


def _run(login: Mapping[str, Any], folder: Path) -> tuple[str, float]:
    """Ask a credential plugin (`aws eks get-token`, `gke-gcloud-auth-plugin`, …) for a token.

    Source: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
    """
    ask = {"apiVersion": login.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    extra = {item["name"]: item["value"] for item in login.get("env") or []}
    command = [login["command"], *(login.get("args") or [])]
    summary = f"the credential plugin {command[0]!r} that the kubeconfig names gave no token"
    try:
        done = subprocess.run(  # noqa: S603 — the kubeconfig of the user names the program, as for kubectl
            command,
            env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(ask)},
            capture_output=True,
            check=True,
            cwd=folder,
            timeout=_EXEC_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        status = json.loads(done.stdout)["status"]
        token = str(status["token"])
    except subprocess.CalledProcessError as error:
        raise _failed(summary, error.stderr.decode(errors="replace").strip()) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(summary, str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise _failed(summary, "It did not print an ExecCredential with a token.") from None
    ends = status.get("expirationTimestamp")
    return token, datetime.fromisoformat(ends).timestamp() - _EXEC_SECONDS if ends else _FOR_EVER


def _failed(summary: str, why: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(summary, detail=why, remedy="Sign in to the cluster again.", code="kubernetes-sign-in")
    )
