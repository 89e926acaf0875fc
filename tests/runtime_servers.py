"""Serving runtimes as Prometheus sees them: a capture of each, replayed with moving counters."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

from tests.processes import ROOT, free_port

__all__ = ["CAPTURES", "replaying"]

CAPTURES: Final = ROOT / "tests/captures/runtimes"

_SAMPLE: Final = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?P<labels>\{.*\})? (?P<value>\S+)")


def _grows(name: str, types: Mapping[str, str]) -> bool:
    """Whether a sample is part of a counter, a histogram, or the count or sum of a summary."""
    if types.get(name) == "counter" or types.get(name.removesuffix("_total")) == "counter":
        return True
    family = re.sub(r"_(bucket|sum|count)$", "", name)
    return family != name and types.get(family) in {"histogram", "summary"}


def _moved(capture: str, seconds: float, changes: Mapping[str, float]) -> str:
    """The exposition after so many seconds of the traffic that the capture stands for."""
    types: dict[str, str] = {}
    lines = []
    for line in capture.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            lines.append(line)
            continue
        series = sample["name"] + (sample["labels"] or "")
        value = changes.get(series, float(sample["value"]))
        if _grows(sample["name"], types):
            value *= seconds
        lines.append(f"{series} {value!r}")
    return "\n".join(lines) + "\n"


@contextmanager
def replaying(
    capture: Path,
    *,
    path: str = "/metrics",
    changes: Mapping[str, float] | None = None,
    content_type: str = "text/plain; version=0.0.4",
) -> Iterator[str]:
    """An HTTP server with the capture at `path`; its address. `changes` are of single series.

    It says `content_type` of what it answers; nothing, where that is empty.
    """
    text, began = capture.read_text(), time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != path:
                self.send_error(404)
                return
            body = _moved(text, time.monotonic() - began, changes or {}).encode()
            self.send_response(200)
            if content_type:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
