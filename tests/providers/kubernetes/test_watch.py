"""Against a real control plane."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.watch import Watches


def config_map(namespace: str, name: str, value: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": value}}


def never() -> bool:
    return False


def test_many_wait_on_one_watch(cluster: Cluster, namespace: str) -> None:
    watches = Watches(cluster)
    names = [f"m-{index}" for index in range(20)]

    def wait(name: str) -> bool:
        with watches.use("v1", "ConfigMap", namespace) as watch:
            assert watch is first

            def test(item: dict[str, Any] | None) -> bool:
                return item is not None and item["data"]["x"] == "2"

            return watch.wait(name, test, seconds=60, stopped=never, tick=lambda: None)

    with watches.use("v1", "ConfigMap", namespace) as first, ThreadPoolExecutor(len(names)) as pool:
        waits = [pool.submit(wait, name) for name in names]
        for value in ("1", "2"):
            for name in names:
                cluster.apply(config_map(namespace, name, value), manager="test")
        assert all(item.result() for item in waits)
    watches.close()


def test_a_deletion_is_seen(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config_map(namespace, "a", "1"), manager="test")
    watches = Watches(cluster)
    with watches.use("v1", "ConfigMap", namespace) as watch, ThreadPoolExecutor(1) as pool:
        gone = pool.submit(watch.wait, "a", lambda item: item is None, seconds=60, stopped=never, tick=lambda: None)
        cluster.delete("v1", "ConfigMap", "a", namespace)
        assert gone.result()
    watches.close()


def test_waiting_ends_in_time_or_when_told(cluster: Cluster, namespace: str) -> None:
    watches = Watches(cluster)
    with watches.use("v1", "ConfigMap", namespace) as watch:
        assert not watch.wait("none", lambda item: False, seconds=0.1, stopped=never, tick=lambda: None)
        assert not watch.wait("none", lambda item: False, seconds=600, stopped=lambda: True, tick=lambda: None)
    watches.close()


def test_related_objects(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config_map(namespace, "a", "1"), manager="test")
    watches = Watches(cluster)
    names = {item["metadata"]["name"] for item in watches.objects("v1", "ConfigMap", namespace)}
    assert "a" in names
    watches.close()


def test_a_watch_that_is_refused_is_told(cluster: Cluster, namespace: str) -> None:
    class Forbidden:
        """The cluster, to somebody who may not list."""

        path = cluster.path

        def request(self, method: str, path: str) -> Any:
            raise ApiError(method, path, 403, {"message": "configmaps is forbidden"})

    watches = Watches(Forbidden())  # type: ignore[arg-type]
    with (
        watches.use("v1", "ConfigMap", namespace) as watch,
        pytest.raises(ApiError, match="configmaps is forbidden"),
    ):
        watch.wait("a", lambda item: False, seconds=600, stopped=never, tick=lambda: None)
    watches.close()
