"""A bounded sample of the rows that a model got lately, for what counts cannot say.

Off unless models.yaml has `drift.multivariate`. The window is cut into slices of time, each with a
sample of its own, so that what is old goes as a whole and a burst takes no other time's place.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from contract.profile import OTHER
from exporters.sidecar.event import Event, Value
from exporters.sidecar.layout import Layout
from exporters.sidecar.rows import Rows

__all__ = ["Reservoir", "follow"]

SLICES: Final = 10

Row = dict[str, Value]


@dataclass(slots=True)
class _Slice:
    """A uniform sample of the rows of a slice of time (Vitter's algorithm R)."""

    ends: float
    seen: int = 0
    rows: list[Row] = field(default_factory=list)


def follow(layout: Layout, before: Reservoir | None) -> Reservoir | None:
    """The reservoir that models.yaml wants now: the one before, where it is the same."""
    wanted = layout.model.drift.multivariate
    if wanted is None:
        return None
    seconds = wanted.window.seconds
    if before is not None and before.is_of(layout, wanted.rows, seconds):
        return before
    return Reservoir(layout, wanted.rows, seconds)


class Reservoir:
    """At most `size` rows of the last `seconds`, features of the profile only."""

    def __init__(
        self,
        layout: Layout,
        size: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = size
        self.seconds = seconds
        self._layout = layout
        self._names = [*layout.numbers.names, *layout.categories]
        self._each = max(1, size // SLICES)
        self._clock = clock
        self._random = np.random.default_rng()
        self._slices: deque[_Slice] = deque(maxlen=SLICES)

    def is_of(self, layout: Layout, size: int, seconds: float) -> bool:
        """Whether it would be made the same again; rows by column follow the layout's order."""
        own = (self.size, self.seconds, self._layout.numbers.names, [*self._layout.categories])
        return own == (size, seconds, layout.numbers.names, [*layout.categories])

    def take(self, events: Sequence[Event]) -> None:
        """Sample events that nothing is wrong with: those that succeeded and have features."""
        rows = [
            event for event in events if event.features is not None and event.status == "success"
        ]
        for place, slot in self._chosen(len(rows)):
            if (features := rows[place].features) is not None:
                self._put(slot, {name: features.get(name) for name in self._names})

    def take_batch(self, rows: Rows) -> None:
        """Sample rows that came by column."""
        if not rows.features:
            return
        tables = list(rows.tables())
        numbers = np.concatenate(tables, axis=1).T if tables else None
        for place, slot in self._chosen(rows.features):
            row: Row = {}
            if numbers is not None:
                values = numbers[place].tolist()
                row = {
                    name: value if math.isfinite(value) else None
                    for name, value in zip(self._layout.numbers.names, values, strict=True)
                }
            for name, column in zip(self._layout.categories, rows.categories, strict=True):
                # Rows hold the places of categories: what the profile does not know is other.
                row[name] = [*self._layout.categories[name].names, OTHER, None][column[place]]
            self._put(slot, row)

    def columns(self) -> dict[str, list[Value]]:
        """The rows that are held, by column."""
        self._drop_old()
        held = [row for own in self._slices for row in own.rows]
        return {name: [row[name] for row in held] for name in self._names}

    def _chosen(self, count: int) -> Iterator[tuple[int, int]]:
        """Which of so many rows are sampled, and in whose place."""
        if not count:
            return
        own = self._current()
        order = own.seen + np.arange(1, count + 1)
        slots = (self._random.random(count) * order).astype(np.int64)
        slots = np.where(order <= self._each, order - 1, slots)
        own.seen += count
        for place in np.flatnonzero(slots < self._each).tolist():
            yield place, int(slots[place])

    def _put(self, slot: int, row: Row) -> None:
        rows = self._slices[-1].rows
        if slot < len(rows):
            rows[slot] = row
        else:
            rows.append(row)

    def _current(self) -> _Slice:
        now = self._clock()
        if not self._slices or self._slices[-1].ends <= now:
            self._slices.append(_Slice(now + self.seconds / SLICES))
        return self._slices[-1]

    def _drop_old(self) -> None:
        # A slice is dropped once all of it is older than the window.
        oldest = self._clock() - self.seconds
        while self._slices and self._slices[0].ends <= oldest:
            self._slices.popleft()
