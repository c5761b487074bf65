"""A request of the protocol: who asks, for which stack, with what; everything in it is checked here.

`Callers` and `Request.stack` are the one place where a request's caller and stack are resolved: whoever may see or
change what is decided here and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote

import orjson

from mlinfra.state import stacks, updates
from mlinfra.state.entries import Json
from mlinfra.state.refused import RefusedError
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Transaction
from mlinfra.wire.values import SECRET, SIGNATURE

SMALL: Final = 1 << 20
"""Most bytes of a request that carries no state, as sent and unpacked."""

LARGE: Final = 256 << 20
"""Most bytes of a request that may carry a whole state: 50,000 resources come to about 100 MB."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Names of organizations, projects and stacks: `ParseStackName` in the engine's sdk/go/common/tokens."""

_DEEPEST: Final = 120
_MARK: Final = SIGNATURE.encode()
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user with the organizations they belong to, or an update by its lease's token."""

    login: str = ""
    organizations: frozenset[str] = frozenset()
    update_token: str = ""


class Callers:
    """The users that the service knows, by their tokens."""

    def __init__(self, tokens: Mapping[str, Caller]) -> None:
        self._known = [(_digest(token), caller) for token, caller in tokens.items()]

    def identify(self, authorization: str) -> Caller:
        """Who sends this `Authorization` header; raises `RefusedError` with 401 for nobody known.

        Whether an update's token is good is seen when its update is looked up.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme == "update-token" and token:
            return Caller(update_token=token)
        digest = _digest(token)
        # Every known token is compared, in a time that does not depend on how much of it is right.
        found = [caller for known, caller in self._known if hmac.compare_digest(known, digest)]
        if scheme != "token" or not found:
            raise RefusedError(401, "no credentials, or credentials that are not known here")
        return found[0]


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head: header names in lower case, the target as sent."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path, without the query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. `parts` are the named parts of its path."""

    head: Head
    caller: Caller
    parts: Mapping[str, str]
    body: Json

    def name(self, stack: str | None = None) -> Name:
        """The stack that the path names; raises `RefusedError` with 404 for one that is not the caller's to see.

        The same answer as for a stack that is not there, so that nothing is learnt of others' stacks.
        """
        parts = [unquote(self.parts[key]) for key in ("organization", "project")]
        parts.append(stack if stack is not None else unquote(self.parts["stack"]))
        for part in parts:
            valid_name(part)
        if parts[0] not in self.caller.organizations:
            raise RefusedError(404, f"Stack '{'/'.join(parts)}' not found")
        return Name(*parts)

    def stack(self, tx: Transaction) -> StackRow:
        """The stack that the path names, locked until the transaction ends."""
        return stacks.need(tx, self.name())

    def update(self, tx: Transaction) -> updates.Update:
        """The update that the path names, of the stack that it names."""
        return updates.find(tx, self.stack(tx), self.parts["update"])

    def lease(self, tx: Transaction, *, running: bool = True) -> updates.Leased:
        """The update that the caller's lease is for; raises `RefusedError` with 403 for one that has none."""
        name = Name(*(unquote(self.parts[key]) for key in ("organization", "project", "stack")))
        return updates.leased(tx, name, self.parts["update"], self.caller.update_token, running=running)

    def query(self, key: str) -> str | None:
        """A parameter of the query; the first where there are several."""
        found = parse_qs(self.head.target.partition("?")[2], max_num_fields=20).get(key)
        return found[0] if found else None

    def number(self, key: str, default: int, *, most: int) -> int:
        """A whole number of the query, from 1 to `most`."""
        text = self.query(key)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise RefusedError(400, f"{key} is not a whole number")
        return min(max(int(text), 1), most)

    def field(self, key: str, kind: type[_T], default: _T | None = None) -> _T:
        """A field of the body, of one type; raises `RefusedError` with 400 for another, or none without a default."""
        value = self.body.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise RefusedError(400, f"{key} is missing, or of the wrong type")
        return value


def read_body(head: Head, body: bytes, limit: int) -> Json:
    """A request's JSON object, unpacked; an empty body is an empty one.

    Raises `RefusedError` for what is too large, packed in another way than gzip, no JSON, or nested too deeply.
    """
    match head.headers.get("content-encoding", "identity"):
        case "gzip":
            body = _unzip(body, limit)
        case "identity":
            pass
        case _:
            raise RefusedError(415, "only gzip is understood")
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body is no JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the body is no JSON object")
    return value


def texts(value: Mapping[Any, Any], what: str) -> dict[str, str]:
    """A mapping of texts; raises `RefusedError` with 400 for any other."""
    if not all(isinstance(key, str) and isinstance(item, str) for key, item in value.items()):
        raise RefusedError(400, f"{what} holds something else than texts")
    return dict(value)


def valid_name(text: str) -> str:
    """A name of an organization, a project or a stack; raises `RefusedError` with 400 for what cannot be one."""
    if not _NAME.fullmatch(text):
        raise RefusedError(400, "a name has letters, digits, hyphens, underscores and periods, at most 100")
    return text


def inspect(value: Any) -> None:
    """Look at all of a JSON value: raises `RefusedError` where it is nested too deeply, or has a secret in the open.

    Where encrypting fails, the engine's version 3.222.0 does not fail with it: it sends secrets that hold neither
    ciphertext nor text, and a state that has one can never be loaded again.
    """
    if _is_plain(value):
        return
    left: list[tuple[Any, int]] = [(value, 0)]
    while left:
        item, depth = left.pop()
        if depth > _DEEPEST:
            raise RefusedError(400, f"the body is nested more than {_DEEPEST} deep")
        if isinstance(item, dict):
            if item.get(SIGNATURE) == SECRET and not (item.get("ciphertext") and isinstance(item["ciphertext"], str)):
                raise RefusedError(400, "a secret came without ciphertext: encrypting it failed in the engine")
            left += [(child, depth + 1) for child in item.values() if isinstance(child, dict | list)]
        else:
            left += [(child, depth + 1) for child in item if isinstance(child, dict | list)]


def _is_plain(value: Any) -> bool:
    """Whether the text of a JSON value shows that there is nothing to find in it: few brackets, and no mark.

    An entry of the journal and an event are nearly always so.
    """
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return _MARK not in text and text.count(b"{") + text.count(b"[") <= _DEEPEST


def _unzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip, never further than `limit` bytes, however much is promised."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise RefusedError(400, "the body is no gzip") from None
    if len(unpacked) > limit:
        raise RefusedError(413, f"the body unpacks to more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise RefusedError(400, "the body is no single whole gzip member")
    return unpacked


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
