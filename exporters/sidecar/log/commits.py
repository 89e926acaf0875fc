"""Group commit: one thread writes what has arrived meanwhile, then all of it is counted.

Nothing is counted or acknowledged before it is durable, so that the log is never behind the
counters; and a restart counts what the log holds beyond the last checkpoint of the counters.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contract import logs
from exporters.sidecar.counts import Counts
from exporters.sidecar.event import Event, Label
from exporters.sidecar.labels import Labelled
from exporters.sidecar.log.batch import (
    MATCHED,
    WAITING,
    Answer,
    Checkpoint,
    Committed,
    Events,
    Group,
    Joined,
    LabelBatch,
    Log,
    LogError,
    PredictionBatch,
    chosen,
    is_sampled,
    random_keys,
)
from exporters.sidecar.log.checkpoint import pack, restored, unpack
from exporters.sidecar.log.memory import MemoryLog
from exporters.sidecar.log.work import Part, Work
from exporters.sidecar.rows import Rows

__all__ = ["Commits", "Counted"]

log = logs.logger()

PENDING_LIMIT: Final = 300_000
"""Events and labels that wait to be written at most; beyond them requests are turned away."""

GATHER: Final = 0.0005
"""Seconds for which a group is gathered where the last one had several requests: a group of four
costs as much as one of eight, and who sends one after the other waits for nothing."""

TIDY_EVERY: Final = 0.25

CHECKPOINT_EVERY: Final = 5.0


class Counted(Protocol):
    """Where a model version is counted."""

    @property
    def labelled(self) -> Labelled:
        """What the log knows of it."""

    @property
    def counts(self) -> Counts:
        """All counts up to now."""

    def take(self, events: Sequence[Event]) -> None:
        """Count events."""

    def count(self, events: Sequence[Event]) -> Counts:
        """The counts of events, added to nothing."""

    def take_rows(self, rows: Rows) -> None:
        """Count events field by field, on the layout that there is now."""

    def settle(self, joined: Joined, rows: NDArray[np.intp]) -> None:
        """Count what became of labels."""

    def restore(self, counts: Counts) -> None:
        """Start from the counts of another process."""


@dataclass(slots=True)
class _Prepared:
    """A group, and what of the requests in it the log is not asked to keep."""

    group: Group
    unlogged: list[tuple[int, Sequence[Event]]] = field(default_factory=list)
    settled: list[Joined] = field(default_factory=list)
    sampled_out: int = 0


class Commits:
    """Writes and counts what requests bring. `versions` are in the order of models.yaml."""

    def __init__(
        self,
        store: Log,
        versions: list[Counted],
        *,
        sampling: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accepted = 0
        """Events and labels that were written and counted."""
        self.sampled_out = 0
        """Predictions that were counted but not kept, and labels that were for such."""
        self.duplicates = 0
        """Predictions whose id was known; nothing was counted for them."""
        self.failures = 0
        """Groups that could not be written."""
        self.failing = ""
        """Why the last group could not be written; empty once one was."""
        self.pending = 0
        """Events and labels that wait to be written."""
        self.waiting = 0
        self.size = 0
        self.oldest: float | None = None
        self.counts_at_once = isinstance(store, MemoryLog)
        """Whether events that no label can find are counted when they arrive, since nothing has to
        be written before they are acknowledged."""
        self.keeps_bodies = store.keeps_bodies
        """Whether a batch may be taken that is not read event by event."""
        self._store = store
        self._versions = versions
        self._known = [own.labelled for own in versions]
        self._sampling = sampling
        self._clock = clock
        self._works: list[Work] = []
        self._condition = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._sequence = 0
        self._checkpoint: Checkpoint | None = None
        self._checkpoint_at = 0.0

    def open(self) -> None:
        """Open the log, and count what it holds beyond the counts of its checkpoint."""
        checkpoint, replayed = self._store.open(self._known)
        packed = unpack(checkpoint) if checkpoint else {}
        for own in self._versions:
            labelled = own.labelled
            key = (labelled.model_name, labelled.model_version, labelled.fingerprint)
            found = packed.get(key)
            counts = restored(Counts.zero(labelled.layout), found) if found else None
            if counts is not None:
                own.restore(counts)
        for part in replayed:
            if part.events:
                self._versions[part.version].take(part.events)
            if part.joined is not None:
                self._settle([part.joined])
            if part.counts:
                self._add(part.version, part.counts)

    def _add(self, version: int, packed: bytes) -> None:
        """Add counts that a process before this one packed."""
        own = self._versions[version]
        for plain in unpack(packed).values():
            counts = restored(Counts.zero(own.labelled.layout), plain)
            if counts is not None:
                counts.add(own.counts)
                own.restore(counts)

    def add(self, own: Counted) -> None:
        """Know one more version from now on; its place is the last one."""
        self._versions.append(own)
        self._known.append(own.labelled)

    def submit(self, work: Work) -> asyncio.Future[None] | None:
        """Have work written and counted; the future is done then, or fails with LogError.

        It fails at once when too much waits. Without the thread (see `running`) the work is done
        at once, and there is no future; then LogError is raised here. So is what a log in memory
        would not keep.
        """
        if self.counts_at_once and not work.is_found:
            for part in work.predictions:
                self._count(part)
                self.accepted += part.size
            return None
        if self._loop is None:
            prepared = self._prepare([work])
            self.pending += work.size
            self._apply([work], prepared, self._store.commit(prepared.group))
            return None
        work.done = done = self._loop.create_future()
        # Who does not wait for it does not hear of a failure either.
        done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if self.pending + work.size > PENDING_LIMIT and self.pending:
            done.set_exception(LogError(f"{self.pending} events wait to be written already"))
            return done
        with self._condition:
            self._works.append(work)
            self.pending += work.size
            self._condition.notify()
        return done

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write in a thread of its own until the end of the block; then close the log."""
        self._loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._run, name="prediction-log")
        thread.start()
        try:
            yield
        finally:
            # Twice: what the first round applies is in the checkpoint that the second one writes.
            await asyncio.sleep(0)
            with self._condition:
                self._stopping = True
                self._condition.notify()
            await asyncio.to_thread(thread.join)
            await asyncio.sleep(0)
            self._loop = None
            self._finish()

    def _finish(self) -> None:
        group = Group(self._clock(), checkpoint=self._snapshot())
        try:
            self._store.commit(group)
        except LogError as error:
            log.error("log_not_written", error=str(error))
        self._store.close()

    def _run(self) -> None:
        assert self._loop is not None
        tidied = 0.0
        works: list[Work] = []
        while True:
            with self._condition:
                if not self._works and not self._stopping:
                    self._condition.wait(TIDY_EVERY)
            if len(works) > 1:
                time.sleep(GATHER)
            with self._condition:
                works, self._works = self._works, []
                if not works and self._stopping:
                    return
            if works:
                self._write(works)
            if time.monotonic() - tidied > TIDY_EVERY:
                self._tidy()
                tidied = time.monotonic()

    def _write(self, works: list[Work]) -> None:
        assert self._loop is not None
        try:
            prepared = self._prepare(works)
            prepared.group.checkpoint, self._checkpoint = self._checkpoint, None
            committed = self._store.commit(prepared.group)
        except Exception as error:  # noqa: BLE001  # every request of the group has to be told
            self._loop.call_soon_threadsafe(self._fail, works, error)
        else:
            self._loop.call_soon_threadsafe(self._apply, works, prepared, committed)

    def _tidy(self) -> None:
        assert self._loop is not None
        try:
            expired = self._store.tidy(self._clock())
            stored = self._store.stored()
        except Exception as error:  # noqa: BLE001  # the thread has to live on
            self._loop.call_soon_threadsafe(self._fail, [], error)
        else:
            self._loop.call_soon_threadsafe(self._note, expired, stored, self._store.waiting())

    def _prepare(self, works: Iterable[Work]) -> _Prepared:
        """One batch for each version, of all requests together."""
        now = self._clock()
        prepared = _Prepared(Group(now))
        whole: dict[int, list[Events]] = {}
        events: dict[int, list[Event]] = {}
        labels: dict[int, list[Label]] = {}
        for work in works:
            for part in work.predictions:
                if part.is_whole and self._sampling >= 1:
                    whole.setdefault(part.version, []).append(part)
                else:
                    events.setdefault(part.version, []).extend(part.events)
            for version, mine in work.labels:
                labels.setdefault(version, []).extend(mine)
        for version, parts in whole.items():
            entries = self._versions[version].labelled.entries_of_parts(parts, now)
            prepared.group.predictions.append(PredictionBatch(version, entries, parts))
        for version, own in events.items():
            self._prepare_events(prepared, version, own, now)
        for version, mine in labels.items():
            labelled = self._versions[version].labelled
            entries = labelled.label_entries(mine, now)
            actuals: list[Answer] = [label.actual for label in mine]
            self._add_labels(prepared, LabelBatch(version, entries, actuals))
        if self._store.replays:
            self._count_unlogged(prepared)
        return prepared

    def _count_unlogged(self, prepared: _Prepared) -> None:
        """Have the log know what is counted of events that it does not keep."""
        unlogged = prepared.group.unlogged

        def counts_of(version: int) -> Counts:
            layout = self._versions[version].labelled.layout
            return unlogged.setdefault(version, Counts.zero(layout))

        for version, rest in prepared.unlogged:
            counts_of(version).add(self._versions[version].count(rest))
        for joined in prepared.settled:
            for version in np.unique(joined.versions).tolist():
                rows = np.flatnonzero(joined.versions == version)
                self._versions[version].labelled.settle(counts_of(version), joined, rows)

    def _prepare_events(
        self, prepared: _Prepared, version: int, events: list[Event], now: float
    ) -> None:
        entries = self._versions[version].labelled.entries_of(events, now)
        places = [place for place, event in enumerate(events) if event.actual is not None]
        if places:
            actuals = [event.actual for event in events if event.actual is not None]
            # The prediction itself is in the log, or known already: nothing is brought along.
            brought = entries[places]
            if self._sampling >= 1:
                brought["value"] = np.where(brought["key"] > 0, np.nan, brought["value"])
        if self._sampling < 1:
            keys = entries["key"]
            keys = np.where(keys == 0, random_keys(len(keys)), keys)
            kept = is_sampled(keys, self._sampling)
            if not kept.all():
                rest = chosen(events, ~kept)
                prepared.unlogged.append((version, rest))
                prepared.sampled_out += len(rest)
                events = chosen(events, kept)
                entries = entries[kept]
        if events:
            parts = [Part(version, events)]
            prepared.group.predictions.append(PredictionBatch(version, entries, parts))
        if places:
            self._add_labels(prepared, LabelBatch(version, brought, actuals))

    def _add_labels(self, prepared: _Prepared, batch: LabelBatch) -> None:
        """Labels of predictions that are not kept settle at once if they bring one, else not."""
        if self._sampling < 1:
            keys = batch.entries["key"]
            own = ~np.isnan(batch.entries["value"])
            kept = is_sampled(keys, self._sampling) & (keys > 0)
            alone = ~kept & own
            if alone.any():
                actuals = chosen(batch.actuals, alone)
                prepared.settled.append(
                    Joined.of(batch.version, batch.entries[alone], actuals, MATCHED)
                )
            prepared.sampled_out += int((~kept & ~own).sum())
            if not kept.any():
                return
            actuals = chosen(batch.actuals, kept)
            batch = LabelBatch(batch.version, batch.entries[kept], actuals)
        prepared.group.labels.append(batch)

    def _apply(self, works: Sequence[Work], prepared: _Prepared, committed: Committed) -> None:
        """Count what is durable now, then answer for it."""
        for batch, fresh in zip(prepared.group.predictions, committed.fresh, strict=True):
            if fresh.all():
                for part in batch.parts:
                    self._count(part)
                continue
            events = chosen(batch.events, fresh)
            self.duplicates += len(fresh) - len(events)
            if events:
                self._versions[batch.version].take(events)
        for version, rest in prepared.unlogged:
            self._versions[version].take(rest)
        self._settle([*committed.joined, *prepared.settled])
        self.sampled_out += prepared.sampled_out
        self._sequence = committed.sequence
        self.failing = ""
        now = time.monotonic()
        if works and now - self._checkpoint_at > CHECKPOINT_EVERY:
            self._checkpoint, self._checkpoint_at = self._snapshot(), now
        for work in works:
            self.pending -= work.size
            self.accepted += work.size
            if work.done is not None and not work.done.done():
                work.done.set_result(None)

    def _count(self, part: Events) -> None:
        own = self._versions[part.version]
        # A new models.yaml may have come since the rows were read.
        if part.rows is not None and part.rows.layout is own.labelled.layout:
            own.take_rows(part.rows)
        else:
            own.take(part.events)

    def _fail(self, works: Sequence[Work], error: Exception) -> None:
        if not self.failing:
            log.error("log_not_written", error=str(error))
        self.failures += 1
        self.failing = str(error)
        for work in works:
            self.pending -= work.size
            if work.done is not None and not work.done.done():
                work.done.set_exception(error if isinstance(error, LogError) else LogError(error))

    def _note(
        self, expired: Sequence[Joined], stored: tuple[int, float | None], waiting: int
    ) -> None:
        self._settle(expired)
        self.size, self.oldest = stored
        self.waiting = waiting

    def _settle(self, joined: Iterable[Joined]) -> None:
        for part in joined:
            known = part.results != WAITING
            for version in np.unique(part.versions[known]).tolist():
                rows = np.flatnonzero(known & (part.versions == version))
                self._versions[version].settle(part, rows)

    def _snapshot(self) -> Checkpoint:
        counts = []
        for own in self._versions:
            known = own.labelled
            key = (known.model_name, known.model_version, known.fingerprint)
            counts.append((key, own.counts))
        return Checkpoint(self._sequence, self._clock(), pack(counts))
