"""Placing pods: each case says how many of a kind find a place, which the scheduler's documents decide."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.capacity.amounts import amounts
from mlinfra.checks.capacity.machines import machines
from mlinfra.checks.capacity.neighbours import Pod
from mlinfra.checks.capacity.placing import Floor, Wanted, packed, spread
from mlinfra.graph import Pool
from tests.checks.capacity.conftest import pool

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def made(name: str, cpu: str = "1", labels: dict[str, str] | None = None, namespace: str = "ml", **spec: Any) -> Pod:
    requests = {**amounts({"cpu": cpu}), "pods": 1}
    return Pod(name, namespace, labels or {"app": name}, spec, requests)


def floor(*pools: Pool) -> Floor:
    return Floor(machines(pools))


def rule(kind: str, key: str, app: str, **more: Any) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def even(key: str, app: str, **more: Any) -> list[dict[str, Any]]:
    selector = {"matchLabels": {"app": app}}
    return [{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector, **more}]


CASES = {
    "as many as there are cores": (made("a"), pool("p", cpu=4, max=3), 12),
    "no more pods than a machine takes": (made("a", "1m"), pool("p", cpu=4, pods=5, max=3), 15),
    "nothing on machines that are too small": (made("a", "5"), pool("p", cpu=4, max=3), 0),
    "apart: one on each machine": (
        made("a", affinity=rule("podAntiAffinity", HOST, "a")),
        pool("p", cpu=4, max=3),
        3,
    ),
    "apart: one in each of three zones": (
        made("a", affinity=rule("podAntiAffinity", ZONE, "a")),
        pool("p", cpu=4, max=5),
        3,
    ),
    "apart from others only": (made("a", affinity=rule("podAntiAffinity", HOST, "b")), pool("p", cpu=4, max=3), 12),
    "apart in another namespace": (
        made("a", affinity=rule("podAntiAffinity", HOST, "a", namespaces=["other"])),
        pool("p", cpu=4, max=3),
        12,
    ),
    "near: all in the zone of the first": (
        made("a", affinity=rule("podAffinity", ZONE, "a")),
        pool("p", cpu=4, max=6),
        8,
    ),
    "near somebody who is not there": (made("a", affinity=rule("podAffinity", HOST, "b")), pool("p", max=3), 0),
    "even over machines": (made("a", topologySpreadConstraints=even(HOST, "a")), pool("p", cpu=4, max=3), 12),
    "even over zones: the fullest stops all": (
        made("a", topologySpreadConstraints=even(ZONE, "a")),
        pool("p", cpu=4, max=4),  # two machines in the first zone, one in each of the others
        13,
    ),
    "even over zones, of which there are too few": (
        made("a", topologySpreadConstraints=even(ZONE, "a", minDomains=4)),
        pool("p", cpu=4, max=3),
        3,
    ),
    "even if it can be": (
        made("a", topologySpreadConstraints=even(ZONE, "a", whenUnsatisfiable="ScheduleAnyway")),
        pool("p", cpu=4, max=4),
        16,
    ),
    "even over a label that no machine has": (
        made("a", topologySpreadConstraints=even("rack", "a")),
        pool("p", max=3),
        0,
    ),
    "a port of the machine": (
        made("a", "100m", containers=[{"ports": [{"containerPort": 80, "hostPort": 80}]}]),
        pool("p", max=3),
        3,
    ),
    "a port of the machine's network": (
        made("a", "100m", hostNetwork=True, containers=[{"ports": [{"containerPort": 80}]}]),
        pool("p", max=3),
        3,
    ),
    "a port of its own": (
        made("a", "1", containers=[{"ports": [{"containerPort": 80}]}]),
        pool("p", cpu=4, max=3),
        12,
    ),
    "one machine by its name": (made("a", nodeSelector={HOST: "p-1"}), pool("p", cpu=4, max=3), 4),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", ["packed", "spread"])
def test_how_many_find_a_place(name: str, way: Any) -> None:
    kind, machines_of, wanted = CASES[name]
    there = floor(machines_of)
    assert there.room_for(kind, way) == wanted
    assert there.place(kind, 100, way) == wanted
    assert there.room_for(kind, way) == 0
    assert all(left >= 0 for machine in there.machines for left in machine.room.values())


def test_what_is_there_binds_those_who_come() -> None:
    """A pod that wants to be apart from others keeps them away, too."""
    there = floor(pool("p", cpu=4, max=2))
    assert there.place(made("shy", affinity=rule("podAntiAffinity", HOST, "loud")), 1) == 1
    assert there.room_for(made("loud")) == 4
    assert there.place(made("loud"), 100) == 4


def test_pods_without_gpus_leave_machines_with_gpus_alone() -> None:
    there = floor(pool("b-gpu", cpu=8, gpus=1, taints=(), max=1), pool("cpu", cpu=8, max=1))
    there.place(made("a"), 8)
    assert {machine.pool.name for machine in there.machines if machine.pods} == {"cpu"}


def test_packed_takes_the_largest_first() -> None:
    """In the order given, two small pods on each machine would leave no room for the large one."""
    small, large = made("small", "1"), made("large", "4")
    there, missed = packed(floor(pool("p", cpu=4, max=2)), [Wanted(small, 4), Wanted(large, 1)])
    assert missed == {}
    assert there.used([])["p"] == 2


def test_packed_tries_other_measures() -> None:
    """By the larger share the wide and the tall ones come in an order that wastes room; by cores they do not."""
    machine = pool("p", cpu=10, memory=10, max=2)

    def asks(name: str, cpu: str, memory: str) -> Pod:
        return Pod(name, "ml", {}, {}, {**amounts({"cpu": cpu, "memory": memory}), "pods": 1})

    kinds = [asks("a", "6", "1Gi"), asks("b", "4", "8Gi"), asks("c", "6", "1Gi"), asks("d", "4", "8Gi")]
    _, missed = packed(floor(machine), [Wanted(kind, 1) for kind in kinds])
    assert missed == {}


def test_packed_says_who_found_no_place() -> None:
    there, missed = packed(floor(pool("p", cpu=4, max=1)), [Wanted(made("a", "3"), 1), Wanted(made("b", "2"), 2)])
    assert missed in ({0: 1}, {1: 2})
    assert sum(len(machine.pods) for machine in there.machines) == 3 - sum(missed.values())


def test_spread_leaves_a_little_of_each() -> None:
    """Two small pods on two machines: a whole machine is not free any more, where packing leaves one."""
    small, large = made("small", "500m"), made("large", "4")
    empty = floor(pool("p", cpu=4, max=2))
    scattered, _ = spread(empty, [Wanted(small, 2)])
    together, _ = packed(empty, [Wanted(small, 2)])
    assert scattered.room_for(large) == 0
    assert together.room_for(large) == 1


def test_a_pod_on_every_machine() -> None:
    there = floor(pool("p", cpu=1, max=3), pool("gpu", gpus=1, max=2))
    daemon = made("agent", "600m")
    assert there.put_on_each(daemon) == []
    assert sum(len(machine.pods) for machine in there.machines) == 3
    assert [machine.name for machine in there.put_on_each(daemon)] == ["p-0", "p-1", "p-2"]
    assert there.used([daemon]) == {}
