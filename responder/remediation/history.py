"""What was done, from the records of the audit log: the memory that verdicts are made of."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contract.quantity import Duration
from contract.spec import Breaker
from responder.remediation.audit import Record

__all__ = ["History", "Streak"]

HOUR: Final = dt.timedelta(hours=1)
_REMEMBERED: Final = 100_000
_SHOWN: Final = 200
_FAILED: Final = frozenset({"failed", "unknown", "unresolved"})


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures of an action of a model, one after the other, and the last one."""

    failures: int
    last: Record

    def open_until(self, breaker: Breaker, pause: Duration) -> dt.datetime | None:
        """Until when the breaker is open because of them; None where they are too few."""
        if self.failures < breaker.failures:
            return None
        return self.last.time + dt.timedelta(milliseconds=pause.milliseconds)


class History:
    """The last record of every action, and what limits ask for."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._last: dict[str, Record] = {}
        self._open: dict[str, Record] = {}
        self._begun: deque[Record] = deque(maxlen=10_000)
        self._latest: dict[tuple[str, str, bool], dt.datetime] = {}
        self._streaks: dict[tuple[str, str], Streak] = {}
        self._resets: dict[tuple[str, str], Record] = {}
        self.shown: deque[Record] = deque(maxlen=_SHOWN)
        """The last records, oldest first."""
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take up a record."""
        self._last.pop(record.id, None)
        self._open.pop(record.id, None)
        if record.step in {"intent", "succeeded"}:
            self._open[record.id] = record
        self._last[record.id] = record
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        self.shown.append(record)
        # A repetition after a crash is the same action once more.
        if record.step == "dry_run" or (record.step == "intent" and record.attempt == 1):
            self._begun.append(record)
            self._latest[record.model, record.action, record.dry_run] = record.time
        key = (record.model, record.action)
        if record.step in _FAILED:
            before = self._streaks.get(key)
            self._streaks[key] = Streak(before.failures + 1 if before else 1, record)
        elif record.step in {"resolved", "reset"}:
            self._streaks.pop(key, None)
        if record.step == "reset":
            self._resets[key] = record

    def last(self, identity: str) -> Record | None:
        """The last record of an action about an incident."""
        return self._last.get(identity)

    def cooling_until(
        self, model: str, action: str, cooldown: dt.timedelta, *, dry_run: bool
    ) -> dt.datetime | None:
        """Until when an action is not done again for a model."""
        latest = self._latest.get((model, action, dry_run))
        return None if latest is None else latest + cooldown

    def begun(self, now: dt.datetime, *, dry_run: bool, model: str | None = None) -> int:
        """Actions begun within the last hour, of a model or of all."""
        return sum(
            record.time > now - HOUR and record.dry_run == dry_run and model in (None, record.model)
            for record in self._begun
        )

    def streak(self, model: str, action: str) -> Streak | None:
        """How an action of a model fails, if it does."""
        return self._streaks.get((model, action))

    def last_reset(self, model: str, action: str) -> Record | None:
        """When somebody last closed the breaker of an action of a model by hand, and who."""
        return self._resets.get((model, action))

    def unfinished(self) -> Iterator[Record]:
        """Intents without an outcome: a process that ended in between left them."""
        return (record for record in list(self._open.values()) if record.step == "intent")

    def unverified(self) -> Iterator[Record]:
        """Actions that succeeded, of which it is not known yet whether they helped."""
        return (record for record in list(self._open.values()) if record.step == "succeeded")
