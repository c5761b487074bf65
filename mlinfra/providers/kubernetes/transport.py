"""HTTP to one API server: sign-in, a bound on requests in flight, patience with a busy server, none with an absent one.

The only code of the provider that knows urllib3.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.providers.kubernetes.kubeconfig import Access

CONNECTIONS: Final = 32
"""Requests in flight at the most. Above this a local API server answers no more of them in a second."""
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0
BUSY: Final = (429, 502, 503, 504)
"""The server, or what stands before it, asks to try again later.
Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/"""
_ATTEMPTS: Final = 6
_LONGEST_PAUSE: Final = 10.0
_DOWN_SECONDS: Final = 10.0  # after a failure to connect, further requests fail at once for this long


class Transport:
    """Requests to one API server, for any number of threads. All that it is asked for is safe to send twice."""

    def __init__(self, access: Access, connections: int = CONNECTIONS) -> None:
        self.server = access.server
        self._credentials = access.credentials
        self._prefix = urlsplit(access.server).path.rstrip("/")  # an API server behind a gateway may have one
        # `block` makes the pool the bound on requests in flight: many threads may wait, the server sees `connections`.
        self._short = _pool(access, maxsize=connections, block=True)
        self._long = _pool(access, maxsize=8, block=False)
        self._reached = False
        self._down: tuple[float, str] = (float("-inf"), "")

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._short.close()
        self._long.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> tuple[int, Any]:
        """One request: the HTTP status, and the JSON answer.

        Raises `ApiError` for a refusal and `UnreachableError` when there is no answer.
        """
        data = None if body is None else orjson.dumps(body)
        headers = {"Accept": accept, "Content-Type": content_type}
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            reply = self._send(method, path, data, headers, last=last)
            if reply is None:
                time.sleep(0.1 * 2**attempt)
            elif reply.status == 401 and attempt == 0 and self._credentials.forget():
                continue
            elif _asks_for_patience(reply) and not last:
                time.sleep(_pause(reply) * (1 + attempt / 4))
            else:
                break
        assert reply is not None
        answer = _json(reply.data)
        if reply.status >= 300:
            raise ApiError(method, path, reply.status, answer)
        return reply.status, answer

    def stream(self, path: str) -> Iterator[Any]:
        """The JSON lines of an answer that goes on, until the server or the connection ends it."""
        try:
            for line, whole in self._lines(path, "application/json"):
                if whole:
                    yield orjson.loads(line)
        except orjson.JSONDecodeError:
            raise UnreachableError(self.server, "What answered is not a Kubernetes API server.") from None

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a text that goes on, until the server or the connection ends it; the last need not have an end.

        A connection on which nothing comes for `READ_SECONDS` is taken for lost: `UnreachableError`.
        """
        for line, _ in self._lines(path, "*/*"):
            yield line

    def _lines(self, path: str, accept: str) -> Iterator[tuple[bytes, bool]]:
        """The lines of an answer, each with whether its end has come."""
        headers = {"Accept": accept, **self._credentials.headers()}
        try:
            reply = self._long.urlopen(
                "GET", self._prefix + path, headers=headers, retries=False, preload_content=False
            )
        except HTTPError as error:
            raise UnreachableError(self.server, _words(error)) from None
        try:
            if reply.status >= 300:
                raise ApiError("GET", path, reply.status, _json(reply.data))
            yield from _split(reply)
        except HTTPError as error:
            raise UnreachableError(self.server, _words(error)) from None
        finally:
            reply.close()

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], *, last: bool
    ) -> BaseHTTPResponse | None:
        """The reply, or None where the connection was lost and another attempt makes sense."""
        until, why = self._down
        if time.monotonic() < until:
            raise UnreachableError(self.server, why)
        signed = {**headers, **self._credentials.headers()}
        try:
            reply = self._short.urlopen(method, self._prefix + path, body=data, headers=signed, retries=False)
        except (
            ReadTimeoutError
        ) as error:  # a slow answer, on a connection that stands: nothing gets better by asking twice
            raise UnreachableError(self.server, _words(error), sent=True) from None
        except HTTPError as error:
            # A server that has answered before is restarting, or lost one connection; one that has not is not there.
            if self._reached and not last:
                return None
            self._down = (time.monotonic() + _DOWN_SECONDS, _words(error))
            raise UnreachableError(self.server, _words(error), sent=isinstance(error, ProtocolError)) from None
        self._reached = True
        return reply


def _pool(access: Access, **options: Any) -> urllib3.HTTPConnectionPool:
    """A pool for the one server: a third less CPU time than a PoolManager, which finds the pool anew each time."""
    options["timeout"] = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    if access.tls:
        options["ssl_context"] = access.tls
        if access.tls.verify_mode == ssl.CERT_NONE:
            options["cert_reqs"] = "CERT_NONE"
        if access.tls_name:
            options |= {"server_hostname": access.tls_name, "assert_hostname": access.tls_name}
    manager = urllib3.ProxyManager(access.proxy, **options) if access.proxy else urllib3.PoolManager(**options)
    return manager.connection_from_url(access.server)


def _asks_for_patience(reply: BaseHTTPResponse) -> bool:
    return reply.status in BUSY or (reply.status == 500 and "Retry-After" in reply.headers)


def _pause(reply: BaseHTTPResponse) -> float:
    try:
        return min(float(reply.headers.get("Retry-After", "1")), _LONGEST_PAUSE)
    except ValueError:  # a date, which no API server sends but a gateway may
        return 1.0


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode(errors="replace")


def _split(reply: BaseHTTPResponse) -> Iterator[tuple[bytes, bool]]:
    rest = b""
    while chunk := reply.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from ((line, True) for line in lines)
    if rest:
        yield rest, False


def _words(error: HTTPError) -> str:
    """The reason without urllib3's prefix, which names an object in memory."""
    return str(error).rpartition(": ")[2] if isinstance(error, NewConnectionError) else str(error)
