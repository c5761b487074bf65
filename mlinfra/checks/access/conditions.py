"""What the conditions of a statement come to for one caller: they hold, they do not, or it depends on the request.

A context gives the keys that are known of every request of that caller: who it is, that it can use TLS. Any other key
(the address that it calls from, an endpoint, a tag of the object) is known only when it calls. Source: IAM user guide,
"IAM JSON policy elements: Condition operators" and "Conditions with multiple context keys or values".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from mlinfra.checks.access.patterns import pattern

Context: TypeAlias = Mapping[str, str]
"""Values by their keys, the keys in small letters."""

NOT_KNOWN: Final = re.compile("[⟨·]")
"""What stands in texts that only an update makes known; see `symbols`."""


class Verdict(Enum):
    """Whether something holds in every request, in none, or in some."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"

    def negated(self) -> Verdict:
        """The contrary."""
        return {Verdict.YES: Verdict.NO, Verdict.NO: Verdict.YES}.get(self, self)


Test: TypeAlias = Callable[[str, str], bool]


def _like(value: str, wanted: str) -> bool:
    return pattern(wanted).matches(value)


def _arn_like(value: str, wanted: str) -> bool:
    """Each of the six parts on its own, as ArnEquals and ArnLike both do."""
    parts, wants = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(wants) and all(map(_like, parts, wants))


TESTS: Final[Mapping[str, tuple[Test, bool]]] = {
    "stringequals": (lambda value, wanted: value == wanted, True),
    "stringnotequals": (lambda value, wanted: value == wanted, False),
    "stringequalsignorecase": (lambda value, wanted: value.lower() == wanted.lower(), True),
    "stringnotequalsignorecase": (lambda value, wanted: value.lower() == wanted.lower(), False),
    "stringlike": (_like, True),
    "stringnotlike": (_like, False),
    "arnequals": (_arn_like, True),
    "arnlike": (_arn_like, True),
    "arnnotequals": (_arn_like, False),
    "arnnotlike": (_arn_like, False),
    "bool": (lambda value, wanted: value.lower() == wanted.lower(), True),
}
"""Operators with how a value is compared, and whether it has to match. The others are left to the request."""


def judge(conditions: Mapping[str, Any], context: Context) -> Verdict:
    """All conditions of a statement together."""
    found = {verdict for _, verdict in _each(conditions, context)}
    if Verdict.NO in found:
        return Verdict.NO
    return Verdict.MAYBE if Verdict.MAYBE in found else Verdict.YES


def open_conditions(conditions: Mapping[str, Any], context: Context) -> list[str]:
    """The conditions that depend on the request, as texts: `aws:SourceVpce StringEquals vpce-1`."""
    return [text for text, verdict in _each(conditions, context) if verdict is Verdict.MAYBE]


def _each(conditions: Mapping[str, Any], context: Context) -> list[tuple[str, Verdict]]:
    return [
        (f"{key} {operator} {_shown(wanted)}", _one(operator, key, _list(wanted), context))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    ]


def _one(written: str, key: str, wanted: list[str], context: Context) -> Verdict:
    operator = written.rpartition(":")[2].lower()  # ForAnyValue: and ForAllValues: are alike for a single value
    value = context.get(key.lower())
    if value is None:
        return Verdict.MAYBE
    if operator == "null":
        return Verdict.YES if any(item.lower() == "false" for item in wanted) else Verdict.NO
    test, positive = TESTS.get(operator.removesuffix("ifexists"), (None, True))
    if test is None:
        return Verdict.MAYBE
    matched = _any(test, value, wanted)
    return matched if positive else matched.negated()


def _any(test: Test, value: str, wanted: list[str]) -> Verdict:
    """Whether one of the wanted values matches. What is not known yet may turn out to."""
    if any(test(value, item) for item in wanted if "${" not in item):
        return Verdict.YES
    unsure = any("${" in item or NOT_KNOWN.search(item) or NOT_KNOWN.search(value) for item in wanted)
    return Verdict.MAYBE if unsure else Verdict.NO


def _list(wanted: Any) -> list[str]:
    items = wanted if isinstance(wanted, list) else [wanted]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def _shown(wanted: Any) -> str:
    return " or ".join(_list(wanted))
