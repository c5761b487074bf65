"""Dashboards as plain data, and the JSON that Grafana reads.

A page has rows, a row has panels, a panel has queries. Panels are laid out from left to right, one line after the
other. Source of the JSON's form: Grafana, "Dashboard JSON model", and the schema that Grafana publishes for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from mlinfra.components.config_files import as_json
from mlinfra.components.promql import metrics_in

SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
"""The data source of every panel, as it is provisioned."""

WINDOW: Final = "$__rate_interval"
"""The window of rates: Grafana puts at least four looks of Prometheus there (Grafana, "Prometheus template variables",
"Use `$__rate_interval`")."""

SCHEMA_VERSION: Final = 41
"""The version of the dashboard schema that this is written for; newer ones of Grafana bring it up to theirs."""

Kind = Literal["timeseries", "stat"]
Has = Callable[[str], bool]
"""Whether something exports a metric, by its name."""

_WIDTH: Final = 24
_HEIGHT: Final = {"timeseries": 8, "stat": 4}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what a series of its result is called: `{{label}}` stands for the label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture of some queries over time, or `stat`, of their last values.

    `unit` is a unit of Grafana's: `reqps`, `percentunit`, `s`, `short`, … `width` is in parts of 24. `says` is what a
    reader needs to know to understand it.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    says: str = ""
    most: float | None = None
    """The upper end of the axis; None: as the values want it."""
    stacked: bool = False
    names: bool = False
    """Whether a `stat` shows the names of its series instead of their values."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard. `key` tells it from the others of a stack; `hours` is how far back it looks at first."""

    key: str
    title: str
    rows: tuple[Row, ...]
    hours: int = 6


def limit(value: float, name: str = "limit") -> Query:
    """A line at a value."""
    return Query(f"vector({value:.15g})", name)


# ------------------------------------------------------------------------------------------------ what has a source


def with_sources(page: Page, has: Has) -> Page | None:
    """The page without what would stay empty, since nothing exports it; None where nothing is left."""
    rows = []
    for row in page.rows:
        panels = [kept for panel in row.panels if (kept := _fed(panel, has))]
        if panels:
            rows.append(replace(row, panels=tuple(panels)))
    return replace(page, rows=tuple(rows)) if rows else None


def _fed(panel: Panel, has: Has) -> Panel | None:
    """A panel with those of its queries that have a source; lines alone make no picture."""
    queries = tuple(query for query in panel.queries if all(map(has, metrics_in(query.expression))))
    return replace(panel, queries=queries) if any(metrics_in(query.expression) for query in queries) else None


def expressions(pages: Iterable[Page]) -> tuple[str, ...]:
    """All that the pages ask Prometheus for."""
    panels = (panel for page in pages for row in page.rows for panel in row.panels)
    return tuple(query.expression for panel in panels for query in panel.queries)


# ------------------------------------------------------------------------------------------------ JSON


def text(page: Page, uid: str, tags: Iterable[str]) -> str:
    """The JSON of a page; `uid` is its name in addresses, at most 40 characters."""
    return as_json(dashboard(page, uid, tags))


def dashboard(page: Page, uid: str, tags: Iterable[str]) -> dict[str, Any]:
    """A page as Grafana's dashboard model."""
    return {
        "uid": uid,
        "title": page.title,
        "tags": sorted(tags),
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,  # one crosshair for all panels
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": f"now-{page.hours}h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": _laid_out(page.rows),
    }


def _laid_out(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows below each other. The panels of a row that is closed are within it, those of an open one follow it."""
    found: list[dict[str, Any]] = []
    number = top = 0
    for row in rows:
        number += 1
        heading = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": top},
        }
        panels: list[dict[str, Any]] = []
        left, line, height = 0, top + 1, 0
        for panel in row.panels:
            if left + panel.width > _WIDTH:
                left, line, height = 0, line + height, 0
            number += 1
            size = {"h": _HEIGHT[panel.kind], "w": panel.width, "x": left, "y": line}
            panels.append({"id": number, "gridPos": size, **_panel(panel)})
            left, height = left + panel.width, max(height, _HEIGHT[panel.kind])
        found.append({**heading, "panels": panels if row.collapsed else []})
        found += [] if row.collapsed else panels
        top = top + 1 if row.collapsed else line + height
    return found


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "custom": _lines(panel)}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "stat":
        del defaults["custom"]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "targets": [_target(number, query, panel.kind) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS if panel.kind == "timeseries" else _values(panel),
    }


def _target(number: int, query: Query, kind: Kind) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "range": kind == "timeseries",
        "instant": kind == "stat",
    }


def _lines(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 5,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
    }


_OPTIONS: Final[Mapping[str, Any]] = {
    "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _values(panel: Panel) -> dict[str, Any]:
    return {
        "colorMode": "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "name" if panel.names else "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
