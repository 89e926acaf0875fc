"""What the proxy passes on is what it got, byte for byte but for headers between two neighbours."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.exporters.sidecar.upstream import (
    OK,
    Proxied,
    exchange,
    proxied,
    read_message,
    upstream,
)
from tests.processes import eventually, free_port, http


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with upstream() as server, proxied(tmp_path_factory.mktemp("p"), free_port(), server) as found:
        yield found


@pytest.fixture
def proxy(running: Proxied) -> Proxied:
    running.server.received.clear()
    running.server.answer, running.server.raw = OK, None
    return running


REQUESTS = {
    "a request with headers of every case, twice and odd": (
        b"POST /any/path?q=1&q=%20x HTTP/1.1\r\nHost: a.example\r\nX-CaSe: Yes\r\nx-case: no\r\n"
        b"Cookie: a=1; b=2\r\nX-Empty:\r\nX-Latin: \xe9\r\nContent-Length: 3\r\n\r\nabc"
    ),
    "a body in chunks, with extensions and trailers": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n"
    ),
    "a body that is compressed": (
        b"POST /v2/models/mail/infer HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\n"
        b"Content-Length: 4\r\n\r\n\x00\x01\x02\xff"
    ),
    "gRPC-Web": (
        b"POST /inference.GRPCInferenceService/ModelInfer HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n\x00\x00\x00\x00\x00"
    ),
    "a method of its own": b"PURGE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "a whole URL": b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_request_arrives_as_it_was_sent(proxy: Proxied, request_: bytes) -> None:
    assert exchange(proxy, request_) == OK
    wanted = request_.replace(b"X-Empty:\r\n", b"X-Empty: \r\n")
    assert proxy.server.received == [wanted]


def test_headers_between_two_neighbours_stay_there(proxy: Proxied) -> None:
    exchange(
        proxy,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nX-Other: 2\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    )
    assert proxy.server.received == [b"GET / HTTP/1.1\r\nHost: a\r\nX-Other: 2\r\n\r\n"]


def test_what_frames_a_message_cannot_be_named_as_a_neighbours(proxy: Proxied) -> None:
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length, host\r\n"
    exchange(proxy, sent + b"Content-Length: 2\r\n\r\nhi")
    wanted = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    assert proxy.server.received == [wanted]


ANSWERS = {
    "headers of every case, twice": (
        b"HTTP/1.1 200 All Is Well\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Odd: \xe9\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    ),
    "an error of its own": b"HTTP/1.1 500 Oh No\r\nContent-Length: 9\r\n\r\nTraceback",
    "a status nobody knows": b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
    "too many requests": b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified, with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 T\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
    "chunks with trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
        b"2;a=b\r\nhi\r\n1\r\n!\r\n000\r\ngrpc-status: 0\r\n\r\n"
    ),
    "binary data": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x00\r\n\r\n",
}


@pytest.mark.parametrize("path", ["/x", "/v2/models/mail/infer"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_arrives_as_it_was_sent(proxy: Proxied, answer: bytes, path: str) -> None:
    proxy.server.answer = answer
    sent = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" % path.encode()
    assert exchange(proxy, sent) == answer


def test_an_answer_that_ends_with_its_connection_does_so_here(proxy: Proxied) -> None:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\npart one, ")
        connection.sendall(b"part two")
        connection.shutdown(socket.SHUT_RDWR)

    proxy.server.answer = answer
    got = exchange(proxy, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert got == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\n\r\npart one, part two"


def test_an_answer_to_head_has_no_body_whatever_its_length(proxy: Proxied) -> None:
    proxy.server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with proxy.connect() as connection:
        for _ in range(2):
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1000) == proxy.server.answer


def test_requests_in_one_go_are_answered_in_their_order(proxy: Proxied) -> None:
    def answer(connection: socket.socket, request: bytes) -> None:
        path = request.split()[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    proxy.server.answer = answer
    paths = [b"/%d" % number for number in range(20)]
    with proxy.connect() as connection:
        connection.sendall(
            b"".join(
                b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" % path
                for path in paths
            )
        )
        got = b""
        while got.count(b"\r\n\r\n/") < len(paths) or not got.endswith(b"/19"):
            got += connection.recv(65536)
    assert [part.split(b"HTTP")[0] for part in got.split(b"\r\n\r\n")[1:]] == paths
    assert [request.split()[1] for request in proxy.server.received] == paths


def test_a_client_of_http_1_0_is_answered_and_let_go(proxy: Proxied) -> None:
    got = exchange(proxy, b"GET /old HTTP/1.0\r\n\r\n")
    assert got == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert proxy.server.received == [b"GET /old HTTP/1.0\r\n\r\n"]


def test_an_answer_goes_on_while_it_is_still_being_made(proxy: Proxied) -> None:
    """Server-sent events: each one arrives before the next is sent."""
    seen = threading.Semaphore(0)

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(5):
            connection.sendall(b"9\r\ndata: %d\n\n\r\n" % number)
            assert seen.acquire(timeout=10)
        connection.sendall(b"0\r\n\r\n")

    proxy.server.answer = answer
    with http() as client, client.stream("GET", f"{proxy.url}/events") as response:
        got = []
        for piece in response.iter_raw():
            got.append(piece)
            seen.release()
    assert got == [b"data: %d\n\n" % number for number in range(5)]


def test_a_request_goes_on_while_it_is_still_being_sent(proxy: Proxied) -> None:
    arrived = threading.Semaphore(0)
    taken: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while not b"".join(taken).endswith(b"0\r\n\r\n"):
            taken.append(connection.recv(65536))
            arrived.release()
        connection.sendall(OK)

    proxy.server.raw = serve
    head = b"POST /v2/models/mail/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [head, b"3\r\nabc\r", b"\n0\r\n\r\n"]
    with proxy.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            assert arrived.acquire(timeout=10)
        assert read_message(connection) == OK
    assert taken == pieces


def test_a_client_may_ask_whether_to_continue(proxy: Proxied) -> None:
    def serve(connection: socket.socket) -> None:
        head = connection.recv(65536)
        assert b"Expect: 100-continue" in head
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        proxy.server.received.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)

    proxy.server.raw = serve
    with proxy.connect() as connection:
        connection.sendall(
            b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        got = b""
        while not got.endswith(OK):
            got += connection.recv(65536)
    assert got == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    assert proxy.server.received == [b"{}"]


def test_a_websocket_goes_through(proxy: Proxied) -> None:
    head = (
        b"GET /socket HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    changed = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(changed + b"\x81\x02hi")
        while data := connection.recv(65536):
            connection.sendall(data[::-1])

    proxy.server.answer = answer
    with proxy.connect() as connection:
        connection.sendall(head)
        got = b""
        while len(got) < len(changed) + 4:
            got += connection.recv(65536)
        assert got == changed + b"\x81\x02hi"
        connection.sendall(b"\x82\x03abc")
        assert connection.recv(65536) == b"cba\x03\x82"
    assert proxy.server.received == [head]


def test_large_bodies_go_through_whole_both_ways(proxy: Proxied) -> None:
    """Larger than every buffer, and larger than what is kept to be read."""
    body = os.urandom(8 << 20)

    def answer(connection: socket.socket, request: bytes) -> None:
        echoed = request.partition(b"\r\n\r\n")[2]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(echoed))
        connection.sendall(echoed)

    proxy.server.answer = answer
    with proxy.sidecar.changes() as changed, http() as client:
        response = client.post(f"{proxy.url}/v2/models/mail/infer", content=body)
        assert hashlib.sha256(response.content).digest() == hashlib.sha256(body).digest()
        eventually(lambda: proxy.sidecar.samples()['ml_proxy_unread_total{reason="size"}'] >= 2)
    assert changed['ml_inference_requests_total{status="success"}'] == 1


REFUSED = {
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a length that is none": (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", 400),
    "another encoding than chunked": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
    ),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "a header that goes on in the next line": (b"GET / HTTP/1.1\r\nX-A: 1\r\n 2\r\n\r\n", 400),
    "a line end that is half": (b"GET / HTTP/1.1\r\nX-A: 1\nX-B: 2\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a chunk whose size is none": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400,
    ),
    "a chunk that is longer than it says": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400,
    ),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no HTTP": (b"\x16\x03\x01\x00\xf4\x01\r\n\r\n", 400),
    "a head without end": (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 70_000, 431),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_what_could_be_understood_in_two_ways_is_refused(
    proxy: Proxied, sent: bytes, status: int
) -> None:
    got = exchange(proxy, sent)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in got
    assert b'{"error": "' in got
    assert not [request for request in proxy.server.received if request.endswith(b"0\r\n\r\n")]
