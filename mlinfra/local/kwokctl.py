"""The program kwokctl: what it is told, and how it is run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlinfra.local import ports

TOOLS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl")
"""The tools of which a cluster is made."""
COMPONENTS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")
"""The processes of which a cluster is made, by kwokctl's names."""
PORTS: Final = (
    "kubeApiserverPort",
    "etcdPort",
    "etcdPeerPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
)
"""The options that give each process its port."""


def tool_of(component: str) -> str:
    """The tool that a component is a process of."""
    return "kwok" if component == "kwok-controller" else component


def configuration(tools: Mapping[str, Path]) -> dict[str, Any]:
    """What kwokctl makes a cluster by, with free ports of its own.

    Source: https://kwok.sigs.k8s.io/docs/generated/apis/ (KwokctlConfiguration).
    """
    options: dict[str, Any] = {
        "runtime": "binary",
        "bindAddress": "127.0.0.1",  # by default etcd, without authentication, listens on every interface
        "disableQPSLimits": True,
        # kwokctl asks kubectl, which it would download, whether the API server answers. We ask ourselves.
        "kubectlBinary": shutil.which("true") or "/bin/true",
        "etcdBinary": str(tools["etcd"]),
        "kubeApiserverBinary": str(tools["kube-apiserver"]),
        "kubeControllerManagerBinary": str(tools["kube-controller-manager"]),
        "kubeSchedulerBinary": str(tools["kube-scheduler"]),
        "kwokControllerBinary": str(tools["kwok"]),
    }
    # One of each is all there will be: after a stop, a new one would wait 15 s for the lease of the old one to end.
    alone = [{"key": "leader-elect", "value": "false"}]
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options | dict(zip(PORTS, ports.choose(len(PORTS)), strict=True)),
        "componentsPatches": [
            {"name": name, "extraArgs": alone} for name in ("kube-controller-manager", "kube-scheduler")
        ],
    }


def run(program: Path, folder: Path, verb: str, cluster: str, *arguments: str, timeout: float) -> str:
    """Run `kwokctl VERB cluster` and return what it wrote, whether or not it succeeded: the caller looks for himself.

    `folder` is its home, in which it keeps all clusters. It has no PATH: it is to find nothing but what it is told.
    """
    environment = {
        "PATH": "",
        "HOME": str(folder),
        "KWOK_WORKDIR": str(folder),
        "KUBECONFIG": str(folder / "kubeconfig"),
    }
    try:
        answer = subprocess.run(  # noqa: S603 — the tool, as `mlinfra.tools` found it
            [str(program), verb, "cluster", "--name", cluster, *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,  # Ctrl-C is not to end it between starting a process and writing down its number
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return answer.stderr.strip()
