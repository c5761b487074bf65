"""The front, before an application that repeats what it is sent: HTTP as it should be, and as it should not."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.state.http import Front
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import Head


@dataclass
class Admitted:
    head: Head
    limit: int = 1000


class Echo:
    """Repeats bodies of up to 1,000 bytes; `/refused` is not admitted, `/bug` raises."""

    def admit(self, head: Head) -> Admitted:
        if head.path == "/refused":
            raise RefusedError(401, "nobody")
        return Admitted(head)

    def answer(self, admitted: Admitted, body: bytes) -> bytes:
        if admitted.head.path == "/bug":
            raise ZeroDivisionError
        return b"%s %s" % (admitted.head.method.encode(), body)

    def refusal(self, refused: RefusedError) -> bytes:
        return refused.text.encode()


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    made = Front(Echo())
    yield made
    made.close()


def send(front: Front, data: bytes) -> bytes:
    """All that the other side says before it closes."""
    with socket.create_connection((front.host, front.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_it_listens_on_loopback_alone(front: Front) -> None:
    assert front.host == "127.0.0.1"


def test_a_connection_serves_many_requests(front: Front) -> None:
    connection = http.client.HTTPConnection(front.host, front.port)
    for number in range(50):
        connection.request("POST", "/a", b"%d" % number)
        assert connection.getresponse().read() == b"POST %d" % number
    connection.close()


def test_head_is_answered_without_a_body(front: Front) -> None:
    connection = http.client.HTTPConnection(front.host, front.port)
    for _ in range(2):
        connection.request("HEAD", "/a")
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, b"")
    connection.close()


def test_chunks_and_an_expected_go_ahead_are_understood(front: Front) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    replies = send(front, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b"POST abcde" in replies


def test_several_requests_at_once_are_answered_in_order(front: Front) -> None:
    one = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d"
    replies = send(front, b"".join(one % number for number in range(5)))
    assert [replies.index(b"POST %d" % number) for number in range(5)] == sorted(
        replies.index(b"POST %d" % number) for number in range(5)
    )


@pytest.mark.parametrize("length", [1001, 50_000_000])
def test_a_body_that_is_too_large_is_refused_and_not_read(front: Front, length: int) -> None:
    replies = send(front, b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + b"x" * 3000)
    assert replies.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in replies.lower()


def test_what_is_not_admitted_is_refused_before_its_body(front: Front) -> None:
    replies = send(front, b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nx")
    assert replies.startswith(b"HTTP/1.1 401 ")


def test_a_bug_is_told_as_one_and_the_next_request_served(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    connection = http.client.HTTPConnection(front.host, front.port)
    connection.request("POST", "/bug", b"hunter22")
    reply = connection.getresponse()
    assert (reply.status, b"bug" in reply.read()) == (500, True)
    assert "hunter22" not in caplog.text
    connection.request("POST", "/a", b"x")
    assert connection.getresponse().read() == b"POST x"
    connection.close()


MALFORMED = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\nbad header\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: repr(data[:50]))
def test_what_is_no_http_is_refused(front: Front, data: bytes) -> None:
    assert send(front, data)[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5")
    assert b" 500 " not in send(front, data)[:20]


@given(st.binary(max_size=300))
def test_whatever_comes_nothing_breaks(front: Front, data: bytes) -> None:
    assert b" 500 " not in send(front, data)[:20]
    assert send(front, b"POST /a HTTP/1.0\r\nContent-Length: 1\r\n\r\nx").endswith(b"POST x")


def test_a_body_that_is_cut_off_is_not_answered(front: Front) -> None:
    assert b"POST" not in send(front, b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")


def test_many_connections_at_once(front: Front) -> None:
    found = []

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(front.host, front.port)
        connection.request("POST", "/a", b"%d" % number)
        found.append(connection.getresponse().read())
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(b"POST %d" % number for number in range(30))


def test_closing_ends_every_connection() -> None:
    made = Front(Echo())
    connection = socket.create_connection((made.host, made.port))
    connection.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
    assert connection.recv(100)
    made.close()
    while connection.recv(1 << 16):
        pass
    connection.close()
    with pytest.raises(OSError):
        socket.create_connection((made.host, made.port), timeout=1)
