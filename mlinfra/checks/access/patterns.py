"""Texts with wildcards, as policies name resources and actions, and the question that all of it is about.

`find` looks for a text that lies in a space, is matched by allowing clauses and by no denying one: an object that
somebody can read. The answer is exact. Patterns are run as automata side by side, over the letters that can make a
difference at each step; there is no sampling, and no guess at what a key might be called.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Final

ONE: Final = "one"
MANY: Final = "many"
WITHIN: Final = "many but colons"
"""Tokens: any letter, any text, any text without a colon. A token of one letter is that letter."""

LIMIT: Final = 10_000
"""How many steps a search may take. Beyond it a text is taken to exist: nobody is left out of a report for having a
policy that is hard to read. Policies that people write take some hundred."""

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_ESCAPED: Final = ("*", "?", "$")
_WILD: Final = {"?": ONE, "*": MANY}


@dataclass(frozen=True)
class Pattern:
    """A text in which `*` stands for any text and `?` for any one letter, capitals counting."""

    tokens: tuple[str, ...]

    @cached_property
    def fixed(self) -> str:
        """The letters before the first wildcard."""
        return "".join(takewhile(lambda token: len(token) == 1, self.tokens))

    @property
    def literal(self) -> bool:
        """Whether there is no wildcard in it."""
        return len(self.fixed) == len(self.tokens)

    def start(self) -> int:
        """How far the automaton is before the first letter: a bit for each number of tokens that may be done with."""
        return self._close(1)

    def step(self, state: int, letter: str) -> int:
        """How far it is after one more letter; 0 when no text that begins so is matched."""
        after = 0
        for index, token in enumerate(self.tokens):
            if not state >> index & 1:
                continue
            if token == MANY or (token == WITHIN and letter != ":"):
                after |= 1 << index
            elif token in (ONE, letter):
                after |= 1 << (index + 1)
        return self._close(after)

    def ends(self, state: int) -> bool:
        """Whether the text so far is matched as a whole."""
        return bool(state >> len(self.tokens) & 1)

    def letters(self, state: int) -> set[str]:
        """The letters that lead somewhere else than a letter in no pattern does."""
        active = (token for index, token in enumerate(self.tokens) if state >> index & 1)
        return {":" if token == WITHIN else token for token in active if token not in (ONE, MANY)}

    def open(self, state: int) -> bool:
        """Whether more than letters of its own lead on from a state."""
        return any(state >> index & 1 for index in self._wild)

    @cached_property
    def _wild(self) -> tuple[int, ...]:
        return tuple(index for index, token in enumerate(self.tokens) if len(token) > 1)

    def matches(self, text: str) -> bool:
        """Whether it matches a text as a whole."""
        state = self.start()
        for letter in text:
            state = self.step(state, letter)
            if not state:
                return False
        return self.ends(state)

    def _close(self, state: int) -> int:
        for index, token in enumerate(self.tokens):
            if state >> index & 1 and token in (MANY, WITHIN):
                state |= 1 << (index + 1)
        return state


@lru_cache(maxsize=4096)
def pattern(text: str, *, strict: bool = False) -> Pattern:
    """The pattern of a text as a policy has it.

    `strict` is for what denies: a `*` that does not end its part of an ARN matches no colon (IAM user guide, "IAM JSON
    policy elements: Resource", wildcards in resource ARNs), and a policy variable, which only a request fills in,
    matches nothing but itself. Otherwise both match anything. `${*}`, `${?}` and `${$}` are these characters (IAM user
    guide, "IAM policy elements: Variables and tags").
    """
    tokens: list[str] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        tokens += _tokens(text[position : found.start()], strict)
        if found[1] in _ESCAPED:
            tokens.append(found[1])
        elif strict:
            tokens += found[0]
        else:
            tokens.append(MANY)
        position = found.end()
    return Pattern((*tokens, *_tokens(text[position:], strict)))


def _tokens(text: str, strict: bool) -> list[str]:
    tokens = [_WILD.get(letter, letter) for letter in text]
    if strict:
        for index, after in enumerate(tokens[1:]):
            if tokens[index] == MANY and after not in (":", MANY):
                tokens[index] = WITHIN
    return tokens


@dataclass(frozen=True)
class Clause:
    """The texts that one of some patterns matches, or with `negated` those that none does."""

    patterns: tuple[Pattern, ...]
    negated: bool = False

    def holds(self, text: str) -> bool:
        """Whether a text is among them."""
        return any(item.matches(text) for item in self.patterns) is not self.negated


EVERYTHING: Final = Clause((), negated=True)


def find(space: Pattern, groups: Sequence[Sequence[Clause]], denied: Iterable[Clause] = ()) -> str | None:
    """A text of `space` that one clause of every group matches, and no clause of `denied`; None where there is none.

    Letters that no pattern names are all alike; one of them stands for all.
    """
    refused = [clause for clause in denied if may_meet(clause, space)]
    if any(not any(may_meet(clause, space) for clause in group) for group in groups):
        return None
    patterns = list(
        dict.fromkeys([space, *(item for group in (*groups, refused) for clause in group for item in clause.patterns)])
    )
    place = {item: index for index, item in enumerate(patterns)}
    other = _other(patterns)

    def holds(clause: Clause, states: tuple[int, ...]) -> bool:
        return any(item.ends(states[place[item]]) for item in clause.patterns) is not clause.negated

    def hopeless(states: tuple[int, ...]) -> bool:
        return not states[0] or any(
            not any(clause.negated or any(states[place[item]] for item in clause.patterns) for clause in group)
            for group in groups
        )

    first = tuple(item.start() for item in patterns)
    seen = {first}
    waiting = deque([(first, "")])
    while waiting:
        states, text = waiting.popleft()
        if (
            space.ends(states[0])
            and all(any(holds(clause, states) for clause in group) for group in groups)
            and not any(holds(clause, states) for clause in refused)
        ):
            return text
        if len(seen) > LIMIT:
            return text
        for letter in _next(patterns, states, other):
            after = tuple(item.step(state, letter) for item, state in zip(patterns, states, strict=True))
            if after not in seen and not hopeless(after):
                seen.add(after)
                waiting.append((after, text + letter))
    return None


def _next(patterns: Sequence[Pattern], states: Sequence[int], other: str) -> list[str]:
    """The letters worth trying. Where the first pattern, the space, is at a letter of its own, any other ends it."""
    space, at = patterns[0], states[0]
    if not space.open(at):
        return sorted(space.letters(at))
    letters: set[str] = set().union(*(item.letters(state) for item, state in zip(patterns, states, strict=True)))
    return [*sorted(letters), other]


def may_meet(clause: Clause, space: Pattern) -> bool:
    """Whether a clause and a space can have a text in common, by how they begin: a quick look that is never wrong."""
    if clause.negated:
        return True
    return any(item.fixed.startswith(space.fixed) or space.fixed.startswith(item.fixed) for item in clause.patterns)


def _other(patterns: Iterable[Pattern]) -> str:
    """A letter that none of the patterns names, a plain one if there is one left."""
    named = {token for item in patterns for token in item.tokens}
    plain = (letter for letter in "xyzabcdefghijklmnopqrstuvw0123456789" if letter not in named)
    return next(plain, "") or next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in named)
