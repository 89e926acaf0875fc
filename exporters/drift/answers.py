"""What the collector knows of its models, for who asks: the last evaluation, and references."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from contract.profile import category_of
from contract.spec import Model, Spec
from exporters.drift.ask import AskedError, Question, count_question
from exporters.drift.evaluate import Evaluation, evaluate
from exporters.drift.layout import Layout
from exporters.drift.past import Held
from exporters.drift.performance.interval import wilson
from exporters.drift.quality import Judged
from exporters.drift.reference import resolve_model
from exporters.drift.report import MetricReport, ModelReport, not_evaluated, report
from exporters.drift.window import Counts

__all__ = ["LastAnswers"]


@dataclass(frozen=True, slots=True)
class _Known:
    spec: Spec
    layout: Layout
    held: Held | None = None
    evaluation: Evaluation | None = None
    judged: Judged | None = None


class LastAnswers:
    """Answers from what was evaluated last; never asks Prometheus."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        self._known = _Known(spec, layout)
        self._lock = threading.Lock()

    @property
    def spec(self) -> Spec:
        """The models.yaml in force."""
        return self._known.spec

    def follow(self, spec: Spec, layout: Layout) -> None:
        """Another models.yaml is in force: what was evaluated by the old one is gone."""
        with self._lock:
            self._known = _Known(spec, layout)

    def keep(self, evaluation: Evaluation, held: Held, judged: Judged) -> None:
        """Take over an evaluation, unless it is of a models.yaml that is no longer in force."""
        with self._lock:
            if evaluation.layout is self._known.layout:
                self._known = replace(self._known, held=held, evaluation=evaluation, judged=judged)

    def reports(self, name: str | None = None, version: str | None = None) -> list[ModelReport]:
        """The last evaluation of one model, or of all. Raises UnknownModelError."""
        known = self._known
        models: tuple[Model, ...] = known.spec.models
        if name is not None:
            models = (resolve_model(known.spec, name, version),)
        return [self._report(known, model) for model in models]

    @staticmethod
    def _report(known: _Known, model: Model) -> ModelReport:
        if model.profile is None:
            return not_evaluated(model, "profile", "has no profile to compare with")
        if known.evaluation is None:
            return not_evaluated(model, "prometheus", "was not evaluated yet")
        return report(known.evaluation, _number(known.layout, model), known.judged)

    def answer(self, name: str, asked: Question) -> ModelReport:
        """Hold what was sent against the reference. Raises UnknownModelError or AskedError."""
        known = self._known
        model = resolve_model(known.spec, name, asked.model_version)
        if model.profile is None:
            raise AskedError([("model", f"{model.name} has no profile to compare with")])
        number = _number(known.layout, model)
        alone = _alone(known.layout, number)
        counts = Counts(count_question(asked, alone))
        held = _held(known, number, alone)
        for failure in held.failures.values():
            counts.fail(0, failure)
        found = report(evaluate(alone, counts, time=time.time(), held=held), 0)
        sent = tuple(
            column
            for column in found.columns
            if column.feature_name in asked.columns
            or (column.kind == "prediction" and asked.predictions is not None)
        )
        found = msgspec.structs.replace(found, columns=sent, window=None)
        return _with_accuracy(found, model, asked)


def _with_accuracy(found: ModelReport, model: Model, asked: Question) -> ModelReport:
    """The report with what targets say of a classifier's predictions, and of its concept."""
    if asked.targets is None or asked.predictions is None:
        return found
    if model.task == "regression":
        raise AskedError([("targets", "are compared with classes only; leave them out")])
    right = [
        category_of(said) == category_of(true)
        for said, true in zip(asked.predictions, asked.targets, strict=True)
        if said is not None and true is not None
    ]
    if not right:
        raise AskedError([("targets", "are all null where predictions are not")])
    size = np.array(float(len(right)))
    measured = wilson(np.array(sum(right) / len(right)), size)
    promise = model.performance.accuracy
    drop = decayed = None
    if promise is not None and len(right) >= model.performance.min_samples:
        least = [promise.min] if promise.min is not None else []
        if promise.baseline is not None:
            drop = promise.baseline - float(measured.value)
            if promise.max_drop is not None:
                least.append(promise.baseline - promise.max_drop)
        decayed = bool(least) and float(measured.upper) < max(least)
    accuracy = MetricReport(
        metric="accuracy",
        window="",
        value=float(measured.value),
        lower=float(measured.lower),
        upper=float(measured.upper),
        drop=drop,
        decayed=decayed,
        estimated=None,
    )
    found = msgspec.structs.replace(found, performance=(accuracy,))
    if not decayed or "feature" in found.drift_types:
        return found
    # Worse, and the inputs are what they were: what they mean has changed.
    return msgspec.structs.replace(
        found,
        drift_detected=True,
        drift_types=(*found.drift_types, "concept"),
        severity="warning" if found.severity == "none" else found.severity,
    )


def _number(layout: Layout, model: Model) -> int:
    return next(number for number, own in enumerate(layout.models) if own.key == model.key)


def _alone(layout: Layout, number: int) -> Layout:
    """The layout of one of the models."""
    rows = tuple(replace(row, model=0) for row in layout.rows if row.model == number)
    return Layout((layout.models[number],), (layout.windows[number],), rows)


def _held(known: _Known, number: int, alone: Layout) -> Held:
    if known.layout.models[number].drift.reference is None:
        return Held(alone.reference, alone.places, {})
    if known.held is None:
        raise AskedError([("model", "its reference is not known yet; ask again in a minute")])
    rows = np.flatnonzero(known.layout.model_of == number)
    failures = {0: known.held.failures[number]} if number in known.held.failures else {}
    counts, places = known.held.counts[rows], known.held.places[rows]
    return Held(counts[:, : alone.width], places[:, : alone.width], failures)
