"""Policy documents as statements. Source: IAM user guide, "IAM JSON policy element reference"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

from mlinfra.checks.access.patterns import Clause, pattern

Principals: TypeAlias = frozenset[tuple[str, str]]
"""Kinds and names: `("AWS", "arn:…")`, `("Service", "s3.amazonaws.com")`, `("*", "*")`."""

ANYONE: Final = ("*", "*")
_ACCOUNT: Final = re.compile(r"\d{12}")


class PolicyError(ValueError):
    """A text that is no policy; the message says why, and holds nothing of the text."""


@dataclass(frozen=True)
class Statement:
    """One statement. `origin` is the node that it stands in; `number` counts from 1 within its policy."""

    allows: bool
    actions: tuple[str, ...]
    not_actions: bool = False
    resources: tuple[str, ...] = ("*",)
    not_resources: bool = False
    principals: Principals = frozenset()
    not_principals: bool = False
    conditions: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sid: str = ""
    origin: str = ""
    number: int = 1

    def covers(self, action: str) -> bool:
        """Whether an action is meant; capitals do not count, `*` and `?` are wildcards."""
        found = any(_matches_action(item.lower(), action.lower()) for item in self.actions)
        return found is not self.not_actions

    @cached_property
    def clause(self) -> Clause:
        """All the resources that are meant. What denies is read strictly, what allows generously; exceptions from
        either the other way round."""
        named = tuple(pattern(item, strict=self.allows is self.not_resources) for item in self.resources)
        return Clause(named, self.not_resources)

    def parts(self) -> list[tuple[str, Clause]]:
        """The resources that an allowing statement names, each on its own, with a text for people."""
        if self.not_resources:
            return [("all but " + ", ".join(self.resources), self.clause)]
        return [(item, Clause((pattern(item),))) for item in self.resources]


def statements(document: Any, origin: str = "") -> list[Statement]:
    """The statements of a policy, given as a text or as data. Raises `PolicyError`."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except json.JSONDecodeError as error:
            raise PolicyError(f"it is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(document, Mapping):
        raise PolicyError("it is not a JSON object")
    written = document.get("Statement", [])
    items = written if isinstance(written, list) else [written]
    return [_statement(item, origin, number) for number, item in enumerate(items, start=1)]


def _statement(item: Any, origin: str, number: int) -> Statement:
    if not isinstance(item, Mapping):
        raise PolicyError(f"statement {number} is not an object")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"the Effect of statement {number} is neither Allow nor Deny")
    conditions = item.get("Condition") or {}
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        raise PolicyError(f"the Condition of statement {number} is not an object of objects")
    negated = "NotPrincipal" in item
    return Statement(
        allows=item["Effect"] == "Allow",
        actions=_texts(item, "NotAction" if "NotAction" in item else "Action", number),
        not_actions="NotAction" in item,
        resources=_texts(item, "NotResource" if "NotResource" in item else "Resource", number) or ("*",),
        not_resources="NotResource" in item,
        principals=frozenset(_principals(item.get("NotPrincipal" if negated else "Principal"), number)),
        not_principals=negated,
        conditions=conditions,
        sid=str(item.get("Sid", "")),
        origin=origin,
        number=number,
    )


def _texts(item: Mapping[str, Any], key: str, number: int) -> tuple[str, ...]:
    found = item.get(key, [])
    texts = found if isinstance(found, list) else [found]
    if not all(isinstance(text, str) for text in texts):
        raise PolicyError(f"the {key} of statement {number} is not a text or a list of texts")
    return tuple(texts)


def _principals(found: Any, number: int) -> Iterator[tuple[str, str]]:
    """`"*"` and `{"AWS": "*"}` are everybody (IAM user guide, "AWS JSON policy elements: Principal")."""
    if found is None:
        return
    if isinstance(found, str):
        found = {"AWS": found}
    if not isinstance(found, Mapping):
        raise PolicyError(f"the Principal of statement {number} is neither a text nor an object")
    for kind in found:
        for name in _texts(found, kind, number):
            yield ANYONE if name == "*" else (kind, name)


@lru_cache(maxsize=65_536)
def _matches_action(written: str, action: str) -> bool:
    return written == action or (("*" in written or "?" in written) and pattern(written).matches(action))


def account_of(principal: str) -> str:
    """The account of a principal: of an ARN, or the account's own number; empty where it has none."""
    if _ACCOUNT.fullmatch(principal):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 5 and parts[0] == "arn" else ""


def is_account(principal: str) -> bool:
    """Whether a principal stands for a whole account: its number, or the ARN of its root."""
    return bool(_ACCOUNT.fullmatch(principal)) or (principal.endswith(":root") and principal.startswith("arn:"))


def select(found: Iterable[Statement], action: str, *, allows: bool) -> list[Statement]:
    """The statements that allow, or deny, an action."""
    return [item for item in found if item.allows is allows and item.covers(action)]
