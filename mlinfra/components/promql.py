"""Which metrics a PromQL expression reads: a reader of its words, no more (Prometheus, "Querying Prometheus").

Prometheus itself is the judge of whether an expression is right; tests hold the names found here against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

_WORDS: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<number>\.?[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_LABEL_LISTS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
"""Words that labels in brackets may follow."""

_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_BRACKETS: Final = {"{": "}", "[": "]", "(": ")"}

ANY: Final = "*"
"""What a pattern of names ends with that stands for all names which begin like it."""


@lru_cache(maxsize=4096)
def metrics_in(expression: str) -> frozenset[str]:
    """The names of the metrics that an expression reads, those of recording rules among them.

    A selector that names its metric by a regular expression cannot be told; it is a `ValueError`.
    """
    return frozenset(_metrics(_words(expression)))


def is_among(metric: str, patterns: Iterable[str]) -> bool:
    """Whether a metric is one of these, which are names, or beginnings of names with `*` behind."""
    return any(
        metric.startswith(pattern.removesuffix(ANY)) if pattern.endswith(ANY) else metric == pattern
        for pattern in patterns
    )


def _words(expression: str) -> list[tuple[str, str]]:
    """The words with their kinds, without spaces and comments."""
    found = ((match.lastgroup or "", match.group()) for match in _WORDS.finditer(expression))
    return [(kind, word) for kind, word in found if kind != "space"]


def _metrics(words: list[tuple[str, str]]) -> Iterator[str]:
    place = 0
    while place < len(words):
        kind, word = words[place]
        following = words[place + 1][1] if place + 1 < len(words) else ""
        if word in ("{", "["):
            end = _closing(words, place)
            if word == "{":
                yield from _named(words[place + 1 : end])
            place = end
        elif kind == "name" and word.lower() in _LABEL_LISTS:
            if following == "(":
                place = _closing(words, place + 1)
        elif kind == "name" and not _is_known(word, following):
            yield word
        place += 1


def _is_known(word: str, following: str) -> bool:
    """Whether a word is an operator, a function or an aggregation and thus no metric."""
    return word.lower() in _OPERATORS or following == "(" or following.lower() in ("by", "without")


def _named(matchers: list[tuple[str, str]]) -> Iterator[str]:
    """The metric that a selector names within its braces: `{__name__="up"}`."""
    for (_, label), (_, sign), *rest in zip(matchers, matchers[1:], matchers[2:], strict=False):
        if label != "__name__":
            continue
        value = rest[0][1]
        if sign != "=" or rest[0][0] != "text":
            raise ValueError("a selector names its metric by something else than one name, so that nobody can say what")
        yield value[1:-1]


def _closing(words: list[tuple[str, str]], place: int) -> int:
    """Where the bracket closes that opens at `place`; the last word where it never does."""
    opening, closing, depth = words[place][1], _BRACKETS[words[place][1]], 0
    for position in range(place, len(words)):
        depth += (words[position][1] == opening) - (words[position][1] == closing)
        if depth == 0:
            return position
    return len(words) - 1
