"""The graph as data: it reads back, its bytes are the same everywhere, order respects references, circles are named."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import Location
from mlinfra.graph import (
    REDACTED,
    Call,
    CycleError,
    Document,
    Graph,
    Join,
    Kind,
    Node,
    Options,
    Pool,
    Ref,
    Secret,
    from_json,
    join,
    references,
    to_json,
    walk,
)

NAMES = st.text("abcdefgh/-", min_size=1, max_size=8)
KEYS = st.text(max_size=6) | st.sampled_from(["$ref", "$join", "$json", "$call", "$secret", "$object", "$", "$$ref"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PATHS = st.lists(st.text(max_size=4) | st.integers(0, 9), min_size=1, max_size=3).map(tuple)
VALUES = st.recursive(
    SCALARS | st.builds(Ref, NAMES, PATHS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.builds(Join, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Document, inner)
        | st.builds(Call, NAMES, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Secret, inner)
    ),
    max_leaves=10,
)
TEXTS = st.lists(NAMES, max_size=2).map(tuple)
OPTIONS = st.builds(
    Options,
    protect=st.booleans(),
    retain_on_delete=st.booleans(),
    delete_before_replace=st.booleans(),
    ignore_changes=TEXTS,
    replace_on_changes=TEXTS,
    aliases=TEXTS,
    depends_on=TEXTS,
    secret_outputs=TEXTS,
    provider=st.none() | NAMES,
    import_id=st.none() | NAMES,
    timeout_seconds=st.integers(0, 3600),
)
POOLS = st.builds(
    Pool,
    name=NAMES,
    instance_type=st.text(max_size=5),
    cpu=st.floats(0, 200),
    memory=st.floats(0, 2000),
    gpus=st.integers(0, 16),
    spot=st.booleans(),
    labels=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    taints=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3)), max_size=2).map(tuple),
)


NAMES_OF_OUTPUTS = KEYS.filter(lambda key: not key.startswith("$"))  # names stand beside each other, not in a value


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    nodes = {
        name: Node(
            name,
            draw(st.text(max_size=5)),
            draw(st.dictionaries(KEYS, VALUES, max_size=3)),
            draw(st.sampled_from(Kind)),
            draw(st.none() | NAMES),
            draw(OPTIONS),
        )
        for name in names
    }
    return Graph(
        blueprint=draw(st.text(max_size=5)),
        version=draw(st.text(max_size=5)),
        environment=draw(st.text(max_size=5)),
        nodes=nodes,
        outputs=draw(st.dictionaries(NAMES_OF_OUTPUTS, VALUES, max_size=3)),
        pools=tuple(draw(st.lists(POOLS, max_size=2))),
        sources={name: Location(draw(st.text(max_size=5)), draw(st.none() | st.integers(1, 99))) for name in names[:2]},
    )


def graph_of(**edges: str) -> Graph:
    """A graph in which each name refers to those in its text."""
    nodes = {
        name: Node(name, "t", {str(index): Ref(other) for index, other in enumerate(others.split())})
        for name, others in edges.items()
    }
    return Graph("b", "1", "dev", nodes)


# ------------------------------------------------------------------------------------------------ JSON


@given(graph=graphs())
def test_a_graph_reads_back(graph: Graph) -> None:
    assert Graph.from_json(graph.to_json(reveal=True)) == graph
    assert Graph.from_json(json.loads(graph.dumps(reveal=True))) == graph


@given(value=VALUES)
def test_a_value_reads_back(value: Any) -> None:
    assert from_json(json.loads(json.dumps(to_json(value, reveal=True)))) == value


@given(graph=graphs())
def test_what_is_written_is_plain_json_without_secrets(graph: Graph) -> None:
    revealed, written = graph.to_json(reveal=True), graph.to_json()
    assert json.loads(json.dumps(written)) == written
    assert _without_secrets(revealed) == _without_secrets(written)
    assert all(found == REDACTED for found in _secrets(written))


def _secrets(data: Any) -> list[Any]:
    """What stands in `$secret`, outside of objects whose own keys begin with `$`."""
    if isinstance(data, list):
        return [found for item in data for found in _secrets(item)]
    if not isinstance(data, dict):
        return []
    if set(data) == {"$secret"}:
        return [data["$secret"]]
    inner = data["$object"] if set(data) == {"$object"} else data
    return [found for item in inner.values() for found in _secrets(item)] if isinstance(inner, dict) else []


def _without_secrets(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_secrets(item) for item in data]
    if not isinstance(data, dict):
        return data
    if set(data) == {"$secret"}:
        return None
    if set(data) == {"$object"}:
        return {"$object": {key: _without_secrets(item) for key, item in data["$object"].items()}}
    return {key: _without_secrets(item) for key, item in data.items()}


@given(graph=graphs(), data=st.data())
def test_the_order_in_which_nodes_are_made_changes_no_byte(graph: Graph, data: st.DataObject) -> None:
    shuffled = {name: graph.nodes[name] for name in data.draw(st.permutations(sorted(graph.nodes)))}
    other = Graph(
        graph.blueprint, graph.version, graph.environment, shuffled, graph.outputs, graph.pools, graph.sources
    )
    assert other.dumps() == graph.dumps()


_PROGRAM = """
import sys
from mlinfra.graph import *
names = {f"n{i}" for i in range(40)}
made = {n: {k: join("é", Ref("n0", (k,))) for k in {"b", "a", "ü", "$x"}} if n != "n0" else {} for n in names}
options = Options(ignore_changes=tuple(sorted(names))[:3])
nodes = {n: Node(n, "t", made[n], options=options) for n in names}
graph = Graph("b", "1", "dev", nodes, {"z": Document({"b": 1, "a": 0.1}), "a": 1e21})
sys.stdout.buffer.write(graph.dumps().encode() + repr([n.name for n in graph.topological()]).encode())
"""


def test_the_bytes_are_the_same_on_every_machine() -> None:
    surroundings = [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C.UTF-8"},
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata", "LANG": "de_DE.UTF-8"},
        {"PYTHONHASHSEED": "4711", "TZ": "America/St_Johns", "LANG": "C", "LC_ALL": "C"},
    ]
    told = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM], env={**os.environ, **item}, capture_output=True, check=True
        ).stdout
        for item in surroundings
    }
    assert len(told) == 1


def test_the_form_of_each_marked_value() -> None:
    value = {
        "ref": Ref("a")["x"][0],
        "join": join("s3://", Ref("a"), "/*"),
        "document": Document([1]),
        "call": Call("first", ([1, 2], 1)),
        "secret": Secret("hush"),
        "object": {"$ref": ["not", "one"]},
    }
    assert to_json(value) == {
        "ref": {"$ref": ["a", "id", "x", 0]},
        "join": {"$join": ["s3://", {"$ref": ["a", "id"]}, "/*"]},
        "document": {"$json": [1]},
        "call": {"$call": ["first", [1, 2], 1]},
        "secret": {"$secret": "[secret]"},
        "object": {"$object": {"$ref": ["not", "one"]}},
    }
    assert "hush" not in repr(value)


def test_another_format_is_refused() -> None:
    record = graph_of(a="").to_json()
    with pytest.raises(ValueError, match="a graph of format 2; this version reads format 1"):
        Graph.from_json({**record, "format": 2})


@pytest.mark.parametrize("value", [(1, 2), {1}, object(), b"bytes", 1j])
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"a {type(value).__name__} cannot stand in a graph"):
        to_json({"deep": [value]})


# ------------------------------------------------------------------------------------------------ references and order


@given(value=VALUES)
def test_references_are_the_refs_within(value: Any) -> None:
    written = json.dumps(to_json(value, reveal=True))
    assert set(references(value)) == {item for item in walk(value) if isinstance(item, Ref)}
    assert all(json.dumps([item.node, *item.path]) in written for item in references(value))


def test_what_a_node_waits_for() -> None:
    inputs = {"a": [Ref("in")], "b": Document({"x": Secret(Ref("secret"))}), "c": Call("f", (join("x", Ref("call")),))}
    node = Node("n", "t", inputs, component="parent", options=Options(depends_on=("order",), provider="provider"))
    assert node.references() == {"in", "secret", "call", "parent", "order", "provider"}


@given(edges=st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 12)), max_size=13))
def test_the_order_respects_references_or_a_circle_is_named(edges: dict[int, set[int]]) -> None:
    graph = graph_of(**{f"n{name}": " ".join(f"n{other}" for other in others) for name, others in edges.items()})
    circle: list[str] = []
    try:
        order = [node.name for node in graph.topological()]
    except CycleError as error:
        circle = error.names
    if circle:
        assert circle[0] == circle[-1] == min(circle)
        assert len(set(circle)) == len(circle) - 1
        for user, name in itertools.pairwise(circle):
            assert name in graph.nodes[user].references()
        return
    assert sorted(order) == sorted(graph.nodes)
    for position, name in enumerate(order):
        assert graph.nodes[name].references() & set(graph.nodes) <= set(order[:position])


@given(edges=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40))
def test_what_goes_one_way_only_has_an_order(edges: list[tuple[int, int]]) -> None:
    needs: dict[int, set[int]] = {name: set() for name in range(21)}
    for one, other in edges:
        if one != other:
            needs[max(one, other)].add(min(one, other))
    graph = graph_of(**{f"n{name:02}": " ".join(f"n{other:02}" for other in needs[name]) for name in needs})
    assert len(graph.topological()) == 21


def test_where_there_is_a_choice_the_order_is_by_name() -> None:
    assert [node.name for node in graph_of(b="", a="z", z="", c="").topological()] == ["b", "c", "z", "a"]


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ({"a": "a"}, ["a", "a"]),
        ({"a": "b", "b": "a"}, ["a", "b", "a"]),
        ({"x": "b", "b": "c", "c": "d", "d": "b", "e": ""}, ["b", "c", "d", "b"]),
    ],
)
def test_a_circle_is_named_from_its_first_name(edges: dict[str, str], names: list[str]) -> None:
    with pytest.raises(CycleError, match=" → ".join(names)) as caught:
        graph_of(**edges).topological()
    assert caught.value.names == names


def test_dangling_references() -> None:
    nodes = {
        "a": Node("a", "t", {"x": Ref("b")}, component="gone", options=Options(depends_on=("lost",))),
        "b": Node("b", "t"),
    }
    graph = Graph("b", "1", "dev", nodes, {"url": join("http://", Ref("nowhere")), "fine": Ref("a")})
    assert graph.dangling() == [("a", "gone"), ("a", "lost"), ("output url", "nowhere")]


def test_the_source_of_a_node_is_that_of_its_component() -> None:
    place = Location("blueprints/b.py", 3)
    nodes = {
        "c": Node("c", "t", kind=Kind.COMPONENT),
        "c/n": Node("c/n", "t", component="c"),
        "@aws": Node("@aws", "t"),
    }
    graph = Graph("b", "1", "dev", nodes, sources={"c": place})
    assert [graph.source_of(name) for name in ("c", "c/n", "@aws", "no")] == [place, place, None, None]
    assert "sources" not in graph.to_json(sources=False)
