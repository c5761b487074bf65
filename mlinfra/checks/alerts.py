"""Alerts that reach nobody: without a route, by a route without a receiver, to a receiver that tells nobody.

What counts is what Prometheus and Alertmanager are given, in ConfigMaps or as the Prometheus operator's objects,
whoever wrote it. Sources: Prometheus, "Alerting rules"; Alertmanager, "Configuration" (routes, matchers, receivers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import yaml

from mlinfra.components.signals import Severity
from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph, Kind, Node

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"
_OPERATOR: Final = ("PrometheusRule", "AlertmanagerConfig")
_HINTS: Final = ("alert:", "receivers:", "scrape_configs:")
"""One of these is in every file that is looked for."""
_MATCHER: Final = re.compile(r'\s*"?([A-Za-z_][A-Za-z0-9_]*)"?\s*(=~|!~|!=|=)\s*(?:"(.*)"|(.*?))\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class File:
    """A file, or an object, with rules or routes, and the node that it stands in."""

    node: Node
    content: Mapping[str, Any]


def check_alerts(graph: Graph) -> list[Diagnostic]:
    """Every alert and every route of a graph that reaches nobody."""
    files: dict[str, list[File]] = {}
    for node in graph:
        if node.kind is Kind.RESOURCE:
            for content in _contents(node):
                files.setdefault(node.component or node.name, []).append(File(node, content))
    return [problem for found in files.values() for problem in _check(graph, found)]


def _contents(node: Node) -> Iterator[Mapping[str, Any]]:
    """The files with rules or routes that a node holds, read."""
    if node.type == _CONFIG_MAP:
        data = node.inputs.get("data")
        for text in data.values() if isinstance(data, Mapping) else ():
            if isinstance(text, str) and any(hint in text for hint in _HINTS):
                content = _read(text)
                if isinstance(content, Mapping):
                    yield content
    elif node.type.endswith(_OPERATOR) and isinstance(node.inputs.get("spec"), Mapping):
        yield node.inputs["spec"]


def _read(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 — a safe loader
    except yaml.YAMLError:
        return None  # some other file that has the words in it


def _check(graph: Graph, files: list[File]) -> Iterator[Diagnostic]:
    """What is wrong with the alerts and the routes of one component."""
    alerts = [(file, rule) for file in files for rule in _alerts(file.content)]
    routings = [file for file in files if isinstance(file.content.get("route"), Mapping)]
    for file in routings:
        yield from _silent(graph, file)
    if not alerts:
        return
    told = any(_sends(file.content) for file in files)
    if not routings and not told and any("scrape_configs" in file.content for file in files):
        yield _nowhere(graph, *alerts[0])
        return
    for file, rule in alerts:
        labels = _labels(rule)
        if labels.get("severity") not in get_args(Severity):
            yield _unweighed(graph, file, rule)
        elif routings and not any(_is_routed(routing.content, labels) for routing in routings):
            yield _unrouted(graph, file, rule, routings[0])


def _alerts(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group in _items(content, "groups"):
        yield from (rule for rule in _items(group, "rules") if "alert" in rule)


def _items(content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = content.get(key)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _labels(rule: Mapping[str, Any]) -> dict[str, str]:
    found = rule.get("labels")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) else {}


def _sends(content: Mapping[str, Any]) -> bool:
    """Whether a Prometheus sends its alerts somewhere."""
    alerting = content.get("alerting")
    return isinstance(alerting, Mapping) and bool(alerting.get("alertmanagers"))


# ------------------------------------------------------------------------------------------------ routes


def _is_routed(content: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a route is meant for an alert: not only the root, which takes what no other does."""
    routes = _items(content["route"], "routes")
    return not routes or any(_fits(route, labels) for route in routes)


def _fits(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = [_matched(matcher, labels) for matcher in route.get("matchers") or ()]
    wanted += [labels.get(str(name), "") == str(value) for name, value in (route.get("match") or {}).items()]
    wanted += [_like(labels.get(str(name), ""), value) for name, value in (route.get("match_re") or {}).items()]
    return all(wanted)


def _matched(matcher: Any, labels: Mapping[str, str]) -> bool:
    if isinstance(matcher, Mapping):  # the operator's form
        name, sign, value = str(matcher.get("name")), str(matcher.get("matchType", "=")), str(matcher.get("value", ""))
    elif match := _MATCHER.fullmatch(str(matcher)):
        name, sign, value = match[1], match[2], match[3] if match[3] is not None else match[4]
    else:
        return True  # Alertmanager itself will refuse it
    held = labels.get(name, "")
    same = _like(held, value) if sign.endswith("~") else held == value
    return same is not sign.startswith("!")


def _like(text: str, expression: Any) -> bool:
    try:
        return re.fullmatch(str(expression), text) is not None
    except re.error:
        return True


def _routes(route: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield route
    for inner in _items(route, "routes"):
        yield from _routes(inner)


def _silent(graph: Graph, file: File) -> Iterator[Diagnostic]:
    """Routes to a receiver that is not there, or that tells nobody."""
    known = {str(item.get("name")): item for item in _items(file.content, "receivers")}
    named = [str(route["receiver"]) for route in _routes(file.content["route"]) if route.get("receiver")]
    if not file.content["route"].get("receiver"):
        yield _about(graph, file, "the route for all alerts", "names no receiver", "A route's root has to have one.")
    for name in dict.fromkeys(named):
        if name not in known:
            have = ", ".join(sorted(known)) or "none"
            yield _about(graph, file, f"a route to {name!r}", "has no receiver", f"The receivers are {have}.")
        elif not any(key.lower().endswith("configs") and value for key, value in known[name].items()):
            yield _about(graph, file, f"a route to {name!r}", "tells nobody", "The receiver has no way to be told.")


# ------------------------------------------------------------------------------------------------ words


def _about(graph: Graph, file: File, what: str, wrong: str, why: str) -> Diagnostic:
    return Diagnostic(
        f"{what} {wrong}",
        detail=f"{why} Alerts that go this way are heard by nobody.",
        remedy="Name somebody: pagerduty:<service>, slack:#<channel>, email:<address> or webhook:https://….",
        location=graph.source_of(file.node.name),
        component=file.node.component,
        resource=file.node.name,
        code="route-without-receiver",
    )


def _alert(graph: Graph, file: File, rule: Mapping[str, Any], summary: str, detail: str, remedy: str) -> Diagnostic:
    """A diagnostic at the component that an alert is about, where the graph has it, else at what holds the rule."""
    about = _labels(rule).get("component", "")
    known = about in graph.sources
    return Diagnostic(
        summary,
        detail=detail,
        remedy=remedy,
        location=graph.sources[about] if known else graph.source_of(file.node.name),
        component=about if known else file.node.component,
        resource=file.node.name,
        code="alert-without-route",
    )


def _unweighed(graph: Graph, file: File, rule: Mapping[str, Any]) -> Diagnostic:
    severity = _labels(rule).get("severity")
    said = f"has the severity {severity!r}" if severity else "has no severity"
    known = " and ".join(get_args(Severity))
    return _alert(
        graph,
        file,
        rule,
        f"alert {rule['alert']} {said}, and no route is for that",
        f"Routes go by severity: {known}.",
        f"Give it one of {known}.",
    )


def _unrouted(graph: Graph, file: File, rule: Mapping[str, Any], routing: File) -> Diagnostic:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(_labels(rule).items()))
    return _alert(
        graph,
        file,
        rule,
        f"no route is for alert {rule['alert']}",
        f"None of the routes in {routing.node.name} fits its labels: {labels}.",
        "Add a route that does, or change the alert's labels.",
    )


def _nowhere(graph: Graph, file: File, rule: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        f"the alerts in {file.node.name} are sent nowhere",
        detail=f"Its Prometheus names no Alertmanager, so {rule['alert']} and the others are shown and nobody is told.",
        remedy="Leave out `alertmanager` for one of the stack's own, or name one that is there.",
        location=graph.source_of(file.node.name),
        component=file.node.component,
        resource=file.node.name,
        code="alert-without-route",
    )
