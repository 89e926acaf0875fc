"""The sidecar's routes: events and labels in, status out."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from contract.spec import Limits
from exporters.expose.guard import Guard
from exporters.sidecar.arrow import ARROW, MissingPyarrowError, read_arrow_table
from exporters.sidecar.body import STREAM, TABLE, Body, BodyError, Decoded, Reader
from exporters.sidecar.columnar import Batch, read_json_table, read_table
from exporters.sidecar.event import (
    BusinessEvent,
    Event,
    Label,
    Measurement,
    Reason,
    Refusal,
)
from exporters.sidecar.intake import Intake, Outcome
from exporters.sidecar.log.batch import LogError
from exporters.sidecar.process import read_report
from exporters.sidecar.shape import Shape
from exporters.sidecar.status import Upstreams, prefers_html, read_status, render_html
from exporters.sidecar.wire import Answer, Direct, Headers

__all__ = ["MAX_BODY", "MAX_ERRORS", "Web", "refuse_writing"]

MAX_BODY: Final = Limits().body
"""Bytes of one request."""

DROPPED: Final = 8 * MAX_BODY
"""Bytes of a refused body that are still received and dropped, so that a client that sends all of
it before it looks at the answer gets to see it. Beyond that the connection is closed."""

MAX_ERRORS: Final = 100
"""Errors told in one answer; `rejected` counts the others too."""

NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

T = TypeVar("T", Event, Label, BusinessEvent, Measurement)


Take = Callable[[Decoded[T], str], Outcome]
"""Counts what was decoded, or has it written first; see Outcome.durable."""


class Web:
    """The ways in and out over HTTP of one sidecar."""

    def __init__(
        self,
        intake: Intake,
        guard: Guard | None = None,
        upstreams: Callable[[], Upstreams] = dict,
    ) -> None:
        """`upstreams` gives the health of models' upstreams for /v1/status."""
        self._intake = intake
        self._upstreams = upstreams
        self._guard = guard or Guard("")
        limits = intake.limits
        self._events = _Predictions("/v1/predictions", intake, Event, limits)
        self._labels = _Post("/v1/labels", intake, Label, limits, intake.take_labels)
        self._business = _Post(
            "/v1/business",
            intake,
            BusinessEvent,
            limits,
            intake.take_business,
        )
        self._metrics = _Post(
            "/v1/metrics",
            intake,
            Measurement,
            limits,
            intake.take_measurements,
        )
        self._posts = (self._events, self._labels, self._business, self._metrics)

    def follow(self) -> None:
        """Take over the limits that the intake has now."""
        for post in self._posts:
            post.limit(self._intake.limits)

    def routes(self) -> list[BaseRoute]:
        """All routes, for Starlette."""
        return [
            *(post.route() for post in self._posts),
            _reported("/v1/process", self._intake),
            Route("/v1/status", self._status),
            Route("/v1/rows/{model}/{version}", self._rows),
        ]

    def directs(self) -> dict[str, Direct]:
        """The POSTs that are answered without Starlette where they are plain, by path."""
        return {post.path: Direct(self._admits, post.answer_direct) for post in self._posts}

    def _admits(self, headers: Headers, length: int) -> bool:
        return length <= self._events.limits.body and self._guard.admits(
            headers.get(b"authorization", b"")
        )

    async def _rows(self, request: Request) -> Response:
        """A sample of the rows of a model, for the drift collector: who may write may read it."""
        if not self._guard.admits(request.headers.get("authorization", "").encode()):
            headers = {"WWW-Authenticate": "Bearer"}
            return Response("needs the token of the sidecar\n", 401, headers=headers)
        key = (request.path_params["model"], request.path_params["version"])
        kept = self._intake.reservoirs.get(key)
        if kept is None:
            return Response("of this model no rows are kept: drift.multivariate\n", 404)
        found = {"seconds": kept.seconds, "columns": kept.columns()}
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def _status(self, request: Request) -> Response:
        found = read_status(self._intake, self._upstreams())
        headers = {"Vary": "Accept"}
        if prefers_html(request.headers.get("accept", "")):
            return HTMLResponse(render_html(found), headers=headers)
        return Response(msgspec.json.encode(found), media_type="application/json", headers=headers)


class _Post(Generic[T]):
    """Where events of one kind arrive."""

    def __init__(
        self, path: str, intake: Intake, kind: type[T], limits: Limits, take: Take[T]
    ) -> None:
        self.path = path
        self._intake = intake
        self._kind: type[T] = kind
        self._take: Take[T] = take
        self.limit(limits)

    def limit(self, limits: Limits) -> None:
        """Take bodies within these limits from now on."""
        self.limits = limits
        self._reader: Reader[T] = Reader(self._kind, self._shapes(), limits)

    def _shapes(self) -> Mapping[str, Shape] | None:
        return None

    def answer(self, body: bytes, kind: str) -> Answer | Awaitable[Answer]:
        """What is said to a body with this Content-Type."""
        kind = kind.partition(";")[0].strip().lower()
        try:
            if not body:
                raise BodyError("is empty; it should be JSON")
            decoded = self._read(body, kind)
        except BodyError as error:
            return self._refuse(error)
        except MissingPyarrowError as error:
            refusal = Refusal(None, "decode", (("", str(error)),))
            self._intake.refuse(refusal, self.path)
            return _answer(415, None, [refusal])
        try:
            outcome = (
                self._intake.take_batch(decoded)
                if isinstance(decoded, Batch)
                else self._take(decoded, self.path)
            )
        except LogError as error:
            return self._turn_away(error)
        return _said(outcome) if outcome.durable is None else self._say(outcome, outcome.durable)

    def _read(self, body: bytes, kind: str) -> Decoded[T] | Batch:
        return self._reader.read(body, lines=kind in NDJSON)

    def answer_direct(self, body: bytes, headers: Headers) -> Answer | Awaitable[Answer]:
        """The same, with headers as they came."""
        return self.answer(body, headers.get(b"content-type", b"").decode("latin-1"))

    def route(self) -> Route:
        """The same by way of Starlette."""

        async def post(request: Request) -> Response:
            try:
                body = await _read_body(request, self.limits.body)
            except UnknownEncodingError as error:
                refusal = Refusal(None, "decode", (("", str(error)),))
                self._intake.refuse(refusal, self.path)
                return _response(_answer(415, None, [refusal]))
            except BodyError as error:
                response = _response(self._refuse(error))
                if error.too_large and _announced(request) not in range(DROPPED):
                    response.headers["Connection"] = "close"
                return response
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it
            answer = self.answer(body, request.headers.get("content-type", ""))
            return _response(answer if isinstance(answer, Answer) else await answer)

        return Route(self.path, post, methods=["POST"])

    async def _say(self, outcome: Outcome, durable: Awaitable[None]) -> Answer:
        try:
            await durable
        except LogError as error:
            return self._turn_away(error)
        return _said(outcome)

    def _turn_away(self, error: LogError) -> Answer:
        """Nothing was written or counted: the same may be sent again."""
        refusal = Refusal(None, "log", (("", f"the log cannot be written: {error}"),))
        self._intake.refuse(refusal, self.path)
        return _answer(503, None, [refusal])

    def _refuse(self, error: BodyError) -> Answer:
        reason: Reason = "size" if error.too_large else "decode"
        refusal = Refusal(None, reason, (("", f"the body {error}"),))
        self._intake.refuse(refusal, self.path)
        return _answer(413 if error.too_large else 400, None, [refusal])


class _Predictions(_Post[Event]):
    """Where prediction events arrive, in all their forms."""

    def __init__(self, path: str, intake: Intake, kind: type[Event], limits: Limits) -> None:
        super().__init__(path, intake, kind, limits, intake.take_predictions)

    def _shapes(self) -> Mapping[str, Shape]:
        return self._intake.shapes

    def _read(self, body: bytes, kind: str) -> Decoded[Event] | Batch:
        form = TABLE
        if kind == ARROW:
            table, form = read_arrow_table(body, self._reader.limits), STREAM
        # A single event with that text in it is found out by reading it.
        elif body[:1] == b"{" and b'"columns"' in body and kind not in NDJSON:
            found = read_json_table(body, self._reader.limits)
            if found is None:
                return super()._read(body, kind)
            table = found
        else:
            return super()._read(body, kind)
        return read_table(table, self._reader, self._intake.batch_layout, Body(form, body))


def _said(outcome: Outcome) -> Answer:
    if not outcome.refusals:
        return Answer(200, b'{"accepted":%d,"rejected":0,"errors":[]}' % outcome.accepted)
    return _answer(_status(outcome), outcome.accepted, outcome.refusals)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")


def _reported(path: str, intake: Intake) -> Route:
    """Where the processes of a model server tell of themselves; see process.py."""

    async def post(request: Request) -> Response:
        try:
            report = read_report(await _read_body(request, MAX_BODY))
        except (BodyError, ValueError) as error:
            refusal = Refusal(None, "field", (("", str(error)),))
            intake.refuse(refusal, path)
            return _response(_answer(400, None, [refusal]))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        unknown = intake.processes.take(report, [layout.model for layout in intake.layouts])
        refusals = [
            Refusal(place, "model", (("models", "no such model in models.yaml"),))
            for place in unknown
        ]
        return _response(_answer(200, len(report.models) - len(unknown), refusals))

    return Route(path, post, methods=["POST"])


class UnknownEncodingError(ValueError):
    """A Content-Encoding that is not read here."""


async def _read_body(request: Request, limit: int) -> bytes:
    """The body, unpacked, read no further than `limit`. Raises BodyError when it is longer."""
    too_large = BodyError(f"is larger than {limit} bytes; send smaller batches", too_large=True)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnknownEncodingError(f"Content-Encoding {encoding[:50]!r} is not read here; use gzip")
    if _announced(request) > limit:
        raise too_large
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if encoding == "identity":
        return body
    unpacked = _unpack(body, limit)
    if len(unpacked) > limit:
        raise too_large
    return unpacked


def _unpack(body: bytes, limit: int) -> bytes:
    """The content of gzip, no further than one byte beyond the limit. Raises BodyError."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyError(f"is no gzip: {error}") from None
    if len(unpacked) <= limit and (not unpacking.eof or unpacking.unused_data):
        raise BodyError("is no gzip: it ends early, or something follows it")
    return unpacked


def refuse_writing(intake: Intake) -> Callable[[str], Response]:
    """What writing to a path without the token is answered with; it is counted, too."""

    def refuse(path: str) -> Response:
        message = "needs the token of the sidecar: Authorization: Bearer TOKEN"
        refusal = Refusal(None, "auth", (("", message),))
        intake.refuse(refusal, path[:100])
        return _response(_answer(401, None, [refusal]))

    return refuse


def _announced(request: Request) -> int:
    """The length that a request says its body has; -1 where it says none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdigit() else -1


def _status(outcome: Outcome) -> int:
    if outcome.accepted:
        return 200
    unknown_model = outcome.refusals[0].reason == "model"
    return 404 if outcome.single and unknown_model else 400


def _answer(status: int, accepted: int | None, refusals: Sequence[Refusal]) -> Answer:
    """`accepted` is None where the body could not be read, so that its events have no number."""
    errors = [
        {"index": refusal.index, "field": name, "message": message}
        for refusal in refusals[:MAX_ERRORS]
        for name, message in refusal.problems
    ][:MAX_ERRORS]
    rejected = None if accepted is None else len(refusals)
    answer = {"accepted": accepted or 0, "rejected": rejected, "errors": errors}
    return Answer(status, msgspec.json.encode(answer))
