"""Predictions by key in memory: joins and duplicates are found without asking the disk.

Open addressing over NumPy arrays, so that a batch is looked up in a few vectorised steps whatever
the number of predictions is: about 60 ns a key. Predictions lie in generations that fill one after
the other, and the oldest is dropped whole. Everything here is rebuilt from the log at start.

Two different ids have the same 64-bit key with a probability of 3 in 100,000 among 30 million.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporters.sidecar.log.batch import (
    DUPLICATE,
    ENTRY,
    LATE,
    MATCHED,
    UNMATCHED,
    WAITING,
    Answer,
    Entries,
    Joined,
)

__all__ = ["Index"]

GENERATION: Final = 1 << 22
"""Predictions of one generation; about 210 MB when it is full."""

SMALLEST: Final = 1 << 12

LIMIT: Final = 4 * GENERATION
"""Predictions that labels can find: 16 million. Beyond them the oldest are forgotten."""

WAITING_LIMIT: Final = 1_000_000
"""Labels that wait for their prediction at most."""

FEW: Final = 16
"""Keys that are looked for one by one: the longest searches are those of few keys, and a step of
all of them takes as long for one as for a hundred."""

PREDICTED: Final = 1
LABELLED: Final = 2

Keys = NDArray[np.uint64]
Rows = NDArray[np.int32]


_NO_KEYS: Final = np.zeros(0, np.uint64)


class Index:
    """The predictions and labels of all models. Times are Unix seconds, spans seconds."""

    def __init__(
        self,
        *,
        ttl: float,
        wait: float,
        limit: int = LIMIT,
        generation: int = GENERATION,
    ) -> None:
        self._ttl = ttl
        self._wait = wait
        self._generations = max(limit // generation, 2)
        self._capacity = generation
        self._tables = [_Table()]
        self._unpredicted = 0
        self._asked: Keys = _NO_KEYS
        self._answer: list[_Found] = []
        self.forgotten = 0
        """Predictions that were given up because there were too many."""
        self._waiting: dict[int, tuple[int, float, float, Answer]] = {}

    @property
    def waiting(self) -> int:
        """Labels that wait for their prediction."""
        return len(self._waiting)

    def unseen(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are of predictions that are new, each only where it first stands."""
        fresh = _first(keys)
        for table, places, rows in self._find(keys):
            fresh[places[(table.flags[rows] & PREDICTED) > 0]] = False
        return fresh

    def predict(self, version: int, entries: Entries, arrived: float) -> Joined | None:
        """Add predictions that are new; gives what becomes of the labels that waited for them."""
        entries = entries[entries["key"] > 0]
        new = np.ones(len(entries), bool)
        # Labels that brought their own predictions may have come first.
        for table, places, rows in self._find(entries["key"]) if self._unpredicted else ():
            table.set(rows, version, entries[places])
            table.flags[rows] |= PREDICTED
            new[places] = False
        self._insert(version, entries[new], PREDICTED, arrived)
        return self._release(entries) if self._waiting else None

    def label(
        self, version: int, entries: Entries, actuals: list[Answer], arrived: float
    ) -> Joined:
        """Join labels; those that find no prediction wait, unless they bring one."""
        keys = entries["key"]
        joined = Joined.of(version, entries, actuals, WAITING)
        own = ~np.isnan(entries["value"])
        first = _first(keys)
        joined.results[keys == 0] = MATCHED
        joined.results[~first] = DUPLICATE
        unknown = first & (keys > 0)
        for table, places, rows in self._find(keys):
            unknown[places] = False
            kept = first[places]
            self._join(table, rows[kept], places[kept], entries["time"], own, joined)
        brought = unknown & own
        joined.results[brought] = MATCHED
        self._insert(version, entries[brought], LABELLED, arrived)
        self._unpredicted += int(brought.sum())
        for place in np.flatnonzero(unknown & ~own).tolist():
            key = int(keys[place])
            if key in self._waiting:
                joined.results[place] = DUPLICATE
            else:
                time = float(entries["time"][place])
                self._waiting[key] = (version, time, arrived, actuals[place])
        return joined

    def expire(self, now: float) -> Joined | None:
        """Give up labels that have waited in vain, and those beyond what memory is kept for."""
        given_up: list[int] = []
        for key, (_, _, arrived, _) in self._waiting.items():
            if arrived > now - self._wait and len(self._waiting) - len(given_up) <= WAITING_LIMIT:
                break
            given_up.append(key)
        if not given_up:
            return None
        gone = [self._waiting.pop(key) for key in given_up]
        nothing = _entries(np.array(given_up, np.uint64), np.zeros(len(gone)))
        joined = Joined.of(0, nothing, [actual for *_, actual in gone], UNMATCHED)
        joined.versions[:] = [version for version, *_ in gone]
        return joined

    def forget(self, before: float) -> None:
        """Drop generations of which all predictions arrived before that time."""
        while len(self._tables) > 1 and (
            self._tables[0].newest < before or len(self._tables) > self._generations
        ):
            gone = self._tables.pop(0)
            self._asked, self._answer = _NO_KEYS, []
            self.forgotten += gone.size if gone.newest >= before else 0

    def _release(self, entries: Entries) -> Joined | None:
        keys = [key for key in entries["key"].tolist() if key in self._waiting]
        if not keys:
            return None
        found = [self._waiting.pop(key) for key in keys]
        labels = _entries(np.array(keys, np.uint64), np.array([time for _, time, _, _ in found]))
        # With the prediction known, neither the version nor the time of arrival matters any more.
        return self.label(0, labels, [actual for *_, actual in found], 0.0)

    def _join(
        self,
        table: _Table,
        rows: Rows,
        places: NDArray[np.intp],
        times: NDArray[np.float64],
        own: NDArray[np.bool_],
        joined: Joined,
    ) -> None:
        flags = table.flags[rows]
        delays = np.maximum(times[places] - table.times[rows], 0)
        values = np.where(own[places], joined.values[places], table.values[rows])
        scores = np.where(own[places], joined.scores[places], table.scores[rows])
        results = np.full(len(rows), MATCHED, np.uint8)
        results[delays > self._ttl] = LATE
        results[np.isnan(values)] = UNMATCHED
        results[(flags & LABELLED) > 0] = DUPLICATE
        table.flags[rows] |= LABELLED
        joined.results[places] = results
        joined.versions[places] = table.versions[rows]
        joined.values[places], joined.scores[places] = values, scores
        joined.delays[places] = np.where(results == MATCHED, delays, np.nan)

    def _find(self, keys: Keys) -> list[_Found]:
        """The tables that hold some of the keys, each with their places in `keys` and its rows.

        The last answer is kept: what is asked before a group is written is asked again after that.
        """
        if np.array_equal(keys, self._asked):
            return self._answer
        self._asked, self._answer = keys.copy(), []
        left = np.flatnonzero(keys)
        for table in reversed(self._tables):
            if not left.size:
                break
            rows = table.find(keys[left])
            found = rows >= 0
            if found.all():
                self._answer.append((table, left, rows))
                break
            if found.any():
                self._answer.append((table, left[found], rows[found]))
                left = left[~found]
        return self._answer

    def _insert(self, version: int, entries: Entries, flags: int, arrived: float) -> None:
        """Add entries whose keys are distinct and in no table."""
        if len(entries):
            self._asked = _NO_KEYS
        while len(entries):
            table = self._tables[-1]
            room = self._capacity - table.size
            if room <= 0:
                self._tables.append(_Table())
                self.forget(0)
                continue
            table.add(version, entries[:room], flags)
            table.newest = max(table.newest, arrived)
            entries = entries[room:]


class _Table:
    """One generation: rows in the order they came, and slots that lead to them by key."""

    def __init__(self) -> None:
        self.size = 0
        self.newest = 0.0
        self._slots = np.zeros(2 * SMALLEST, np.uint64)
        self._rows = np.zeros(2 * SMALLEST, np.int32)
        self._columns: dict[str, NDArray[Any]] = {
            "times": np.zeros(SMALLEST, np.float64),
            "values": np.zeros(SMALLEST, np.float64),
            "scores": np.zeros(SMALLEST, np.float64),
            "versions": np.zeros(SMALLEST, np.uint16),
            "flags": np.zeros(SMALLEST, np.uint8),
        }

    @property
    def times(self) -> NDArray[np.float64]:
        return self._columns["times"]

    @property
    def values(self) -> NDArray[np.float64]:
        return self._columns["values"]

    @property
    def scores(self) -> NDArray[np.float64]:
        return self._columns["scores"]

    @property
    def versions(self) -> NDArray[np.uint16]:
        return self._columns["versions"]

    @property
    def flags(self) -> NDArray[np.uint8]:
        return self._columns["flags"]

    def find(self, keys: Keys) -> Rows:
        """The rows of keys, -1 where there is none."""
        found = np.full(len(keys), -1, np.int32)
        mask = len(self._slots) - 1
        slots = (keys & np.uint64(mask)).astype(np.intp)
        left = np.arange(len(keys))
        while left.size > FEW:
            held = self._slots[slots]
            hit = held == keys[left]
            found[left[hit]] = self._rows[slots[hit]]
            on = ~hit & (held != 0)
            left, slots = left[on], (slots[on] + 1) & mask
        for place, start in zip(left.tolist(), slots.tolist(), strict=True):
            slot = self._slot(keys.item(place), start)
            if self._slots.item(slot):
                found[place] = self._rows.item(slot)
        return found

    def _slot(self, key: int, slot: int) -> int:
        """Where a key is, looked for from a slot on; the first free slot if it is not there."""
        held, mask = self._slots.item, len(self._slots) - 1
        while held(slot) not in (0, key):
            slot = (slot + 1) & mask
        return slot

    def add(self, version: int, entries: Entries, flags: int) -> None:
        """Append rows of keys that are not there."""
        start, end = self.size, self.size + len(entries)
        self._grow(end)
        self.size = end
        rows = np.arange(start, end, dtype=np.int32)
        self._place(entries["key"], rows)
        self.set(rows, version, entries)
        self.flags[rows] = flags

    def set(self, rows: Rows, version: int, entries: Entries) -> None:
        """Write the values of rows."""
        self.times[rows] = entries["time"]
        self.values[rows] = entries["value"]
        self.scores[rows] = entries["score"]
        self.versions[rows] = version

    def _place(self, keys: Keys, rows: Rows) -> None:
        mask = len(self._slots) - 1
        slots = (keys & np.uint64(mask)).astype(np.intp)
        while keys.size > FEW:
            free = self._slots[slots] == 0
            # Of several keys for one slot the last one stays; the others see that and go on.
            self._slots[slots[free]] = keys[free]
            won = self._slots[slots] == keys
            self._rows[slots[won]] = rows[won]
            keys, rows, slots = keys[~won], rows[~won], (slots[~won] + 1) & mask
        for key, row, start in zip(keys.tolist(), rows.tolist(), slots.tolist(), strict=True):
            slot = self._slot(key, start)
            self._slots[slot], self._rows[slot] = key, row

    def _grow(self, size: int) -> None:
        """Make room: at most half of the slots are used, so that searches stay short."""
        capacity = len(self.flags)
        if size <= capacity:
            return
        while capacity < size:
            capacity *= 2
        for name, before in self._columns.items():
            self._columns[name] = np.zeros(capacity, before.dtype)
            self._columns[name][: self.size] = before[: self.size]
        used = np.flatnonzero(self._slots)
        keys, rows = self._slots[used], self._rows[used]
        self._slots = np.zeros(2 * capacity, np.uint64)
        self._rows = np.zeros(2 * capacity, np.int32)
        self._place(keys, rows)


_Found = tuple[_Table, NDArray[np.intp], Rows]


def _first(keys: Keys) -> NDArray[np.bool_]:
    """Where each key stands for the first time; everywhere for 0, which is no key."""
    ascending = np.sort(keys)
    if (ascending[1:] != ascending[:-1]).all():
        return np.ones(len(keys), bool)
    _, places = np.unique(keys, return_index=True)
    first: NDArray[np.bool_] = keys == 0
    first[places] = True
    return first


def _entries(keys: Keys, times: NDArray[np.float64]) -> Entries:
    entries = np.zeros(len(keys), ENTRY)
    entries["key"], entries["time"] = keys, times
    entries["value"] = entries["score"] = np.nan
    return entries
