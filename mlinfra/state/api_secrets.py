"""Endpoints that encrypt and decrypt a stack's secrets with its own key: the engine's `service` secrets manager."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from mlinfra.state.context import Context
from mlinfra.state.entries import Json
from mlinfra.state.keys import Keys, UnreadableError
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import Request


def encrypt(context: Context, request: Request) -> Json:
    """One secret, encrypted."""
    plaintext = _bytes(request.field("plaintext", str, ""), "plaintext")
    return {"ciphertext": _text(context.store.keys.encrypt(plaintext, _stack(context, request)))}


def batch_encrypt(context: Context, request: Request) -> Json:
    """Secrets, encrypted, in their order."""
    plaintexts = [_bytes(item, "plaintexts") for item in request.field("plaintexts", list, [])]
    stack = _stack(context, request)
    return {"ciphertexts": [_text(context.store.keys.encrypt(item, stack)) for item in plaintexts]}


def decrypt(context: Context, request: Request) -> Json:
    """One secret, decrypted."""
    ciphertext = _bytes(request.field("ciphertext", str), "ciphertext")
    return {"plaintext": _text(_open(context.store.keys, ciphertext, _stack(context, request)))}


def batch_decrypt(context: Context, request: Request) -> Json:
    """Secrets, decrypted, each by its ciphertext."""
    ciphertexts = request.field("ciphertexts", list, [])
    opened = [_bytes(item, "ciphertexts") for item in ciphertexts]
    stack = _stack(context, request)
    keys = context.store.keys
    return {
        "plaintexts": {text: _text(_open(keys, item, stack)) for text, item in zip(ciphertexts, opened, strict=True)}
    }


def log_decryption(context: Context, request: Request) -> Json:
    """The engine says that somebody looked at secrets."""
    _stack(context, request)
    return {}


def _stack(context: Context, request: Request) -> int:
    with context.store.transaction() as tx:
        return request.stack(tx).id


def _open(keys: Keys, ciphertext: bytes, stack: int) -> bytes:
    try:
        return keys.decrypt(ciphertext, stack)
    except UnreadableError:
        raise RefusedError(400, "a ciphertext is not one of this stack's") from None


def _bytes(text: Any, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise RefusedError(400, f"{what} is no base64") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
