"""A rule for names: what it is for, what it asks for, and the document that it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


def _nothing(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class NameRule:
    """Names of one kind of thing.

    `shortest` and `longest` count characters; `pattern` is matched against the whole name and `words` says what it asks
    for. `further` says what else is wrong with a name, or nothing. `source` is the address of the document.
    """

    what: str
    shortest: int
    longest: int
    pattern: str
    words: str
    source: str
    further: Callable[[str], str] = _nothing

    def broken(self, name: str) -> Iterator[str]:
        """What is wrong with a name, a sentence each; nothing for a name that is right."""
        if not self.shortest <= len(name) <= self.longest:
            yield f"It has {len(name)} characters, and may have {self.shortest} to {self.longest}."
        if name and not re.fullmatch(self.pattern, name, re.ASCII):
            yield f"{self.words}."
        if wrong := self.further(name):
            yield f"{wrong}."
