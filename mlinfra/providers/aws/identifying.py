"""The mark of resources that have no name: a tag that says which resource of which stack one is.

AWS chooses a key's id, and tells it in the answer to the call that makes it. A run that is cut off before the answer
came finds the key again by this tag, and by nothing else. The tag belongs to the provider: it is no input, is not in
the state, and is no drift.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

MARK: Final = "mlinfra:id"
"""The tag's key. Components refuse tags of the prefix `mlinfra:` from users."""


def mark(account: str, urn: str) -> str:
    """The tag's value: of the account and the URN, which has project, stack, type and name; 32 hex digits."""
    return hashlib.sha256(f"{account}\n{urn}".encode()).hexdigest()[:32]


def with_mark(inputs: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Inputs of a create call with the mark among the tags."""
    return {**inputs, "tags": {**(inputs.get("tags") or {}), MARK: value}}


def without_mark(tags: Mapping[str, str] | None) -> dict[str, str] | None:
    """The tags of a resource as its owner knows them."""
    return None if tags is None else {name: text for name, text in tags.items() if name != MARK}
