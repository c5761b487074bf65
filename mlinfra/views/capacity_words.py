"""The report on capacity as a person reads it: pools with bars, then what runs on them, then quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from mlinfra.checks.capacity.amounts import CPU, MEMORY, PODS, Amounts, bare, number, plural, resources, said
from mlinfra.checks.capacity.record import AtOnce, CapacityReport, LimitUse, PoolUse, Range, VcpuUse, WorkloadUse
from mlinfra.components.quantities import GPU

Line: TypeAlias = tuple[str, str, str]
"""What is taken of a resource: its name, a bar, and that in words."""

WIDTH: Final = 30
"""Signs of a bar."""

WORKLOADS: Final = ("workload", "kind", "pods", "each asks for", "pools", "fits", "GPU hours")
QUOTAS: Final = ("AWS quota", "code", "vCPUs", "quota", "machines")
LEGEND: Final = "█ at the fewest replicas  ▒ more at the most  · free"
_UNITS: Final = {CPU: "cores", MEMORY: "GiB", GPU: "", PODS: ""}
_NAMES: Final = {CPU: "CPU", MEMORY: "memory", GPU: "GPUs"}


def bar(fewest: float, most: float, whole: float, width: int = WIDTH) -> str:
    """How much of a whole is taken: at the fewest, and at the most replicas. What is beyond the whole is not drawn.

    What is there at all gets a sign, and only what is full gets them all.
    """
    if whole <= 0:
        return "·" * width
    first = _signs(fewest, whole, width)
    second = max(first, _signs(most, whole, width))
    return "█" * first + "▒" * (second - first) + "·" * (width - second)


def pool(item: PoolUse) -> tuple[str, str, list[Line]]:
    """A pool's name, what its machines are, and a line with a bar for each resource."""
    each = _amounts({key: count for key, count in item.each.items() if key != PODS})
    spot = ", spot" if item.spot else ""
    count = f"{item.max}" if item.min == item.max else f"{item.min}–{item.max}"
    lines = [_line(key, item, item.whole) for key in resources([item.whole])]
    what = f"{count} × {item.instance_type}{spot}, each with {each}, {said(PODS, item.each.get(PODS, 0))}"
    return item.name, what, lines


def pool_notes(item: PoolUse) -> Iterator[str]:
    """What else is said of a pool."""
    used = _range(Range(item.machines_fewest, item.machines_most))
    are = "is" if used == "1" else "are"
    free = _amounts(item.largest) or "nothing"
    yield f"{used} of {item.max} {plural('machine', item.max)} {are} taken; one more pod can have {free}"
    if item.daemons:
        yield f"on every machine: {_amounts(item.daemons)}"
    if item.gpu_hours.most:
        yield f"GPU hours of its machines in a month: {_range(item.gpu_hours)}"


def workload(item: WorkloadUse) -> Mapping[str, Any]:
    """A workload's row."""
    return {
        "workload": item.name,
        "kind": item.kind,
        "pods": f"up to {item.pods.most:g}" if item.use == "each machine" else _range(item.pods),
        "each asks for": "; ".join(
            f"{role}: {_amounts(part)}" if role else _amounts(part) for role, part in item.each.items()
        ),
        "pools": ", ".join(item.pools),
        "fits": _fits(item),
        "GPU hours": f"{_range(item.gpu_hours)}{' a run' if item.use == 'run' else ''}" if item.gpu_hours else "",
    }


def limit(item: LimitUse) -> tuple[str, list[Line]]:
    """A quota's name, and a line with a bar for each of its amounts."""
    where = f"{item.kind} of {item.name}{f', namespace {item.namespace}' if item.namespace else ''}"
    return where, [_line(key, item, item.hard) for key in item.hard]


def quota(item: VcpuUse) -> Mapping[str, Any]:
    """A row of AWS's quotas."""
    return {
        "AWS quota": item.name,
        "code": item.code,
        "vCPUs": _range(item.vcpus),
        "quota": "not asked" if item.value is None else f"{item.value:g}",
        "machines": ", ".join(item.machines),
    }


def summary(report: CapacityReport) -> str:
    """The last line: GPU hours, and whether all fits."""
    hours = report.gpu_hours
    gpus = f" What always runs uses {_range(hours)} GPU hours a month." if hours.most else ""
    errors = sum(item.severity == "error" for item in report.problems)
    verdict = "Everything finds room." if not report.problems else "What always runs finds room; see the warnings."
    return f"{verdict if not errors else 'Not everything finds room.'}{gpus}"


def _fits(item: WorkloadUse) -> str:
    if item.problem:
        return "cannot be read"
    if not item.pools:
        return "no machine takes it" if item.use != "each machine" else ""
    if item.at_once is not None:
        return _at_once(item, item.at_once)
    if item.missing.fewest:
        return f"no: {item.missing.fewest:g} without a place"
    return f"up to {item.pods.most - item.missing.most:g}" if item.missing.most else "yes"


def _at_once(item: WorkloadUse, there: AtOnce) -> str:
    several = item.pods.fewest > 1
    found = f"{there.runs} {plural('run', there.runs)} at once" if several else f"{there.pods} at once"
    if several or there.gpus:
        found += f" ({said(PODS, there.pods)}{f', {said(GPU, there.gpus)}' if there.gpus else ''})"
    most = item.at_once_most
    if most is not None and most.pods != there.pods:
        found += f", {said(PODS, most.pods)} beside the most replicas"
    if item.at_once_spread is not None:
        found += f", {said(PODS, item.at_once_spread.pods)} if the others are spread"
    return found


def _line(key: str, item: PoolUse | LimitUse, there: Amounts) -> Line:
    """A resource, its bar, and how much of what is there is taken."""
    fewest, most, whole = item.asked_fewest.get(key, 0), item.asked_most.get(key, 0), there[key]
    unit = _UNITS.get(bare(key), "")
    taken = _range(Range(_rounded(number(key, fewest)), _rounded(number(key, most))))
    text = f"{taken} of {_rounded(number(key, whole)):g}{f' {unit}' if unit else ''}"
    return _NAMES.get(key, key), bar(fewest, most, whole), text


def _amounts(part: Amounts) -> str:
    texts = []
    for key in resources([part]):
        if part[key]:
            count = _rounded(number(key, part[key]))
            word = {CPU: "core", GPU: "GPU", PODS: "pod"}.get(key)
            unit = plural(word, count) if word else _UNITS.get(key, key)
            texts.append(f"{count:g} {unit}")
    return ", ".join(texts)


def _rounded(count: float) -> float:
    """Two digits below 10, one below 100, none above: bars need no more, and tables stay narrow."""
    return round(count, 2 if abs(count) < 10 else 1 if abs(count) < 100 else 0)


def _range(item: Range) -> str:
    return f"{item.fewest:g}" if item.fewest == item.most else f"{item.fewest:g}–{item.most:g}"


def _signs(part: float, whole: float, width: int) -> int:
    if part <= 0:
        return 0
    if part >= whole:
        return width
    return min(width - 1, max(1, round(part / whole * width)))
