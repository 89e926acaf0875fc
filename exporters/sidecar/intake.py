"""Decoded events → the counts of their models; and what was refused.

An event is checked whole before anything of it is counted, so that one that is refused changes
no counter but those of refusals.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from contract.spec import Limits
from exporters.sidecar.body import Decoded, shown
from exporters.sidecar.columnar import Batch
from exporters.sidecar.declared import Declared
from exporters.sidecar.event import BusinessEvent, Event, Label, Measurement, Refusal, limited
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.commits import Commits, Counted
from exporters.sidecar.log.memory import MemoryLog
from exporters.sidecar.log.work import Part, Work
from exporters.sidecar.process import Processes
from exporters.sidecar.reservoir import Reservoir, follow
from exporters.sidecar.rows import PLACES, Rows, columns_of
from exporters.sidecar.shape import Shape
from exporters.sidecar.tally import READ_AT, Tally, note
from exporters.sidecar.unregistered import Unregistered

D = TypeVar("D", BusinessEvent, Measurement)

__all__ = ["REASONS", "Intake", "Outcome", "Refused"]

REASONS: Final = ("auth", "decode", "field", "model", "size", "log")

REMEMBERED: Final = 20

DAY: Final = 86_400.0


@dataclass(slots=True)
class Outcome:
    """What came of a body: how many events were accepted, and each that was not."""

    accepted: int
    refusals: Sequence[Refusal] = ()
    single: bool = False
    durable: Awaitable[None] | None = None
    """Done once the events are in the log and counted; raises LogError where they are not. None
    where they are already."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as it is remembered for /v1/status."""

    time: float
    path: str
    refusal: Refusal


@dataclass(slots=True)
class Intake:
    """All models of this sidecar. `layouts` come in the order of models.yaml."""

    layouts: Sequence[Layout]
    limits: Limits = field(default_factory=Limits)
    rejected: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    """Refused events and requests, by reason."""
    last_refused: deque[Refused] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    ignored_fields: Counter[str] = field(default_factory=Counter)
    unregistered: Unregistered = field(default_factory=Unregistered)
    """Versions in traffic that models.yaml does not have."""
    tallies: tuple[Tally, ...] = ()
    shapes: dict[str, Shape] = field(default_factory=dict)
    """How the events of each model are decoded, by its name."""
    processes: Processes = field(default_factory=Processes)
    declared: dict[tuple[str, str], Declared] = field(default_factory=dict)
    """Business events and own metrics, by model and version."""
    reservoirs: dict[tuple[str, str], Reservoir] = field(default_factory=dict)
    """Samples of rows, of the models and versions whose drift is held together by rows."""
    versions: list[Counted] = field(default_factory=list)
    """All versions that were ever known, in a list that the log shares: a place in it stays."""
    commits: Commits = field(init=False)
    """Where accepted events go. By default they are counted at once and kept nowhere."""
    _places: dict[Tally, int] = field(default_factory=dict)
    _by_key: dict[tuple[str, str | None], Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commits = Commits(MemoryLog(retention=DAY, ttl=DAY, wait=60.0), self.versions)
        self.follow(self.layouts, self.limits)

    def follow(self, layouts: Sequence[Layout], limits: Limits) -> None:
        """Take over a models.yaml: what is counted as before keeps its counts.

        A version whose classes are others begins anew, since its labels would be joined with
        classes of other names. What is no longer in the file is not exposed any more.
        """
        before = {tally.layout.model.key: tally for tally in self.tallies}
        tallies = []
        for layout in layouts:
            key = layout.model.key
            tally = before.get(key)
            if tally is None or not tally.follow(layout):
                tally = Tally(layout)
                self._places[tally] = len(self.versions)
                self.commits.add(tally)
            tallies.append(tally)
            if key in self.declared:
                self.declared[key].follow(layout.model)
            else:
                self.declared[key] = Declared(layout.model)
        self.layouts, self.tallies = layouts, tuple(tallies)
        found = {own.model.key: follow(own, self.reservoirs.get(own.model.key)) for own in layouts}
        self.reservoirs = {key: kept for key, kept in found.items() if kept is not None}
        keys = {layout.model.key for layout in layouts}
        self.declared = {key: own for key, own in self.declared.items() if key in keys}
        self._by_key = {}
        for tally in tallies:
            name, version = tally.layout.model.key
            self._by_key[name, version] = tally
            self._by_key[name, None] = tally
        self.unregistered.follow([*keys])
        self.limits = limits
        kind = limited(Event, limits)
        # In place, since readers hold it.
        self.shapes.clear()
        for name in {own.model.name: None for own in layouts}:
            self.shapes[name] = Shape([own for own in layouts if own.model.name == name], kind)

    @property
    def exposed(self) -> tuple[Tally, ...]:
        """The versions whose series exist."""
        return tuple(tally for tally in self.tallies if tally.exposed)

    @property
    def accepted(self) -> int:
        """Events and labels that were taken and are counted."""
        return self.commits.accepted

    def take_predictions(self, decoded: Decoded[Event], path: str = "") -> Outcome:
        """Count prediction events."""
        whole = self._find_whole(decoded)
        if whole is not None:
            return self._finish(decoded, path, Work([whole]), list(decoded.refusals))
        refusals = list(decoded.refusals)
        parts = []
        for key, indices, events in _grouped(decoded):
            tally = self._by_key.get(key)
            if tally is None:
                refusals += [self._unknown(index, key) for index in indices]
                self._note_unknown(key, len(indices))
                continue
            good = events
            if tally.needs_check(columns_of(events)):
                good = _admitted(tally, indices, events, refusals)
            if good:
                parts.append(Part(self._places[tally], good))
                if self.reservoirs and (kept := self.reservoirs.get(tally.layout.model.key)):
                    kept.take(good)
        return self._finish(decoded, path, Work(parts), refusals)

    def take_batch(self, batch: Batch) -> Outcome:
        """Count a batch that came by column, for a layout that `batch_layout` gave."""
        tally = self._by_key[batch.key]
        place = self._places[tally]
        part = Part(place, None, batch.rows, batch.ids, batch.times, batch.body)
        durable = self.commits.submit(Work([part]))
        if self.reservoirs and (kept := self.reservoirs.get(tally.layout.model.key)):
            kept.take_batch(batch.rows)
        for name, count in batch.ignored.items():
            note(self.ignored_fields, name, count)
        return Outcome(batch.rows.size, durable=durable)

    def batch_layout(self, model_name: str, model_version: str | None) -> Layout | None:
        """What is counted of a model version (None: the last one), if it may come as a batch.

        It may not where no such model is known, or where events must be logged one by one.
        """
        tally = self._by_key.get((model_name, model_version))
        return tally.layout if tally and self.commits.keeps_bodies else None

    def _find_whole(self, decoded: Decoded[Event]) -> Part | None:
        """All events as they are, where they are many of one version and nothing is special."""
        events = decoded.events
        if len(events) < READ_AT or not self.commits.keeps_bodies or decoded.body is None:
            return None
        columns = columns_of(events)
        names, versions = set(columns[PLACES["model_name"]]), set(columns[PLACES["model_version"]])
        if len(names) > 1 or len(versions) > 1:
            return None
        tally = self._by_key.get((names.pop(), versions.pop()))
        labels = columns[PLACES["actual"]]
        if tally is None or labels.count(None) < len(labels) or tally.needs_check(columns):
            return None
        if self.reservoirs and (kept := self.reservoirs.get(tally.layout.model.key)):
            kept.take(events)
        rows = Rows.of(tally.layout, events, columns)
        return Part.whole(self._places[tally], rows, columns, events, decoded.body)

    def take_labels(self, decoded: Decoded[Label], path: str = "") -> Outcome:
        """Join labels with their predictions and count what comes of it."""
        refusals = list(decoded.refusals)
        parts: dict[int, list[Label]] = {}
        for index, label in zip(decoded.indices, decoded.events, strict=True):
            key = (label.model_name, label.model_version)
            tally = self._by_key.get(key)
            if tally is None:
                refusals.append(self._unknown(index, key))
            elif problems := tally.refuses(label):
                refusals.append(Refusal(index, "field", tuple(problems)))
            else:
                parts.setdefault(self._places[tally], []).append(label)
        return self._finish(decoded, path, Work((), [*parts.items()]), refusals)

    def take_business(self, decoded: Decoded[BusinessEvent], path: str = "") -> Outcome:
        """Count business events."""
        return self._take_declared(
            decoded, path, lambda own, event: own.refuses_event(event), Declared.take_event
        )

    def take_measurements(self, decoded: Decoded[Measurement], path: str = "") -> Outcome:
        """Take values of the models' own metrics."""
        return self._take_declared(
            decoded, path, lambda own, measured: own.refuses(measured), Declared.take
        )

    def _take_declared(
        self,
        decoded: Decoded[D],
        path: str,
        refuses: Callable[[Declared, D], list[tuple[str, str]]],
        take: Callable[[Declared, D], None],
    ) -> Outcome:
        refusals = list(decoded.refusals)
        accepted = 0
        for index, event in zip(decoded.indices, decoded.events, strict=True):
            key = (event.model_name, event.model_version)
            tally = self._by_key.get(key)
            if tally is None:
                refusals.append(self._unknown(index, key))
                continue
            declared = self.declared[tally.layout.model.key]
            if problems := refuses(declared, event):
                refusals.append(Refusal(index, "field", tuple(problems)))
            else:
                take(declared, event)
                tally.counted = True
                accepted += 1
        self.commits.accepted += accepted
        for name, count in decoded.ignored.items():
            note(self.ignored_fields, name, count)
        refusals.sort(key=lambda refusal: refusal.index or 0)
        self._refuse(refusals, path)
        return Outcome(accepted, refusals, decoded.single)

    def refuse(self, refusal: Refusal, path: str = "") -> None:
        """Count and remember a request of which nothing was taken."""
        self._refuse([refusal], path)

    @property
    def newest(self) -> dict[str, str]:
        """The version that stands for each model's name: of events without one."""
        found = ((name, own) for (name, version), own in self._by_key.items() if version is None)
        return {name: tally.version for name, tally in found}

    def _note_unknown(self, key: tuple[str, str | None], events: int) -> None:
        name, version = key
        if version is not None and name in self.shapes:
            self.unregistered.take(name, version, events, time.time())

    def _unknown(self, index: int, key: tuple[str, str | None]) -> Refusal:
        name, version = key
        versions = [own for known, own in self._by_key if known == name and own is not None]
        if versions:
            message = f"no version {shown(version)} of {name}; known: {', '.join(versions[:20])}"
            return Refusal(index, "model", (("model_version", message),))
        known = ", ".join([*self.shapes][:20])
        message = f"no model is called {shown(name)}; known: {known}"
        return Refusal(index, "model", (("model_name", message),))

    def _finish(
        self,
        decoded: Decoded[Event] | Decoded[Label],
        path: str,
        work: Work,
        refusals: list[Refusal],
    ) -> Outcome:
        for name, count in decoded.ignored.items():
            note(self.ignored_fields, name, count)
        if refusals:
            refusals.sort(key=lambda refusal: refusal.index or 0)
            self._refuse(refusals, path)
        size = work.size
        durable = self.commits.submit(work) if size else None
        return Outcome(size, refusals, decoded.single, durable)

    def _refuse(self, refusals: Iterable[Refusal], path: str) -> None:
        now = time.time()
        for refusal in refusals:
            self.rejected[refusal.reason] += 1
            self.last_refused.append(Refused(now, path, refusal))


def _grouped(
    decoded: Decoded[Event],
) -> Iterable[tuple[tuple[str, str | None], Sequence[int], Sequence[Event]]]:
    """The events by model and version."""
    events, indices = decoded.events, decoded.indices
    if len(events) == 1:
        return [((events[0].model_name, events[0].model_version), indices, events)]
    names = {event.model_name for event in events}
    if len(names) == len({event.model_version for event in events}) == 1:
        return [((events[0].model_name, events[0].model_version), indices, events)]
    keys = [(event.model_name, event.model_version) for event in events]
    groups: dict[tuple[str, str | None], tuple[list[int], list[Event]]]
    groups = {key: ([], []) for key in dict.fromkeys(keys)}
    for key, index, event in zip(keys, indices, events, strict=True):
        places, members = groups[key]
        places.append(index)
        members.append(event)
    return [(key, places, members) for key, (places, members) in groups.items()]


def _admitted(
    tally: Tally, indices: Sequence[int], events: Sequence[Event], refusals: list[Refusal]
) -> Sequence[Event]:
    good = []
    for index, event in zip(indices, events, strict=True):
        if problems := tally.refuses(event):
            refusals.append(Refusal(index, "field", tuple(problems)))
        else:
            good.append(event)
    return good
