"""Plain POSTs, answered by the HTTP parser's callbacks: no task, no messages, no routing.

uvicorn makes a scope, a task and at least four messages of every request, which takes longer than
counting a hundred events. Requests that need none of it (a known path, a body of announced length
that is not compressed) are answered right where their last byte is parsed. All others, those that
are refused among them, go uvicorn's usual way to the same functions behind Starlette.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract import logs

__all__ = ["Answer", "Direct", "DirectProtocol", "direct_protocol"]

log = logs.logger()


class Answer(NamedTuple):
    """A status and a body of JSON."""

    status: int
    body: bytes


Headers = Mapping[bytes, bytes]
"""By their names in lower case; of several with one name the last."""


class Direct(NamedTuple):
    """A POST that is answered directly.

    `admits` says by the headers and the length of the body whether a request may be; else it goes
    the usual way. `answer` gets the body and
    the headers. When it raises, the answer is 500.
    """

    admits: Callable[[Headers, int], bool]
    answer: Callable[[bytes, Headers], Answer | Awaitable[Answer]]


_NOT_PLAIN: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})

_HEADS: Final = {
    status: (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\ncontent-length: "
    ).encode()
    for status in (200, 400, 401, 404, 413, 415, 500, 503)
}
_BROKEN: Final = Answer(500, b'{"error":"the sidecar failed; its log says why"}')


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with direct answers for the paths in `posts`."""

    posts: ClassVar[Mapping[bytes, Direct]] = {}

    _direct: Direct | None = None
    _ending = False

    def on_message_begin(self) -> None:
        """A request begins; what uvicorn prepares for it waits until it is known to be needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._direct = None

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        direct = self.posts.get(self.url)
        if direct is not None and self._is_plain(direct):
            self._direct = direct
            self._pieces: list[bytes] = []
            return
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()

    def _is_plain(self, direct: Direct) -> bool:
        if self.parser.get_method() != b"POST" or self.flow.write_paused:
            return False
        before: Any = self.cycle  # None at first, whatever uvicorn says of its type
        if before is not None and not before.response_complete:
            return False  # answers leave in the order of requests
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        self._sent = headers
        return (
            length.isdigit()
            and _NOT_PLAIN.isdisjoint(headers)
            and direct.admits(headers, int(length))
        )

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._direct is None:
            super().on_body(body)
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """A request has ended: answer it."""
        direct, self._direct = self._direct, None
        if direct is None:
            super().on_message_complete()
            return
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
        try:
            answer = direct.answer(body, self._sent)
        except Exception:
            log.exception("request_failed", path=self.url.decode(errors="replace"))
            answer = _BROKEN
        if isinstance(answer, Answer):
            self._reply(answer, keep_alive=keep_alive and not self._ending)
            self.server_state.total_requests += 1
            if not self.transport.is_closing():
                self._unset_keepalive_if_required()
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
            return
        waiting: Any = _Waiting(keep_alive=keep_alive)
        self.cycle = waiting
        task = self.loop.create_task(self._reply_later(answer, waiting))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _reply_later(self, coming: Awaitable[Answer], waiting: _Waiting) -> None:
        try:
            answer = await coming
        except Exception:
            log.exception("request_failed", path=self.url.decode(errors="replace"))
            answer = _BROKEN
        waiting.response_complete = True
        self._reply(answer, keep_alive=waiting.keep_alive and not self._ending)
        self.on_response_complete()

    def _reply(self, answer: Answer, *, keep_alive: bool) -> None:
        if self.transport.is_closing():
            return
        status, body = answer
        usual = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        close = b"" if keep_alive else b"connection: close\r\n"
        self.transport.write(
            b"%b%d\r\n%b%b\r\n%b" % (_HEADS[status], len(body), usual, close, body)
        )
        if not keep_alive:
            self.transport.close()

    def shutdown(self) -> None:
        """The server is to stop: answer what has begun to arrive, then close."""
        self._ending = True
        if self._direct is None:
            super().shutdown()


class _Waiting:
    """Stands where uvicorn keeps the request that it is answering, so that others wait for it."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event = asyncio.Event()


def direct_protocol(posts: Mapping[str, Direct]) -> type[DirectProtocol]:
    """A protocol for uvicorn that answers POSTs to these paths directly."""

    class Protocol(DirectProtocol):
        pass

    Protocol.posts = {path.encode(): direct for path, direct in posts.items()}
    return Protocol
