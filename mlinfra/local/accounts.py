"""The AWS account of each environment: ids that moto keeps apart, and access keys that say which is meant."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from mlinfra.local import records
from mlinfra.tools.lock import lock

SECRET_KEY: Final = "local"  # noqa: S105 — moto checks no signatures; SDKs want a value
_ACCESS_KEY: Final = re.compile(r"^LOCAL(\d{12})$")


def account_for(folder: Path, name: str) -> str:
    """The id of an account: made of its name, so the same in every copy of a project, and no other account's.

    `folder` is the project's `.mlinfra/local/`, where the ids that were given are recorded.
    """
    path = folder / "accounts.json"
    given = records.read(path)
    if name not in given:
        with lock(folder / "accounts.lock", "choosing an account"):
            given = records.read(path)
            given.setdefault(name, _choose(name, set(given.values())))
            records.write(path, given)
    return str(given[name])


def _choose(name: str, taken: set[str]) -> str:
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{name}\0{attempt}".encode()).digest()
        account = f"{int.from_bytes(digest[:8]) % 900_000_000_000 + 100_000_000_000:d}"
        if account not in taken:
            return account
        attempt += 1


def access_key(account: str) -> str:
    """The access key id that stands for an account.

    It begins unlike a real one (`AKIA`, `ASIA`), so that no scanner for leaked keys takes it for one.
    """
    return f"LOCAL{account}"


def account_of(key: str) -> str | None:
    """The account that an access key id stands for; None for a key that `access_key` did not make."""
    match = _ACCESS_KEY.match(key)
    return match[1] if match else None
