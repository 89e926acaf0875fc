"""What the proxy adds to a request, beside a proxy written the plain way (`make bench-proxy`).

Requests go in turn straight to the server and through a proxy, each over one connection that stays
open; what a proxy adds is the difference of the two medians (or 99th percentiles) of one such run.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Case, Side

REQUESTS = 1500
CONNECTIONS = 8

SPEC = """\
models:
  - name: bench
    version: "1"
    task: binary_classification
    serving: {upstream: "http://%s", proxy: "%s"}
"""


def request(path: str, body: bytes) -> bytes:
    """A POST as clients send it."""
    return (
        b"POST %b HTTP/1.1\r\nHost: model\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip, deflate\r\nContent-Type: application/json\r\n"
        b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
    )


def tensors(rows: int) -> bytes:
    """A body of the Open Inference Protocol with 20 features a row."""
    made = random.Random(1)
    data = [round(made.random(), 6) for _ in range(20 * rows)]
    tensor = {"name": "input", "shape": [rows, 20], "datatype": "FP64", "data": data}
    return json.dumps({"id": "0", "inputs": [tensor]}).encode()


class Connection:
    """One connection that stays open."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def seconds(self, sent: bytes) -> float:
        """How long one request takes until its answer is whole."""
        began = time.perf_counter()
        self._socket.sendall(sent)
        answer = self._socket.recv(65536)
        while True:
            head, found, body = answer.partition(b"\r\n\r\n")
            if found and self._is_whole(head, body):
                break
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the connection was closed")
            answer += more
        took = time.perf_counter() - began
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ValueError(answer[:200])
        return took

    @staticmethod
    def _is_whole(head: bytes, body: bytes) -> bool:
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n")


def in_turn(direct: str, proxied: str, sent: bytes) -> tuple[list[float], list[float]]:
    """Milliseconds of requests straight to the server and through a proxy, in turn."""
    ways = (Connection(direct), Connection(proxied))
    for _ in range(50):
        for way in ways:
            way.seconds(sent)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(REQUESTS):
        for way, times in zip(ways, found, strict=True):
            times.append(1000 * way.seconds(sent))
    return found


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100)[-1]


def rate(address: str, sent: bytes) -> float:
    """Requests a second over several connections at once."""
    ways = [Connection(address) for _ in range(CONNECTIONS)]

    def work(way: Connection) -> None:
        for _ in range(REQUESTS // 4):
            way.seconds(sent)

    threads = [threading.Thread(target=work, args=(way,)) for way in ways]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CONNECTIONS * (REQUESTS // 4) / (time.perf_counter() - began)


def answers(address: str) -> Callable[[], bool]:
    """Whether anything answers on an address."""

    def look() -> bool:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), 1) as probe:
            probe.settimeout(2)
            probe.sendall(request("/ready", b"{}"))
            return probe.recv(15).startswith(b"HTTP/1.1 200")

    return look


def free() -> str:
    """A loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def main() -> None:
    """Start the server and both proxies, and measure."""
    server, ours, plain, own = (free() for _ in range(4))
    python = [sys.executable, "-m"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        spec = folder / "models.yaml"
        spec.write_text(SPEC % (server, ours))

        def start(*command: str, address: str) -> None:
            stack.enter_context(harness.started([*python, *command], until=answers(address)))

        start("benchmarks.proxy_sides", "server", "--listen", server, address=server)
        start(
            "benchmarks.proxy_sides", "plain", "--listen", plain,
            "--upstream", f"http://{server}", address=plain,
        )  # fmt: skip
        start(
            "exporters.sidecar", "serve", "--models", str(spec), "--listen", own,
            "--data-dir", str(folder), address=ours,
        )  # fmt: skip
        one, many = (request("/v2/models/bench/infer", tensors(rows)) for rows in (1, 1000))

        def added(
            address: str, sent: bytes, of: Callable[[list[float]], float]
        ) -> Callable[[], float]:
            def measure() -> float:
                direct, proxied = in_turn(server, address, sent)
                return of(proxied) - of(direct)

            return measure

        def case(what: str, sent: bytes, of: Callable[[list[float]], float]) -> Case:
            return Case(
                what,
                unit="ms",
                better="less",
                target=1.0 if what == "added at the median" else None,
                ours=Side("our proxy", added(ours, sent, of)),
                beside=Side("Starlette and httpx", added(plain, sent, of)),
            )

        def through(address: str) -> Callable[[], float]:
            return lambda: statistics.median(in_turn(server, address, one)[1])

        harness.run(
            "proxy",
            [
                case("added at the median", one, statistics.median),
                case("added at p99", one, p99),
                case("added at the median, 200 kB", many, statistics.median),
                Case(
                    "median of a request",
                    unit="ms",
                    better="less",
                    ours=Side("our proxy", through(ours)),
                    beside=Side("direct", lambda: statistics.median(in_turn(server, ours, one)[0])),
                ),
                Case(
                    f"{CONNECTIONS} connections",
                    unit="requests/s",
                    ours=Side("our proxy", lambda: rate(ours, one)),
                    beside=Side("direct", lambda: rate(server, one)),
                ),
            ],
            packages=["uvloop", "uvicorn", "starlette", "httpx", "httptools"],
        )


if __name__ == "__main__":
    main()
