"""What is answered directly is answered as uvicorn would, in the order of the requests."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from exporters.sidecar.wire import Answer, Direct, Headers, direct_protocol
from tests.exporters.sidecar.serving import Sidecar, serving
from tests.processes import eventually, free_port

EVENT = b'{"model_name":"mail"}'
ACCEPTED = b'{"accepted":1,"rejected":0,"errors":[]}'


def request(
    body: bytes, *headers: str, path: str = "/v1/predictions", version: str = "1.1"
) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", *headers]
    if not any("transfer-" in line.lower() or "content-l" in line.lower() for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def talk(port: int, sent: bytes | list[bytes], answers: int = 1) -> list[tuple[int, bytes]]:
    """Send bytes on one connection; the status and body of each answer, in their order."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for piece in [sent] if isinstance(sent, bytes) else sent:
            connection.sendall(piece)
        file = connection.makefile("rb")
        found: list[tuple[int, bytes]] = []
        while len(found) < answers:
            status = int(file.readline().split()[1])
            headers = {}
            while line := file.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            if status != 100:
                found.append((status, file.read(int(headers["content-length"]))))
        return found


def port_of(sidecar: Sidecar) -> int:
    return int(sidecar.url.rpartition(":")[2])


CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)

ONE_EVENT = {
    "a plain request": request(EVENT),
    "one that expects 100": request(EVENT, "Expect: 100-continue"),
    "one in chunks": request(CHUNKED, "Transfer-Encoding: chunked"),
    "one that closes": request(EVENT, "Connection: close"),
    "one of HTTP/1.0": request(EVENT, version="1.0"),
    "one with a query": request(EVENT, path="/v1/predictions?a=1"),
    "names of headers in any case": request(EVENT, f"CONTENT-LENGTH: {len(EVENT)}"),
}


@pytest.mark.parametrize("sent", ONE_EVENT.values(), ids=ONE_EVENT)
def test_every_form_of_a_request_gets_the_same_answer(sidecar: Sidecar, sent: bytes) -> None:
    assert talk(port_of(sidecar), sent) == [(200, ACCEPTED)]


def test_a_request_that_arrives_in_pieces_is_answered(sidecar: Sidecar) -> None:
    pieces = [request(EVENT)[place : place + 1] for place in range(len(request(EVENT)))]
    assert talk(port_of(sidecar), pieces) == [(200, ACCEPTED)]


def test_requests_sent_at_once_are_answered_in_their_order(sidecar: Sidecar) -> None:
    bad = b'{"model_name":"mail","confidence":7}'
    status = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = [request(EVENT), status, request(bad), request(EVENT, "Expect: x"), request(EVENT)]
    answers = talk(port_of(sidecar), b"".join(sent * 3), 15)
    assert [code for code, _ in answers] == [200, 200, 400, 200, 200] * 3
    assert [body == b"ok\n" for _, body in answers] == [False, True, False, False, False] * 3


def test_a_connection_closes_when_it_was_asked_to(sidecar: Sidecar) -> None:
    for sent in (request(EVENT, "Connection: close"), request(EVENT, version="1.0")):
        with socket.create_connection(("127.0.0.1", port_of(sidecar)), timeout=10) as connection:
            connection.sendall(sent)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            assert answer.endswith(ACCEPTED)
            assert b"connection: close" in answer.lower()


def test_what_is_no_http_is_refused(sidecar: Sidecar) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sidecar)), timeout=10) as connection:
        connection.sendall(request(EVENT, "Content-Length: 1", "Content-Length: 2"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_body_that_is_under_way_when_it_stops_is_still_answered(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as own,
        socket.create_connection(("127.0.0.1", port_of(own)), timeout=10) as connection,
    ):
        sent = request(EVENT)
        connection.sendall(sent[:-5])
        eventually(lambda: own.client.get(f"{own.url}/healthz").status_code == 200)
        own.process.process.send_signal(signal.SIGTERM)
        connection.sendall(sent[-5:])
        assert ACCEPTED in connection.recv(4096)


@pytest.fixture
def slow() -> Iterator[int]:
    """A server whose direct answers come later, unless they fail."""

    async def later(body: bytes) -> Answer:
        await asyncio.sleep(0.05)
        if body == b"late failure":
            raise ValueError(body)
        return Answer(200, json.dumps({"said": body.decode()}).encode())

    def answer(body: bytes, _: Headers) -> object:
        if body == b"failure":
            raise ValueError(body)
        return Answer(200, b"now") if body == b"now" else later(body)

    async def page(_: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    port = free_port()
    protocol = direct_protocol({"/later": Direct(lambda _, length: length <= 100, answer)})  # type: ignore[arg-type]
    config = uvicorn.Config(
        Starlette(routes=[Route("/page", page)]), port=port, http=protocol, log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    yield port
    server.should_exit = True
    thread.join()


def test_answers_that_come_later_keep_the_order(slow: int) -> None:
    page = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
    first = request(b"a", path="/later")
    answers = talk(slow, b"".join([first, page, first, page]), 4)
    # The second is queued behind the first, and so goes the usual way, where nobody has the path.
    assert [status for status, _ in answers] == [200, 200, 404, 200]
    assert answers[0][1] == b'{"said": "a"}'
    assert answers[1][1] == answers[3][1] == b"page"


def test_a_failure_is_answered_with_500(slow: int) -> None:
    for body in (b"failure", b"late failure"):
        [(status, _)] = talk(slow, request(body, path="/later"))
        assert status == 500


def test_a_longer_body_goes_the_usual_way(slow: int) -> None:
    [(status, _)] = talk(slow, request(b"x" * 101, path="/later"))
    assert status == 404
