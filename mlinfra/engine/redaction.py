"""Keeping secrets out of what the engine tells.

The engine prints secret values in a few places: check failures that name a secret property, mismatches of an import,
verbose logs. So every secret that passes on its way to the engine is learnt here, and every text that comes back is
cleaned of it before anybody sees it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from mlinfra.functions import reveal
from mlinfra.graph import REDACTED, Secret
from mlinfra.wire.values import SECRET, SIGNATURE

_SHORTEST = 4  # replacing shorter texts would garble messages and tell the secret by its gaps


class Redactor:
    """Knows the secrets of one run and takes them out of texts and data."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def learn(self, value: Any) -> None:
        """Note every secret in a resolved value."""
        match value:
            case Secret(inner):
                self._note(reveal(inner))
            case Mapping():
                for item in value.values():
                    self.learn(item)
            case list():
                for item in value:
                    self.learn(item)

    def _note(self, value: Any) -> None:
        match value:
            case Mapping():
                for item in value.values():
                    self._note(item)
            case list():
                for item in value:
                    self._note(item)
            case str() if len(value) >= _SHORTEST and value not in self._secrets:
                with self._lock:  # replaced as a whole: another thread may be cleaning a text just now
                    self._secrets = self._secrets | _forms(value)

    def text(self, text: str) -> str:
        """The text without secrets."""
        # Looking for each is faster than one pattern of all: 800 secrets, each learnt between two texts, took 93 s as
        # a pattern that was made anew every time, 0.2 s this way.
        found = sorted((secret for secret in self._secrets if secret in text), key=len, reverse=True)
        return re.sub("|".join(map(re.escape, found)), REDACTED, text) if found else text

    def data(self, value: Any) -> Any:
        """JSON data without secrets: known texts, and whatever carries the engine's mark of a secret."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                if value.get(SIGNATURE) == SECRET:
                    return REDACTED
                return {key: self.data(item) for key, item in value.items()}
            case list():
                return [self.data(item) for item in value]
            case _:
                return value


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text: as it is, within JSON (Python's, and Go's that escapes `<>&`), as base64."""
    as_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    as_go_json = as_json
    for character in "<>&\u2028\u2029":
        as_go_json = as_go_json.replace(character, f"\\u{ord(character):04x}")
    return {secret, json.dumps(secret)[1:-1], as_json, as_go_json, base64.b64encode(secret.encode()).decode()}
