"""Predictions and labels of one model version as the log knows them, and what joins count.

A label belongs to the prediction with its id; the log finds it (see `log`). What comes of it is
counted here: the confusion matrix and the scores by class of a classifier, the error sums of a
regressor, and how long the label took.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import CONFIDENCE_EDGES, OTHER, count_numeric
from exporters.sidecar.counts import Counts, Histogram
from exporters.sidecar.event import Event, Label
from exporters.sidecar.layout import DELAY_EDGES, Layout
from exporters.sidecar.log.batch import (
    ENTRY,
    LATE,
    MATCHED,
    WAITING,
    Answer,
    Entries,
    Events,
    Joined,
    Time,
    make_keys,
    random_keys,
)
from exporters.sidecar.segments import Segments, part, together

__all__ = ["Labelled", "likeliest"]


Given = Answer | Sequence[float] | None


class Labelled:
    """One model version: what the log asks of it, and where its labels count."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.model_name, self.model_version = layout.model.key
        self.segments = Segments.of(layout)
        self.fingerprint = _fingerprint(layout)

    def follow(self, layout: Layout) -> None:
        """Count on another layout with the same classes from now on."""
        self.layout, self.fingerprint = layout, _fingerprint(layout)
        self.segments = Segments.of(layout)

    def entries_of(self, events: Sequence[Event], arrived: float) -> Entries:
        """The entries of events, shape [events]."""
        entries = np.zeros(len(events), ENTRY)
        entries["key"] = self._keys([event.prediction_id for event in events])
        nameless = [
            place
            for place, event in enumerate(events)
            if event.actual is not None and event.prediction_id is None
        ]
        if nameless:
            entries["key"][nameless] = random_keys(len(nameless))
        entries["time"] = _times([event.timestamp for event in events], arrived)
        predictions = [event.prediction for event in events]
        entries["value"] = self._values(predictions)
        scores = self._scores(predictions, entries["value"], [event.confidence for event in events])
        if self.segments.known:
            scores = together(scores, self.segments.codes([event.features for event in events]))
        entries["score"] = scores
        return entries

    def entries_of_parts(self, parts: Sequence[Events], arrived: float) -> Entries:
        """The entries of the events of parts that are whole, one after the other."""
        layout = self.layout
        if any(each.rows is None or each.rows.layout is not layout for each in parts) or (
            self.segments.known
            and any(each.rows.features < each.size for each in parts if each.rows)
        ):
            return self.entries_of([event for each in parts for event in each.events], arrived)
        entries = np.zeros(sum(each.size for each in parts), ENTRY)
        start = 0
        for each in parts:
            assert each.rows is not None
            own, start = entries[start : start + each.size], start + each.size
            if each.ids:
                own["key"] = self._keys(each.ids)
            own["time"] = _times(each.times, arrived) if each.times else arrived
            own["value"] = each.rows.fields.get("prediction", np.nan)
            own["score"] = each.rows.fields.get("confidence", np.nan)
        values, sure = entries["value"], entries["score"]
        entries["score"] = _positive(values, sure) if layout.scores_outcomes else np.nan
        if self.segments.known:
            found = [each.rows.categories for each in parts if each.rows is not None]
            places = [np.concatenate(own) for own in zip(*found, strict=True)]
            codes = self.segments.codes_of(dict(zip(layout.categories, places, strict=True)))
            entries["score"] = together(entries["score"], codes)
        return entries

    def class_name(self, value: float) -> str | None:
        """The class at a place: places differ between profiles, names do not."""
        if not self.layout.classifies or np.isnan(value):
            return None
        names = self.layout.classes.names
        return names[int(value)] if value < len(names) else OTHER

    def value_of(self, number: float | None, name: str | None) -> float:
        """The `value` of a prediction that was kept as a number, or as the name of its class."""
        if self.layout.classifies:
            return np.nan if name is None else self.layout.classes.place(name)
        return np.nan if number is None else number

    def label_entries(self, labels: Sequence[Label], arrived: float) -> Entries:
        """The entries of labels, shape [labels]; `value` is NaN where they bring no prediction."""
        entries = np.zeros(len(labels), ENTRY)
        entries["key"] = self._keys([label.prediction_id for label in labels])
        entries["time"] = _times([label.timestamp for label in labels], arrived)
        predictions = [label.prediction for label in labels]
        entries["value"] = self._values(predictions)
        given = [np.nan if label.score is None else label.score for label in labels]
        derived = self._scores(predictions, entries["value"], [None] * len(labels))
        entries["score"] = np.where(np.isnan(given), derived, given)
        return entries

    def settle(self, counts: Counts, joined: Joined, rows: NDArray[np.intp]) -> None:
        """Count what became of labels of this version: the `rows` of `joined`."""
        results = joined.results[rows]
        counts.labels += np.bincount(results[results != WAITING], minlength=LATE + 1)
        matched = rows[results == MATCHED]
        if not matched.size:
            return
        delays = joined.delays[matched]
        counts.label_delay += _histogram(DELAY_EDGES, delays[~np.isnan(delays)])
        actuals = (
            joined.actuals
            if len(matched) == len(joined.actuals)
            else [joined.actuals[row] for row in matched.tolist()]
        )
        scores, codes = part(joined.scores[matched].astype(np.float64))
        places = self.segments.places(codes)
        if self.layout.classifies:
            self._settle_classes(counts, joined.values[matched], scores, actuals, places)
        else:
            predicted, actual = joined.values[matched], np.array(actuals, np.float64)
            _settle_numbers(counts, predicted, actual)
            _settle_errors(counts, predicted - actual, places)

    def _settle_classes(
        self,
        counts: Counts,
        values: NDArray[np.float64],
        scores: NDArray[np.float64],
        actuals: list[Answer],
        segments: Sequence[NDArray[np.intp]],
    ) -> None:
        classes = self.layout.classes
        width = classes.other + 1
        predicted = np.minimum(values, classes.other).astype(np.intp)
        actual = np.array(self._places(actuals), np.intp)
        pairs = np.bincount(predicted * width + actual, minlength=width * width)
        counts.outcomes += pairs.reshape(width, width)
        for place, places in enumerate(segments):
            own = counts.segment_outcomes[place]
            cells = (places * width + predicted) * width + actual
            found = np.bincount(cells[places >= 0], minlength=own.size)
            counts.segment_outcomes[place] = own + found.reshape(own.shape)
        known = ~np.isnan(scores)
        for place in range(len(counts.outcome_scores)):
            of_class = scores[known & (actual == place)]
            counts.outcome_scores[place] += _histogram(CONFIDENCE_EDGES, of_class)
        if self.layout.scores_outcomes:
            known &= actual < classes.other
            counts.score_losses += _losses(scores[known], actual[known] == 1)

    def _keys(self, ids: Sequence[str | None]) -> NDArray[np.uint64]:
        known = [identity for identity in ids if identity is not None]
        found = make_keys(self.model_name, known)
        if len(known) == len(ids):
            return found
        keys = np.zeros(len(ids), np.uint64)
        keys[[identity is not None for identity in ids]] = found
        return keys

    def _values(self, predictions: Sequence[Given]) -> NDArray[np.float64]:
        """Places of classes or numbers; NaN where there is no prediction."""
        if not self.layout.classifies:
            return np.array(predictions, np.float64)
        return np.array(self._places(predictions), np.float64)

    def _places(self, answers: Sequence[Given]) -> list[float]:
        get, other = self.layout.classes.places.get, self.layout.classes.other
        return [
            get(answer, other) if type(answer) is str else self._place(answer) for answer in answers
        ]

    def _place(self, answer: Given) -> float:
        if answer is None:
            return np.nan
        if isinstance(answer, float | str | bool):
            return self.layout.classes.place(answer)
        return min(likeliest(answer), self.layout.classes.other)

    def _scores(
        self,
        predictions: Sequence[Given],
        values: NDArray[np.float64],
        confidences: Sequence[float | None],
    ) -> NDArray[np.float64]:
        """The probability of the last of two classes: as given, or from the predicted one's."""
        if not self.layout.scores_outcomes:
            return np.full(len(values), np.nan)
        scores = _positive(values, np.array(confidences, np.float64))
        if list in set(map(type, predictions)):
            for place, prediction in enumerate(predictions):
                if isinstance(prediction, list):
                    scores[place] = prediction[-1]
        return scores


def _positive(values: NDArray[np.float64], sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of the last of two classes, from that of the predicted one."""
    return np.where(values == 1, sure, np.where(values == 0, 1 - sure, np.nan))


def _settle_numbers(
    counts: Counts, predicted: NDArray[np.float64], actual: NDArray[np.float64]
) -> None:
    errors = predicted - actual
    counts.absolute_error += float(np.abs(errors).sum())
    counts.squared_error += float((errors * errors).sum())
    counts.error_samples += len(errors)
    counts.actual_above += float(np.maximum(actual, 0).sum())
    counts.actual_below += float(np.maximum(-actual, 0).sum())
    counts.squared_actual += float((actual * actual).sum())
    counts.error_above += float(np.maximum(errors, 0).sum())
    counts.error_below += float(np.maximum(-errors, 0).sum())
    counts.quartic_error += float((np.clip(errors, -_LARGEST, _LARGEST) ** 4).sum())


def _settle_errors(
    counts: Counts, errors: NDArray[np.float64], segments: Sequence[NDArray[np.intp]]
) -> None:
    terms = (
        np.ones(len(errors)),
        np.abs(errors),
        errors * errors,
        np.clip(errors, -_LARGEST, _LARGEST) ** 4,
        np.maximum(errors, 0),
        np.maximum(-errors, 0),
    )
    for own, places in zip(counts.segment_errors, segments, strict=True):
        known = places >= 0
        for column, term in enumerate(terms):
            own[:, column] += np.bincount(places[known], term[known], minlength=len(own))


_LARGEST: Final = 1e70
"""An error whose fourth power, a million times over, is a number still."""

_LEAST: Final = float(np.finfo(np.float64).eps)
"""What a probability of 0 counts as in the log loss, as scikit-learn has it."""


def _losses(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> list[float]:
    """The sums of SCORE_LOSSES."""
    apart = np.abs(positive - scores)
    log_loss = -np.log(np.maximum(1 - apart, _LEAST))
    squared = apart * apart
    terms = (log_loss, log_loss * log_loss, squared, squared * squared)
    return [float(term.sum()) for term in terms]


def _histogram(edges: Sequence[float], values: NDArray[np.float64]) -> Histogram:
    return Histogram(count_numeric(edges, values), float(values.sum()))


def _times(times: Sequence[Time], arrived: float) -> list[float]:
    return [
        arrived
        if time is None
        else time.timestamp()
        if isinstance(time, dt.datetime)
        else float(time)
        for time in times
    ]


def likeliest(probabilities: Sequence[float]) -> int:
    """The place of the largest; the first of several."""
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _fingerprint(layout: Layout) -> str:
    """Of all that gives counts and predicted values their meaning."""
    parts: Final = (
        layout.classifies,
        layout.latency_edges,
        layout.confidence_edges,
        layout.classes.names,
        layout.value_edges,
        layout.numbers.names,
        layout.numbers.feature_edges,
        {name: own.names for name, own in layout.categories.items()},
    )
    # Without segments as it was before there were any, so that no log is read anew for nothing.
    segments = Segments.of(layout).names
    return hashlib.sha256(repr((*parts, segments) if segments else parts).encode()).hexdigest()[:16]
