"""The front: HTTP/1.1 on a socket, a thread for each connection, connections kept open.

`h11` reads and writes the protocol; it refuses what is malformed. The engine sends one request at a time on each of
a few connections, and waits for each reply, so what counts is the time of one request. Microseconds on 2 busy cores,
median of 2,000 requests of 800 bytes on one connection, and of CPU:

| front | median | CPU |
|---|---|---|
| a loop of our own that trusts its client | 30 | 20 |
| http.server of Python, "not recommended for production" in its own words | 116 | 120 |
| h11, a thread for each connection | 150 | 150 |
| uvicorn with httptools, work handed to a thread | 233 | 230 |
| uvicorn with h11, work handed to a thread | 438 | 415 |

werkzeug's server closes the connection after each reply. Nagle's algorithm is off and each reply is sent in one piece:
else the other side's delayed acknowledgement costs 40 ms.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from typing import Any, Final, Protocol

import h11

from mlinfra.state.refused import REASONS, RefusedError
from mlinfra.state.requests import Head

_LOG = logging.getLogger(__name__)
_CHUNK: Final = 1 << 16
_HEAD_BYTES: Final = 1 << 15
_CONNECTIONS: Final = 64
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 4 << 20
_IDLE_SECONDS: Final = 600.0
"""The engine closes connections that it has not used for 90 s: net/http's DefaultTransport in Go."""


class Application(Protocol):
    """What answers requests: looks at the head first, then gets the body. Both raise `RefusedError`."""

    def admit(self, head: Head) -> Any:
        """Whether this request is to be answered: an object with a `limit`."""

    def answer(self, admitted: Any, body: bytes) -> bytes:
        """The reply's JSON."""

    def refusal(self, refused: RefusedError) -> bytes:
        """The JSON of a refusal."""


class Front:
    """Listens, from the start on; serves until it is closed."""

    def __init__(self, application: Application, host: str = "127.0.0.1", port: int = 0) -> None:
        self._application = application
        self._listener = socket.create_server((host, port), backlog=128)
        self.host, self.port = self._listener.getsockname()[:2]
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="state-front", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; connections that are open are cut."""
        with self._guard:
            self._closed = True
            left = list(self._open)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for connections
        self._listener.close()
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                continue
            with self._guard:
                if self._closed or len(self._open) >= _CONNECTIONS:
                    connection.close()
                    continue
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="state-connection", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_IDLE_SECONDS)
            _Conversation(connection, self._application).run()
        except OSError:
            pass  # the other side is gone, or says nothing
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()


class _Conversation:
    """One connection: requests and replies in turn."""

    def __init__(self, connection: socket.socket, application: Application) -> None:
        self.connection = connection
        self.application = application
        self.protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self.method = ""

    def run(self) -> None:
        try:
            while self._one():
                self.protocol.start_next_cycle()
        except h11.RemoteProtocolError as error:
            hint = error.error_status_hint
            with suppress(h11.LocalProtocolError):  # the reply had begun
                self._refuse(RefusedError(hint if hint in REASONS else 400, str(error)))
        self._linger()

    def _one(self) -> bool:
        """Answer one request; whether another may follow on this connection."""
        event = self._next()
        if not isinstance(event, h11.Request):
            return False
        self.method = event.method.decode()
        head = Head(
            self.method,
            event.target.decode(),
            {name.decode(): value.decode("latin-1") for name, value in event.headers},
        )
        try:
            admitted = self.application.admit(head)
            body = self._body(admitted.limit)
            reply = self.application.answer(admitted, body)
        except RefusedError as refused:
            self._refuse(refused)
        except (h11.RemoteProtocolError, OSError):
            raise
        except Exception:
            _LOG.exception("a bug in the state service: %s %s", head.method, head.path)
            self._refuse(RefusedError(500, "a bug in mlinfra's state service"))
        else:
            self._send(200, reply)
        return self.protocol.our_state is h11.DONE and self.protocol.their_state is h11.DONE

    def _next(self) -> Any:
        while True:
            event = self.protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.protocol.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self.connection.sendall(self.protocol.send(go_on))
            self.protocol.receive_data(self.connection.recv(_CHUNK))

    def _body(self, limit: int) -> bytes:
        parts, size = [], 0
        while not isinstance(event := self._next(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionError("the request was cut off")
            size += len(event.data)
            if size > limit:
                raise RefusedError(413, f"the body has more than {limit} bytes")
            parts.append(event.data)
        return b"".join(parts)

    def _refuse(self, refused: RefusedError) -> None:
        self._send(refused.status, self.application.refusal(refused))

    def _send(self, status: int, body: bytes) -> None:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if self.protocol.their_state is not h11.DONE:
            headers.append(("Connection", "close"))  # a body that is not wanted is not read either
        response = h11.Response(status_code=status, headers=headers, reason=REASONS.get(status, "OK").encode())
        parts = [self.protocol.send(response)]
        if self.method != "HEAD":
            parts.append(self.protocol.send(h11.Data(data=body)))
        parts.append(self.protocol.send(h11.EndOfMessage()))
        self.connection.sendall(b"".join(part or b"" for part in parts))

    def _linger(self) -> None:
        """Read on for a moment: a connection that is closed on unread data takes the reply with it."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            left = _LINGER_BYTES
            while left > 0 and (data := self.connection.recv(_CHUNK)):
                left -= len(data)
