"""Around a web application: counts and times its requests, answers `/metrics`, gives each request an id.

Requests of probes and of Prometheus itself are not counted: they would hide how little traffic there is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from mlinfra.serving.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PROBES: Final = ("/health", "/healthz", "/livez", "/ready", "/readyz", "/ping")
ID_HEADER: Final = "X-Request-Id"
"""The header with a request's id, in the request where somebody before us gave it one, and in the answer."""

CLOSED: Final = 499
"""The status of a request whose caller went away before there was one; nginx's number."""

_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Exchange(Protocol):
    """A request that is being answered."""

    def end(self, status: int) -> None:
        """It was answered with this status."""


class Observer(Protocol):
    """Who is told of requests."""

    def begin(self, request_id: str) -> Exchange:
        """A request came."""

    def text(self) -> bytes:
        """The metrics."""


def request_id(given: str) -> str:
    """The id that a request came with, if it is one; else a new one."""
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


class _Answer:
    """The answer to a WSGI request: its status, and its body until that has been sent or given up."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.status = 500
        self.body: Iterable[bytes] = ()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.body
        except Exception:
            self.status = 500
            raise

    def close(self) -> None:
        """The server calls this in every case (PEP 3333)."""
        try:
            if close := getattr(self.body, "close", None):
                close()
        finally:
            self._exchange.end(self.status)


def wsgi(
    app: WSGIApplication, observer: Observer, metrics_path: str | None, probes: Collection[str]
) -> WSGIApplication:
    """A WSGI application around another."""

    def around(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == metrics_path and environ.get("REQUEST_METHOD") in ("GET", "HEAD"):
            start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
            return [observer.text()]
        if path in probes:
            return app(environ, start_response)
        name = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        environ["HTTP_X_REQUEST_ID"] = name
        answer = _Answer(observer.begin(name))

        def start(line: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            answer.status = int(line[:3])
            return start_response(line, [*headers, (ID_HEADER, name)], *error)

        try:
            answer.body = app(environ, start)
        except BaseException:
            answer.status = 500
            answer.close()
            raise
        return answer

    return around


def asgi(
    app: AsgiApplication, observer: Observer, metrics_path: str | None, probes: Collection[str]
) -> AsgiApplication:
    """An ASGI application around another; what is not HTTP passes through."""

    async def around(scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path in probes:
            await app(scope, receive, send)
            return
        if path == metrics_path and scope["method"] in ("GET", "HEAD"):
            headers = [(b"content-type", CONTENT_TYPE.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": observer.text()})
            return
        given = dict(scope["headers"]).get(ID_HEADER.lower().encode(), b"")
        name = request_id(given.decode("latin-1"))
        exchange = observer.begin(name)
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                mark = (ID_HEADER.lower().encode(), name.encode())
                message = {**message, "headers": [*message.get("headers", ()), mark]}
            await send(message)

        try:
            await app(scope, receive, told)
        except Exception:
            status = status or 500
            raise
        finally:
            exchange.end(status or CLOSED)

    return around
