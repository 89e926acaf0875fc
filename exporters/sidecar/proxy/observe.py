"""Exchanges that are over → prediction events, as if the model server had sent them itself."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Sequence
from typing import Final, Literal

from contract import logs
from contract.spec import MappedPath
from exporters.sidecar.body import Decoded
from exporters.sidecar.event import MAX_ID, Event, Value
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.proxy.choose import Answer, choose_answers
from exporters.sidecar.proxy.exchange import Exchange
from exporters.sidecar.proxy.mapped import read_mapped_request, read_mapped_response
from exporters.sidecar.proxy.payload import UNREAD, Inputs, Outputs, UnreadError, unpacked
from exporters.sidecar.proxy.tables import read_table_request, read_table_response
from exporters.sidecar.proxy.tensors import read_tensor_request, read_tensor_response

__all__ = ["Observer"]

log = logs.logger()

_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

MAX_SEEN: Final = 50_000
"""Ids that are remembered, so that one that comes again does not hide another call."""

MAX_LOGGED: Final = 20
"""Exchanges that could not be read whose reason is logged; all are counted."""


class Observer:
    """Reads exchanges for all proxies of a sidecar."""

    def __init__(self, intake: Intake) -> None:
        self.unread: Counter[str] = Counter(dict.fromkeys(UNREAD, 0))
        """Bodies that were forwarded unread, by reason."""
        self.errors = 0
        """Exchanges that could not be read for a fault of ours."""
        self._intake = intake
        self._take = intake.take_predictions
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._logged = 0

    def take(
        self,
        exchanges: Sequence[Exchange],
        where: str,
        mapped: Sequence[MappedPath] = (),
        *,
        distinct: bool = False,
    ) -> Awaitable[None] | None:
        """Count exchanges. One that cannot be read counts without its features.

        `where` names their way in; `mapped` are the paths that an exchange's `path:N` is one of.
        `distinct` says that an id that comes again is the same exchange, delivered again. It is
        not where clients make up the ids: many send the same one always. What is returned is
        done once the events are kept and counted, or fails with LogError.
        """
        events: list[Event] = []
        for exchange in exchanges:
            try:
                events += self._read(exchange, mapped)
            except Exception:
                self.errors += 1
                log.exception("exchange_not_read", path=exchange.path)
                events.append(_event(exchange, exchange.version))
        for event in () if distinct else events:
            if event.prediction_id is not None and not self._is_new(event):
                event.prediction_id = None
        if not events:
            return None
        durable = self._take(Decoded(events, range(len(events))), where).durable
        if durable is not None:
            asyncio.ensure_future(durable).add_done_callback(self._note_lost)
        return durable

    def _is_new(self, event: Event) -> bool:
        """Whether the id was not seen lately, and belongs to a prediction."""
        if event.status != "success":
            return False
        key = hash((event.model_name, event.prediction_id))
        new = key not in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return new

    def _note_lost(self, durable: asyncio.Future[None]) -> None:
        """Count a batch that the prediction log could not take; nobody waits to be told."""
        if not durable.cancelled() and durable.exception() is not None:
            self.errors += 1

    def _read(self, exchange: Exchange, paths: Sequence[MappedPath]) -> list[Event]:
        layout = self._layout(exchange.model, exchange.version)
        if layout is None:
            return [_event(exchange, exchange.version)]
        inputs = self._inputs(exchange, layout, paths)
        outputs = self._outputs(exchange, max(len(inputs.rows), 1), paths)
        version = exchange.version
        if version is None and self._layout(exchange.model, outputs.version) is not None:
            version = outputs.version
        size = len(inputs.rows) or max(map(len, outputs.columns.values()), default=1)
        rows: Sequence[dict[str, Value] | None] = inputs.rows or [None] * size
        answers = choose_answers(outputs.columns, size, layout)
        sure = outputs.confidence or [None] * size
        names = _identities(exchange, inputs, outputs, size)
        events = []
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            event = _event(exchange, version, first=place == 0)
            event.batch_size = size if place == 0 else None
            event.features = row
            event.prediction_id = names[place]
            event.prediction, event.confidence = _with_confidence(answer, sure[place])
            events.append(event)
        return events

    def _layout(self, name: str, version: str | None) -> Layout | None:
        """The last model of that name, or the one of that version."""
        for tally in reversed(self._intake.tallies):
            model = tally.layout.model
            if model.name == name and version in {None, model.version}:
                return tally.layout
        return None

    def _inputs(self, exchange: Exchange, layout: Layout, paths: Sequence[MappedPath]) -> Inputs:
        headers, columns = exchange.request_headers, layout.columns
        if exchange.request == b"":
            return Inputs([])
        try:
            body = unpacked(exchange.request, headers)
            if exchange.kind == "v2":
                return read_tensor_request(body, headers, columns)
            if exchange.kind.startswith("path:"):
                mapped = paths[int(exchange.kind.removeprefix("path:"))]
                return read_mapped_request(body, mapped, columns)
            return read_table_request(body, headers, columns)
        except UnreadError as error:
            self._skip(exchange, "request", error)
            return Inputs([])

    def _outputs(self, exchange: Exchange, rows: int, paths: Sequence[MappedPath]) -> Outputs:
        if not 200 <= exchange.status < 300 or exchange.failed or exchange.response == b"":
            return Outputs({})
        headers = exchange.response_headers
        try:
            body = unpacked(exchange.response, headers)
            if exchange.kind == "v2":
                return read_tensor_response(body, headers)
            if exchange.kind.startswith("path:"):
                mapped = paths[int(exchange.kind.removeprefix("path:"))]
                return read_mapped_response(body, mapped, rows)
            return read_table_response(body)
        except UnreadError as error:
            self._skip(exchange, "response", error)
            return Outputs({})

    def _skip(self, exchange: Exchange, part: str, error: UnreadError) -> None:
        # What the server itself refuses need not be readable.
        if part == "request" and 400 <= exchange.status < 500 and error.reason == "body":
            return
        self.unread[error.reason] += 1
        if self._logged < MAX_LOGGED:
            self._logged += 1
            log.warning("unread", path=exchange.path, why=f"the {part} {error}")


def _event(exchange: Exchange, version: str | None, *, first: bool = True) -> Event:
    trace = _TRACE.fullmatch(exchange.request_headers.get("traceparent", ""))
    return Event(
        model_name=exchange.model,
        model_version=version,
        timestamp=exchange.finished,
        status=_status(exchange),
        latency_seconds=exchange.seconds if first else None,
        trace_id=trace[1] if trace else None,
    )


def _status(exchange: Exchange) -> Literal["success", "error", "rejected"]:
    # No answer at all (0) is an error: a model that hangs until its clients give up must not look
    # well.
    if exchange.failed or exchange.status == 0 or exchange.status >= 500:
        return "error"
    return "rejected" if exchange.status >= 400 else "success"


def _with_confidence(answer: Answer, sure: object) -> Answer:
    prediction, confidence = answer
    if isinstance(sure, list) and sure and all(isinstance(own, int | float) for own in sure):
        sure = max(sure)
    if isinstance(sure, int | float) and not isinstance(sure, bool) and 0 <= sure <= 1:
        confidence = float(sure)
    return prediction, confidence


def _identities(
    exchange: Exchange, inputs: Inputs, outputs: Outputs, size: int
) -> list[str | None]:
    """An id for each row: the one that the answer maps to it, or the request's and its place."""
    if outputs.identities and len(outputs.identities) == size:
        return [
            None if own in {None, ""} else str(own)[:MAX_ID]
            if isinstance(own, str | int | float) else None
            for own in outputs.identities
        ]  # fmt: skip
    own = inputs.identity or outputs.identity or exchange.request_headers.get("x-request-id")
    if not own:
        return [None] * size
    short = own[: MAX_ID - 6]
    return [short] if size == 1 else [f"{short}-{place}" for place in range(size)]
