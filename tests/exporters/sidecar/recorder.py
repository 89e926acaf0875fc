"""An HTTP endpoint in the sidecar's place that keeps what it is sent, and misbehaves on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Recorder", "recording"]

PATIENCE = 30.0
"""Seconds until a wait gives up; a test that passes never comes near."""


class Recorder:
    """What arrived, and what to answer."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[dict[str, Any]]]] = []
        self.headers: list[dict[str, str]] = []
        self.reports: list[dict[str, Any]] = []
        """What was posted to /v1/process; it is always answered at once, with 200."""
        self.refuses: Callable[[list[Any]], int] = lambda _: 0
        """The status to answer a batch with, where it is not 0; below 0 to hang up instead."""
        self.connections = 0
        self.status = 200
        self.reply: dict[str, Any] | None = None
        self.arrived = threading.Event()
        """Set as soon as a request is there, also when its answer is held back."""
        self.answering = threading.Event()
        """Cleared by a test to make the sidecar hang."""
        self.answering.set()
        self.changed = threading.Condition()
        self.url = ""
        self.port = 0

    @property
    def predictions(self) -> list[dict[str, Any]]:
        return self._events("/v1/predictions")

    @property
    def labels(self) -> list[dict[str, Any]]:
        return self._events("/v1/labels")

    @property
    def business(self) -> list[dict[str, Any]]:
        return self._events("/v1/business")

    def _events(self, path: str) -> list[dict[str, Any]]:
        with self.changed:
            return [event for to, batch in self.batches if to == path for event in batch]

    def wait(self, until: Callable[[Recorder], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: until(self), PATIENCE), "it never came"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of some tests."""


@contextmanager
def recording(port: int = 0, recorder: Recorder | None = None) -> Iterator[Recorder]:
    """A recorder behind a real port for the length of the block; the port is free afterwards."""
    kept = Recorder() if recorder is None else recorder

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            kept.connections += 1
            connections.append(self.connection)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/process":
                with kept.changed:
                    kept.reports.append(body)
                    kept.changed.notify_all()
                self.answer(200, {"accepted": len(body["models"]), "rejected": 0, "errors": []})
                return
            kept.arrived.set()
            kept.answering.wait()
            status = kept.refuses(body) or kept.status
            if status < 0:
                self.close_connection = True
                return
            if status == 200:
                with kept.changed:
                    kept.batches.append((self.path, body))
                    kept.headers.append(dict(self.headers))
                    kept.changed.notify_all()
            reply = {"accepted": len(body), "rejected": 0, "errors": []}
            if status != 200:
                reply = {"accepted": 0, "rejected": None, "errors": []}
            self.answer(status, kept.reply or reply)

        def answer(self, status: int, reply: dict[str, Any]) -> None:
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Requests are kept, not printed."""

    connections: list[Any] = []
    server = _Server(("127.0.0.1", port), Handler)
    kept.port = server.server_address[1]
    kept.url = f"http://127.0.0.1:{kept.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()
        for connection in connections:
            # Kept-alive connections die with a real process; here they must be told.
            try:
                connection.shutdown(2)
            except OSError:
                continue
