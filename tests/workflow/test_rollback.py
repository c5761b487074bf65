"""Which version a rollback goes back to, and what is kept of it: on the states of a past that is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from mlinfra.authoring import Params
from mlinfra.components.values import Autoscale, Image
from mlinfra.diagnostics import MlinfraError
from mlinfra.engine.session import ORIGIN, STACK_TYPE
from mlinfra.project import Project
from mlinfra.state.states import ServiceStates
from mlinfra.state.versions import Version
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow.given_params import MISSING, at, differences, nested, plain_params, with_values
from mlinfra.workflow.past_releases import Past, Resources, last_good
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import Pin, RolledBack, in_state, released_in, to_write

A, B, C = ({"image": letter} for letter in "abc")


@dataclass
class States:
    """Versions of a state, as the service would show them: the release of `api` in each, and how the update ended."""

    past: list[tuple[Mapping[str, Any], str]]
    params: bool = True
    made: dict[int, Any] = field(default_factory=dict)

    def versions(self) -> list[Version]:
        numbered = list(enumerate(self.past, start=1))
        return [
            Version(number, 0.0, kind, status.partition("/")[0], "ada", "box", 3, {}, "")
            for number, (_, status) in reversed(numbered)
            for kind in [status.partition("/")[2] or "update"]
        ]

    def show(self, project: str, stack: str, version: int) -> dict[str, Any]:
        release = self.past[version - 1][0]
        origin: dict[str, Any] = {"blueprint": "shop", "version": "1.0.0"}
        if self.params:
            text = json.dumps(json.dumps({"release": release}))
            origin["params"] = {SIGNATURE: SECRET, "plaintext": text}
        root = {"urn": "urn:pulumi:s::p::pulumi:pulumi:Stack::p-s", "type": STACK_TYPE, "custom": False}
        component = {"urn": "urn:pulumi:s::p::mlinfra:component:Endpoint::api", "type": "x", "custom": False}
        return {"resources": [{**root, "outputs": {ORIGIN: origin}}, {**component, "inputs": {"release": release}}]}


def past(*versions: tuple[Mapping[str, Any], str], withdrawn: tuple[Any, ...] = (), params: bool = True) -> Past:
    states = States(list(versions), params)
    rolled = [RolledBack("api", 1, (), withdrawn)] if withdrawn else []
    listed = states.versions()
    applied = {"api": versions[-1][0]}
    return Past(
        cast("ServiceStates", states),
        ("p", "s"),
        listed,
        applied,
        rolled,
        lambda version: cast("Resources", states.show("p", "s", version.number)["resources"]),
    )


WELL, BADLY = "succeeded", "failed"
CASES: dict[str, tuple[Past, Mapping[str, Any], int]] = {
    "the one before": (past((A, WELL), (B, WELL)), B, 1),
    "the same again does not count": (past((A, WELL), (B, WELL), (B, WELL)), B, 1),
    "one that failed does not count": (past((A, WELL), (C, BADLY), (B, WELL)), B, 1),
    "nor does what only read": (past((A, WELL), (C, "succeeded/refresh"), (B, WELL)), B, 1),
    "an update that failed half-way": (past((A, WELL), (B, BADLY)), B, 1),
    "one that failed before it came so far": (past((C, WELL), (A, WELL), (A, BADLY)), B, 2),
    "what was withdrawn does not count": (past((A, WELL), (B, WELL), (C, WELL), (B, WELL), withdrawn=(C,)), C, 1),
}


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(Project(tmp_path), "shop")


@pytest.mark.parametrize(("found", "declared", "version"), CASES.values(), ids=CASES)
def test_the_last_good_version(request_: Request, found: Past, declared: Mapping[str, Any], version: int) -> None:
    good = last_good(request_, found, ["api"], {"api": declared}, None)
    assert good.version == version
    assert good.params == {"release": good.then["api"]}


def test_a_version_that_is_asked_for(request_: Request) -> None:
    found = past((A, WELL), (B, WELL), (C, WELL), withdrawn=(B,))
    assert last_good(request_, found, ["api"], {"api": C}, 2).then == {"api": B}


REFUSED = {
    "none before": (past((A, WELL)), None, "rollback-none"),
    "all withdrawn": (past((A, WELL), (B, WELL), withdrawn=(A,)), None, "rollback-none"),
    "no such version": (past((A, WELL), (B, WELL)), 7, "rollback-version"),
    "one that failed": (past((A, BADLY), (B, WELL)), 1, "rollback-version"),
    "no parameters": (past((A, WELL), (B, WELL), params=False), None, "rollback-no-parameters"),
}


@pytest.mark.parametrize(("found", "version", "code"), REFUSED.values(), ids=REFUSED)
def test_nothing_to_go_back_to(request_: Request, found: Past, version: int | None, code: str) -> None:
    with pytest.raises(MlinfraError) as caught:
        last_good(request_, found, ["api"], {"api": B}, version)
    assert [item.code for item in caught.value.diagnostics] == [code]


# ------------------------------------------------------------------------------------------------ what is kept

ROLLED = RolledBack(
    "api",
    3,
    (Pin(("serve", "image"), "a", ("b", None)), Pin(("model",), None, ("m",))),
    (B,),
)


@pytest.mark.parametrize(
    ("params", "holds"),
    [
        ({"serve": {"image": "b"}, "model": "m"}, True),
        ({"serve": {"image": "a"}, "model": "m"}, True),  # the file agrees in part
        ({"serve": {"image": None}, "model": None}, True),
        ({"serve": {"image": "a"}, "model": None}, False),  # it agrees
        ({"serve": {"image": "c"}, "model": "m"}, False),  # it says something new
        ({"serve": {}, "model": "m"}, False),
        ({}, False),
    ],
)
def test_a_rollback_holds_while_the_stack_file_says_what_was_withdrawn(params: dict[str, Any], holds: bool) -> None:
    assert ROLLED.holds(params) is holds


def test_it_is_read_back_from_a_state() -> None:
    component = {"urn": "urn:pulumi:s::p::mlinfra:component:Endpoint::api", "custom": False}
    inputs = {"rolled_back": ROLLED.as_fact(), "release": A}
    assert in_state([{**component, "inputs": inputs}, {"urn": "x::y", "custom": True}]) == [ROLLED]
    assert released_in([{**component, "inputs": inputs}]) == {"api": A}


def test_what_to_write_into_the_stack_file() -> None:
    assert to_write(ROLLED.values) == "params:\n  serve:\n    image: a\n  model: null"


# ------------------------------------------------------------------------------------------------ parameters


class Shop(Params):
    image: Image | None = None
    scale: Autoscale = Autoscale(min=1, max=2)
    token: SecretStr = SecretStr("never shown")
    tags: dict[str, str] = Field(default_factory=dict)


def test_parameters_as_plain_data() -> None:
    image = "registry.example.com/serve@sha256:" + "ab" * 32
    assert plain_params(Shop(image=Image(image), tags={"a": "b"})) == {
        "image": image,
        "scale": {"min": 1, "max": 2},  # as it was written
        "tags": {"a": "b"},
    }


def test_differences_go_down_to_where_keys_differ() -> None:
    now = {"serve": {"image": "b", "scale": 3}, "model": {"name": "m"}, "new": 1, "same": [1]}
    then = {"serve": {"image": "a", "scale": 3}, "model": {"name": "m", "alias": "x"}, "gone": 1, "same": [1]}
    found = differences(now, then)
    assert found == {("serve", "image"): "a", ("model",): {"name": "m", "alias": "x"}}
    assert nested(found) == {"serve": {"image": "a"}, "model": {"name": "m", "alias": "x"}}
    assert at(now, ("serve", "image", "tag")) is MISSING


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.sampled_from("pqr"), VALUES, max_size=3)


@given(PARAMS, PARAMS)
def test_all_differences_together_are_what_was_then(now: dict[str, Any], then: dict[str, Any]) -> None:
    changed = {**now, **with_values(now, differences(now, then))}
    assert {key: changed[key] for key in now if key in then} == {key: then[key] for key in now if key in then}
