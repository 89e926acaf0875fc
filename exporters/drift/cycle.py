"""One evaluation: counts over windows and references from Prometheus, and what they say."""

from __future__ import annotations

import math

from contract.spec import Spec
from exporters.drift.evaluate import Evaluation, evaluate
from exporters.drift.layout import Layout
from exporters.drift.past import Held, Past
from exporters.drift.window import Ask, Span, read_counts

__all__ = ["Cycle"]


class Cycle:
    """The same evaluation for any time, now or in the past."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        self._layout = layout
        self._past = Past(spec, layout)
        self.held: Held | None = None
        """What the last evaluation held its counts against."""

    def evaluate(self, ask: Ask, at: float, *, deadline: float = math.inf) -> Evaluation:
        """Evaluate all models as of a Unix time; after `deadline` (monotonic) nothing is asked."""
        self.held = held = self._past.held(ask, at, deadline=deadline)
        spans = [
            None if number in held.failures else Span(window, at)
            for number, window in enumerate(self._layout.windows)
        ]
        counts = read_counts(self._layout, ask, spans, deadline=deadline)
        for number, failure in held.failures.items():
            counts.fail(number, failure)
        return evaluate(self._layout, counts, time=at, held=held)
