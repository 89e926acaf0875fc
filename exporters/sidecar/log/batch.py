"""What goes into a prediction log as one group, and what comes of it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from exporters.sidecar.body import Body
from exporters.sidecar.counts import Counts
from exporters.sidecar.event import Event
from exporters.sidecar.rows import Rows

__all__ = [
    "DUPLICATE",
    "ENTRY",
    "LATE",
    "MATCHED",
    "UNMATCHED",
    "WAITING",
    "Answer",
    "Checkpoint",
    "Committed",
    "Entries",
    "Events",
    "Group",
    "Joined",
    "LabelBatch",
    "Log",
    "LogError",
    "PredictionBatch",
    "Replayed",
    "Time",
    "Version",
    "chosen",
    "is_sampled",
    "make_keys",
    "random_keys",
]

ENTRY: Final = np.dtype([("key", "<u8"), ("time", "<f8"), ("value", "<f8"), ("score", "<f8")])
"""A prediction as a label needs it, or a label.

`key` is a hash of model and id, 0 where there is no id to be found by. `time` is Unix seconds.
`value` is the place of the predicted class, or the predicted number; `score` the probability of a
binary classifier's positive class; both NaN where there is none.
"""

Entries = NDArray[np.void]
Answer = float | str | bool
Time = dt.datetime | float | None
T = TypeVar("T")

MATCHED, UNMATCHED, DUPLICATE, LATE, WAITING = range(5)
"""What becomes of a label. One that comes before its prediction waits."""


class LogError(Exception):
    """The log could not be written; nothing of the group is in it."""


class Events(Protocol):
    """Events of one model version that came together.

    `ids` and `times` are empty where no event has any, and where `rows` is None.
    """

    version: int
    rows: Rows | None
    """What they count, where nothing is special about them."""
    ids: Sequence[str | None]
    times: Sequence[Time]

    @property
    def size(self) -> int:
        """How many events there are."""

    @property
    def events(self) -> Sequence[Event]:
        """One by one."""

    body: Body | None
    """What arrived, where it holds these events and nothing else."""


class Version(Protocol):
    """A model version as a log sees it."""

    @property
    def model_name(self) -> str:
        """The model."""

    @property
    def model_version(self) -> str:
        """Its version."""

    @property
    def fingerprint(self) -> str:
        """Changes with everything that `value`s and counts depend on."""

    def class_name(self, value: float) -> str | None:
        """The class at a place; None of a regressor and where there is no prediction."""

    def value_of(self, number: float | None, name: str | None) -> float:
        """The `value` of a prediction that was kept as a number, or as the name of its class."""

    def entries_of(self, events: Sequence[Event], arrived: float) -> Entries:
        """The entries of events, shape [events]; new random keys only for those without id."""


@dataclass(slots=True)
class PredictionBatch:
    """Events of one model version, by its place among the log's versions.

    `entries` are those of the events in all `parts`, one after the other.
    """

    version: int
    entries: Entries
    parts: Sequence[Events]

    @property
    def events(self) -> Sequence[Event]:
        """The events of all parts."""
        if len(self.parts) == 1:
            return self.parts[0].events
        return [event for part in self.parts for event in part.events]


@dataclass(slots=True)
class LabelBatch:
    """Labels that arrived for one model version.

    `value` and `score` of an entry are of the prediction that the label brings along, if any.
    """

    version: int
    entries: Entries
    actuals: list[Answer]


@dataclass(slots=True)
class Group:
    """What is written at once. `checkpoint` is as of a sequence number: all counts up to it.

    `unlogged` is what was counted of events that `sampling` leaves out, by the place of their
    version. A counter that a restart did not know of would go back, and Prometheus would take all
    of it as new.
    """

    arrived: float
    predictions: list[PredictionBatch] = field(default_factory=list)
    labels: list[LabelBatch] = field(default_factory=list)
    unlogged: dict[int, Counts] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Counts of all versions after the group of that sequence number, at a time."""

    sequence: int
    time: float
    counts: bytes


@dataclass(slots=True)
class Joined:
    """What became of labels, all arrays of one length.

    `versions` are those of the predictions where they are known, else those the labels came for.
    `delays` in seconds are NaN where the prediction is not in the log.
    """

    results: NDArray[np.uint8]
    versions: NDArray[np.uint16]
    values: NDArray[np.float64]
    scores: NDArray[np.float64]
    delays: NDArray[np.float64]
    actuals: list[Answer]

    @classmethod
    def of(cls, version: int, entries: Entries, actuals: list[Answer], result: int) -> Joined:
        """All with one result, as they came."""
        size = len(entries)
        return cls(
            np.full(size, result, np.uint8),
            np.full(size, version, np.uint16),
            entries["value"].copy(),
            entries["score"].copy(),
            np.full(size, np.nan),
            actuals,
        )


@dataclass(slots=True)
class Committed:
    """What came of a group. `fresh` says, for each batch, which predictions were not there yet."""

    sequence: int
    fresh: list[NDArray[np.bool_]]
    joined: list[Joined]


@dataclass(slots=True)
class Replayed:
    """What the log holds beyond the last checkpoint, of one version.

    Events, results of labels, or packed counts of events that were not logged.
    """

    version: int
    events: Sequence[Event] = ()
    joined: Joined | None = None
    counts: bytes = b""


class Log(Protocol):
    """A prediction log. All calls after `open` come from one thread."""

    replays: bool
    """Whether `open` gives counts and events of an earlier process back."""
    keeps_bodies: bool
    """Whether bodies are kept as they came, or events are not kept at all."""

    def open(self, versions: Sequence[Version]) -> tuple[bytes | None, Iterable[Replayed]]:
        """Make the log ready: the counts of its last checkpoint, and what came after that.

        Everything replayed has to be taken before the first commit. Raises LogError.
        """

    def commit(self, group: Group) -> Committed:
        """Write a group so that it survives a kill of the process or the machine's loss of power.

        Raises LogError where it could not; then nothing of the group was written.
        """

    def tidy(self, now: float) -> list[Joined]:
        """Enforce retention and size a little; the labels that have waited in vain."""

    def waiting(self) -> int:
        """Labels that wait for their prediction."""

    def close(self) -> None:
        """Close files and connections."""

    def stored(self) -> tuple[int, float | None]:
        """Bytes that the log takes, and the arrival of its oldest prediction."""


def make_keys(model_name: str, ids: Sequence[str]) -> NDArray[np.uint64]:
    """The keys of ids, the same in every process; never 0."""
    seed = xxh3_64_intdigest(model_name.encode())
    encoded = [identity.encode(errors="surrogatepass") for identity in ids]
    keys = np.fromiter(map(xxh3_64_intdigest, encoded, repeat(seed)), np.uint64, len(ids))
    keys[keys == 0] = 1
    return keys


def random_keys(number: int) -> NDArray[np.uint64]:
    """Keys of predictions that have no id but something to be joined with."""
    return np.frombuffer(os.urandom(8 * number), np.uint64) | np.uint64(1)


def chosen(items: Sequence[T], mask: NDArray[np.bool_]) -> list[T]:
    """The items where the mask is true."""
    return list(items) if mask.all() else list(compress(items, mask.tolist()))


def is_sampled(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which keys belong to the share that is kept."""
    if share >= 1:
        return np.ones(len(keys), bool)
    return keys < np.uint64(share * 2.0**64)
