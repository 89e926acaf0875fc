"""Predictions that wait for their label, found again by id.

A first version, in memory: a restart loses what waits, several replicas of a sidecar do not know
each other's predictions, and beyond LIMIT per model the oldest are forgotten. Labels that come
after that count as unmatched.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["LIMIT", "TIME_TO_LIVE", "Kept", "Labels"]

LIMIT: Final = 200_000
"""Predictions kept per model, labelled or not; about 50 MB when ids are UUIDs."""

TIME_TO_LIVE: Final = 24 * 3600.0
"""Seconds that a prediction waits for its label, and is remembered after that."""


@dataclass(slots=True)
class Kept:
    """A prediction: the place of its class, or its value; and whether it has its label."""

    version: str
    prediction: float
    since: float
    labelled: bool = False


class Labels:
    """The predictions of one model, all its versions."""

    def __init__(
        self,
        *,
        limit: int = LIMIT,
        time_to_live: float = TIME_TO_LIVE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._time_to_live = time_to_live
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._labelled = 0
        self.forgotten = 0
        """Predictions that were given up without a label, for their age or their number."""

    @property
    def waiting(self) -> int:
        """Predictions without a label, as of now."""
        self._forget()
        return len(self._kept) - self._labelled

    def keep(self, predictions: Iterable[tuple[str, float]], version: str) -> None:
        """Keep (id, prediction) until their labels come.

        The same id again replaces the prediction that waits, unless that has its label.
        """
        now = self._clock()
        kept = self._kept
        for prediction_id, prediction in predictions:
            before = kept.get(prediction_id)
            if before is not None:
                if before.labelled:
                    continue
                del kept[prediction_id]
            kept[prediction_id] = Kept(version, prediction, now)
        self._forget()

    def find(self, prediction_id: str) -> Kept | None:
        """The prediction of that id, labelled or not."""
        self._forget()
        return self._kept.get(prediction_id)

    def mark(self, prediction_id: str, version: str) -> None:
        """Remember that the prediction of that id has its label, so that another is a duplicate."""
        kept = self._kept.get(prediction_id)
        if kept is None:
            kept = self._kept[prediction_id] = Kept(version, 0.0, self._clock())
        if not kept.labelled:
            kept.labelled = True
            self._labelled += 1
        self._forget()

    def _forget(self) -> None:
        oldest = self._clock() - self._time_to_live
        while self._kept:
            kept = next(iter(self._kept.values()))
            if kept.since > oldest and len(self._kept) <= self._limit:
                return
            self._kept.popitem(last=False)
            if kept.labelled:
                self._labelled -= 1
            else:
                self.forgotten += 1
