"""Catalog → exposition text.

A series prepares the text of its name and labels once; a scrape formats only the numbers. Labels
are strict: a missing or an extra one is an error where the series is made, never dropped.

    fraud = series(catalog.LABELS, model_name="fraud", model_version="2", result="matched")
    Family(catalog.LABELS, [(fraud, 17)])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contract.catalog import Metric, Type

__all__ = [
    "Family",
    "HistogramSeries",
    "LabelError",
    "Series",
    "histogram_series",
    "render",
    "series",
]


class LabelError(ValueError):
    """Labels that are not exactly those of the catalog."""


@dataclass(frozen=True, slots=True)
class Series:
    """One labelled series of a counter or gauge; `text` is all of its line but the number."""

    metric: Metric
    labels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class HistogramSeries:
    """One labelled histogram; `buckets` are the texts of its lines, the last one le="+Inf"."""

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    buckets: tuple[str, ...]
    count: str
    sum: str


def series(metric: Metric, /, **labels: str) -> Series:
    """A series of a counter or gauge. Raises LabelError unless `labels` are just the metric's."""
    if metric.type is Type.HISTOGRAM:
        raise LabelError(f"{metric} is a histogram: make it with histogram_series")
    values = _label_values(metric, labels)
    return Series(metric, values, metric.name + _label_text(metric.labels, values) + " ")


def histogram_series(metric: Metric, edges: Sequence[float], /, **labels: str) -> HistogramSeries:
    """A classic histogram over `edges` (ascending, finite; +Inf is added). Raises LabelError."""
    if metric.type is not Type.HISTOGRAM:
        raise LabelError(f"{metric} is a {metric.type}: make it with series")
    bounds = tuple(map(float, edges))
    if not bounds or not all(map(math.isfinite, bounds)) or list(bounds) != sorted(set(bounds)):
        raise ValueError(f"{metric}: edges must be finite and ascend, got {bounds}")
    values = _label_values(metric, labels)
    names = (*metric.labels, "le")
    return HistogramSeries(
        metric,
        values,
        bounds,
        tuple(
            f"{metric.bucket}{_label_text(names, (*values, le))} "
            for le in (*map(repr, bounds), "+Inf")
        ),
        f"{metric.count}{_label_text(metric.labels, values)} ",
        f"{metric.sum}{_label_text(metric.labels, values)} ",
    )


def _label_values(metric: Metric, labels: dict[str, str]) -> tuple[str, ...]:
    missing = [name for name in metric.labels if name not in labels]
    extra = [name for name in labels if name not in metric.labels]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"extra {', '.join(extra)}"] if extra else []
        raise LabelError(f"{metric}: {'; '.join(parts)}; its labels are {', '.join(metric.labels)}")
    for name, value in labels.items():
        if not isinstance(value, str):
            raise LabelError(f"{metric}: label {name} should be text, got {value!r}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LabelError(f"{metric}: label {name} is not Unicode text: {value!r}") from None
    return tuple(labels[name] for name in metric.labels)


def _label_text(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric and its samples at this scrape.

    `histograms` hold, per series, the count of each bin (not cumulative, shape [edges + 1]) and
    the sum of the values. Where values are negative, only the buckets are exposed; the one of +Inf
    is the count. `text` are lines that `prepared` rendered.
    """

    metric: Metric
    samples: Iterable[tuple[Series, float]] = ()
    histograms: Iterable[tuple[HistogramSeries, Sequence[int], float]] = ()
    text: str = ""

    def prepared(self) -> Family:
        """The same with its lines rendered now, for what changes less often than it is scraped."""
        return Family(self.metric, text="\n".join(self.lines()))

    def lines(self) -> Iterator[str]:
        """The lines of all samples. Raises LabelError for a series of another metric."""
        if self.text:
            yield self.text
        for line, value in self.samples:
            self._own(line.metric)
            yield line.text + _number(value, self.metric)
        for histogram, counts, total in self.histograms:
            self._own(histogram.metric)
            running = 0
            for bucket, count in zip(histogram.buckets, counts, strict=True):
                running += int(count)
                yield f"{bucket}{running}"
            # Over negative values a sum is no counter: OpenMetrics forbids it, and a count alone.
            if histogram.edges[0] >= 0 and not total < 0:
                yield f"{histogram.count}{running}"
                yield histogram.sum + _number(total, self.metric)

    def _own(self, metric: Metric) -> None:
        if metric is not self.metric:
            raise LabelError(f"a series of {metric} stands among those of {self.metric}")


def _number(value: float, metric: Metric) -> str:
    if isinstance(value, int):
        return str(value)
    number = float(value)
    if number != number:
        raise ValueError(f"{metric}: NaN is no value; leave out what cannot be read")
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number)


def render(families: Iterable[Family], *, openmetrics: bool = False) -> bytes:
    """The exposition of all families: text 0.0.4, or OpenMetrics 1.0.0.

    A family without samples is left out. Raises ValueError where a metric comes twice.
    """
    out: list[str] = []
    seen: set[str] = set()
    for family in families:
        metric = family.metric
        if metric.name in seen:
            raise ValueError(f"{metric} is exposed twice")
        seen.add(metric.name)
        lines = list(family.lines())
        if lines:
            out.extend(_head(metric, openmetrics))
            out.extend(lines)
    if openmetrics:
        out.append("# EOF")
    return ("\n".join(out) + "\n").encode()


def _head(metric: Metric, openmetrics: bool) -> Iterator[str]:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} " + (text.replace('"', r"\"") if openmetrics else text)
    yield f"# TYPE {name} {metric.type}"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}"
