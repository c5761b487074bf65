"""Physical names: whether AWS and Kubernetes take them, and whether two nodes of a graph claim the same one.

A name that is not known before the update has run is not checked; neither is one that the provider makes up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlinfra.checks import aws_names
from mlinfra.checks.kubernetes_names import ANNOTATIONS, LABEL_VALUE, NAMESPACE, broken_key, rule_for
from mlinfra.checks.name_rule import NameRule
from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph, Join, Kind, Node, Ref, Secret, Value, to_json, walk


@dataclass(frozen=True, slots=True)
class Wrong:
    """A name that is not allowed: where it stands in the inputs, what it is, why not, and the document that says so."""

    place: str
    what: str
    name: str
    reasons: tuple[str, ...]
    source: str


def check_names(graph: Graph) -> list[Diagnostic]:
    """Every physical name of a graph that AWS or Kubernetes would refuse, and every one that is claimed twice."""
    found = [_invalid(graph, node, wrong) for node in graph for wrong in _wrong(graph, node)]
    return [*found, *_duplicates(graph)]


def _invalid(graph: Graph, node: Node, wrong: Wrong) -> Diagnostic:
    return Diagnostic(
        f'"{wrong.name}", the {wrong.place} of {node.name}, is not a valid {wrong.what}',
        detail=" ".join(wrong.reasons),
        remedy=f"See {wrong.source}",
        location=graph.source_of(node.name),
        component=node.component,
        resource=node.name,
        code="invalid-name",
    )


def _wrong(graph: Graph, node: Node) -> Iterator[Wrong]:
    if node.kind is not Kind.RESOURCE:
        return
    if node.type in aws_names.RULES:
        yield from _wrong_aws(graph, node)
    elif node.type.startswith("kubernetes:") and node.type.count(":") == 2:
        yield from _wrong_kubernetes(graph, node)


def _wrong_aws(graph: Graph, node: Node) -> Iterator[Wrong]:
    key, rule = aws_names.RULES[node.type]
    name = known_text(graph, node.inputs.get(key))
    yield from _against(rule, name, key)
    fifo = node.inputs.get("fifoTopic", node.inputs.get("fifoQueue", False))
    misfit = isinstance(fifo, bool) and name is not None and name.endswith(".fifo") is not fifo
    if name is not None and misfit and rule in (aws_names.TOPIC, aws_names.QUEUE):
        reason = "It must end with .fifo." if fifo else "Only the names of FIFO queues and topics end with .fifo."
        yield Wrong(key, rule.what, name, (reason,), rule.source)


def _wrong_kubernetes(graph: Graph, node: Node) -> Iterator[Wrong]:
    _, version, kind = node.type.split(":")
    group = version.partition("/")[0]
    built_in = "." not in group or group.endswith(".k8s.io")
    metadata = node.inputs.get("metadata")
    if not isinstance(metadata, Mapping):
        return
    yield from _against(rule_for(kind, built_in=built_in), known_text(graph, metadata.get("name")), "metadata.name")
    yield from _against(NAMESPACE, known_text(graph, metadata.get("namespace")), "metadata.namespace")
    # Within a custom resource, and in the schema of one, `metadata` and `labels` may mean anything.
    whole = built_in and kind != "CustomResourceDefinition"
    yield from _wrong_labels(graph, dict(node.inputs) if whole else {"metadata": metadata}, "")


def _wrong_labels(graph: Graph, value: Value, place: str) -> Iterator[Wrong]:
    """Wrong labels, selectors and annotations, at any depth."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _wrong_labels(graph, item, f"{place}[{index}]")
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        inner = f"{place}.{key}" if place else str(key)
        in_metadata = place.endswith("metadata")
        if key in ("matchLabels", "nodeSelector") or (key == "labels" and in_metadata):
            yield from _wrong_label_map(graph, item, inner)
        elif key == "annotations" and in_metadata:
            yield from _wrong_annotations(item, inner)
        else:
            yield from _wrong_labels(graph, item, inner)


def _wrong_label_map(graph: Graph, labels: Value, place: str) -> Iterator[Wrong]:
    if not isinstance(labels, Mapping):
        return
    for key, value in labels.items():
        if reasons := tuple(broken_key(key)):
            yield Wrong(place, "label key", key, reasons, LABEL_VALUE.source)
        yield from _against(LABEL_VALUE, known_text(graph, value), f"{place}.{key}")


def _wrong_annotations(annotations: Value, place: str) -> Iterator[Wrong]:
    if not isinstance(annotations, Mapping):
        return
    for key in annotations:
        if reasons := tuple(broken_key(key, annotation=True)):
            yield Wrong(place, "annotation key", key, reasons, ANNOTATIONS)


def _against(rule: NameRule, name: str | None, place: str) -> Iterator[Wrong]:
    if name is not None and (reasons := tuple(rule.broken(name))):
        yield Wrong(place, rule.what, name, reasons, rule.source)


# ------------------------------------------------------------------------------------------ names claimed twice


def _duplicates(graph: Graph) -> Iterator[Diagnostic]:
    claimed: dict[str, Node] = {}
    for node in graph:
        claim = _claim(graph, node)
        if claim is None:
            continue
        first = claimed.setdefault(json.dumps(claim, sort_keys=True), node)
        if first is not node:
            yield _duplicate(graph, first, node, claim["name"])


def _duplicate(graph: Graph, first: Node, second: Node, name: Any) -> Diagnostic:
    places = [f"{node.name} ({graph.source_of(node.name) or node.type})" for node in (first, second)]
    shown = f'"{name}"' if isinstance(name, str) else "the same"
    return Diagnostic(
        f"{first.name} and {second.name} are both named {shown}",
        detail=f"{places[0]} and {places[1]} would be one {second.type.rpartition(':')[2]}, each undoing the other.",
        remedy="Give one of them another name.",
        location=graph.source_of(second.name),
        component=second.component,
        resource=second.name,
        code="duplicate-name",
    )


def _claim(graph: Graph, node: Node) -> dict[str, Any] | None:
    """What a node's physical name is unique by; None where it has none that is given."""
    if node.kind is not Kind.RESOURCE:
        return None
    claim = _aws_claim(node) if node.type in aws_names.RULES else _kubernetes_claim(node)
    if claim is None or (name := _comparable(graph, claim["name"])) is None:
        return None
    if isinstance(name, str) and node.type.startswith(aws_names.ANY_CASE):
        name = name.lower()
    return {**claim, "name": name, "scope": [_comparable(graph, item) for item in claim["scope"]]}


def _aws_claim(node: Node) -> dict[str, Any]:
    key, _ = aws_names.RULES[node.type]
    claim = {"type": node.type, "name": node.inputs.get(key)}
    if node.type.startswith(aws_names.WORLDWIDE):
        return {**claim, "scope": []}
    scope = [node.inputs.get(name) for name in ("region", *aws_names.SCOPES.get(node.type, ()))]
    return {**claim, "scope": scope, "provider": node.options.provider}


def _kubernetes_claim(node: Node) -> dict[str, Any] | None:
    """An object is the same in all versions of its group; a patch is meant for an object that is already there."""
    metadata = node.inputs.get("metadata")
    package, _, rest = node.type.partition(":")
    version, _, kind = rest.partition(":")
    if package != "kubernetes" or not kind or kind.endswith("Patch") or not isinstance(metadata, Mapping):
        return None
    identity = f"{version.rpartition('/')[0]}:{kind}"
    scope = [metadata.get("namespace")]
    return {"type": identity, "name": metadata.get("name"), "scope": scope, "provider": node.options.provider}


def _comparable(graph: Graph, value: Value) -> Any:
    """A value as JSON that is equal for equal names: the text where it is known; None for what is secret."""
    if any(isinstance(item, Secret) for item in walk(value)):
        return None
    known = known_text(graph, value)
    return to_json(value) if known is None else known


def known_text(graph: Graph, value: Value, seen: frozenset[Ref] = frozenset()) -> str | None:
    """The text that a value is sure to become: a plain one, a join of such, or an input of another node that is one."""
    match value:
        case str():
            return value
        case Join(parts):
            texts = [known_text(graph, part, seen) for part in parts]
            return None if None in texts else "".join(text for text in texts if text is not None)
        case Ref(name, path) if value not in seen and name in graph.nodes:
            found: Value = graph.nodes[name].inputs
            for part in path:
                found = _part(found, part)
            return known_text(graph, found, seen | {value})
    return None


def _part(value: Value, part: str | int) -> Value:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return value[part]
    return None
