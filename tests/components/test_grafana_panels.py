from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.components.grafana_panels import (
    Page,
    Panel,
    Query,
    Row,
    dashboard,
    expressions,
    limit,
    text,
    with_sources,
)
from tests.components.grafana_schema import problems

UP = Query("sum(up)", "{{component}}")
PAGE = Page(
    "sample",
    "Sample",
    (
        Row("open", tuple(Panel(f"panel {number}", (UP, limit(0.05))) for number in range(4))),
        Row("closed", (Panel("value", (UP,), "s", "stat", 6, names=True), Panel("lines", (UP,), most=1)), True),
    ),
)


def test_panels_lie_beside_and_below_each_other_and_none_on_another() -> None:
    panels = dashboard(PAGE, "uid", ())["panels"]
    assert [panel["type"] for panel in panels] == ["row", *["timeseries"] * 4, "row"]
    places = [tuple(panel["gridPos"].values()) for panel in panels]
    assert places == [
        (1, 24, 0, 0), (8, 8, 0, 1), (8, 8, 8, 1), (8, 8, 16, 1), (8, 8, 0, 9), (1, 24, 0, 17),
    ]  # fmt: skip
    assert [panel["gridPos"] for panel in panels[-1]["panels"]] == [
        {"h": 4, "w": 6, "x": 0, "y": 18},
        {"h": 8, "w": 8, "x": 6, "y": 18},
    ]
    numbers = [panel["id"] for panel in (*panels, *panels[-1]["panels"])]
    assert len(set(numbers)) == len(numbers)


def test_the_same_page_is_the_same_text() -> None:
    assert text(PAGE, "uid", ["b", "a"]) == text(PAGE, "uid", ["a", "b"])


def test_limits_are_lines() -> None:
    assert limit(0.05).expression == "vector(0.05)"
    assert limit(36000).expression == "vector(36000)"


def test_what_has_no_source_is_left_out() -> None:
    panels = (
        Panel("kept in part", (UP, Query("rate(gone_total[5m])"), limit(1))),
        Panel("gone", (Query("a_metric / gone_total"),)),
        Panel("lines alone", (limit(1),)),
    )
    page = Page("p", "P", (Row("kept", panels), Row("empty", panels[1:])))
    kept = with_sources(page, lambda name: name in ("up", "a_metric"))
    assert kept is not None
    assert [(row.title, [panel.title for panel in row.panels]) for row in kept.rows] == [("kept", ["kept in part"])]
    assert expressions([kept]) == ("sum(up)", "vector(1)")
    assert with_sources(page, lambda name: False) is None


def test_the_schema_takes_it() -> None:
    assert problems(dashboard(PAGE, "uid", ("a",))) == []


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a field that is not there": (lambda it: it.update(titel="x"), "titel"),
    "a panel's field": (lambda it: it["panels"][1].update(colour=1), "colour"),
    "a query's field": (lambda it: it["panels"][1]["targets"][0].update(expression="x"), "expression"),
    "an option's word": (lambda it: it["panels"][1]["options"]["legend"].update(displayMode="lits"), "display_mode"),
    "a text for a number": (lambda it: it["panels"][1]["gridPos"].update(h="4"), "grid_pos.h"),
    "a way of drawing": (
        lambda it: it["panels"][1]["fieldConfig"]["defaults"]["custom"].update(drawStyle="lin"),
        "draw_style",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_the_schema_refuses(case: tuple[Callable[[dict[str, Any]], Any], str]) -> None:
    document = json.loads(text(PAGE, "uid", ()))
    change, word = case
    change(document)
    (problem,) = problems(document)
    assert word in problem
