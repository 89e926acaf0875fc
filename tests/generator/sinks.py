"""What notifications are sent to, on loopback: a web server and a mail server that keep them."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Mails", "Post", "Posts", "mails", "posts"]


@dataclass(frozen=True, slots=True)
class Post:
    """One request: its path, headers by lower-case name, and body."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Posts:
    """A web server's address, and what was posted to it so far."""

    address: str
    seen: list[Post] = field(default_factory=list)

    def to(self, path: str) -> list[Post]:
        """The posts to one path, in order."""
        return [post for post in self.seen if post.path == path]


@contextmanager
def posts() -> Iterator[Posts]:
    """Answers every POST as Slack does."""
    kept: list[Post] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.append(Post(self.path, headers, json.loads(body)))
            # PagerDuty answers 202, and Alertmanager takes any 2xx elsewhere.
            self.send_response(202 if "enqueue" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, _running(server):
        yield Posts(f"http://127.0.0.1:{server.server_port}", kept)


@dataclass(frozen=True, slots=True)
class Mails:
    """A mail server's address, and the messages it took so far."""

    address: str
    seen: list[EmailMessage] = field(default_factory=list)


@contextmanager
def mails() -> Iterator[Mails]:
    """Speaks as much SMTP as Alertmanager does."""
    kept: list[EmailMessage] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 hello")
            while line := self.rfile.readline():
                match line.split()[0].upper():
                    case b"DATA":
                        self._say("354 go on")
                        kept.append(self._message())
                        self._say("250 taken")
                    case b"QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 fine")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def _message(self) -> EmailMessage:
            lines = iter(self.rfile.readline, b".\r\n")
            message = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(message, EmailMessage)
            return message

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server, _running(server):
        yield Mails(f"127.0.0.1:{server.server_address[1]}", kept)


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
