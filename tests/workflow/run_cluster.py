"""A stack on a real control plane whose pods end when a test says so, and write what a test writes into a file.

Scheduler and Job controller are Kubernetes' own. KWOK plays the machines by stages of its own: a pod that has a machine
runs, and ends with the exit code of its annotation `tests/exit`. Its log is a file in the kubelet's format.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlinfra.functions import resolve
from mlinfra.graph import Kind
from mlinfra.local import ports
from mlinfra.local.kwokctl import PORTS, TOOLS
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.objects import object_id
from mlinfra.tools.install import ensure
from mlinfra.workflow.compile import Compiled

EXIT = "tests/exit"
WITH_LOGS = "lab-dev-logs"
"""The namespace whose pods write: elsewhere there are no logs, as on the local target."""
COMPONENTS = {tool: tool for tool in TOOLS if tool.startswith(("etcd", "kube-"))} | {"kwok": "kwok-controller"}

_RUNNING = """\
{{ $now := Now }}
conditions:
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Ready}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""
_ENDED = """\
{{ $now := Now }}
{{ $code := index .metadata.annotations "tests/exit" }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{ $code }}
      finishedAt: {{ $now | Quote }}
      startedAt: {{ $now | Quote }}
      reason: {{ if eq $code "0" }}Completed{{ else if eq $code "137" }}OOMKilled{{ else }}Error{{ end }}
{{ end }}
phase: {{ if eq $code "0" }}Succeeded{{ else }}Failed{{ end }}
"""


def _stage(name: str, selector: list[dict[str, Any]], following: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": selector},
        "next": following,
    }
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _configuration(log: Path) -> str:
    lives = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    code = f'.metadata.annotations["{EXIT}"]'
    # Left to itself, kwokctl counts down from one port: two that start at the same moment choose the same.
    chosen = dict(zip(PORTS, ports.choose(len(PORTS)), strict=True))
    documents = [
        {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokctlConfiguration", "options": chosen},
        _stage(
            "pod-ready",
            [lives, {"key": ".status.podIP", "operator": "DoesNotExist"}],
            {"statusTemplate": _RUNNING},
        ),
        _stage(
            "pod-ended",
            [
                lives,
                {"key": ".status.phase", "operator": "In", "values": ["Running"]},
                {"key": code, "operator": "Exists"},
            ],
            {"statusTemplate": _ENDED},
        ),
        _stage(
            "pod-delete",
            [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}],
            {"finalizers": {"empty": True}, "delete": True},
        ),
        {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {
                "selector": {"matchNamespaces": [WITH_LOGS]},
                "logs": [{"logsFile": str(log), "follow": True}],
            },
        },
    ]
    return yaml.safe_dump_all(documents)


@dataclass(frozen=True)
class Ground:
    """The control plane: a client of it, its kubeconfig, and the file that is the log of all pods `WITH_LOGS`."""

    cluster: Cluster
    kubeconfig: Path
    log: Path

    def end(self, namespace: str, run: str, code: int, rank: int | None = None) -> None:
        """Let the pods of a run that run now end with an exit code, those of one rank or all."""
        for pod in self.pods(namespace, run):
            index = pod["metadata"]["labels"].get("batch.kubernetes.io/job-completion-index")
            if pod["status"].get("phase") == "Running" and rank in (None, int(index or 0)):
                path = self.cluster.path("v1", "Pod", namespace, pod["metadata"]["name"])
                patch = {"metadata": {"annotations": {EXIT: str(code)}}}
                self.cluster.merge(path, patch)

    def pods(self, namespace: str, run: str) -> list[Object]:
        return self.cluster.list("v1", "Pod", namespace, labels=f"batch.kubernetes.io/job-name={run}")

    def write(self, line: str, moment: str = "2026-11-21T10:00:00.000000000Z") -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{moment} stdout F {line}\n")


def bring_up(compiled: Compiled, cluster: Cluster) -> None:
    """What an `up` makes in the cluster, without the engine."""
    outputs: dict[str, Any] = {}
    for node in compiled.graph.topological():
        if node.kind is Kind.RESOURCE:
            made = cluster.apply(resolve(node.inputs, outputs), manager="up", force=True).object
            outputs[node.name] = {**made, "id": object_id(made), "urn": node.name}


def eventually(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """What `ask` says once it is true, or what it says last."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@contextmanager
def ground(folder: Path, nodes: Mapping[str, Mapping[str, str]]) -> Iterator[Ground]:
    """The control plane, with nodes of these sizes, for as long as the block lasts."""
    tools = ensure(list(TOOLS))
    kubeconfig, log, config = folder / "kubeconfig", folder / "pods.log", folder / "kwok.yaml"
    log.touch()
    config.write_text(_configuration(log))
    environment = {
        **os.environ,
        "HOME": str(folder),
        "KWOK_WORKDIR": str(folder / "kwok"),
        "KUBECONFIG": str(kubeconfig),
    }
    flags = [part for tool, flag in COMPONENTS.items() for part in (f"--{flag}-binary", str(tools[tool]))]
    name = ["--name", f"runs-{os.getpid()}"]

    def kwokctl(*arguments: str) -> None:
        done = subprocess.run([tools["kwokctl"], *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    made = ["--runtime", "binary", *flags, "--config", str(config), "--disable-qps-limits", "--wait", "120s"]
    kwokctl("create", "cluster", *name, *made)
    try:
        cluster = Cluster.from_kubeconfig(kubeconfig)
        for node, sizes in nodes.items():
            body = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": node, "annotations": {"kwok.x-k8s.io/node": "fake"}},
                "status": {"allocatable": dict(sizes), "capacity": dict(sizes)},
            }
            cluster.request("POST", "/api/v1/nodes", body)
        yield Ground(cluster, kubeconfig, log)
    finally:
        kwokctl("delete", "cluster", *name)
