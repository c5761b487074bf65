"""`mlinfra state move`, killed at a random moment: the same command again ends it, and nothing is lost or doubled."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import Lab, close_lab, new_lab

pytestmark = pytest.mark.chaos

MOVES = 16
SECONDS = 4.0
"""About as long as a move takes: later kills come when it has ended."""

BLUEPRINT = """
from mlinfra import Blueprint, Environment, Params, Raw, Secret, blueprint


class Nothing(Params):
    pass


@blueprint("moved", version="1.0.0")
def moved(env: Environment, p: Nothing) -> Blueprint:
    hidden = {"name": "/moved", "type": "SecureString", "value": Secret("canary-of-the-move")}
    parameter = Raw("parameter", type="aws:ssm/parameter:Parameter", inputs=hidden)
    topics = [Raw(f"t{i}", type="aws:sns/topic:Topic", inputs={"name": f"t{i}"}) for i in range(20)]
    return Blueprint(parameter, *topics, outputs={"hidden": parameter.output("value")})
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tools: Mapping[str, Path]) -> Iterator[Lab]:
    lab = new_lab(tmp_path_factory.mktemp("moves"))
    lab.blueprint("moved", BLUEPRINT)
    lab.stack("it", blueprint="moved")
    lab.report("up", "--stack", "it", "--yes")
    yield lab
    close_lab(lab)


def place_of(lab: Lab) -> str:
    """Where the stack's state is: the one place from which a preview runs."""
    found = []
    for place in ("service", "files"):
        lab.stack("it", blueprint="moved", state={"backend": place})
        ran = lab.run("preview", "--stack", "it", "--json", code=None)
        if ran.code == 0:
            assert set(ran.lines("plan")[0]["counts"]) == {"same"}
            found.append(place)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("seed", range(MOVES))
def test_a_move_that_is_killed_is_ended_by_the_next(world: Lab, seed: int) -> None:
    origin = place_of(world)
    to = "files" if origin == "service" else "service"
    world.stack("it", blueprint="moved", state={"backend": origin})
    arguments = ("state", "move", "--stack", "it", "--from", origin, "--to", to, "--yes", "--json")
    process = world.start(*arguments)
    time.sleep(random.Random(seed).uniform(0.3, SECONDS))
    process.kill()
    process.communicate()
    again = world.run(*arguments, code=None)
    if again.code:  # the move had ended, and only its last words were cut off
        assert [item["code"] for item in again.lines("diagnostic")] == ["state-moved"], again.out
    assert place_of(world) == to
    world.stack("it", blueprint="moved", state={"backend": to})
    [shown] = world.run("outputs", "--stack", "it", "--show-secrets", "--json").lines("outputs")
    assert shown["outputs"]["hidden"] == "canary-of-the-move"
