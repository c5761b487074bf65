"""The program kwokctl: what it is told, and how it is run."""

from __future__ import annotations

import re
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
HELD: Final = "mlinfra.dev/held"
"""The annotation of pods that KWOK is to leave alone: they stay where they were placed, and never run or end."""
AUTHENTICATION: Final = "--authentication-config"
"""The API server's flag for the file that says whose tokens it takes."""


def tool_of(component: str) -> str:
    """The tool that a component is a process of."""
    return "kwok" if component == "kwok-controller" else component


def configuration(tools: Mapping[str, Path], authentication: Path) -> dict[str, Any]:
    """What kwokctl makes a cluster by, with free ports of its own.

    `authentication` is the file that says whose tokens the API server takes.

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
            {
                "name": "kube-apiserver",
                "extraArgs": [{"key": AUTHENTICATION.removeprefix("--"), "value": str(authentication)}],
            },
            *({"name": name, "extraArgs": alone} for name in ("kube-controller-manager", "kube-scheduler")),
            {
                "name": "kwok-controller",
                "extraArgs": [{"key": "disregard-status-with-annotation-selector", "value": HELD}],
            },
        ],
    }


def with_authentication(config: str, authentication: Path) -> str:
    """What kwokctl keeps of a cluster that it made (kwok.yaml), with the flag, which older clusters lack."""
    if f"{AUTHENTICATION}=" in config:
        return config
    beside = re.compile(r"^(?P<item> *- )--authorization-mode=.*$", re.MULTILINE)
    return beside.sub(lambda found: f"{found['item']}{AUTHENTICATION}={authentication}\n{found[0]}", config, count=1)


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
