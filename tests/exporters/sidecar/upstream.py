"""A model server of raw sockets, whose every byte a test decides and sees."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.exporters.sidecar.serving import Sidecar, running_sidecar, write_spec
from tests.processes import eventually

__all__ = ["PROXIED", "Proxied", "Upstream", "exchange", "proxied", "read_message", "upstream"]

Answer = bytes | Callable[[socket.socket, bytes], None]

PROXIED = """\
models:
  - name: mail
    version: "1"
    task: binary_classification
    profile: profiles/mail.json
    serving: &serving
      upstream: "http://127.0.0.1:{upstream}"
      proxy: 127.0.0.1:{proxy}
      health: /ready
      probe_interval: 1h
      paths:
        - path: /score/{{model}}
          features: input
          prediction: output.class
          confidence: output.sure
          prediction_id: id
        - {{path: "/batch/{{model}}", features: "rows[*].x", prediction: "answers[*].y"}}
  - name: mail
    version: "2"
    task: binary_classification
    profile: profiles/mail.json
    serving: {{<<: *serving, paths: []}}
  - name: price
    version: "7"
    task: regression
    profile: profiles/price.json
    serving: {{<<: *serving, paths: []}}
"""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read_message(connection: socket.socket) -> bytes:
    """One whole HTTP message, as its bytes came; less where the connection ended before."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            return got
        got += more
    head, _, _ = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head)
    bodiless = re.match(rb"HTTP/1.1 (1..|204|304)", head)
    if bodiless:
        return got
    if length or not chunked:
        until_close = head.startswith(b"HTTP/") and not length
        size = len(head) + 4 + (int(length[1]) if length else 0)
        while until_close or len(got) < size:
            more = connection.recv(1 << 20)
            if not more:
                return got
            got += more
        return got
    while not re.search(rb"\r\n0[^\r\n]*\r\n([^\r\n]+\r\n)*\r\n\Z", got):
        more = connection.recv(65536)
        if not more:
            return got
        got += more
    return got


@dataclass
class Upstream:
    """A running server. `answer` is what each request gets, or what is done with it."""

    port: int
    answer: Answer = OK
    received: list[bytes] = field(default_factory=list)
    """Requests in the order they came, without the probes of /ready."""
    connections: list[socket.socket] = field(default_factory=list)
    ready: bool = True
    raw: Callable[[socket.socket], None] | None = None
    """Does all for the next request in the place of `answer`: reads it too."""

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection."""
        with connection, suppress(OSError):
            while connection.recv(1, socket.MSG_PEEK):
                if self.raw is not None:
                    self.raw(connection)
                    continue
                request = read_message(connection)
                if request.startswith(b"GET /ready "):
                    status = b"200 OK" if self.ready else b"503 Later"
                    connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
                    continue
                self.received.append(request)
                if isinstance(self.answer, bytes):
                    connection.sendall(self.answer)
                else:
                    self.answer(connection, request)


@contextmanager
def upstream(port: int = 0) -> Iterator[Upstream]:
    """A server for the length of the block."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = Upstream(listener.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.connections.append(connection)
                threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            # Closing alone does not wake up a thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in server.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Proxied:
    """A sidecar with a proxy in front of an upstream."""

    sidecar: Sidecar
    server: Upstream
    port: int

    @property
    def url(self) -> str:
        """Where the proxy is."""
        return f"http://127.0.0.1:{self.port}"

    def listens(self) -> bool:
        """Whether the proxy accepts connections."""
        with suppress(OSError), self.connect():
            return True
        return False

    def connect(self) -> socket.socket:
        """A client's connection to the proxy."""
        return socket.create_connection(("127.0.0.1", self.port), 10)


@contextmanager
def proxied(
    folder: Path, port: int, server: Upstream, *, models: str = PROXIED
) -> Iterator[Proxied]:
    """Start a sidecar whose proxy listens on `port`."""
    spec = write_spec(folder, models.format(upstream=server.port, proxy=port))
    with running_sidecar(spec, options=["--data-dir", str(folder / "data")]) as sidecar:
        found = Proxied(sidecar, server, port)
        eventually(found.listens)
        yield found


def exchange(proxy: Proxied, request: bytes) -> bytes:
    """Send a request as it is; the bytes of the answer."""
    with proxy.connect() as connection:
        connection.sendall(request)
        return read_message(connection)
