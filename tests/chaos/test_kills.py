"""Whoever is killed in the middle of a run, and whenever: the next run makes it whole, with nothing lost or twice.

Each case can be run again by its name, which holds its seed: the moment comes from it. The updates of the first seed,
one for each victim, belong to `make test`, the others to `make chaos`.
"""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.victims import VICTIMS, Moment, kill_moto, strike
from tests.chaos.world import World, expected

pytestmark = pytest.mark.e2e

SEEDS = {"mlinfra": 13, "engine": 13, "providers": 13, "connections": 13, "service": 2, "moto": 13}
"""How many of each: an engine that finds no service any more asks for almost a minute before it gives up."""

VERBS = ("up", "update", "refresh", "destroy")
LINES = {"up": 46, "update": 36, "refresh": 24, "destroy": 46}
"""About how many lines about steps a whole run of each prints: two for each resource, begun and done, or one."""


def cases() -> Iterator[Any]:
    # In the order in which one case leaves what the next begins with.
    for seed in range(max(SEEDS.values())):
        for victim in VICTIMS:
            for verb in VERBS if seed < SEEDS[victim] else ():
                short = seed == 0 and verb == "update" and victim != "service"
                yield pytest.param(victim, verb, seed, marks=() if short else pytest.mark.chaos)


@pytest.mark.parametrize(("victim", "verb", "seed"), list(cases()))
def test_the_next_run_is_whole(
    world: World, victim: str, verb: str, seed: int, record_property: pytest.RecordProperty
) -> None:
    chance = random.Random(f"{victim}-{verb}-{seed}")
    moment = Moment.choose(chance, LINES[verb])
    before, wanted = prepare(world, verb, again=seed % 3 == 2)
    struck = strike(world, victim, moment, *command(verb))
    record_property("struck", f"{victim} in {verb}: {'in time' if struck.in_time else 'too late'}")
    assert struck.code in ((-9,) if victim == "mlinfra" and struck.in_time else (0, 1)), struck.rest
    assert "Traceback" not in struck.rest
    if victim == "providers" and struck.code:
        assert "providers-ended" in struck.codes(), struck.lines

    first = world.lab.run(*(("destroy",) if wanted == 0 else ("up",)), "--yes", "--json", "--stack", world.stack)
    assert world.seen() == expected(wanted), first.out
    if victim == "moto" and before and struck.in_time:
        # The run that was struck says so itself when it was struck so early that it found no local AWS.
        codes = [*struck.codes(), *(line["code"] for line in first.lines("diagnostic"))]
        assert "target-lost" in codes or wanted == 0, "that the local AWS has lost its memory is told"
    world.generation = wanted
    if wanted:
        assert set(world.lab.report("up", "--stack", world.stack, "--yes")["counts"]) == {"same"}
        assert world.seen() == expected(wanted)
    assert len(world.recorded()) == sum(map(len, expected(wanted).values())) + bool(wanted) * extra(world)
    world.spoiled = False


def prepare(world: World, verb: str, *, again: bool) -> tuple[int, int]:
    """Bring the stack to where the case begins: the generation that it has, and the one that it is to have in the end.

    After a destroy that was cut off, people destroy again, or think better of it and bring it up `again`.
    """
    if verb == "up":
        world.bring_to(0)
        return 0, 1
    if world.generation == 0:
        world.bring_to(1)
    now = world.generation
    if verb == "update":
        world.want(3 - now)
        return now, 3 - now
    world.want(now)
    return now, now if verb == "refresh" or again else 0


def command(verb: str) -> tuple[str, ...]:
    match verb:
        case "refresh":
            return ("refresh",)
        case "destroy":
            return ("destroy", "--yes")
    return ("up", "--yes")


def extra(world: World) -> int:
    """Resources that `seen` tells within another's line: a role's policy, a secret's version."""
    return 2


@pytest.mark.chaos
def test_a_local_aws_that_dies_after_a_first_up_that_failed_is_known_to_be_another(worlds: list[World]) -> None:
    """No run has succeeded yet: what the resources were made at was noted when there were none."""
    world = World(worlds[0].lab, "first")
    lab = world.lab
    process = lab.start("up", "--yes", "--json", "--stack", world.stack)
    assert process.stdout is not None
    made = 0
    while made < 3:
        line = json.loads(process.stdout.readline())
        made += line["type"] == "step" and line["state"] == "done" and line["resource_type"].startswith("aws:")
    process.send_signal(signal.SIGINT)
    assert lab.end(process).code == 1
    kill_moto(world)
    again = lab.run("up", "--yes", "--json", "--stack", world.stack)
    assert "target-lost" in [line["code"] for line in again.lines("diagnostic")]
    assert world.seen() == expected(1)
    assert set(lab.report("up", "--stack", world.stack, "--yes")["counts"]) == {"same"}
