"""What models.yaml declares of a model besides predictions: business events, its own metrics.

Both are counted in this process alone: a restart begins at 0 again, which a rate does not mind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import Final

from contract import catalog
from contract.catalog import Exporter, Metric, Type, Unit
from contract.profile import OTHER
from contract.spec import CustomMetric, Model
from exporters.expose import Family, Series, series
from exporters.sidecar.event import MAX_MAGNITUDE, BusinessEvent, Measurement

__all__ = ["Declared", "custom_metric"]

PREFIX: Final = "ml_custom_"


class Declared:
    """The business events and own metrics of one model version."""

    def __init__(self, model: Model) -> None:
        self._events: dict[str, int] = {}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self.follow(model)

    def follow(self, model: Model) -> None:
        """Take over what models.yaml says now; what is still declared keeps its numbers."""
        self._model = model
        known = [name for ratio in model.business for name in (ratio.numerator, ratio.denominator)]
        names = dict.fromkeys((*known, OTHER)) if known else {}
        self._events = {name: self._events.get(name, 0) for name in names}
        before, self._values = self._values, {}
        self._metrics = {metric.name: metric for metric in model.metrics}
        for name, metric in self._metrics.items():
            # A counter begins at 0; a gauge has no value before it is told one.
            start: dict[tuple[str, ...], float] = {}
            if metric.type == "counter":
                choices = ((*values, OTHER) for values in metric.labels.values())
                start = dict.fromkeys(product(*choices), 0.0)
            self._values[name] = start | before.get(name, {})

    def refuses_event(self, _: BusinessEvent) -> list[tuple[str, str]]:
        """What is wrong with a business event for this model: (field, message)."""
        if self._events:
            return []
        return [("event", "no ratio of this model is in models.yaml: business")]

    def take_event(self, event: BusinessEvent) -> None:
        """Count a business event."""
        name = event.event if event.event in self._events else OTHER
        self._events[name] += event.count

    def refuses(self, measured: Measurement) -> list[tuple[str, str]]:
        """What is wrong with a measurement for this model: (field, message)."""
        metric = self._metrics.get(measured.metric)
        if metric is None:
            known = ", ".join([*self._metrics][:20]) or "none"
            return [("metric", f"is not declared in models.yaml; declared: {known}")]
        given = measured.labels or {}
        problems = []
        if metric.type == "counter" and measured.value < 0:
            problems.append(("value", f"should be 0 or more for a counter, got {measured.value}"))
        wanted = ", ".join(metric.labels) or "none"
        if given.keys() != metric.labels.keys():
            problems.append(("labels", f"should be just those of models.yaml: {wanted}"))
        return problems

    def take(self, measured: Measurement) -> None:
        """Set a gauge, or add to a counter."""
        metric = self._metrics[measured.metric]
        given = measured.labels or {}
        labels = tuple(
            given[name] if given[name] in values else OTHER
            for name, values in metric.labels.items()
        )
        own = self._values[measured.metric]
        if metric.type == "counter":
            # Added up, many large values would be infinite one day.
            own[labels] = min(own.get(labels, 0.0) + measured.value, MAX_MAGNITUDE)
        else:
            own[labels] = measured.value

    def events(self) -> list[tuple[Series, float]]:
        """The counts of business events."""
        return [
            (_event_series(self._model.key, name), count) for name, count in self._events.items()
        ]

    def measured(self) -> Iterator[tuple[Metric, list[tuple[Series, float]]]]:
        """The values of the model's own metrics."""
        for name, declared in self._metrics.items():
            metric = custom_metric(declared)
            yield (
                metric,
                [
                    (_custom_series(metric, self._model.key, labels), value)
                    for labels, value in self._values[name].items()
                ],
            )


def families(all_declared: Iterable[Declared]) -> Iterator[Family]:
    """The families of all models."""
    events: list[tuple[Series, float]] = []
    measured: dict[Metric, list[tuple[Series, float]]] = {}
    for declared in all_declared:
        events += declared.events()
        for metric, samples in declared.measured():
            measured.setdefault(metric, []).extend(samples)
    yield Family(catalog.BUSINESS_EVENTS, events)
    for metric, samples in measured.items():
        yield Family(metric, samples)


def custom_metric(declared: CustomMetric) -> Metric:
    """The metric that models.yaml declares, as it is exposed."""
    return _metric(
        declared.name, declared.type, declared.unit, declared.help, tuple(declared.labels)
    )


@lru_cache(maxsize=1000)
def _metric(name: str, kind: str, unit: str, text: str, labels: tuple[str, ...]) -> Metric:
    full = PREFIX + "_".join([name, *([unit] if unit else [])])
    counter = kind == "counter"
    return Metric(
        f"{full}_total" if counter else full,
        Type.COUNTER if counter else Type.GAUGE,
        text,
        (*catalog.MODEL, *labels),
        Exporter.SIDECAR,
        Unit(unit),
    )


@lru_cache(maxsize=10_000)
def _event_series(key: tuple[str, str], event: str) -> Series:
    return series(catalog.BUSINESS_EVENTS, model_name=key[0], model_version=key[1], event=event)


@lru_cache(maxsize=10_000)
def _custom_series(metric: Metric, key: tuple[str, str], labels: tuple[str, ...]) -> Series:
    return series(metric, **dict(zip(metric.labels, (*key, *labels), strict=True)))
