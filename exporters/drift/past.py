"""References that are a past of the models themselves, taken from Prometheus.

Which past it is follows from models.yaml and the time alone, so that a collector that starts again
compares with the same. A window that moves on does so in steps, not with every evaluation: a week
is asked for once an hour.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import NumericBins
from contract.quantity import Duration
from contract.spec import Spec
from contract.spec.promises import Reference
from exporters.drift.layout import Layout
from exporters.drift.statistics import EMPTY, positions
from exporters.drift.window import Ask, Failure, Span, read_counts

__all__ = ["Held", "Past", "reference_span"]

STEPS: Final = 168
"""A window moves on in so many steps: one of a week by the hour."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Held:
    """What counts are held against: per row and bin, shape [rows, width], counts and places.

    Models whose reference is not known are in `failures`.
    """

    counts: Array
    places: Array
    failures: dict[int, Failure]


def reference_span(reference: Reference, spec: Spec, at: float) -> Span:
    """The window of a reference as seen at a Unix time; its end may still be to come."""
    if reference.start is not None and reference.to is not None:
        milliseconds = (reference.to - reference.start) // dt.timedelta(milliseconds=1)
        return Span(Duration(milliseconds), reference.to.timestamp())
    if reference.window is None:
        raise ValueError(f"a reference of no window: {reference}")
    window, offset = spec.clock(reference.window), spec.clock(reference.offset)
    step = max(1.0, window.seconds / STEPS)
    return Span(window, math.floor((at - offset.seconds) / step) * step)


class Past:
    """What the models of a layout are held against: their profiles, or their pasts."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        self._spec = spec
        self._layout = layout
        self._counts = layout.reference.copy()
        self._places = layout.places.copy()
        self._known: dict[int, Span] = {}
        self._failures: dict[int, Failure] = {}
        """Of what was asked for: those that asking again would not mend."""

    def held(self, ask: Ask, at: float, *, deadline: float = math.inf) -> Held:
        """The references as of a Unix time. Asks only for what is another than before."""
        spans: list[Span | None] = [None] * len(self._layout.models)
        failures: dict[int, Failure] = {}
        for number, model in enumerate(self._layout.models):
            if model.drift.reference is None:
                continue
            span = reference_span(model.drift.reference, self._spec, at)
            if span.end > at:
                failures[number] = Failure(
                    "reference", f"the reference is collected until {_text(span.end)}"
                )
            elif self._known.get(number) != span:
                spans[number] = span
        if any(spans):
            failures |= self._ask(ask, spans, deadline)
        known = {model: found for model, found in self._failures.items() if model not in failures}
        return Held(self._counts, self._places, failures | known)

    def _ask(self, ask: Ask, spans: list[Span | None], deadline: float) -> dict[int, Failure]:
        """Take over what is new; what could not be asked for."""
        found = read_counts(self._layout, ask, spans, deadline=deadline)
        unanswered = {}
        counts, places = self._counts.copy(), self._places.copy()
        for model, span in enumerate(spans):
            if span is None:
                continue
            failure = found.failures.get(model)
            if failure is not None and failure.reason == "prometheus":
                unanswered[model] = failure
                self._known.pop(model, None)
                continue
            rows = np.flatnonzero(self._layout.model_of == model)
            if failure is None and not (found.values[rows].sum(axis=1) >= EMPTY).any():
                failure = _nothing(span)
            counts[rows] = found.values[rows]
            for row in rows.tolist():
                places[row] = self._row_places(row, counts[row])
            self._known[model] = span
            self._failures.pop(model, None)
            if failure is not None:
                self._failures[model] = failure
        # New arrays, since an evaluation may still read the old ones.
        self._counts, self._places = counts, places
        return unanswered

    def _row_places(self, row: int, counts: Array) -> Array:
        bins = self._layout.rows[row].bins
        places = np.zeros(self._layout.width)
        if isinstance(bins, NumericBins):
            held: Sequence[float] = counts[1 : len(bins.counts) + 1].tolist()
            own = positions(bins.edges, held if sum(held) >= EMPTY else bins.counts)
            places[: len(own)] = own
            places[len(own) :] = own[-1]
        return places


def _nothing(span: Span) -> Failure:
    start, end = _text(span.end - span.window.seconds), _text(span.end)
    return Failure(
        "reference",
        f"nothing was counted from {start} to {end}; `baseline` keeps a reference as a profile for "
        "longer than Prometheus keeps counts",
    )


def _text(moment: float) -> str:
    text = dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
