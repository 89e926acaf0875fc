"""Where Alertmanager delivers to during the game day: a webhook for each team, and what arrived."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from responder.notification import Notification, read_line, read_notifications
from responder.webhook import PayloadError, read_payload

__all__ = ["LOG", "Delivery", "Receivers"]

LOG: Final = "log"
"""The receiver that is the responder: what stands in its log."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert of one notification, at one receiver; `at` is monotonic."""

    receiver: str
    at: float
    notification: Notification


class Receivers:
    """All deliveries so far, of all receivers; `get` and `wait` are safe in every thread."""

    def __init__(self, log: Path) -> None:
        """`log` is the responder's; it is read on while `running`."""
        self._log = log
        self._deliveries: list[Delivery] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()

    @contextmanager
    def running(self, address: str) -> Iterator[None]:
        """Receive at http://`address`/TEAM for the length of the block."""
        host, _, port = address.rpartition(":")
        server = ThreadingHTTPServer((host, int(port)), self._handler())
        server.daemon_threads = True
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=self._follow_log, daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            server.shutdown()
            server.server_close()
            for thread in threads:
                thread.join(2)

    def get(self, since: float = 0.0) -> list[Delivery]:
        """What arrived after a moment."""
        with self._changed:
            return [delivery for delivery in self._deliveries if delivery.at >= since]

    def wait(self, seconds: float) -> None:
        """Wait until something arrives, `seconds` at most."""
        with self._changed:
            self._changed.wait(seconds)

    def _keep(self, receiver: str, notifications: Iterator[Notification]) -> None:
        at = time.monotonic()
        with self._changed:
            self._deliveries += [Delivery(receiver, at, one) for one in notifications]
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keep: Callable[[str, Iterator[Notification]], None] = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                try:
                    payload = read_payload(body)
                except PayloadError as error:
                    self._answer(400, str(error))
                    return
                now = dt.datetime.now(dt.UTC)
                keep(self.path.strip("/"), read_notifications(payload, now=now))
                self._answer(200, "")

            def _answer(self, status: int, error: str) -> None:
                body = json.dumps({"error": error}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name)
                """Nobody reads who posted what."""

        return Handler

    def _follow_log(self) -> None:
        read = 0
        while not self._stop.wait(0.2):
            try:
                with self._log.open("rb") as file:
                    file.seek(read)
                    text = file.read()
            except FileNotFoundError:
                continue
            whole = text.rfind(b"\n") + 1
            read += whole
            found = [read_line(line) for line in text[:whole].splitlines()]
            if found:
                self._keep(LOG, (one for one in found if one is not None))
