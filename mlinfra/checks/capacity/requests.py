"""What one pod asks for, as the scheduler counts it.

Sources: Kubernetes, "Resource Management for Pods and Containers", "Init Containers" and "Sidecar Containers" (resource
sharing within containers), "Pod Overhead", "Assign Pod-level CPU and memory resources", "Limit Ranges".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mlinfra.checks.capacity.amounts import CPU, MEMORY, Amounts, added, amounts, most

Part = Literal["requests", "limits"]
_POD_LEVEL: Final = (CPU, MEMORY)
"""Resources that a pod may ask for as a whole, besides huge pages."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What containers of a namespace ask for, and are limited to, where they say nothing: its limit ranges."""

    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)

    @classmethod
    def of(cls, limit_ranges: Iterable[Any]) -> Defaults:
        """The defaults of the `spec`s of a namespace's limit ranges. Raises `UnreadableError`.

        Where a range has no default for requests, its default limit is taken for it; for that, its maximum.
        """
        requests: dict[str, int] = {}
        limits: dict[str, int] = {}
        for spec in limit_ranges:
            for item in listed(spec, "limits"):
                if not isinstance(item, Mapping) or item.get("type") != "Container":
                    continue
                limit = {**amounts(item.get("max")), **amounts(item.get("default"))}
                limits = {**limit, **limits}
                requests = {**amounts(item.get("min")), **limit, **amounts(item.get("defaultRequest")), **requests}
        return cls(requests, limits)


NONE: Final = Defaults()


def asked(spec: Any, part: Part = "requests", defaults: Defaults = NONE) -> dict[str, int]:
    """What a pod of this `spec` asks for, or is limited to. Raises `UnreadableError`.

    Containers run side by side; those that initialize run one after the other before them, beside sidecars that have
    started. Volumes in memory count as their containers' memory, so they are not added.
    """
    containers = added(*(_container(item, part, defaults) for item in listed(spec, "containers")))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for item in listed(spec, "initContainers"):
        own = _container(item, part, defaults)
        if isinstance(item, Mapping) and item.get("restartPolicy") == "Always":
            sidecars = added(sidecars, own)
            peak = most(peak, sidecars)
        else:
            peak = most(peak, added(sidecars, own))
    total = most(added(containers, sidecars), peak)
    total.update(_of_the_pod(spec, part))
    return added(total, amounts(spec.get("overhead"))) if isinstance(spec, Mapping) else total


def says_nothing_of(spec: Any, resource: str, part: Part, defaults: Defaults) -> bool:
    """Whether a container of the pod names no amount of a resource: a quota on it then refuses the pod.

    Source: Kubernetes, "Resource Quotas" (requests and limits).
    """
    found = [*listed(spec, "containers"), *listed(spec, "initContainers")]
    if resource in _of_the_pod(spec, part):
        return False
    return any(resource not in _container(item, part, defaults) for item in found)


def listed(record: Any, key: str) -> list[Any]:
    """A list in a record; an empty one where it is none."""
    found = record.get(key) if isinstance(record, Mapping) else None
    return found if isinstance(found, list) else []


def _container(container: Any, part: Part, defaults: Defaults) -> dict[str, int]:
    resources = container.get("resources") if isinstance(container, Mapping) else None
    return _filled(resources, part, defaults)


def _of_the_pod(spec: Any, part: Part) -> dict[str, int]:
    resources = spec.get("resources") if isinstance(spec, Mapping) else None
    found = _filled(resources, part, NONE)
    return {key: count for key, count in found.items() if key in _POD_LEVEL or key.startswith("hugepages-")}


def _filled(resources: Any, part: Part, defaults: Defaults) -> dict[str, int]:
    """What is asked for, or the limits. A limit without a request asks for as much; then the defaults come in."""
    given = resources if isinstance(resources, Mapping) else {}
    limits = amounts(given.get("limits"))
    if part == "limits":
        return {**defaults.limits, **limits}
    return {**defaults.requests, **limits, **amounts(given.get("requests"))}
