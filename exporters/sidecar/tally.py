"""One model version at run time: its counts, the events not yet counted, and what was ignored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from contract.profile import OTHER
from exporters.sidecar.body import shown
from exporters.sidecar.counts import RESULTS, Counts, Rows, count_rows
from exporters.sidecar.event import WANTED, Event, Label
from exporters.sidecar.labels import Labels
from exporters.sidecar.layout import Layout

__all__ = ["Tally", "note"]

READ_AT = 50
"""Events whose fields are read together."""

FOLD_AT = 1_000
"""Events that are counted together: many at once cost a fraction of one by one."""

MAX_NAMES = 50

Answer = float | str | bool
"""A prediction or label, once a list of probabilities has become a class."""


class Tally:
    """What is counted of one model version. `labels` is shared by the versions of a model."""

    def __init__(self, layout: Layout, labels: Labels) -> None:
        self.layout = layout
        self.labels = labels
        self.last_event: float | None = None
        self.ignored: Counter[str] = Counter()
        """Features that the profile does not know, by name; at most MAX_NAMES names."""
        self._counts = Counts.zero(layout)
        self._arrived: list[Event] = []
        self._waiting: list[Rows] = []
        self._waits = 0

    @property
    def version(self) -> str:
        """The model's version."""
        return self.layout.model.version

    @property
    def counts(self) -> Counts:
        """All counts up to now."""
        self._fold()
        return self._counts

    def refuses(self, event: Event | Label) -> list[tuple[str, str]]:
        """What is wrong with an event for this model: (field, message)."""
        problems = []
        prediction = event.prediction
        if not self.layout.classifies:
            wanted = "a number, since the model is a regression"
            problems += [
                (name, f"should be {wanted}, got {shown(value)}")
                for name, value in (("prediction", prediction), ("actual", event.actual))
                if value is not None and type(value) is not float
            ]
        elif isinstance(prediction, list):
            known = len(self.layout.classes.names)
            if known and len(prediction) != known:
                message = (
                    f"should hold one probability for each of the {known} classes "
                    f"({', '.join(self.layout.classes.names[:10])}), got {len(prediction)}"
                )
                problems.append(("prediction", message))
        if isinstance(event, Label) and event.prediction_id is None and prediction is None:
            message = f"is missing; it should be {WANTED['prediction_id']}, or give prediction"
            problems.append(("prediction_id", message))
        return problems

    def needs_check(self, events: Sequence[Event]) -> bool:
        """Whether `refuses` may say anything about one of these events."""
        kinds = {type(event.prediction) for event in events}
        if self.layout.classifies:
            return list in kinds
        kinds |= {type(event.actual) for event in events}
        return not kinds <= {float, type(None)}

    def take(self, events: Sequence[Event]) -> None:
        """Count events that nothing is wrong with; at least one."""
        self.last_event = time.time()
        keeps = False
        for event in events:
            if type(event.prediction) is list:
                self._choose_class(event, event.prediction)
            if event.prediction_id is not None or event.actual is not None:
                keeps = True
        if keeps:
            self._keep(events)
        self._arrived += events
        if len(self._arrived) >= READ_AT:
            self._read()
            if self._waits >= FOLD_AT:
                self._fold()

    def _read(self) -> None:
        """Take the fields out of events while those are in the processor's cache."""
        events, self._arrived = self._arrived, []
        rows = Rows.of(self.layout, events)
        for name, count in rows.ignored.items():
            note(self.ignored, name, count)
        self._waiting.append(rows)
        self._waits += rows.size

    def _keep(self, events: Sequence[Event]) -> None:
        """Count the labels that events bring along, and keep the others for theirs."""
        kept = []
        for event in events:
            prediction = event.prediction
            assert not isinstance(prediction, list)
            if event.actual is not None:
                self._settle(event.prediction_id, prediction, event.actual)
            elif prediction is not None and event.prediction_id is not None:
                kept.append((event.prediction_id, self._place(prediction)))
        if kept:
            self.labels.keep(kept, self.version)

    def settle(self, label: Label, prediction: float) -> None:
        """Count a label that belongs to `prediction`, a class's place or a value."""
        self._count_outcome(prediction, label.actual)
        self._count_label("matched")
        if label.prediction_id is not None:
            self.labels.mark(label.prediction_id, self.version)

    def miss(self, result: str) -> None:
        """Count a label that changes no outcome: unmatched or duplicate."""
        self._count_label(result)

    def own_prediction(self, label: Label) -> float | None:
        """The prediction that a label brings along: a class's place, or a value."""
        if isinstance(label.prediction, list):
            return float(_likeliest(label.prediction))
        return None if label.prediction is None else self._place(label.prediction)

    def _settle(self, identity: str | None, prediction: Answer | None, actual: Answer) -> None:
        """Count the label that an event brings along."""
        known = None if identity is None else self.labels.find(identity)
        if known is not None and known.labelled:
            return self._count_label("duplicate")
        if prediction is None:
            return self._count_label("unmatched")
        self._count_outcome(self._place(prediction), actual)
        self._count_label("matched")
        if identity is not None:
            self.labels.mark(identity, self.version)
        return None

    def _count_label(self, result: str) -> None:
        self._counts.labels[RESULTS.index(result)] += 1

    def _count_outcome(self, prediction: float, actual: Answer) -> None:
        if self.layout.classifies:
            place = min(int(prediction), self.layout.classes.other)
            self._counts.outcomes[place][self.layout.classes.place(actual)] += 1
            return
        assert isinstance(actual, float)
        error = abs(prediction - actual)
        self._counts.absolute_error += error
        self._counts.squared_error += error * error
        self._counts.error_samples += 1

    def _place(self, prediction: Answer) -> float:
        """A prediction as it is kept: its class's place, or its value."""
        if self.layout.classifies:
            return float(self.layout.classes.place(prediction))
        assert isinstance(prediction, float)
        return prediction

    def _choose_class(self, event: Event, probabilities: Sequence[float]) -> None:
        """Make one class of a list of probabilities, in the order of the profile's classes."""
        place = _likeliest(probabilities)
        names = self.layout.classes.names
        event.prediction = names[place] if names else OTHER
        if event.confidence is None:
            event.confidence = probabilities[place]

    def _fold(self) -> None:
        if self._arrived:
            self._read()
        if not self._waiting:
            return
        rows, self._waiting, self._waits = Rows.chained(self._waiting), [], 0
        self._counts.add(count_rows(self.layout, rows))


def note(names: Counter[str], name: str, count: int = 1) -> None:
    """Count a name that came from outside, as long as they are not too many or too long."""
    short = name[:100]
    if short in names or len(names) < MAX_NAMES:
        names[short] += count


def _likeliest(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
