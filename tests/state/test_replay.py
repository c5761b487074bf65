"""The replay of journals, held against the engine's own replayer: made from a seed, recorded, and broken ones."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.state.replay import ZERO_TIME, Replayed, ReplayError, replay
from mlinfra.tools.go import MODULES
from mlinfra.tools.table import TOOLS
from tests.state.replayer.engine import HERE, VERSION, EngineError, Replayer, running
from tests.state.replayer.journals import (
    BEGIN,
    OUTPUTS,
    REBUILT,
    REFRESH_SUCCESS,
    SECRETS_MANAGER,
    STACK,
    SUCCESS,
    WRITE,
    Update,
)

JOURNALS = Path(__file__).parent / "journals"
RECORDED = {
    f"{path.stem}-{number}": line
    for path in sorted(JOURNALS.glob("*.jsonl"))
    for number, line in enumerate(path.read_text().splitlines(), 1)
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Replayer]:
    with running() as replayer:
        yield replayer


def comparable(deployment: dict[str, Any]) -> dict[str, Any]:
    """Without the time, and with operations in an order of their own: the engine keeps those of a journal in none."""
    operations = sorted(deployment.get("pending_operations", []), key=lambda item: json.dumps(item, sort_keys=True))
    manifest = {**deployment["manifest"], "time": ZERO_TIME}
    return {**deployment, "manifest": manifest, "pending_operations": operations}


def equal(engine: Replayer, base: dict[str, Any] | None, entries: list[dict[str, Any]]) -> bool:
    """Hold both replays of one journal against each other; False where both refuse it."""
    before = copy.deepcopy((base, entries))
    try:
        ours: Replayed | ReplayError = replay(base, entries, VERSION)
    except ReplayError as error:
        ours = error
    assert (base, entries) == before
    try:
        theirs = engine.replay(base, entries)
    except EngineError as error:
        theirs = {"error": str(error)}
    if "error" in theirs or isinstance(ours, ReplayError):
        assert "error" in theirs, ours
        assert isinstance(ours, ReplayError), theirs
        return False
    assert (ours.version, ours.features) == (theirs["version"], theirs.get("features", []))
    assert comparable(ours.deployment) == comparable(theirs["deployment"])
    return True


def test_the_replayer_is_of_the_engine_that_is_used() -> None:
    """Its modules are those that the engine is built of, at the same versions."""
    theirs, ours = (
        dict(re.findall(r"^\t(\S+) (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE))
        for folder in (MODULES / "pulumi", HERE)
    )
    assert ours.items() <= theirs.items()
    assert theirs["github.com/pulumi/pulumi/pkg/v3"] == VERSION == f"v{TOOLS['pulumi'].version}"


# ------------------------------------------------------------------------------------------------ sound journals


def hold(engine: Replayer, seeds: range) -> None:
    """Hold the journals of some seeds against the engine."""
    for seed in seeds:
        update = Update(seed)
        try:
            assert equal(engine, update.base, update.entries), "refused"
        except AssertionError as error:
            raise AssertionError(f"Update({seed}): {error}") from None


@pytest.mark.parametrize("start", range(0, 3000, 500))
def test_random_journals(engine: Replayer, start: int) -> None:
    hold(engine, range(start, start + 500))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(3000, 63_000, 10_000))
def test_many_more_random_journals(engine: Replayer, start: int) -> None:
    hold(engine, range(start, start + 10_000))


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_journals(engine: Replayer, name: str) -> None:
    """Whole, and broken off after each entry: what a crash at that moment would have left."""
    journal = json.loads(RECORDED[name])
    for length in range(len(journal["entries"]) + 1):
        assert equal(engine, journal["base"], journal["entries"][:length])


def test_there_are_recorded_journals() -> None:
    assert len(RECORDED) >= 20


@pytest.mark.parametrize("seed", range(40))
def test_entries_count_in_the_order_of_their_sequence_ids(seed: int) -> None:
    update = Update(seed)
    shuffled = random.Random(seed).sample(update.entries, len(update.entries))
    assert replay(update.base, shuffled) == replay(update.base, update.entries)


EMPTY = {
    "aliases": [],
    "delete": False,
    "deletedWith": "",
    "dependencies": None,
    "parent": None,
    "propertyDependencies": {"p": None},
    "provider": "",
    "replaceWith": None,
    "resourceHooks": {},
    "viewOf": "",
}


def test_empty_fields_of_an_imported_base_mean_nothing(engine: Replayer) -> None:
    """The engine leaves empty fields out, a person who edits a state may not: the engine reads both replays as one."""
    for seed in range(200):
        update = Update(seed)
        if update.base is None:
            continue
        base = {**update.base, "resources": [{**EMPTY, **state} for state in update.base.get("resources", [])]}
        ours = replay(base, update.entries, VERSION)
        theirs = engine.replay(base, update.entries)
        read_back = engine.replay(ours.deployment, [])
        assert (ours.version, ours.features) == (theirs["version"], theirs.get("features", [])), seed
        assert read_back["deployment"].get("resources") == theirs["deployment"].get("resources"), seed


# ------------------------------------------------------------------------------------------------ examples

PROVIDER = "pulumi:providers:aws"


def urn(name: str, token: str = "aws:s3/bucket:Bucket") -> str:
    return f"urn:pulumi:dev::shop::{token}::{name}"


def state(name: str, token: str = "aws:s3/bucket:Bucket", **fields: Any) -> dict[str, Any]:
    return {"urn": urn(name, token), "custom": True, "type": token.rpartition("$")[2], "id": name, **fields}


def entry(sequence: int, kind: int, number: int = 0, /, **fields: Any) -> dict[str, Any]:
    return {"version": 1, "kind": kind, "sequenceID": sequence, "operationID": number, **fields}


def begin(sequence: int, operation: int, name: str, kind: str = "creating") -> dict[str, Any]:
    return entry(sequence, BEGIN, operation, operation={"resource": state(name), "type": kind})


BASE: dict[str, Any] = {"resources": [state("a"), state("b")], "secrets_providers": {"type": "passphrase", "state": {}}}


def test_an_empty_journal_on_nothing() -> None:
    manifest = {"time": ZERO_TIME, "magic": "", "version": ""}
    assert replay(None, []) == Replayed(3, [], {"manifest": manifest, "metadata": {}})


def test_the_manifest_tells_version_and_time() -> None:
    manifest = replay(BASE, [], "v3.222.0", "2026-01-02T03:04:05Z").deployment["manifest"]
    magic = "7b54cd6e79f5cecd9ae124cb92b834b486c7e21993124e3a4e456c27c3ce48f9"
    assert manifest == {"time": "2026-01-02T03:04:05Z", "magic": magic, "version": "v3.222.0"}


def test_what_a_crash_leaves_open_is_pending() -> None:
    base = BASE | {"pending_operations": [{"resource": state(kind), "type": kind} for kind in ("creating", "deleting")]}
    entries = [begin(1, 1, "c"), begin(2, 2, "d"), entry(3, SUCCESS, 2, state=state("d"))]
    deployment = replay(base, entries).deployment
    assert [item["id"] for item in deployment["resources"]] == ["d", "a", "b"]
    assert [item["resource"]["id"] for item in deployment["pending_operations"]] == ["c", "creating"]


def test_features_want_schema_version_4() -> None:
    entries = [begin(1, 1, "c"), entry(2, SUCCESS, 1, state=state("c", taint=True, viewOf=urn("a")))]
    replayed = replay(BASE, entries)
    assert (replayed.version, replayed.features) == (4, ["taint", "views"])


def test_children_move_with_a_renamed_component() -> None:
    team, crew = urn("team", "shop:index:Team"), urn("crew", "shop:index:Team")
    child = state("c", "shop:index:Team$aws:s3/bucket:Bucket", parent=team)
    base = {"resources": [state("team", "shop:index:Team"), child, state("d", dependencies=[child["urn"]])]}
    renamed = state("crew", "shop:index:Crew", aliases=[team])
    moved = replay(base, [entry(1, SUCCESS, 1, state=renamed, removeOld=0)]).deployment["resources"]
    new = urn("c", "shop:index:Crew$aws:s3/bucket:Bucket")
    assert [item["urn"] for item in moved] == [urn("crew", "shop:index:Crew"), new, urn("d")]
    assert (moved[1]["parent"], moved[2]["dependencies"]) == (urn("crew", "shop:index:Crew"), [new])
    assert crew not in json.dumps(moved)


def test_a_provider_without_an_id_has_an_unknown_one(engine: Replayer) -> None:
    base = {"resources": [state("p", PROVIDER), state("a", provider=f"{urn('p', PROVIDER)}::")]}
    assert equal(engine, base, [])


def test_the_engine_dies_of_dangling_replace_with_and_we_do_not(engine: Replayer) -> None:
    found = state("a", replaceWith=[urn("gone"), urn("gone too"), urn("and this")])
    entries = [entry(1, REFRESH_SUCCESS, 1, state=found, removeOld=0)]
    with pytest.raises(EngineError, match="index out of range"):
        engine.replay(BASE, entries)
    resources = replay(BASE, entries).deployment["resources"]
    assert resources[0]["replaceWith"] == [*found["replaceWith"], "", ""]
    assert resources[1]["replaceWith"] == [""]


# ------------------------------------------------------------------------------------------------ broken journals

NEW = entry(1, SUCCESS, 1, state=state("c"))

BROKEN: dict[str, tuple[Any, list[Any], str, bool]] = {
    # name: base, entries, words of the refusal, whether the engine's replayer refuses too
    "removes-what-no-operation-made": (BASE, [entry(1, SUCCESS, 1, removeNew=7)], "removeNew is 7", False),
    "removes-its-own-begin": (BASE, [begin(1, 1, "c"), entry(2, SUCCESS, 2, removeNew=1)], "removeNew is 1", False),
    "marks-what-no-operation-made": (BASE, [NEW, entry(2, SUCCESS, 2, deleteNew=7)], "deleteNew is 7", False),
    "marks-with-nothing-new": (BASE, [entry(1, SUCCESS, 2, deleteNew=7)], "deleteNew is 7", True),
    "replaces-with-nothing-new": (
        BASE,
        [entry(1, SUCCESS, 2, pendingReplacementNew=7)],
        "pendingReplacementNew is 7",
        True,
    ),
    "refreshes-with-nothing-new": (
        BASE,
        [entry(1, REFRESH_SUCCESS, 2, state=state("a"), removeNew=7)],
        "removeNew is 7",
        True,
    ),
    "outputs-of-nothing": (BASE, [entry(1, OUTPUTS, 2, state=state("a"), removeNew=7)], "removeNew is 7", True),
    "index-beyond-the-base": (BASE, [entry(1, SUCCESS, 1, removeOld=2)], "the base has 2 resources", False),
    "index-into-no-base": (None, [entry(1, SUCCESS, 1, deleteOld=0)], "the base has 0 resources", False),
    "negative-index": (BASE, [entry(1, SUCCESS, 1, pendingReplacementOld=-1)], "pendingReplacementOld is -1", False),
    "index-as-text": (BASE, [entry(1, SUCCESS, 1, removeOld="0")], "removeOld is not a whole number", True),
    "index-as-fraction": (BASE, [entry(1, SUCCESS, 1, removeOld=0.5)], "removeOld is not a whole number", True),
    "index-as-boolean": (BASE, [entry(1, SUCCESS, 1, removeOld=True)], "removeOld is not a whole number", True),
    "made-twice": (BASE, [NEW, {**NEW, "sequenceID": 2}], "operation 1 has ended with a resource already", False),
    "same-sequence-id": (BASE, [NEW, NEW], "another one of this sequence id", False),
    "no-sequence-id": (BASE, [entry(0, SUCCESS, 1)], "no sequence id", False),
    "later-version": (BASE, [{**NEW, "version": 2}], "not of version 1", False),
    "unknown-kind": (BASE, [entry(1, 8)], "no kind 8", False),
    "entry-no-object": (BASE, [[]], "an entry is not an object", True),
    "state-no-object": (BASE, [entry(1, SUCCESS, 1, state=[])], "a resource is not an object", True),
    "references-no-list": (BASE, [entry(1, SUCCESS, 1, state=state("c", dependencies="a"))], "not a list", True),
    "urn-no-text": (BASE, [entry(1, SUCCESS, 1, state={"urn": 1})], "urn is not a text", True),
    "operation-without-type": (BASE, [entry(1, BEGIN, 1, operation={"resource": state("c")})], "has no type", False),
    "base-no-object": ([], [], "the base is not an object", True),
    "write-of-nothing": (BASE, [entry(1, WRITE)], "the base is not an object", True),
    "write-after-marks": (
        BASE,
        [entry(1, SUCCESS, 1, removeOld=0), entry(2, WRITE, newSnapshot=BASE)],
        "after other entries have pointed into it",
        False,
    ),
    "no-secrets-provider": (BASE, [entry(1, SECRETS_MANAGER)], "takes the secrets provider away", True),
    "after-a-rebuilt-base-with-new-resources": (
        BASE,
        [NEW, entry(2, REBUILT), entry(3, SUCCESS, 2, removeOld=0)],
        "must be the last",
        False,
    ),
    "same-alias": (
        {"resources": [state("a", aliases=[urn("old")]), state("b", aliases=[urn("old")])]},
        [],
        "have the same alias",
        True,
    ),
    "provider-no-reference": ({"resources": [state("a", provider="aws")]}, [], "not a URN", True),
    "provider-no-provider": ({"resources": [state("a", provider=f"{urn('b')}::id")]}, [], "not a reference", True),
    "provider-renamed-to-none": (
        {"resources": [state("p", aliases=[urn("p", PROVIDER)]), state("a", provider=f"{urn('p', PROVIDER)}::id")]},
        [],
        "not a reference",
        True,
    ),
    "child-without-urn": (
        {"resources": [state("t", "shop:index:Team", aliases=["t0"]), {"type": "x:y:Z", "urn": "c", "parent": "t0"}]},
        [],
        "'c' is not a URN",
        True,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_journals_are_refused(engine: Replayer, name: str) -> None:
    """Whatever the engine refuses, and what it would take for something else than it says."""
    base, entries, words, engine_refuses = BROKEN[name]
    with pytest.raises(ReplayError, match=re.escape(words)) as refused:
        replay(base, entries)
    told = refused.value.sequence
    assert told is None or f"journal entry {told}: " in str(refused.value)
    if engine_refuses:
        with pytest.raises(EngineError):
            engine.replay(base, entries)
    else:
        engine.replay(base, entries)


def test_the_entries_before_the_one_at_fault_are_sound() -> None:
    entries = [NEW, entry(5, SUCCESS, 2, state=state("d")), entry(9, SUCCESS, 3, removeNew=4)]
    with pytest.raises(ReplayError, match="removeNew is 4") as refused:
        replay(BASE, entries)
    assert refused.value.sequence == 9
    sound = replay(BASE, entries[:2]).deployment["resources"]
    assert [item["id"] for item in sound] == ["c", "d", "a", "b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
URNS = st.sampled_from([STACK, urn("a"), urn("b"), f"{urn('p', PROVIDER)}::id", "urn:pulumi:dev::shop", ""])
REFERENCES = ("urn", "parent", "provider", "deletedWith", "viewOf")
STATE = st.fixed_dictionaries(
    {"id": st.just("a")},
    optional=dict.fromkeys(REFERENCES, URNS | JSON)
    | dict.fromkeys(("dependencies", "aliases", "replaceWith"), st.lists(URNS, max_size=3) | JSON)
    | {"propertyDependencies": st.dictionaries(st.just("p"), st.lists(URNS) | JSON) | JSON},
)
OPERATION = st.fixed_dictionaries({"type": st.sampled_from(["creating", "deleting"]) | JSON, "resource": STATE | JSON})
DEPLOYMENT = st.fixed_dictionaries(
    {"resources": st.lists(STATE, max_size=4) | JSON},
    optional={"pending_operations": st.lists(OPERATION, max_size=2) | JSON, "secrets_providers": JSON},
)
POINTERS = [f"{name}{which}" for name in ("remove", "delete", "pendingReplacement") for which in ("Old", "New")]
ENTRY = st.fixed_dictionaries(
    {"kind": st.integers(0, 7) | JSON, "sequenceID": st.integers(1, 60) | JSON, "version": st.just(1) | JSON},
    optional=dict.fromkeys(POINTERS, st.integers(0, 3) | JSON)
    | {
        "operationID": st.integers(0, 4) | JSON,
        "state": STATE | JSON,
        "operation": OPERATION | JSON,
        "isRefresh": JSON,
        "secretsProvider": JSON,
        "newSnapshot": DEPLOYMENT | JSON,
    },
)


@settings(max_examples=300)
@given(base=DEPLOYMENT | JSON, entries=st.lists(ENTRY | JSON, max_size=8))
def test_whatever_comes_in_is_replayed_or_refused(base: Any, entries: list[Any]) -> None:
    before = copy.deepcopy((base, entries))
    with suppress(ReplayError):
        assert replay(base, entries, VERSION).version in (3, 4)
    assert (base, entries) == before
