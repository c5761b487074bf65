"""Encryption at rest: whatever the service writes is sealed with a key that the database does not hold.

AES-256 in Galois/Counter Mode with a random nonce of 96 bits (NIST SP 800-38D), by the `cryptography` package. What is
sealed is bound to the row that it belongs to, so that a row copied over another does not open. Each stack's secrets
have a key of their own, derived from the service's by HMAC-SHA-256: a ciphertext says nothing to another stack.
Deriving a key from a passphrase would take the engine 155 ms in every command.
"""

from __future__ import annotations

import hmac
import os
import secrets
import zlib
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlinfra.diagnostics import Diagnostic, MlinfraError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PACKED, _PLAIN = b"\x01", b"\x00"
_WORTH_PACKING = 4096
"""Bytes: an entry of the journal is less, is soon gone, and would take 80 µs to pack."""


class UnreadableError(Exception):
    """Something that does not open: sealed with another key, for another row, or changed since."""


class Keys:
    """The service's key, and those derived from it."""

    def __init__(self, master: bytes) -> None:
        self._master = master
        self._rows = AESGCM(self._derived("rows"))

    def seal(self, data: bytes, row: str) -> bytes:
        """`data`, compressed if that is worth it and encrypted, to be opened for the same row alone."""
        nonce = os.urandom(_NONCE_BYTES)
        packed = _PACKED + zlib.compress(data, 1) if len(data) > _WORTH_PACKING else _PLAIN + data
        return nonce + self._rows.encrypt(nonce, packed, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """What was sealed; raises `UnreadableError`."""
        try:
            packed = self._rows.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.encode())
            return zlib.decompress(packed[1:]) if packed[:1] == _PACKED else packed[1:]
        except (InvalidTag, ValueError, zlib.error):
            raise UnreadableError(row) from None

    def encrypt(self, plaintext: bytes, stack: int) -> bytes:
        """A secret of a stack, encrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._derived(f"stack:{stack}")).encrypt(nonce, plaintext, None)

    def decrypt(self, ciphertext: bytes, stack: int) -> bytes:
        """A stack's secret; raises `UnreadableError`."""
        cipher = AESGCM(self._derived(f"stack:{stack}"))
        try:
            return cipher.decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            raise UnreadableError(f"a secret of stack {stack}") from None

    def digest(self, plaintext: bytes) -> str:
        """What tells two secrets apart and says nothing of either to whoever does not have the key."""
        return hmac.digest(self._derived("digest"), plaintext, "sha256").hex()

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self._master, purpose.encode(), "sha256")


def load_keys(path: Path, *, make: bool) -> Keys:
    """The key in a file that its owner alone may read; made when there is none yet and `make` says that nothing was
    sealed with one.

    Raises `MlinfraError` when the key is lost or is none.
    """
    if not path.exists():
        if not make:
            raise _lost(path, "The file is gone.")
        _write_new(path)
    master = path.read_bytes()
    if len(master) != _KEY_BYTES:
        raise _lost(path, f"The file holds {len(master)} bytes, a key has {_KEY_BYTES}.")
    return Keys(master)


def _write_new(path: Path) -> None:
    """Write a key under a name of its own, then link it: another process finds all of it or nothing."""
    written = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(written, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the name may be lost with the power, and all that is sealed with the key
    finally:
        os.close(folder)


def _lost(path: Path, why: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"the key of the state in {path} cannot be used",
            detail=f"{why} Without it nothing that the state holds can be read.",
            remedy="Restore the file from a backup. Without one, remove the folder's database too and begin anew.",
            code="state-key",
        )
    )
