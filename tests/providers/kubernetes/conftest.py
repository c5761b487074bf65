"""A real Kubernetes control plane with a simulated node, and the provider served to an engine's stand-in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mlinfra.local.cluster import KwokCluster
from mlinfra.local.kwokctl import TOOLS
from mlinfra.providers.kubernetes import serve
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.tools.install import ensure
from tests.providers.kubernetes.engine import Engine

_numbers = itertools.count(1)

settings.register_profile("timeless", deadline=None, max_examples=50)
settings.load_profile("timeless")


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster that lives as long as the tests.

    Not made by kwokctl alone: it counts down from one port, so that clusters that are started at the same moment are
    given the same ones, and it ends well when the cluster has not become ready.
    """
    folder = tmp_path_factory.mktemp("cluster").resolve()
    cluster = KwokCluster(folder, "provider", lambda: ensure(TOOLS), lambda detail: None, lambda diagnostic: None)
    try:
        yield cluster.ensure().kubeconfig
    finally:
        cluster.delete()


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
