"""A client that keeps a server busy: prepared requests over connections that stay open."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Final

__all__ = ["Load", "get", "post"]

CONNECTIONS: Final = 16


def post(path: str, body: bytes, kind: str) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


class Load:
    """Connections to a server on this machine."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self._sockets = [
            socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(connections)
        ]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, requests: Sequence[bytes], seconds: float) -> tuple[int, float]:
        """Send the requests over and over; how many were answered with 200, and in how long."""
        began = time.perf_counter()
        place = answered = 0
        pending = []
        for each in self._sockets:
            each.sendall(requests[place % len(requests)])
            pending.append(each)
            place += 1
        while pending:
            each = pending.pop(0)
            status, body = receive(each)
            if status != 200:
                raise SystemExit(f"the server answered {status}: {body[:500]!r}")
            answered += 1
            if time.perf_counter() - began < seconds:
                each.sendall(requests[place % len(requests)])
                pending.append(each)
                place += 1
        return answered, time.perf_counter() - began

    def close(self) -> None:
        """Close all connections."""
        for each in self._sockets:
            each.close()


def receive(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of one answer that says its length."""
    data = connection.recv(65536)
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            break
        more = connection.recv(65536)
        if not more:
            raise SystemExit("the server closed the connection")
        data += more
    lower = head.lower()
    start = lower.index(b"content-length:") + len(b"content-length:")
    length = int(lower[start:].partition(b"\r\n")[0])
    parts = [body]
    missing = length - len(body)
    while missing > 0:
        more = connection.recv(min(missing, 1 << 20))
        if not more:
            raise SystemExit("the server closed the connection")
        parts.append(more)
        missing -= len(more)
    return int(head[9:12]), b"".join(parts)
