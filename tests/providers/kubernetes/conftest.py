"""A real Kubernetes control plane with a simulated node, and the provider served to an engine's stand-in."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mlinfra.providers.kubernetes import serve
from mlinfra.providers.kubernetes.client import Cluster
from tests.providers.kubernetes.engine import Engine

TOOLS = ("kwokctl", "kwok", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_numbers = itertools.count(1)

settings.register_profile("timeless", deadline=None, max_examples=50)
settings.load_profile("timeless")


def find_tools() -> dict[str, Path]:
    """The programs of the control plane: those named by MLINFRA_TOOL_…, else what mlinfra.tools comes by."""
    named = {tool: os.environ.get(f"MLINFRA_TOOL_{tool.replace('-', '_').upper()}") for tool in TOOLS}
    if all(named.values()):
        return {tool: Path(path) for tool, path in named.items() if path}
    from mlinfra.tools.install import ensure

    return ensure(TOOLS)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster that lives as long as the tests."""
    folder, tools = tmp_path_factory.mktemp("cluster"), find_tools()
    path = folder / "kubeconfig"
    # kwokctl and the kubectl that it calls keep caches in the home folder.
    environment = {**os.environ, "HOME": str(folder), "KWOK_WORKDIR": str(folder / "kwok"), "KUBECONFIG": str(path)}
    binaries = {
        "kube-apiserver": "kube-apiserver",
        "kube-controller-manager": "kube-controller-manager",
        "kube-scheduler": "kube-scheduler",
        "kwok": "kwok-controller",
        "etcd": "etcd",
    }
    flags = [part for tool, flag in binaries.items() for part in (f"--{flag}-binary", str(tools[tool]))]
    name = ["--name", f"provider-{os.getpid()}"]

    def kwokctl(*arguments: str) -> None:
        done = subprocess.run([tools["kwokctl"], *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    kwokctl("create", "cluster", *name, "--runtime", "binary", *flags, "--disable-qps-limits", "--wait", "120s")
    try:
        yield path
    finally:
        kwokctl("delete", "cluster", *name)


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Cluster:
    """The cluster itself, with one node of 8 cores and no GPU."""
    cluster = Cluster.from_kubeconfig(kubeconfig)
    sizes = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    cluster.request(
        "POST",
        "/api/v1/nodes",
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node-a", "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"allocatable": sizes, "capacity": sizes},
        },
    )
    return cluster


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="test")
    return name


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The provider, served in this process."""
    with serve(threads=32) as server:
        yield server.address


@pytest.fixture
def engine(address: str, kubeconfig: Path, namespace: str) -> Iterator[Engine]:
    """An engine with one provider instance, for the test's namespace."""
    with Engine(address) as engine:
        engine.configure({"kubeconfig": kubeconfig.read_text(), "namespace": namespace})
        yield engine
