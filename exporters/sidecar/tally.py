"""One model version at run time: its counts, the events not yet counted, and what was ignored."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.profile import OTHER
from exporters.expose import Exemplar
from exporters.sidecar.body import shown
from exporters.sidecar.counts import Counts, count_events, count_rows
from exporters.sidecar.event import WANTED, Event, Label
from exporters.sidecar.labels import Labelled, likeliest
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import Joined
from exporters.sidecar.rows import PLACES, Rows
from exporters.sidecar.segments import Segments

__all__ = ["READ_AT", "Tally", "note"]

READ_AT = 50
"""Events whose fields are read together."""

FOLD_AT = 8_000
"""Events that are counted together: many at once cost a fraction of one by one."""

FOLD_VALUES = 1 << 20
"""Numbers that wait to be counted take no more than 8 MB: of a model with many features, fewer
events are counted together."""

MAX_NAMES = 50

MAX_TRACE = 100
"""Characters of a trace id that is shown; OpenMetrics has room for 128 with the label's name."""


class Tally:
    """What is counted of one model version."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.labelled = Labelled(layout)
        self.last_event: float | None = None
        self.ignored: Counter[str] = Counter()
        """Features that the profile does not know, by name; at most MAX_NAMES names."""
        self.changes = 0
        """Grows whenever the counts may have changed."""
        self.counted = False
        """Whether anything was counted since this process began."""
        self._counts = Counts.zero(layout)
        self.exemplars: dict[int, Exemplar] = {}
        """The last trace of each bucket of latency."""
        self._arrived: list[Event] = []
        self._waiting: list[Rows] = []
        self._waits = 0
        self._fold_at = _fold_at(layout)

    @property
    def version(self) -> str:
        """The model's version."""
        return self.layout.model.version

    @property
    def exposed(self) -> bool:
        """Whether its series exist: those of a retired version only while it is counted."""
        return self.counted or self.layout.model.state != "retired"

    @property
    def counts(self) -> Counts:
        """All counts up to now."""
        self._fold()
        return self._counts

    def refuses(self, event: Event | Label) -> list[tuple[str, str]]:
        """What is wrong with an event for this model: (field, message)."""
        problems = []
        prediction = event.prediction
        if not self.layout.classifies:
            wanted = "a number, since the model is a regression"
            problems += [
                (name, f"should be {wanted}, got {shown(value)}")
                for name, value in (("prediction", prediction), ("actual", event.actual))
                if value is not None and type(value) is not float
            ]
        elif isinstance(prediction, list):
            known = len(self.layout.classes.names)
            if known and len(prediction) != known:
                message = (
                    f"should hold one probability for each of the {known} classes "
                    f"({', '.join(self.layout.classes.names[:10])}), got {len(prediction)}"
                )
                problems.append(("prediction", message))
        if isinstance(event, Label) and event.prediction_id is None and prediction is None:
            message = f"is missing; it should be {WANTED['prediction_id']}, or give prediction"
            problems.append(("prediction_id", message))
        return problems

    def needs_check(self, columns: Sequence[Sequence[Any]]) -> bool:
        """Whether `refuses` may say anything about one of these events, given by column."""
        kinds = set(map(type, columns[PLACES["prediction"]]))
        if self.layout.classifies:
            return list in kinds
        kinds.update(map(type, columns[PLACES["actual"]]))
        return not kinds <= {float, type(None)}

    def follow(self, layout: Layout) -> bool:
        """Count on another layout from now on; whether that can be.

        It cannot where the classes or the segments differ. Counts whose bins differ begin at 0
        again.
        """
        if self.layout.classes.names != layout.classes.names:
            return False
        if self.layout.classifies != layout.classifies:
            return False
        before, after = Segments.of(self.layout).names, Segments.of(layout).names
        if before and before != after:
            return False
        counts = Counts.zero(layout)
        counts.adopt(self.counts, self.layout, layout)
        self.layout, self._counts, self._fold_at = layout, counts, _fold_at(layout)
        self.changes += 1
        self.labelled.follow(layout)
        self.exemplars = {}
        return True

    def take(self, events: Sequence[Event]) -> None:
        """Count events that nothing is wrong with; at least one."""
        self.last_event = time.time()
        self.changes += 1
        self.counted = True
        self._choose_classes(events)
        self._arrived += events
        if len(self._arrived) >= READ_AT:
            self._read()
            if self._waits >= self._fold_at:
                self._fold()

    def count(self, events: Sequence[Event]) -> Counts:
        """The counts of such events, added to nothing."""
        self._choose_classes(events)
        return count_events(self.layout, events)

    def take_rows(self, rows: Rows) -> None:
        """Count rows of this layout that nothing is wrong with."""
        self.last_event = time.time()
        self.changes += 1
        self.counted = True
        if rows.size >= self._fold_at // 2:
            self._note(rows)
            self._counts.add(count_rows(rows))
            return
        self._add(rows)
        if self._waits >= self._fold_at:
            self._fold()

    def _read(self) -> None:
        """Take the fields out of events while those are in the processor's cache."""
        events, self._arrived = self._arrived, []
        self._add(Rows.of(self.layout, events))

    def _add(self, rows: Rows) -> None:
        self._note(rows)
        self._waiting.append(rows)
        self._waits += rows.size

    def _note(self, rows: Rows) -> None:
        """Keep what is not counted: the last traces, the names of features that are ignored."""
        now = time.time()
        for trace, latency in rows.traces:
            if len(trace) <= MAX_TRACE:
                place = bisect_left(self.layout.latency_edges, latency)
                self.exemplars[place] = Exemplar(trace, latency, now)
        for name, count in rows.ignored.items():
            note(self.ignored, name, count)

    def settle(self, joined: Joined, rows: NDArray[np.intp]) -> None:
        """Count what became of labels: the `rows` of `joined` that are of this version."""
        self.changes += 1
        self.counted = True
        self.labelled.settle(self._counts, joined, rows)

    def restore(self, counts: Counts) -> None:
        """Start from the counts that a sidecar before this one had."""
        self.changes += 1
        self._counts = counts

    def _choose_classes(self, events: Sequence[Event]) -> None:
        for event in events:
            if type(event.prediction) is list:
                self._choose_class(event, event.prediction)

    def _choose_class(self, event: Event, probabilities: Sequence[float]) -> None:
        """Make one class of a list of probabilities, in the order of the profile's classes."""
        place = likeliest(probabilities)
        names = self.layout.classes.names
        event.prediction = names[place] if names else OTHER
        if event.confidence is None:
            event.confidence = probabilities[place]

    def _fold(self) -> None:
        if self._arrived:
            self._read()
        if not self._waiting:
            return
        rows, self._waiting, self._waits = Rows.chained(self._waiting), [], 0
        self._counts.add(count_rows(rows))


def _fold_at(layout: Layout) -> int:
    return max(1, min(FOLD_AT, FOLD_VALUES // max(1, len(layout.numbers.names))))


def note(names: Counter[str], name: str, count: int = 1) -> None:
    """Count a name that came from outside, as long as they are not too many or too long."""
    short = name[:100]
    if short in names or len(names) < MAX_NAMES:
        names[short] += count
