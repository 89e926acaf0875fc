"""What was counted of versions in short stretches of time, one after the other.

A stretch that is over does not change: it is asked for once and kept while it is in the window. So
an hour in twelve parts costs a handful of queries every five minutes, of those models alone that
have several versions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric
from contract.quantity import Duration
from contract.spec import Model, Spec
from exporters.drift.prometheus import PrometheusError, decode_labels
from exporters.drift.window import Ask

__all__ = ["PARTS", "Counted", "Strata"]

Key = tuple[str, str]

PARTS: Final = 12
"""Stretches that a window has."""

_NAMES_EACH: Final = 100
"""Models that one query asks for."""

_SCRAPES: Final = 4
"""Scrapes that a stretch has at least, or an increase over it would say little."""


@dataclass(slots=True)
class Counted:
    """What was counted of one version in one stretch: by metric, by the values of its labels."""

    of: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict)

    def get(self, metric: Metric | str) -> Mapping[tuple[str, ...], float]:
        """Counts by labels; empty where there are none."""
        return self.of.get(str(metric), {})

    def total(self, metric: Metric | str) -> float:
        """All of them together."""
        return sum(self.get(metric).values())


@dataclass(frozen=True, slots=True)
class _Source:
    """A series to be asked for, and the labels that tell its counts apart within a version."""

    name: str
    labels: tuple[str, ...]
    applies: Callable[[Model], bool]


def _classifies(model: Model) -> bool:
    return model.task != "regression"


def _regresses(model: Model) -> bool:
    return model.task == "regression"


_SOURCES: Final = (
    _Source(catalog.INFERENCE_REQUESTS.name, ("status",), lambda _: True),
    _Source(catalog.INFERENCE_LATENCY.bucket, ("le",), lambda _: True),
    _Source(catalog.PREDICTION_CONFIDENCE.bucket, ("le",), lambda _: True),
    _Source(catalog.PREDICTION_CONFIDENCE.sum, (), lambda _: True),
    _Source(catalog.PREDICTION_CLASS.name, ("predicted_class",), _classifies),
    _Source(catalog.PREDICTION_VALUE.bucket, ("le",), _regresses),
    _Source(catalog.OUTCOMES.name, ("predicted_class", "actual_class"), _classifies),
    _Source(catalog.ERROR_SAMPLES.name, (), _regresses),
    _Source(catalog.ABSOLUTE_ERROR.name, (), _regresses),
    _Source(catalog.SQUARED_ERROR.name, (), _regresses),
    _Source(catalog.BUSINESS_EVENTS.name, ("event",), lambda model: bool(model.business)),
)

Stratum = dict[Key, Counted]


class Strata:
    """The stretches of one window, for the models that share it."""

    def __init__(self, spec: Spec, window: Duration, models: Sequence[Model]) -> None:
        scrape = spec.clock(spec.stack.scrape_interval).seconds
        self.step = max(spec.clock(window).seconds / PARTS, _SCRAPES * scrape)
        """Seconds of a stretch."""
        self._settled = 2 * scrape
        self._models = models
        self._kept: dict[float, Stratum] = {}

    def newest(self, at: float) -> float:
        """When the newest stretch ended that is over at a Unix time."""
        return math.floor((at - self._settled) / self.step) * self.step

    def read(self, ask: Ask, at: float, *, deadline: float = math.inf) -> list[Stratum]:
        """The stretches that are over at a Unix time, the newest first.

        Raises PrometheusError where one is not known; what was read is kept.
        """
        newest = self.newest(at)
        ends = [round(newest - part * self.step, 3) for part in range(PARTS)]
        self._kept = {end: self._kept[end] for end in ends if end in self._kept}
        for end in ends:
            if end not in self._kept:
                self._kept[end] = self._ask(ask, end, deadline)
        return [self._kept[end] for end in ends]

    def _ask(self, ask: Ask, end: float, deadline: float) -> Stratum:
        found: Stratum = {model.key: Counted() for model in self._models}
        for source in _SOURCES:
            names = dict.fromkeys(own.name for own in self._models if source.applies(own))
            for some in _parts([*names]):
                if time.monotonic() > deadline:
                    raise PrometheusError("not asked: the interval is over, so it is too slow")
                for sample in ask(_expression(source, some, self.step), end):
                    labels = decode_labels(sample.metric)
                    own = found.get((labels.get("model_name", ""), labels.get("model_version", "")))
                    value = float(sample.value[1])
                    if own is not None and math.isfinite(value):
                        key = tuple(labels.get(label, "") for label in source.labels)
                        own.of.setdefault(source.name, {})[key] = value
        return found


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _NAMES_EACH):
        yield names[start : start + _NAMES_EACH]


def _expression(source: _Source, names: Sequence[str], seconds: float) -> str:
    # Names are letters, digits, dashes, dots and underscores.
    pattern = "|".join(name.replace(".", r"\\.") for name in names)
    by = ", ".join((*MODEL, *source.labels))
    step = Duration(round(seconds * 1000))
    return f'sum by ({by}) (increase({source.name}{{model_name=~"{pattern}"}}[{step}]))'
