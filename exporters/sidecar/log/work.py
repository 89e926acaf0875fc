"""What requests bring to the log: events of one model version that came together, and labels."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exporters.sidecar.body import Body
from exporters.sidecar.event import Event, Label
from exporters.sidecar.log.batch import Time
from exporters.sidecar.log.rows import decode_body
from exporters.sidecar.rows import PLACES, Rows

__all__ = ["Part", "Work"]


@dataclass(slots=True)
class Part:
    """Events of one model version, by its place among the log's versions.

    Of a large batch in which nothing is special, `rows` is what it counts and `body` what arrived:
    the log keeps that as it is, and `events` are read from it only where they are needed. `ids`
    and `times` (Unix seconds or datetimes) are empty where no event has any.
    """

    version: int
    given: Sequence[Event] | None = None
    rows: Rows | None = None
    ids: Sequence[str | None] = ()
    times: Sequence[Time] = ()
    body: Body | None = None

    @property
    def size(self) -> int:
        """How many events there are."""
        return len(self.given) if self.given is not None else self.rows.size if self.rows else 0

    @property
    def events(self) -> Sequence[Event]:
        """The events, read from the body where that is all there is."""
        if self.given is None:
            assert self.body is not None
            self.given = decode_body(self.body)
        return self.given

    @property
    def is_whole(self) -> bool:
        """Whether the log can keep the body and need not look at the events."""
        return self.rows is not None and self.body is not None

    @property
    def is_found(self) -> bool:
        """Whether a label could find one of the events, or is with one."""
        if self.rows is not None:
            return bool(self.ids)
        return any(e.prediction_id is not None or e.actual is not None for e in self.events)

    @classmethod
    def whole(
        cls,
        version: int,
        rows: Rows,
        columns: Sequence[Sequence[Any]],
        events: Sequence[Event],
        body: Body | None,
    ) -> Part:
        """Events without labels, of which `columns` are those of `columns_of`."""
        ids, times = columns[PLACES["prediction_id"]], columns[PLACES["timestamp"]]
        return cls(
            version,
            events,
            rows,
            ids if ids.count(None) < len(ids) else (),
            times if times.count(None) < len(times) else (),
            body,
        )


@dataclass(slots=True)
class Work:
    """What one request brings: events and labels by the place of their version."""

    predictions: Sequence[Part]
    labels: Sequence[tuple[int, Sequence[Label]]] = ()
    done: asyncio.Future[None] | None = None

    @property
    def is_found(self) -> bool:
        """Whether a label could find an event, or is there already."""
        return bool(self.labels) or any(part.is_found for part in self.predictions)

    @property
    def size(self) -> int:
        """Events and labels."""
        size = 0
        for part in self.predictions:
            size += part.size
        for _, labels in self.labels:
            size += len(labels)
        return size
