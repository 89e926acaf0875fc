"""Catalog → exposition text.

A series prepares the text of its name and labels once; a scrape formats only the numbers. Labels
are strict: a missing or an extra one is an error where the series is made, never dropped.

    fraud = series(catalog.LABELS, model_name="fraud", model_version="2", result="matched")
    Family(catalog.LABELS, [(fraud, 17)])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from contract.catalog import Metric, Type

__all__ = [
    "Exemplar",
    "Exemplars",
    "Family",
    "HistogramSeries",
    "LabelError",
    "Series",
    "histogram_series",
    "many_series",
    "number_text",
    "render",
    "render_pieces",
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
    pattern: str
    """All lines with `%d` for the numbers and `%s` for the sum; `bare` has the buckets alone."""
    bare: str


def series(metric: Metric, /, **labels: str) -> Series:
    """A series of a counter or gauge. Raises LabelError unless `labels` are just the metric's."""
    if metric.type is Type.HISTOGRAM:
        raise LabelError(f"{metric} is a histogram: make it with histogram_series")
    values = _label_values(metric, labels)
    return Series(metric, values, metric.name + _label_text(metric.labels, values) + " ")


def many_series(metric: Metric, /, **labels: Sequence[str]) -> list[Series]:
    """A series for each position of the columns of labels, ten times as fast as one by one.

    Raises LabelError unless `labels` are just the metric's, and ValueError where their lengths
    differ.
    """
    if metric.type is Type.HISTOGRAM:
        raise LabelError(f"{metric} is a histogram: make it with histogram_series")
    _label_values(metric, dict.fromkeys(labels, ""))
    written = []
    for name in metric.labels:
        texts = {
            value: f'{name}="{_escape(_checked(metric, name, value))}"'
            for value in set(labels[name])
        }
        written.append([texts[value] for value in labels[name]])
    all_values = zip(*(labels[name] for name in metric.labels), strict=True)
    return [
        Series(metric, values, f"{metric.name}{{{','.join(texts)}}} ")
        for values, texts in zip(all_values, zip(*written, strict=True), strict=True)
    ]


def histogram_series(metric: Metric, edges: Sequence[float], /, **labels: str) -> HistogramSeries:
    """A classic histogram over `edges` (ascending, finite; +Inf is added). Raises LabelError."""
    if metric.type is not Type.HISTOGRAM:
        raise LabelError(f"{metric} is a {metric.type}: make it with series")
    bounds = tuple(map(float, edges))
    if not bounds or not all(map(math.isfinite, bounds)) or list(bounds) != sorted(set(bounds)):
        raise ValueError(f"{metric}: edges must be finite and ascend, got {bounds}")
    values = _label_values(metric, labels)
    names = (*metric.labels, "le")
    buckets = tuple(
        f"{metric.bucket}{_label_text(names, (*values, le))} "
        for le in (*map(repr, bounds), "+Inf")
    )
    count = f"{metric.count}{_label_text(metric.labels, values)} "
    total = f"{metric.sum}{_label_text(metric.labels, values)} "
    bare = "\n".join(f"{_percent(text)}%d" for text in buckets)
    pattern = f"{bare}\n{_percent(count)}%d\n{_percent(total)}%s"
    return HistogramSeries(metric, values, bounds, buckets, count, total, pattern, bare)


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _label_values(metric: Metric, labels: dict[str, str]) -> tuple[str, ...]:
    missing = [name for name in metric.labels if name not in labels]
    extra = [name for name in labels if name not in metric.labels]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"extra {', '.join(extra)}"] if extra else []
        raise LabelError(f"{metric}: {'; '.join(parts)}; its labels are {', '.join(metric.labels)}")
    for name, value in labels.items():
        _checked(metric, name, value)
    return tuple(labels[name] for name in metric.labels)


def _checked(metric: Metric, name: str, value: str) -> str:
    if not isinstance(value, str):
        raise LabelError(f"{metric}: label {name} should be text, got {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise LabelError(f"{metric}: label {name} is not Unicode text: {value!r}") from None
    return value


def _label_text(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation that a bucket points at, for OpenMetrics: the trace it belongs to."""

    trace_id: str
    value: float
    time: float

    def __str__(self) -> str:
        label = _label_text(("trace_id",), (self.trace_id,))
        return f" # {label} {self.value!r} {self.time:.3f}"


Exemplars = Mapping[int, Exemplar]
"""By the place of the bucket."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric and its samples at this scrape.

    `histograms` hold, per series, the count of each bin (not cumulative, shape [edges + 1]) and
    the sum of the values. Where values are negative, only the buckets are exposed; the one of +Inf
    is the count. `exemplars` are those of some of them, by their labels. `text` are lines that
    `prepared` rendered, `texts` lines that were rendered before, encoded; neither ends with a line
    feed.
    """

    metric: Metric
    samples: Iterable[tuple[Series, float]] = ()
    histograms: Iterable[tuple[HistogramSeries, Sequence[int], float]] = ()
    text: str = ""
    exemplars: Mapping[tuple[str, ...], Exemplars] = field(default_factory=dict)
    texts: Sequence[bytes] = ()

    def prepared(self) -> Family:
        """The same with its lines rendered now, for what changes less often than it is scraped."""
        return Family(self.metric, text="\n".join(self.lines()))

    def lines(self, *, openmetrics: bool = False) -> Iterator[str]:
        """The lines of all samples, those of a histogram at once.

        Raises LabelError for a series of another metric.
        """
        if self.text:
            yield self.text
        metric = self.metric
        for line, value in self.samples:
            if line.metric is not metric:
                raise self._strange(line.metric)
            # The most frequent case costs no call.
            yield line.text + (str(value) if type(value) is int else number_text(value, metric))
        for histogram, counts, total in self.histograms:
            if histogram.metric is not metric:
                raise self._strange(histogram.metric)
            if len(counts) != len(histogram.buckets):
                raise ValueError(
                    f"{metric}: {len(counts)} counts for {len(histogram.buckets)} buckets"
                )
            running = tuple(accumulate(counts))
            # Over negative values a sum is no counter: OpenMetrics forbids it, and a count alone.
            if histogram.edges[0] >= 0 and not total < 0:
                text = histogram.pattern % (*running, running[-1], number_text(total, metric))
            else:
                text = histogram.bare % running
            found = self.exemplars.get(histogram.labels) if openmetrics else None
            yield _with_exemplars(text, found) if found else text

    def _strange(self, metric: Metric) -> LabelError:
        return LabelError(f"a series of {metric} stands among those of {self.metric}")


def _with_exemplars(text: str, exemplars: Exemplars) -> str:
    lines = text.split("\n")
    for place, exemplar in exemplars.items():
        lines[place] += str(exemplar)
    return "\n".join(lines)


def number_text(value: float, metric: Metric) -> str:
    """A number as it is exposed. Raises ValueError for NaN."""
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
    out = list(render_pieces(families, openmetrics=openmetrics))
    if openmetrics:
        out.append(b"# EOF")
    return b"\n".join(out) + b"\n"


def render_pieces(families: Iterable[Family], *, openmetrics: bool) -> Iterator[bytes]:
    """The same in pieces of a few lines without the last line feed, and without OpenMetrics's end.

    Each piece takes some microseconds, so that who renders much can see to other things in between.
    """
    seen: set[str] = set()
    for family in families:
        metric = family.metric
        if metric.name in seen:
            raise ValueError(f"{metric} is exposed twice")
        seen.add(metric.name)
        first = True
        lines = (line.encode() for line in family.lines(openmetrics=openmetrics))
        for piece in chain(family.texts, lines):
            if first:
                yield "\n".join(_head(metric, openmetrics)).encode()
                first = False
            yield piece


def _head(metric: Metric, openmetrics: bool) -> Iterator[str]:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} " + (text.replace('"', r"\"") if openmetrics else text)
    yield f"# TYPE {name} {metric.type}"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}"
