"""The other side of actions: a real web server that keeps what it gets, and answers as told.

It is also an Alertmanager's API in so far as the responder asks it: which alerts fire.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Received", "Receiver", "receiving"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request: headers by lower-case name, the body as it came, and when."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """A web server's address and what it got; `answer` gives status and seconds to wait."""

    address: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], tuple[int, float]] = lambda _: (200, 0.0)
    states: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Fingerprint → when it began, and its state; what is not there does not fire."""
    asked: int = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.address}"

    def to(self, path: str) -> list[Received]:
        """What came to one path, in order."""
        return [one for one in self.received if one.path == path]

    def fires(self, alert: dict[str, Any], state: str = "active") -> dict[str, Any]:
        """Let an alert of a webhook call fire, as Alertmanager tells it; the alert again."""
        self.states[alert["fingerprint"]] = (alert["startsAt"], state)
        return alert


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            receiver.asked += 1
            alerts = [
                {"fingerprint": name, "startsAt": begun, "status": {"state": state}}
                for name, (begun, state) in list(receiver.states.items())
            ]
            self._say(200, json.dumps(alerts).encode())

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # who sent it was killed in the middle of it
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            one = Received(self.command, self.path, headers, body, time.monotonic())
            receiver.received.append(one)
            status, seconds = receiver.answer(one)
            time.sleep(seconds)
            self._say(status, b'{"said": "so"}')

        def do_PUT(self) -> None:
            self.do_POST()

        def _say(self, status: int, body: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        receiver.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join(10)
