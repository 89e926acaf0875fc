"""The log that keeps nothing over a restart: joins only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from exporters.sidecar.log.batch import Committed, Group, Joined, Replayed, Version
from exporters.sidecar.log.index import GENERATION, Index

__all__ = ["MemoryLog"]


class MemoryLog:
    """An index and nothing else. Spans are seconds."""

    replays = False
    keeps_bodies = True

    def __init__(self, *, retention: float, ttl: float, wait: float) -> None:
        self._retention = retention
        self._index = Index(ttl=ttl, wait=wait, limit=GENERATION)
        self._sequence = 0

    def open(self, versions: Sequence[Version]) -> tuple[bytes | None, Iterable[Replayed]]:  # noqa: ARG002  # nothing depends on them
        """Nothing was kept."""
        return None, ()

    def commit(self, group: Group) -> Committed:
        """Join a group."""
        self._sequence += 1
        fresh, joined = [], []
        for batch in group.predictions:
            mask = self._index.unseen(batch.entries["key"])
            fresh.append(mask)
            released = self._index.predict(batch.version, batch.entries[mask], group.arrived)
            joined += [released] if released else []
        for labels in group.labels:
            joined.append(
                self._index.label(labels.version, labels.entries, labels.actuals, group.arrived)
            )
        return Committed(self._sequence, [np.asarray(mask) for mask in fresh], joined)

    def tidy(self, now: float) -> list[Joined]:
        """Give up what is too old."""
        self._index.forget(now - self._retention)
        expired = self._index.expire(now)
        return [expired] if expired else []

    def waiting(self) -> int:
        """Labels that wait for their prediction."""
        return self._index.waiting

    def stored(self) -> tuple[int, float | None]:
        """Nothing is stored."""
        return 0, None

    def close(self) -> None:
        """Nothing is open."""
