"""The forwarding itself: connections of clients, connections to the upstream, one call at a time.

Raw asyncio protocols: a request that arrives whole goes on in the same callback, and so does its
answer. Nothing here looks into a body; an inference's bodies are kept up to a limit and reported
once the exchange is over.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from exporters.sidecar.proxy.exchange import Exchange, Shared
from exporters.sidecar.proxy.framing import (
    MAX_HEAD,
    Body,
    MalformedError,
    Request,
    Response,
    parse_request,
    parse_response,
)
from exporters.sidecar.proxy.routes import Match, Routes

__all__ = ["Forwarder", "Limits"]

_REASONS: Final = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

_READ_OF_REQUESTS: Final = (
    "content-type",
    "content-encoding",
    "inference-header-content-length",
    "x-request-id",
    "traceparent",
)
_READ_OF_RESPONSES: Final = ("content-type", "content-encoding", "inference-header-content-length")
MAX_KEPT: Final = 64 * 1024 * 1024
"""Bytes of all bodies that are kept at one time to be read later."""

_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients can make the proxy hold, and for how long. Seconds and bytes."""

    connections: int = 1000
    body: int = 1024 * 1024
    """Of a body that is kept to be read later; longer ones are forwarded unread."""
    head_seconds: float = 10.0
    """For a whole head, from its first byte on."""
    stall_seconds: float = 60.0
    """Without a byte of a body going on, where the client is who should move."""
    idle_seconds: float = 75.0
    """Between two requests of a client."""
    connect_seconds: float = 5.0
    upstream_idle_seconds: float = 1.5
    """How long a connection to the upstream is kept for the next request. Shorter than servers
    keep theirs (gunicorn 2 s, uvicorn and Node 5 s), so that none is used while they close it."""
    upstream_idle: int = 64


class Forwarder:
    """Everything that one proxy shares among its connections."""

    def __init__(
        self,
        *,
        upstream: tuple[str, int],
        routes: Routes,
        shared: Shared,
        report: Callable[[Exchange], None],
        limits: Limits,
    ) -> None:
        self.upstream = upstream
        self.routes = routes
        self.shared = shared
        self.limits = limits
        self.clients: set[_Client] = set()
        self.idle: list[_Upstream] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.kept = 0
        """Bytes of all bodies that are kept now."""
        self._report = report

    def client(self) -> asyncio.Protocol:
        """The protocol of a client's connection."""
        return _Client(self)

    def report(self, exchange: Exchange) -> None:
        """Tell of an exchange. Whatever goes wrong with it is counted and stays here."""
        try:
            self._report(exchange)
        except Exception:  # noqa: BLE001  # forwarding does not depend on who listens
            self.shared.add("errors")

    def take(self) -> _Upstream | None:
        """A connection to the upstream that is open and young enough, or None."""
        oldest = time.monotonic() - self.limits.upstream_idle_seconds
        while self.idle:
            upstream = self.idle.pop()
            if not upstream.transport.is_closing():
                if upstream.since > oldest:
                    return upstream
                upstream.transport.close()
        return None

    def give(self, upstream: _Upstream) -> None:
        """Keep a connection for the next request."""
        if self.draining or len(self.idle) >= self.limits.upstream_idle:
            upstream.transport.close()
            return
        upstream.since = time.monotonic()
        self.idle.append(upstream)

    async def sweep(self) -> None:
        """End what takes too long, for ever."""
        while True:
            await asyncio.sleep(min(1.0, self.limits.head_seconds / 2))
            now = time.monotonic()
            for client in [client for client in self.clients if client.deadline < now]:
                client.expire()
            oldest = now - self.limits.upstream_idle_seconds
            for upstream in [upstream for upstream in self.idle if upstream.since < oldest]:
                self.idle.remove(upstream)
                upstream.transport.close()

    async def drain(self, seconds: float, *, patiently: bool = False) -> None:
        """Let calls end that have begun; cut them off after `seconds`.

        `patiently` lets clients that are between two requests make one more, and be told then.
        """
        self.draining = True
        end = time.monotonic() + seconds
        for client in () if patiently else list(self.clients):
            client.close_when_idle()
        while self.clients and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for client in list(self.clients):
            client.transport.abort()
        for upstream in self.idle:
            upstream.transport.close()


class _Kept:
    """A body as far as it is kept; `_parts` is None once it, or all together, are too long."""

    __slots__ = ("_forwarder", "_parts", "_size")

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._size = 0
        self._parts: list[bytes] | None = []

    def add(self, data: bytes) -> None:
        """Keep a part."""
        if self._parts is None:
            return
        forwarder, size = self._forwarder, len(data)
        if self._size + size > forwarder.limits.body or forwarder.kept + size > MAX_KEPT:
            self._free()
            return
        self._size += size
        forwarder.kept += size
        self._parts.append(data)

    def take(self) -> bytes | None:
        """The whole body, which is then kept no more; None where it was too long."""
        whole = None if self._parts is None else b"".join(self._parts)
        self._free()
        return whole

    def _free(self) -> None:
        self._forwarder.kept -= self._size
        self._size, self._parts = 0, None


class _Client(asyncio.Protocol):
    """A client's connection. It is `lingering` once only its end is waited for."""

    transport: asyncio.Transport

    def __init__(self, forwarder: Forwarder) -> None:
        self.forwarder = forwarder
        self.deadline = math.inf
        self.call: _Call | None = None
        self._buffer = bytearray()
        self._lingering = False
        self._refused = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        forwarder = self.forwarder
        if len(forwarder.clients) >= forwarder.limits.connections:
            self._refused = True
            forwarder.shared.add("refused")
            self.answer(503, "the proxy has as many connections as it takes")
            return
        forwarder.clients.add(self)
        forwarder.shared.add("connections")
        self._wait(forwarder.limits.idle_seconds)

    def connection_lost(self, _: Exception | None) -> None:
        if not self._refused:
            self.forwarder.clients.discard(self)
            self.forwarder.shared.add("connections", -1)
        if self.call is not None:
            self.call.cancel()

    def eof_received(self) -> bool:
        # A client that only shuts its own side down counts as gone, as with most proxies.
        if self.call is not None and self.call.tunnel is None:
            self.call.cancel()
        return False

    def data_received(self, data: bytes) -> None:
        call = self.call
        if self._lingering:
            return
        if call is None:
            self._buffer += data
            self._begin()
        elif call.tunnel is not None:
            call.send(data)
        elif not call.body.done:
            self._feed(call, data)
        else:
            self._buffer += data
            if len(self._buffer) > MAX_HEAD:
                self.transport.pause_reading()

    def pause_writing(self) -> None:
        if self.call is not None and self.call.upstream is not None:
            self.call.upstream.pause()
        self._wait(self.forwarder.limits.stall_seconds)

    def resume_writing(self) -> None:
        if self.call is not None and self.call.upstream is not None:
            self.call.upstream.resume()
        self.deadline = math.inf
        self._watch()

    def _watch(self) -> None:
        """Give the client the time that belongs to what it is doing."""
        limits = self.forwarder.limits
        if self.call is None:
            self._wait(limits.head_seconds if self._buffer else limits.idle_seconds)
        elif self._paused or self.call.body.done or self.call.tunnel is not None:
            self.deadline = math.inf
        else:
            self._wait(limits.stall_seconds)

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def pause(self) -> None:
        """Stop reading: the upstream takes no more for now."""
        self._paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self.deadline = math.inf

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self._watch()

    def _begin(self) -> None:
        """Begin the next call, once its head is whole."""
        while self._buffer[:2] == b"\r\n":  # some clients send an empty line after a body
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end > MAX_HEAD or (end < 4 and len(self._buffer) > MAX_HEAD):
            self._refuse(431, f"the head is longer than {MAX_HEAD} bytes")
        elif end < 4:
            # The time for a head runs from its first byte on, however many come one by one.
            limits = self.forwarder.limits
            latest = time.monotonic() + limits.head_seconds
            if self._buffer and self.deadline > latest:
                self.deadline = latest
            if self._buffer.startswith(b"PRI * HTTP/2"):
                self._refuse(505, "speaks HTTP/1.1 only, so no gRPC over HTTP/2")
        else:
            head, rest = bytes(self._buffer[:end]), bytes(self._buffer[end:])
            self._buffer.clear()
            try:
                request = parse_request(head)
                call = _Call(self, request, request.body())
            except MalformedError as error:
                self._refuse(error.status, str(error))
                return
            self.call = call
            self.deadline = math.inf
            call.start(request.render(), rest)

    def _feed(self, call: _Call, data: bytes) -> None:
        rest = call.receive(data)
        if rest:
            self._buffer += rest
        if self.call is call:
            self._watch()

    def keep(self, rest: bytes) -> None:
        """Keep what came after a request."""
        self._buffer += rest

    def next(self, *, close: bool, linger: bool) -> None:
        """A call is over: take the next one, or end the connection."""
        self.call = None
        if linger:
            self.linger()
        elif close or self.forwarder.draining:
            self.transport.close()
        else:
            self.resume()
            if self._buffer:
                asyncio.get_running_loop().call_soon(self._begin_if_idle)

    def _begin_if_idle(self) -> None:
        if self.call is None and not self.transport.is_closing() and not self._lingering:
            self._begin()

    def _refuse(self, status: int, message: str) -> None:
        self.forwarder.shared.add("refused")
        self.answer(status, message)

    def answer(self, status: int, message: str, *, head_only: bool = False) -> None:
        """Answer in the upstream's place, and end the connection."""
        body = json.dumps({"error": message}).encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b"
            % (status, _REASONS[status].encode(), len(body), b"" if head_only else body)
        )
        self.call = None
        self.linger()

    def linger(self) -> None:
        """Drop what still comes, for a moment: closing at once could destroy the answer on its way.

        See RFC 9112, section 9.6.
        """
        self._lingering = True
        self._buffer.clear()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._refused:
            self.transport.close()
            return
        self.resume()
        self._wait(2.0)

    def close_when_idle(self) -> None:
        """End the connection unless a call is in progress."""
        if self.call is None or self.call.tunnel is not None:
            self.transport.close()

    def expire(self) -> None:
        """The client took too long."""
        self.deadline = math.inf
        call = self.call
        if self._lingering or (call is None and not self._buffer):
            self.transport.abort()
        elif call is None:
            self._refuse(408, "the head of the request took too long")
        elif call.response is None:
            self.forwarder.shared.add("refused")
            call.give_up(408, "the body of the request stopped coming")
        else:
            self.transport.abort()


class _Upstream(asyncio.Protocol):
    """A connection to the upstream. `since` is when it was kept for the next request."""

    transport: asyncio.Transport

    def __init__(self, forwarder: Forwarder) -> None:
        self.since = 0.0
        self.call: _Call | None = None
        self.fresh = True
        self._forwarder = forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        if self.call is not None:
            self.call.lost(error)
        elif self in self._forwarder.idle:
            self._forwarder.idle.remove(self)

    def data_received(self, data: bytes) -> None:
        if self.call is None:
            # Nobody asked for this: whose answer it is cannot be known.
            self.transport.abort()
        else:
            self.call.answered(data)

    def pause_writing(self) -> None:
        if self.call is not None:
            self.call.client.pause()

    def resume_writing(self) -> None:
        if self.call is not None:
            self.call.client.resume()

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()


class _Call:
    """One request and its answer."""

    __slots__ = (
        "_answer",
        "_began",
        "_forwarder",
        "_head",
        "_kept_request",
        "_kept_response",
        "_match",
        "_over",
        "_request",
        "_sent",
        "_tainted",
        "_waiting",
        "body",
        "client",
        "response",
        "tunnel",
        "upstream",
    )

    def __init__(self, client: _Client, request: Request, body: Body) -> None:
        self.client = client
        self.body = body
        self.upstream: _Upstream | None = None
        self.response: Response | None = None
        self.tunnel: _Upstream | None = None
        self._forwarder = client.forwarder
        self._request = request
        self._answer = Body()
        self._head = b""
        self._waiting: list[bytes] = []
        self._over = False
        self._tainted = False
        self._sent = b""
        """The head, as long as the request could be sent once more."""
        self._began = time.perf_counter()
        self._match: Match | None = self._forwarder.routes.match(request.method, request.path)
        self._kept_request: _Kept | None = None
        self._kept_response: _Kept | None = None
        if self._match is not None:
            self._kept_request = _Kept(self._forwarder)
            self._kept_response = _Kept(self._forwarder)
            body.sink = self._kept_request.add

    def start(self, head: bytes, data: bytes) -> None:
        """Send the head on, with what came of the body."""
        shared = self._forwarder.shared
        shared.add("requests")
        if self._match is not None:
            shared.add("inferences")
            if self._match.place >= 0:
                shared.progress(self._match.place, 1)
        if self._request.method in _REPEATABLE and self.body.done:
            self._sent = head
        self._waiting.append(head)
        rest = self.receive(data, flush=False) if data else b""
        if rest:
            self.client.keep(rest)
        if not self._over:
            self._connect(self._forwarder.take())

    def _connect(self, upstream: _Upstream | None) -> None:
        if upstream is not None:
            upstream.fresh = False
            self._attach(upstream)
            return
        self.client.pause()
        task = asyncio.get_running_loop().create_task(self._open())
        self._forwarder.tasks.add(task)
        task.add_done_callback(self._forwarder.tasks.discard)

    async def _open(self) -> None:
        forwarder = self._forwarder
        host, port = forwarder.upstream
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(forwarder.limits.connect_seconds):
                _, upstream = await loop.create_connection(lambda: _Upstream(forwarder), host, port)
        except TimeoutError:
            return self._unreachable(504, "timeout", "it did not accept the connection in time")
        except OSError as error:
            return self._unreachable(502, "connect", error.strerror or str(error))
        if self._over:
            forwarder.give(upstream)
            return None
        self.client.resume()
        self._attach(upstream)
        return None

    def _unreachable(self, status: int, reason: str, why: str) -> None:
        if not self._over:
            host, port = self._forwarder.upstream
            self._fail(status, reason, f"the upstream {host}:{port} cannot be reached: {why}")

    def _attach(self, upstream: _Upstream) -> None:
        self.upstream = upstream
        upstream.call = self
        upstream.transport.write(b"".join(self._waiting))
        self._waiting.clear()

    def receive(self, data: bytes, *, flush: bool = True) -> bytes:
        """Send a part of the body on; what comes after the body."""
        try:
            end = self.body.feed(data)
        except MalformedError as error:
            self._forwarder.shared.add("refused")
            self.give_up(400, str(error))
            return b""
        if self.body.done:
            self._began = time.perf_counter()
        part = data if end == len(data) else data[:end]
        if flush and self.upstream is not None:
            self.send(part)
        elif part:
            self._waiting.append(part)
        return data[end:]

    def send(self, data: bytes) -> None:
        """Send bytes to the upstream."""
        if self.upstream is not None and not self.upstream.transport.is_closing():
            self.upstream.transport.write(data)

    def answered(self, data: bytes) -> None:
        """Bytes of the upstream's answer."""
        if self.tunnel is not None:
            self.client.transport.write(data)
            return
        out = b""
        try:
            if self.response is None:
                self._head += data
                out, data = self._read_heads()
            if self._passes_body():
                end = self._answer.feed(data)
                if end < len(data):
                    # More than was asked for: this connection answers nothing else.
                    self._tainted = True
                    data = data[:end]
        except MalformedError as error:
            self._fail(502, "malformed", f"the upstream's answer is no HTTP: {error}")
            return
        if out or data:
            self.client.transport.write(out + data if out else data)
        if self._passes_body() and self._answer.done:
            self._finish()

    def _passes_body(self) -> bool:
        return self.response is not None and self.tunnel is None

    def _read_heads(self) -> tuple[bytes, bytes]:
        """The heads to pass on (100 Continue may come before the answer), and what follows."""
        out: list[bytes] = []
        while True:
            end = self._head.find(b"\r\n\r\n") + 4
            if end > MAX_HEAD or (end < 4 and len(self._head) > MAX_HEAD):
                raise MalformedError("its head is too long")
            if end < 4:
                return b"".join(out), b""
            response = parse_response(self._head[:end])
            self._head = self._head[end:]
            if 100 <= response.status < 200 and response.status != 101:
                if self._request.minor:
                    out.append(response.render(close=False))
                continue
            self._accept(response)
            rest, self._head = self._head, b""
            return b"".join((*out, response.render(close=self._closes()))), rest

    def _accept(self, response: Response) -> None:
        if response.status == 101:
            if not self._request.upgrades:
                raise MalformedError("it changes the protocol unasked")
            self.response, self.tunnel = response, self.upstream
            return
        self._answer = response.body(self._request.method)
        if self._kept_response is not None:
            self._answer.sink = self._kept_response.add
        self.response = response

    def _closes(self) -> bool:
        """Whether the client's connection ends after this answer."""
        if self.tunnel is not None:
            return False
        return (
            not self._request.persistent
            or self._request.minor == 0
            or self._answer.until_close
            or self._forwarder.draining
        )

    def lost(self, error: Exception | None) -> None:
        """The upstream's connection is gone."""
        if self.tunnel is not None:
            self._end(0)
            self.client.transport.close()
        elif self.response is not None and self._answer.until_close and error is None:
            self._finish()
        elif self._repeats():
            # It had been idle and was closed while this request was on its way.
            self._waiting, self._sent, self.upstream = [self._sent], b"", None
            self._connect(None)
        else:
            self._fail(502, "closed", "the upstream closed the connection before it had answered")

    def _repeats(self) -> bool:
        """Whether to send it again: it met a connection that was kept, and that was closing."""
        if self.upstream is None or self.upstream.fresh or self.response is not None:
            return False
        return bool(self._sent) and not self._head

    def cancel(self) -> None:
        """The client is gone: so is the reason for the upstream to work on."""
        if self._over:
            return
        self._end(self.response.status if self.response is not None else 0)

    def give_up(self, status: int, message: str) -> None:
        """End the call for a fault of the client's."""
        self._end(status)
        self.client.answer(status, message, head_only=self._request.method == b"HEAD")

    def _fail(self, status: int, reason: str, message: str) -> None:
        self._forwarder.shared.add(reason)
        begun = self.response is not None
        self._end(status, failed=True)
        if begun and self._answer.until_close:
            # A reset is the only way left to say that the answer is not whole.
            self.client.transport.abort()
        elif begun:
            self.client.transport.close()
        else:
            self.client.answer(status, message, head_only=self._request.method == b"HEAD")

    def _finish(self) -> None:
        assert self.response is not None
        closes, complete = self._closes(), self.body.done
        self._end(self.response.status, reuse=complete and self.response.persistent)
        self.client.next(close=closes, linger=not complete)

    def _end(self, status: int, *, failed: bool = False, reuse: bool = False) -> None:
        """The call is over: let go of the upstream and report it."""
        if self._over:
            return
        self._over = True
        seconds = time.perf_counter() - self._began
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.call = None
            if upstream.transport.is_closing():
                pass
            elif reuse and not self._answer.until_close and not self._tainted:
                upstream.resume()
                self._forwarder.give(upstream)
            else:
                upstream.transport.abort()
        self._report(status, seconds, failed=failed)

    def _report(self, status: int, seconds: float, *, failed: bool) -> None:
        match = self._match
        if match is None or self._kept_request is None or self._kept_response is None:
            return
        if match.place >= 0:
            self._forwarder.shared.progress(match.place, -1)
        response = self.response
        exchange = Exchange(
            kind=match.kind,
            model=match.model,
            version=match.version,
            path=self._request.path,
            status=status,
            seconds=seconds,
            finished=time.time(),
            failed=failed,
            request=self._kept_request.take(),
            response=self._kept_response.take(),
            request_headers=_picked(self._request.fields, _READ_OF_REQUESTS),
            response_headers=_picked(response.fields, _READ_OF_RESPONSES) if response else {},
        )
        # After the answer, which is written when this callback ends.
        asyncio.get_running_loop().call_soon(self._forwarder.report, exchange)


def _picked(fields: dict[bytes, bytes], names: tuple[str, ...]) -> dict[str, str]:
    found = ((name, fields.get(name.encode())) for name in names)
    return {name: value.decode("latin-1") for name, value in found if value is not None}
