"""Against a small server that answers as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlinfra.providers.kubernetes import transport as transports
from mlinfra.providers.kubernetes.credentials import Credentials
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.providers.kubernetes.kubeconfig import Access
from mlinfra.providers.kubernetes.transport import Transport

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers requests one after the other with what is in `answers`, each after `thinks` seconds; None breaks the
    connection."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = []
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.thinks = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, self.headers["Authorization"], body))
                answer = outer.answers.pop(0)
                time.sleep(outer.thinks)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, data = answer
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PATCH = _answer

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/clusters/a"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(value).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def transport(url: str, user: dict[str, Any] | None = None) -> Transport:
    return Transport(Access(url, "default", Credentials(user or {}, Path.cwd())))


def test_a_request(server: Server) -> None:
    server.answers = [json_answer({"a": 1}, 201)]
    assert transport(server.url, {"token": "t"}).request("PATCH", "/x?y=z", {"b": 2}) == (201, {"a": 1})
    assert server.asked == [("PATCH", "/clusters/a/x?y=z", "Bearer t", b'{"b":2}')]


def test_an_answer_may_take_longer_than_a_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "CONNECT_SECONDS", 0.3)
    server.answers, server.thinks = [json_answer({"a": 1})], 0.5
    assert transport(server.url).request("GET", "/x") == (200, {"a": 1})


def test_an_answer_that_does_not_come_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "READ_SECONDS", 0.1)
    server.answers, server.thinks = [json_answer({"a": 1})], 0.5
    with pytest.raises(UnreachableError):
        transport(server.url).request("GET", "/x")


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_busy_server_is_waited_for(server: Server, status: int) -> None:
    server.answers = [(status, {"Retry-After": "0.01"}, b""), json_answer({"a": 1})]
    assert transport(server.url).request("GET", "/x") == (200, {"a": 1})


def test_a_refusal_is_not_asked_again(server: Server) -> None:
    server.answers = [json_answer({"message": "no such thing"}, 404)]
    with pytest.raises(ApiError, match="no such thing"):
        transport(server.url).request("GET", "/x")
    assert len(server.asked) == 1


def test_a_refused_token_is_fetched_anew_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    client = transport(server.url, {"tokenFile": str(path)})
    server.answers = [
        json_answer({}),
        json_answer({}, 401),
        json_answer({}),
        json_answer({}, 401),
        json_answer({}, 401),
    ]
    client.request("GET", "/x")
    path.write_text("new")
    client.request("GET", "/x")
    assert [asked[2] for asked in server.asked] == ["Bearer old", "Bearer old", "Bearer new"]
    with pytest.raises(ApiError):
        client.request("GET", "/x")


def test_a_lost_connection_is_tried_again(server: Server) -> None:
    server.answers = [json_answer({}), None, json_answer({"a": 1})]
    client = transport(server.url)
    client.request("GET", "/x")
    assert client.request("GET", "/x") == (200, {"a": 1})


def test_an_absent_server_is_asked_once(server: Server) -> None:
    server.answers = [None]
    client = transport(server.url)
    for _ in range(3):
        with pytest.raises(UnreachableError) as error:
            client.request("GET", "/x")
    assert len(server.asked) == 1
    assert not error.value.sent  # the last one was not even sent


def test_a_stream(server: Server) -> None:
    server.answers = [(200, {}, b'{"a":1}\n{"a":2}\n{"cut'), json_answer({"message": "gone"}, 410)]
    client = transport(server.url)
    assert list(client.stream("/x")) == [{"a": 1}, {"a": 2}]
    with pytest.raises(ApiError, match="gone"):
        list(client.stream("/x"))


def test_lines_of_a_text(server: Server) -> None:
    server.answers = [(200, {}, b"one\n\ntw\xffo\nthe last has no end"), json_answer({"message": "not yet"}, 400)]
    client = transport(server.url)
    assert list(client.lines("/x")) == [b"one", b"", b"tw\xffo", b"the last has no end"]
    with pytest.raises(ApiError, match="not yet"):
        list(client.lines("/x"))


def test_a_stream_that_is_none(server: Server) -> None:
    server.answers = [(200, {}, b"<html>sign in</html>\n")]
    with pytest.raises(UnreachableError, match="cannot be reached"):
        list(transport(server.url).stream("/x"))


def test_a_stream_from_nowhere(server: Server) -> None:
    server.answers = [None]
    with pytest.raises(UnreachableError):
        list(transport(server.url).stream("/x"))
