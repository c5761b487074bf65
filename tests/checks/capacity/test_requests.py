"""What one pod asks for; the expected numbers are those of Kubernetes' documents."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.capacity.requests import NONE, Defaults, asked, says_nothing_of


def box(cpu: str | None = None, limit: str | None = None, **more: Any) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    if cpu is not None:
        resources["requests"] = {"cpu": cpu}
    if limit is not None:
        resources["limits"] = {"cpu": limit}
    return {"name": "c", "resources": resources, **more}


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"containers": [box("1"), box("500m")]}, 1500),
        ({"containers": [box(limit="2")]}, 2000),
        ({"containers": [box("1", "2")]}, 1000),
        ({"containers": [{"name": "c"}]}, 0),
        ({"containers": [box("1")], "initContainers": [box("3"), box("2")]}, 3000),
        ({"containers": [box("2")], "initContainers": [box("1")]}, 2000),
        # A sidecar runs beside the containers, and beside those that initialize after it.
        ({"containers": [box("1")], "initContainers": [box("1", **SIDECAR)]}, 2000),
        ({"containers": [box("1")], "initContainers": [box("1", **SIDECAR), box("3")]}, 4000),
        ({"containers": [box("1")], "initContainers": [box("3"), box("1", **SIDECAR)]}, 3000),
        ({"containers": [box("1")], "overhead": {"cpu": "250m"}}, 1250),
        # What the pod asks for as a whole goes before what its containers ask for.
        ({"containers": [box("1")], "resources": {"requests": {"cpu": "3"}}}, 3000),
        ({"containers": [box("1")], "resources": {"limits": {"cpu": "3"}}}, 3000),
        ({}, 0),
        (None, 0),
    ],
)
def test_asked(spec: Any, wanted: int) -> None:
    assert asked(spec).get("cpu", 0) == wanted


def test_a_volume_in_memory_is_the_containers_memory() -> None:
    spec = {
        "containers": [{"resources": {"requests": {"memory": "1Gi"}}}],
        "volumes": [{"emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}],
    }
    assert asked(spec) == {"memory": 1024**3}


@pytest.mark.parametrize(
    ("ranges", "requests", "limits"),
    [
        ([], {}, {}),
        ([{"type": "Container", "defaultRequest": {"cpu": "100m"}, "default": {"cpu": "1"}}], 100, 1000),
        ([{"type": "Container", "default": {"cpu": "1"}}], 1000, 1000),
        ([{"type": "Container", "max": {"cpu": "2"}}], 2000, 2000),
        ([{"type": "Container", "min": {"cpu": "50m"}}], 50, None),
        ([{"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "2"}}], 2000, 2000),
        ([{"type": "Pod", "max": {"cpu": "2"}}], None, None),
        (
            [
                {"type": "Container", "defaultRequest": {"cpu": "100m"}},
                {"type": "Container", "defaultRequest": {"cpu": "9"}, "default": {"cpu": "9"}},
            ],
            100,
            9000,
        ),
    ],
)
def test_defaults_of_limit_ranges(ranges: list[Any], requests: Any, limits: Any) -> None:
    found = Defaults.of([{"limits": ranges}])
    assert found.requests.get("cpu") == (requests or None)
    assert found.limits.get("cpu") == (limits or None)


def test_defaults_fill_what_a_container_leaves_out() -> None:
    defaults = Defaults({"cpu": 100, "memory": 256}, {"memory": 1024})
    spec = {"containers": [box("1"), box()], "initContainers": [box()]}
    assert asked(spec, "requests", defaults) == {"cpu": 1100, "memory": 512}
    assert asked(spec, "limits", defaults) == {"memory": 2048}
    # A limit of its own is its request before the namespace is asked.
    assert asked({"containers": [box(limit="2")]}, "requests", defaults)["cpu"] == 2000


def test_a_quota_wants_every_container_to_speak() -> None:
    spec = {"containers": [box("1"), box()]}
    assert says_nothing_of(spec, "cpu", "requests", NONE)
    assert not says_nothing_of(spec, "cpu", "requests", Defaults({"cpu": 1}, {}))
    assert not says_nothing_of({"containers": [box("1")]}, "cpu", "requests", NONE)
    assert not says_nothing_of({**spec, "resources": {"requests": {"cpu": "2"}}}, "cpu", "requests", NONE)
