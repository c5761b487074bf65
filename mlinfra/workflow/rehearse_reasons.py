"""Why the scheduler found no machine for a pod, in words of pools: from the machines as they are, and what is on them.

What the scheduler says ("0/5 nodes are available: 2 Insufficient nvidia.com/gpu, …") counts nodes by what they lack,
and names neither pool nor amounts. Here the same rules are gone through once more, to explain; who decides is the
scheduler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.checks.capacity.amounts import PODS, Amounts, added, amounts, fits, less, listed, resources, said
from mlinfra.checks.capacity.choosing import Taint, refusal
from mlinfra.checks.capacity.requests import asked
from mlinfra.local.nodes import POOL
from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import lookup
from mlinfra.providers.kubernetes.waitfor import condition

_ENDED: Final = ("Succeeded", "Failed")
_ASIDES: Final = re.compile(r" ?no new claims to deallocate,| preemption: .*", re.DOTALL)
_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the scheduler sees it: what it offers to pods, and what those that are on it have taken."""

    name: str
    pool: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    offers: Amounts
    taken: Amounts


def machines(nodes: Iterable[Object], pods: Iterable[Object]) -> list[Machine]:
    """The cluster's machines with what is on them; pods that have ended take nothing."""
    taken: dict[str, dict[str, int]] = {}
    for pod in pods:
        node = lookup(pod, "spec", "nodeName")
        if node and lookup(pod, "status", "phase") not in _ENDED:
            taken[node] = added(taken.get(node, {}), demand(pod["spec"]))
    return [_machine(node, taken.get(node["metadata"]["name"], {})) for node in nodes]


def demand(spec: Mapping[str, Any]) -> dict[str, int]:
    """What a pod takes of a machine; itself, too."""
    return added(asked(spec), {PODS: 1})


def placed(pod: Object) -> bool:
    """Whether the scheduler has given a pod a machine."""
    return bool(lookup(pod, "spec", "nodeName"))


def refused(pod: Object) -> str:
    """What the scheduler says of a pod that it has found no machine for, an empty text where it has not said it."""
    scheduled = condition(pod, "PodScheduled")
    if placed(pod) or scheduled.get("status") != "False":
        return ""
    told = _ASIDES.sub("", scheduled.get("message") or "").rstrip()
    return told or str(scheduled.get("reason") or "no machine was found")


def reason(pod: Object, there: Sequence[Machine]) -> str:
    """Why no machine takes a pod: `asks for 5 GPUs, no machine of pool gpu has more than 4`.

    Where labels, taints and amounts do not explain it, the scheduler's own words.
    """
    spec, told = pod["spec"], refused(pod)
    if not there:
        return "there is no machine at all"
    willing = [machine for machine in there if not refusal(spec, machine.labels, machine.taints)]
    if not willing:
        return _unwilling(spec, there)
    asks = demand(spec)
    return _too_large(asks, willing) or _no_room(asks, willing) or told or "the scheduler did not say why"


def pools(names: Iterable[str]) -> str:
    """Pools as a text: `pool gpu`, `pools cpu and gpu`."""
    found = sorted(set(names))
    if len(found) > _NAMED:
        return f"{len(found)} pools ({', '.join(found[:_NAMED])}, …)"
    if len(found) == 1:
        return f"pool {found[0]}"
    return f"pools {', '.join(found[:-1])} and {found[-1]}" if found else "no pool"


def _machine(node: Object, taken: Amounts) -> Machine:
    labels = node["metadata"].get("labels") or {}
    taints = tuple(
        (str(item["key"]), str(item.get("value") or ""), str(item["effect"]))
        for item in node["spec"].get("taints") or []
    )
    name = node["metadata"]["name"]
    offers = amounts(lookup(node, "status", "allocatable"))
    return Machine(name, str(labels.get(POOL, name)), labels, taints, offers, taken)


def _unwilling(spec: Mapping[str, Any], there: Sequence[Machine]) -> str:
    """No machine may have the pod, whatever room it has. Pools that only taints keep it from are what was meant."""
    why: dict[str, set[str]] = {}
    for machine in there:
        why.setdefault(refusal(spec, machine.labels, machine.taints), set()).add(machine.pool)
    tainted = {text: names for text, names in why.items() if " taint " in text}
    shown = sorted((pools(names), text) for text, names in (tainted or why).items())
    parts = [f"{names}: {text}" for names, text in shown[:_NAMED]]
    return f"no machine may have it ({'; '.join(parts)}{'; …' if len(shown) > _NAMED else ''})"


def _too_large(asks: Amounts, willing: Sequence[Machine]) -> str:
    """What not even an empty machine has."""
    where = pools(machine.pool for machine in willing)
    parts = []
    for resource in resources([asks]):
        largest = max(machine.offers.get(resource, 0) for machine in willing)
        if asks[resource] > largest:
            much = f"more than {_number(resource, largest)}" if largest else "any"
            parts.append(f"asks for {said(resource, asks[resource])}, no machine of {where} has {much}")
    if not parts and not any(fits(asks, machine.offers) for machine in willing):
        parts.append(f"asks for {_listed(asks)} on one machine, no machine of {where} has all of it")
    return ", and ".join(parts)


def _no_room(asks: Amounts, willing: Sequence[Machine]) -> str:
    """What machines of the right size have too little of, beside what is on them."""
    large = [machine for machine in willing if fits(asks, machine.offers)]
    left = [less(machine.offers, machine.taken) for machine in large]
    if any(fits(asks, room) for room in left):
        return ""
    one = len(large) == 1
    of_pool = pools(machine.pool for machine in large)
    where = f"machine of {of_pool} has" if one else f"{len(large)} machines of {of_pool} have"
    on_one = "" if one else " on one"
    for resource in resources([asks]):
        best = max(room.get(resource, 0) for room in left)
        if asks[resource] > best:
            has = f"no more than {_number(resource, best)} left{on_one}" if best > 0 else "none left"
            return f"asks for {said(resource, asks[resource])}, the {where} {has}"
    return f"asks for {_listed(asks)}, the {where} not all of it left{on_one}"


def _number(resource: str, count: int) -> str:
    """An amount without its unit, where the unit was just said."""
    return said(resource, count).partition(" ")[0]


def _listed(asks: Amounts) -> str:
    return listed({key: count for key, count in asks.items() if key != PODS})
