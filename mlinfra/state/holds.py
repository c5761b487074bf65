"""Holds: which process has a stack for the whole of a command, from before its engine starts until after it ended.

A hold is renewed by its process while it works. It ends when it is given back, when its process is known to have ended,
or, where that cannot be seen, when it was not renewed for as long as a lease lasts.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, delete, select, update

from mlinfra.state.owner import Owner, this_process
from mlinfra.state.refused import RefusedError
from mlinfra.state.store import Transaction
from mlinfra.state.tables import HOLDS

HOLD_SECONDS: Final = 60.0
"""For how long a hold lasts unless it is renewed."""


def take(tx: Transaction, stack: int, token: str, verb: str) -> None:
    """Hold a stack; raises `RefusedError` with 409 that says who does."""
    row = tx.first(select(HOLDS).where(HOLDS.c.stack == stack).with_for_update())
    if row is not None:
        if _lives(tx, row):
            raise RefusedError(409, _told(tx, row))
        tx.run(delete(HOLDS).where(HOLDS.c.stack == stack))
    values = {
        "stack": stack,
        "token": _digest(token),
        "owner": tx.seal(this_process().as_json(), f"holds/{stack}"),
        "verb": verb,
        "since": tx.now,
        "expires": tx.now + HOLD_SECONDS,
    }
    tx.add(HOLDS, [values])


def renew(tx: Transaction, stack: int, token: str) -> bool:
    """Go on holding a stack; False when it was lost to another."""
    mine = (HOLDS.c.stack == stack, HOLDS.c.token == _digest(token))
    return tx.run(update(HOLDS).where(*mine).values(expires=tx.now + HOLD_SECONDS)) > 0


def is_held(tx: Transaction, stack: int, token: str) -> bool:
    """Whether a hold lasts still: nobody took the stack away."""
    return tx.first(select(HOLDS.c.stack).where(HOLDS.c.stack == stack, HOLDS.c.token == _digest(token))) is not None


def give_back(tx: Transaction, stack: int, token: str) -> None:
    """Hold a stack no longer."""
    tx.run(delete(HOLDS).where(HOLDS.c.stack == stack, HOLDS.c.token == _digest(token)))


def refuse_others(tx: Transaction, stack: int) -> None:
    """Raise `RefusedError` with 409 when another process holds the stack."""
    row = tx.first(select(HOLDS).where(HOLDS.c.stack == stack))
    if row is not None and _lives(tx, row) and not _owner(tx, row).is_me():
        raise RefusedError(409, _told(tx, row))


def holder(tx: Transaction, stack: int) -> Owner | None:
    """Who holds a stack now."""
    row = tx.first(select(HOLDS).where(HOLDS.c.stack == stack))
    return _owner(tx, row) if row is not None and _lives(tx, row) else None


def described(tx: Transaction, stack: int) -> str:
    """Who holds a stack now, what for and since when; empty when nobody does."""
    row = tx.first(select(HOLDS).where(HOLDS.c.stack == stack))
    return _described(tx, row) if row is not None and _lives(tx, row) else ""


def drop(tx: Transaction, stack: int) -> None:
    """Take the stack away from whoever holds it."""
    tx.run(delete(HOLDS).where(HOLDS.c.stack == stack))


def _lives(tx: Transaction, row: Row[Any]) -> bool:
    return bool(row.expires >= tx.now) and not _owner(tx, row).has_ended()


def _owner(tx: Transaction, row: Row[Any]) -> Owner:
    return Owner(**tx.unseal(row.owner, f"holds/{row.stack}"))


def _told(tx: Transaction, row: Row[Any]) -> str:
    return f"Another update is currently in progress: {_described(tx, row)}."


def _described(tx: Transaction, row: Row[Any]) -> str:
    since = datetime.fromtimestamp(row.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{row.verb} of {_owner(tx, row)}, since {since}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
