"""Whatever fails behind the proxy or beside it, clients are told so and go on being served."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile

import psutil
import pytest

from exporters.sidecar.proxy import forward
from exporters.sidecar.proxy.exchange import Exchange, Shared
from exporters.sidecar.proxy.forward import Forwarder, Limits
from exporters.sidecar.proxy.routes import Routes
from tests.exporters.sidecar.upstream import (
    OK,
    Proxied,
    exchange,
    proxied,
    read_message,
    upstream,
)
from tests.processes import eventually, free_port

BODY = b'{"inputs": [{"name": "area", "shape": [1], "datatype": "FP64", "data": [50]}]}'
INFER = b"POST /v2/models/price/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


LAST = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with upstream() as server, proxied(tmp_path_factory.mktemp("p"), free_port(), server) as found:
        yield found


@pytest.fixture
def proxy(running: Proxied) -> Proxied:
    running.server.received.clear()
    running.server.answer, running.server.raw = OK, None
    return running


def grows(proxy: Proxied, name: str, do: Callable[[], object]) -> None:
    """What is done adds to a counter; exchanges of the test before may still arrive meanwhile."""
    before = proxy.sidecar.samples()[name]
    do()
    eventually(lambda: proxy.sidecar.samples()[name] > before, says=name)


ERROR = 'ml_inference_requests_total{model_name="price",model_version="7",status="error"}'
SUCCESS = 'ml_inference_requests_total{model_name="price",model_version="7",status="success"}'


def test_an_upstream_that_is_down_is_said_and_counted(tmp_path: Path) -> None:
    with upstream() as server:
        gone = server.port
    port = free_port()
    server.port = gone
    with proxied(tmp_path, port, server) as proxy:

        def ask() -> None:
            got = exchange(proxy, INFER)
            assert got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert f"the upstream 127.0.0.1:{gone} cannot be reached: ".encode() in got

        grows(proxy, ERROR, ask)
        assert proxy.sidecar.samples()['ml_proxy_upstream_failures_total{reason="connect"}'] == 1
        with upstream(gone) as back:
            server = back
            assert exchange(proxy, INFER) == OK, "it is back at once"


def test_an_answer_that_is_cut_off_is_cut_off_for_the_client_too(proxy: Proxied) -> None:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_RDWR)

    proxy.server.answer = answer

    def ask() -> None:
        assert exchange(proxy, INFER) == b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"

    grows(proxy, ERROR, ask)


def test_an_upstream_that_hangs_up_before_it_answers_is_a_bad_gateway(proxy: Proxied) -> None:
    proxy.server.answer = lambda connection, _: connection.shutdown(socket.SHUT_RDWR)

    def ask() -> None:
        got = exchange(proxy, INFER)
        assert got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert b"closed the connection before it had answered" in got

    grows(proxy, ERROR, ask)
    assert len(proxy.server.received) == 1, "an inference is not sent twice"


def test_an_answer_that_is_no_http_is_a_bad_gateway(proxy: Proxied) -> None:
    proxy.server.answer = b"220 smtp.example ESMTP\r\n\r\n"
    assert exchange(proxy, INFER).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    proxy.server.answer = OK
    assert exchange(proxy, INFER) == OK


def test_more_than_was_asked_for_reaches_nobody(proxy: Proxied) -> None:
    """An answer too many would be taken for that of the next request."""
    proxy.server.answer = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
    with proxy.connect() as connection:
        for _ in range(3):
            connection.sendall(INFER)
            assert read_message(connection) == OK


def test_a_client_that_leaves_ends_the_work_of_the_upstream(proxy: Proxied) -> None:
    asked, left = threading.Event(), threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        asked.set()
        try:
            ended = not connection.recv(1)
        except ConnectionError:
            ended = True
        if ended:
            left.set()

    proxy.server.answer = answer

    def leave() -> None:
        with proxy.connect() as connection:
            connection.sendall(INFER)
            assert asked.wait(10)
            busy = 'ml_inference_requests_in_progress{model_name="price",model_version="7"}'
            assert proxy.sidecar.samples()[busy] == 1
        assert left.wait(10)

    grows(proxy, ERROR, leave)


def test_an_answer_before_the_request_is_whole_arrives(proxy: Proxied) -> None:
    """Too large, say: the client reads why, though it has not sent all of it."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.shutdown(socket.SHUT_RDWR)

    proxy.server.raw = refuse
    with proxy.connect() as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nabc")
        assert read_message(connection).endswith(b"\r\n\r\nbig")


def test_a_sidecar_that_stands_still_holds_nothing_up(proxy: Proxied) -> None:
    """Stopped, it reads no exchange: what is kept for it is bounded, and the rest is dropped."""
    body = b"x" * 1_000_000
    sent = b"POST /v2/models/price/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b"
    dropped = 'ml_proxy_unread_total{reason="dropped"}'
    before = proxy.sidecar.samples()
    process = proxy.sidecar.process.process
    process.send_signal(signal.SIGSTOP)
    try:
        with proxy.connect() as connection:
            for _ in range(60):
                connection.sendall(sent % (len(body), body))
                assert read_message(connection) == OK
        (child,) = psutil.Process(process.pid).children()
        assert child.memory_info().rss < 150e6
    finally:
        process.send_signal(signal.SIGCONT)

    def all_known() -> dict[str, float] | None:
        now = proxy.sidecar.samples()
        known = sum(now[name] - before[name] for name in (SUCCESS, dropped))
        return now if known >= 60 else None

    after = eventually(all_known)
    assert 10 < after[dropped] - before[dropped] < 60, "each is counted or dropped, and said so"


def test_forwarding_goes_on_without_the_sidecar_until_the_next_one(tmp_path: Path) -> None:
    port = free_port()
    with upstream() as server, proxied(tmp_path, port, server) as proxy:
        eventually(lambda: exchange(proxy, INFER) == OK)
        with proxy.connect() as connection:
            proxy.sidecar.process.process.kill()
            proxy.sidecar.process.process.wait(10)
            for _ in range(3):
                connection.sendall(INFER)
                assert read_message(connection) == OK
            with proxied(tmp_path, port, server) as second:
                eventually(
                    lambda: second.sidecar.samples()[SUCCESS] >= bool(exchange(second, INFER))
                )
                connection.sendall(INFER)
                assert read_message(connection) == LAST, "the connection was not cut off"
                assert connection.recv(1) == b"", "but it ends, since its process does"
        proxy.sidecar.process.process.returncode = 0  # it was killed on purpose


def test_a_forwarding_process_that_dies_is_started_again(proxy: Proxied) -> None:
    def kill() -> None:
        (child,) = psutil.Process(proxy.sidecar.process.process.pid).children()
        child.kill()

    grows(proxy, "ml_proxy_restarts_total", kill)
    assert exchange(proxy, INFER) == OK, "connections wait for it meanwhile"


def test_two_sidecars_cannot_share_an_address(proxy: Proxied, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{proxy.port}: Address"),
        proxied(tmp_path, proxy.port, proxy.server),
    ):
        pass


# In this process: with limits that take no time to reach


@asynccontextmanager
async def forwarding(
    server_port: int, report: Callable[[Exchange], None], **limits: float
) -> AsyncIterator[tuple[int, Shared]]:
    with TemporaryFile() as file:
        file.truncate(Shared.size(1))
        shared = Shared(file.fileno(), 1)
        forwarder = Forwarder(
            upstream=("127.0.0.1", server_port),
            routes=Routes([("price", "7")]),
            shared=shared,
            report=report,
            limits=Limits(**limits),  # type: ignore[arg-type]  # whole numbers where they should be
        )
        listening = await asyncio.get_running_loop().create_server(forwarder.client, "127.0.0.1", 0)
        sweeper = asyncio.create_task(forwarder.sweep())
        try:
            yield listening.sockets[0].getsockname()[1], shared
        finally:
            sweeper.cancel()
            listening.close()
            await forwarder.drain(1)


async def ask(port: int, pieces: Sequence[bytes], *, pause: float = 0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        writer.write(b"")
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


LEAVE = b"Connection: close\r\n"


def test_a_fault_of_the_monitoring_is_counted_and_reaches_no_client() -> None:
    def report(_: Exchange) -> None:
        raise RuntimeError("planted")

    async def run(port: int) -> int:
        async with forwarding(port, report) as (proxy, shared):
            sent = INFER.replace(b"Host: a\r\n", b"Host: a\r\n" + LEAVE)
            for _ in range(3):
                got = await ask(proxy, [sent])
                assert got == LAST
            return shared.count("errors")

    with upstream() as server:
        assert asyncio.run(run(server.port)) == 3


def test_what_is_kept_to_be_read_is_bounded_over_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call more than fits is forwarded unread; what one kept is there for the next."""
    monkeypatch.setattr(forward, "MAX_KEPT", 100)
    seen: list[Exchange] = []
    sent = INFER.replace(b"Host: a\r\n", b"Host: a\r\n" + LEAVE)

    async def run(port: int) -> None:
        async with forwarding(port, seen.append) as (proxy, _):
            _, held = await asyncio.open_connection("127.0.0.1", proxy)
            held.write(INFER[:-1])
            await asyncio.sleep(0.1)
            assert await ask(proxy, [sent]) == LAST
            held.close()
            await held.wait_closed()
            assert await ask(proxy, [sent]) == LAST

    with upstream() as server:
        asyncio.run(run(server.port))
    assert [exchange.request for exchange in seen] == [None, BODY[:-1], BODY]


SLOW = {
    "a head that comes byte by byte": [b"G", b"E", b"T", b" ", b"/", *[b"x"] * 50],
    "a head that stops": [b"POST /x HTTP/1.1\r\nContent-Le"],
    "a body that stops": [b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
def test_a_client_that_is_too_slow_is_let_go(pieces: list[bytes]) -> None:
    async def run(port: int) -> bytes:
        limits = {"head_seconds": 0.2, "stall_seconds": 0.2, "idle_seconds": 0.2}
        async with forwarding(port, lambda _: None, **limits) as (proxy, _):
            return await ask(proxy, pieces, pause=0.02)

    with upstream() as server:
        assert asyncio.run(run(server.port)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_client_that_asks_nothing_is_let_go_in_silence() -> None:
    async def run(port: int) -> bytes:
        async with forwarding(port, lambda _: None, idle_seconds=0.1, head_seconds=0.2) as (p, _):
            return await ask(p, [])

    assert asyncio.run(run(1)) == b""


def test_connections_beyond_the_limit_are_told_so() -> None:
    async def run(port: int) -> tuple[bytes, int]:
        async with forwarding(port, lambda _: None, connections=3) as (proxy, shared):
            held = [await asyncio.open_connection("127.0.0.1", proxy) for _ in range(3)]
            got = await ask(proxy, [b"GET / HTTP/1.1\r\n\r\n"])
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            while shared.count("connections"):
                await asyncio.sleep(0.01)
            assert (await ask(proxy, [b"GET / HTTP/1.0\r\n\r\n"])).startswith(b"HTTP/1.1 200")
            return got, shared.count("refused")

    with upstream() as server:
        answer, refused = asyncio.run(run(server.port))
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert refused == 1


def test_a_client_that_reads_nothing_makes_the_proxy_hold_little() -> None:
    """An answer of 200 MB, of which the client reads none: the upstream has to wait."""
    size = 200 << 20

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for block in [b"x" * (1 << 20)] * 200:
            connection.sendall(block)
            passed.append(len(block))

    passed: list[int] = []

    async def run(port: int) -> None:
        async with forwarding(port, lambda _: None) as (proxy, _):
            loop = asyncio.get_running_loop()
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", proxy))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            before, since = -1, time.monotonic()
            while before != len(passed) or time.monotonic() - since < 0.5:
                if before != len(passed):
                    before, since = len(passed), time.monotonic()
                await asyncio.sleep(0.05)
            client.close()

    with upstream() as server:
        server.answer = answer
        asyncio.run(run(server.port))
    assert sum(passed) < 50 << 20, "what sockets hold, and little more"
