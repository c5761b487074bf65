"""A kubeconfig: which API server, how to trust it, and how to sign in.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.credentials import Credentials

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Access:
    """How to talk to one cluster: what one context of a kubeconfig comes to.

    `server` has no slash at its end; `namespace` is the context's default; `tls` is None for a plain HTTP server.
    """

    server: str
    namespace: str
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None
    proxy: str | None = None


def load(source: str | Path, context: str | None = None, *, local: Path | None = None) -> Access:
    """Read a kubeconfig, given as a path or as its text (YAML or JSON), and choose a context.

    `context` defaults to the file's `current-context`. `local` is the kubeconfig of the local target's cluster, which
    stands in for every cluster that is signed in to by a program: see `_stand_in`. Raises `MlinfraError` for a file
    that is not there or that lacks what is needed; messages never quote the text, which holds credentials.
    """
    content, folder, where = _read(source)
    try:
        config = yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _invalid(where, f"It is not YAML{f' at line {mark.line + 1}' if mark else ''}.") from None
    if not isinstance(config, dict):
        raise _invalid(where, "It is not a YAML mapping.")
    name = context or config.get("current-context")
    if not name:
        raise _invalid(where, "It has no current-context, and none was named.")
    chosen = _entry(config, "contexts", name, where)
    cluster = _entry(config, "clusters", chosen.get("cluster", ""), where)
    user = _entry(config, "users", chosen["user"], where) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise _invalid(where, f"The cluster {chosen.get('cluster')!r} has no server.")
    if local is not None and user.get("exec"):
        return _stand_in(str(cluster["server"]), str(chosen.get("cluster")), local)
    return Access(
        server=str(cluster["server"]).rstrip("/"),
        namespace=chosen.get("namespace") or "default",
        credentials=Credentials(user, folder),
        tls=_tls(cluster, user, folder, where) if str(cluster["server"]).startswith("https:") else None,
        tls_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )


def authority(path: Path) -> str:
    """The certificate of the authority that the first cluster in a file trusts, in base64; empty if it names none."""
    cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
    return base64.b64encode(_bytes(cluster, "certificate-authority", path.parent) or b"").decode()


def _stand_in(server: str, name: str, local: Path) -> Access:
    """The local target's own cluster, for a kubeconfig that has a program sign in, such as that of an EKS cluster.

    The local AWS says of each of its EKS clusters that it is reached on this machine. No program is run for it and no
    credentials are taken from elsewhere: the local cluster's own are used. A cluster on any other machine is refused.
    """
    if urlsplit(server).hostname in _LOOPBACK:
        return load(local)
    raise MlinfraError(
        Diagnostic(
            f"the Kubernetes cluster {name!r} is not the local target's, and nothing of that goes elsewhere",
            detail=f"Its API is at {server}, and a program would have to be run to sign in there.",
            remedy="Leave out the provider that names it, or send the stack to a target of kind `aws`.",
            code="kubeconfig-not-local",
        )
    )


def _read(source: str | Path) -> tuple[str, Path, str]:
    """The text, the folder that relative paths in it start from, and its name for messages."""
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return source, Path.cwd(), "the kubeconfig"
    path = Path(source).expanduser()
    try:
        return path.read_text(), path.resolve().parent, f"the kubeconfig {path}"
    except OSError as error:
        raise _invalid(f"the kubeconfig {path}", f"It cannot be read: {error.strerror}.") from None


def _entry(config: Mapping[str, Any], section: str, name: str, where: str) -> dict[str, Any]:
    for item in config.get(section) or []:
        if item.get("name") == name:
            return dict(item.get(section[:-1]) or {})
    known = ", ".join(sorted(str(item.get("name")) for item in config.get(section) or [])) or "none"
    raise _invalid(where, f"It has no entry {name!r} in {section}; there: {known}.")


def _invalid(where: str, why: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"{where} cannot be used",
            detail=why,
            remedy="Name a kubeconfig and a context that exist.",
            code="kubeconfig-invalid",
        )
    )


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path, where: str) -> ssl.SSLContext:
    try:
        authority = _bytes(cluster, "certificate-authority", folder)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        certificate, key = _bytes(user, "client-certificate", folder), _bytes(user, "client-key", folder)
        if certificate and key:
            _load_client_certificate(tls, certificate, key)
    except (OSError, ValueError) as error:
        raise _invalid(where, f"Its certificates cannot be loaded: {error}.") from None
    return tls


def _bytes(record: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    """A value given in place, as base64, or as the path of a file. In place wins, as in kubectl."""
    if record.get(f"{key}-data"):
        return base64.b64decode(record[f"{key}-data"])
    if record.get(key):
        path = folder / Path(record[key]).expanduser()
        return path.read_bytes()
    return None


def _load_client_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """The ssl module takes private keys from files alone: one exists for the length of this call, for the owner."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
        pem.write(certificate + b"\n" + key)
        pem.flush()
        tls.load_cert_chain(pem.name)
