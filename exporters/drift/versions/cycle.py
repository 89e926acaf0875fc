"""One comparison of all versions that serve at once, and its metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contract import catalog
from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import Model, Spec
from exporters.drift.prometheus import PrometheusError
from exporters.drift.versions.aspects import Aspect, compare
from exporters.drift.versions.pairs import in_order
from exporters.drift.versions.strata import Strata, Stratum
from exporters.drift.window import Ask, Failure
from exporters.expose import Family, series

__all__ = ["Compared", "Pair", "Versions"]

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A version and the one that it is compared with, the next older one that serves as well."""

    newer: Model
    older: Model
    aspects: tuple[Aspect, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """All pairs in traffic, as found and as metrics; and who could not be compared, and why."""

    pairs: tuple[Pair, ...]
    families: tuple[Family, ...]
    failures: Mapping[Key, Failure] = field(default_factory=dict)


class _Group:
    """Models whose windows are of one length; compared anew when another stretch is over."""

    def __init__(self, spec: Spec, window: Duration, models: Sequence[tuple[Model, ...]]) -> None:
        self.models = models
        self._strata = Strata(spec, window, [model for own in models for model in own])
        self._of: float | None = None
        self._pairs: list[Pair] = []

    def compare(self, ask: Ask, at: float, deadline: float) -> list[Pair]:
        """All pairs in traffic. Raises PrometheusError."""
        newest = self._strata.newest(at)
        if newest != self._of:
            counted = self._strata.read(ask, at, deadline=deadline)
            self._pairs = [pair for own in self.models for pair in _pairs(own, counted)]
            self._of = newest
        return self._pairs


class Versions:
    """The same comparison for any time. Without models that have several versions it asks nothing.

    Models whose windows are of one length are asked for together.
    """

    def __init__(self, spec: Spec) -> None:
        by_window: dict[Duration, list[tuple[Model, ...]]] = {}
        for versions in in_order(spec.models).values():
            by_window.setdefault(versions[-1].comparison.window, []).append(versions)
        self._groups = [_Group(spec, window, found) for window, found in by_window.items()]

    def evaluate(self, ask: Ask, at: float, *, deadline: float = math.inf) -> Compared:
        """Compare as of a Unix time; after `deadline` (monotonic) nothing is asked."""
        pairs: list[Pair] = []
        failures: dict[Key, Failure] = {}
        for group in self._groups:
            try:
                pairs += group.compare(ask, at, deadline)
            except PrometheusError as error:
                failure = Failure("prometheus", str(error))
                failures |= {model.key: failure for own in group.models for model in own}
        return Compared(tuple(pairs), tuple(_families(pairs)), failures)


def _pairs(versions: Sequence[Model], counted: Sequence[Stratum]) -> Iterator[Pair]:
    """Every version that serves, beside the next older one that serves at the same times."""
    requests = {
        model.key: [one[model.key].total(catalog.INFERENCE_REQUESTS) for one in counted]
        for model in versions
    }
    for place, newer in enumerate(versions):
        for older in reversed(versions[:place]):
            sides = zip(requests[newer.key], requests[older.key], strict=True)
            if any(min(both) > 0 for both in sides):
                sides_counted = (
                    [one[newer.key] for one in counted],
                    [one[older.key] for one in counted],
                )
                yield Pair(newer, older, tuple(compare(newer, older, sides_counted)))
                break


def _families(pairs: Sequence[Pair]) -> Iterator[Family]:
    def all_of(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Family:
        return Family(
            metric,
            [
                (series(metric, **dict(zip(metric.labels, labels, strict=True))), value)
                for labels, value in values.items()
            ],
        )

    keys = [(*pair.newer.key, pair.older.version) for pair in pairs]
    yield all_of(catalog.VERSION_BASELINE, dict.fromkeys(keys, 1))
    found = [
        ((*key, aspect.name), aspect)
        for key, pair in zip(keys, pairs, strict=True)
        for aspect in pair.aspects
    ]
    sides = ("newer", "older")
    values: dict[tuple[str, ...], float] = {
        (*key, side): value
        for key, own in found
        for side, value in zip(sides, (own.newer, own.older), strict=True)
    }
    samples: dict[tuple[str, ...], float] = {
        (*key, side): number
        for key, own in found
        for side, number in zip(sides, (own.newer_samples, own.older_samples), strict=True)
    }
    yield all_of(catalog.VERSION_COMPARISON, values)
    yield all_of(catalog.VERSION_COMPARISON_SAMPLES, samples)
    p_values: dict[tuple[str, ...], float] = {
        key: own.p_value for key, own in found if own.p_value is not None
    }
    yield all_of(catalog.VERSION_COMPARISON_P_VALUE, p_values)
    yield all_of(catalog.VERSION_WORSE, {key: int(own.worse) for key, own in found})
