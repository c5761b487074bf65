"""When two values mean the same to AWS: defaults, empty collections, order, JSON documents, policies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.fields import Field, Kind


def normal(field: Field, value: Any) -> Any:
    """One form for all values of `field` that mean the same; None for what is absent or empty."""
    if value is UNKNOWN:
        return value
    if value is None or value in ({}, []):
        value = field.default
    if field.many and isinstance(value, list):
        items = [_item(field, item) for item in value]
        return sorted(items, key=_text) if field.unordered else items
    return _item(field, value)


def as_left(field: Field, value: Any, wanted: Any) -> Any:
    """`value` without the parts of objects that `wanted` leaves for AWS to choose."""
    if field.many and isinstance(value, list) and isinstance(wanted, list) and len(value) == len(wanted):
        return [_as_left(field.kind, item, other) for item, other in zip(value, wanted, strict=True)]
    return _as_left(field.kind, value, wanted)


def _as_left(kind: Kind, value: Any, wanted: Any) -> Any:
    if not (isinstance(kind, tuple) and isinstance(value, Mapping) and isinstance(wanted, Mapping)):
        return value
    parts = {part.name: part for part in kind}
    return {
        name: as_left(parts[name], item, wanted.get(name)) if name in parts else item
        for name, item in value.items()
        if not (name in parts and parts[name].computed and wanted.get(name) is None)
    }


def agrees(field: Field, known: Any, live: Any) -> bool:
    """Whether what AWS has is what was asked for, as far as moto tells."""
    return field.forgotten or normal(field, as_left(field, live, known)) == normal(field, _told(field, known))


def _told(field: Field, value: Any) -> Any:
    if isinstance(value, list):
        return [_told(field, item) for item in value]
    if not (isinstance(field.kind, tuple) and isinstance(value, Mapping)):
        return value
    forgotten = {part.name for part in field.kind if part.forgotten}
    parts = {part.name: part for part in field.kind}
    return {name: _told(parts[name], item) for name, item in value.items() if name in parts and name not in forgotten}


def changed(fields: tuple[Field, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Field]:
    """The fields in which two sets of inputs differ in meaning.

    A computed field that `new` leaves to AWS is no difference, whatever AWS chose.
    """
    return [
        field
        for field in fields
        if not (field.computed and new.get(field.name) is None)
        and normal(field, as_left(field, old.get(field.name), new.get(field.name)))
        != normal(field, new.get(field.name))
    ]


def _item(field: Field, value: Any) -> Any:
    if value is None or value is UNKNOWN:
        return value
    if isinstance(field.kind, tuple) and isinstance(value, Mapping):
        parts = {part.name: normal(part, value.get(part.name)) for part in field.kind}
        return {name: item for name, item in parts.items() if item is not None}
    if field.document:
        return _document(value)
    return value


def _document(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, Mapping) and "Statement" in value:
        return _policy(value)
    return value


# ------------------------------------------------------------------------------------------------ policies
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html: one element may stand for a list of
# one, and neither the order of lists nor that of statements means anything.

_ACCOUNT_ROOT: Final = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):root")


def _policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    return {
        **policy,
        "Statement": sorted((_statement(item) for item in statements), key=_text),
    }


def _statement(statement: Any) -> Any:
    if not isinstance(statement, Mapping):
        return statement
    plain = dict(statement)
    for key in ("Action", "NotAction", "Resource", "NotResource"):
        if key in plain:
            plain[key] = _set(plain[key])
    for key in ("Principal", "NotPrincipal"):
        if key in plain:
            plain[key] = _principal(plain[key])
    if isinstance(plain.get("Condition"), Mapping):
        plain["Condition"] = {
            operator: {key: _set(value) for key, value in test.items()} if isinstance(test, Mapping) else test
            for operator, test in plain["Condition"].items()
        }
    return plain


def _principal(value: Any) -> Any:
    if value == "*":
        value = {"AWS": "*"}
    if not isinstance(value, Mapping):
        return value
    return {kind: sorted(_ACCOUNT_ROOT.sub(r"\1", item) for item in _set(names)) for kind, names in value.items()}


def _set(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return sorted({item if isinstance(item, str) else json.dumps(item) for item in items})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
