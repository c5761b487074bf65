"""What one pod asks for, as the scheduler counts it.

Sources: Kubernetes, "Resource Management for Pods and Containers", "Init Containers" and "Sidecar Containers" (resource
sharing within containers), "Pod Overhead", "Assign Pod-level CPU and memory resources", "Limit Ranges".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from mlinfra.checks.access.symbols import at
from mlinfra.checks.capacity.amounts import CPU, MEMORY, Amounts, added, amounts, most

Part = Literal["requests", "limits"]
_POD_LEVEL: Final = (CPU, MEMORY)
"""Resources that a pod may ask for as a whole, besides huge pages."""


class Defaults(NamedTuple):
    """What containers of a namespace ask for, and are limited to, where they say nothing: its limit ranges."""

    requests: Amounts
    limits: Amounts

    @classmethod
    def of(cls, limit_ranges: Iterable[Any]) -> Defaults:
        """The defaults of the `spec`s of a namespace's limit ranges. Raises `UnreadableError`.

        Where a range has no default for requests, its default limit is taken for it; for that, its maximum.
        """
        requests: dict[str, int] = {}
        limits: dict[str, int] = {}
        for spec in limit_ranges:
            for item in listed(spec, "limits"):
                if at(item, "type") == "Container":
                    limit = {**amounts(item.get("max")), **amounts(item.get("default"))}
                    limits = {**limit, **limits}
                    requests = {**amounts(item.get("min")), **limit, **amounts(item.get("defaultRequest")), **requests}
        return cls(requests, limits)


NONE: Final = Defaults({}, {})


def asked(spec: Any, part: Part = "requests", defaults: Defaults = NONE) -> dict[str, int]:
    """What a pod of this `spec` asks for, or is limited to. Raises `UnreadableError`.

    Containers run side by side; those that initialize run one after the other before them, beside sidecars that have
    started. Volumes in memory count as their containers' memory, so they are not added.
    """
    containers = added(*(_filled(item, part, defaults) for item in listed(spec, "containers")))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for item in listed(spec, "initContainers"):
        own = _filled(item, part, defaults)
        if at(item, "restartPolicy") == "Always":
            sidecars = added(sidecars, own)
            peak = most(peak, sidecars)
        else:
            peak = most(peak, added(sidecars, own))
    total = most(added(containers, sidecars), peak)
    total.update(_of_the_pod(spec, part))
    return added(total, amounts(at(spec, "overhead")))


def says_nothing_of(spec: Any, resource: str, part: Part, defaults: Defaults) -> bool:
    """Whether a container of the pod names no amount of a resource: a quota on it then refuses the pod.

    Source: Kubernetes, "Resource Quotas" (requests and limits).
    """
    found = [*listed(spec, "containers"), *listed(spec, "initContainers")]
    if resource in _of_the_pod(spec, part):
        return False
    return any(resource not in _filled(item, part, defaults) for item in found)


def listed(record: Any, key: str) -> list[Any]:
    """A list in a record; an empty one where it is none."""
    found = at(record, key)
    return found if isinstance(found, list) else []


def mapped(record: Any, *path: str) -> Mapping[str, Any]:
    """A map in a record, or the record itself; an empty one where it is none."""
    found = at(record, *path)
    return found if isinstance(found, Mapping) else {}


def whole(value: Any, default: int) -> int:
    """A number of pieces; Pulumi's values may have it as a float."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _of_the_pod(spec: Any, part: Part) -> dict[str, int]:
    found = _filled(spec, part, NONE)
    return {key: count for key, count in found.items() if key in _POD_LEVEL or key.startswith("hugepages-")}


def _filled(owner: Any, part: Part, defaults: Defaults) -> dict[str, int]:
    """What a container, or a pod as a whole, asks for, or its limits.

    A limit without a request asks for as much; then the defaults come in.
    """
    limits = amounts(at(owner, "resources", "limits"))
    if part == "limits":
        return {**defaults.limits, **limits}
    return {**defaults.requests, **limits, **amounts(at(owner, "resources", "requests"))}
