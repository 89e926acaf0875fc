"""Counts over windows: what the sidecars counted, asked from Prometheus and laid into arrays.

A query answers for as many models as make a moderate answer, summed over replicas; few queries run
at a time. So neither side ever holds all series at once, and what fails, fails for these models.
A count is what PromQL's `increase` gives: resets are seen, and it is extrapolated to the window's
ends by a factor that is nearly the same for all bins of a column, so shares are right and totals
are a few percent off. Long windows are sums over hours, since Prometheus would have to hold every
sample of a week otherwise.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract import catalog
from contract.catalog import MODEL
from contract.profile import NumericBins
from contract.quantity import Duration
from exporters.drift.layout import Kind, Layout, Row
from exporters.drift.prometheus import PrometheusError, RawSample, decode_labels

__all__ = ["QUERIES", "Ask", "Counts", "Failure", "Reason", "Source", "Span", "read_counts"]

Reason = Literal["prometheus", "bins", "reference", "rows"]
Ask = Callable[[str, float], Sequence[RawSample]]
"""Gives the instant vector of an expression at a Unix time. Raises PrometheusError."""

QUERIES: Final = 4
"""Queries that run at a time: Prometheus takes 20 by itself, and has others to answer."""

SERIES_EACH: Final = 25_000
"""Series that one answer may have, more or less: a few megabytes."""

HOUR: Final = Duration.parse("1h")

LONG: Final = 2 * 3600.0
"""Seconds from which on a window is added up from hours."""


class Span(NamedTuple):
    """A window and the Unix time of its end."""

    window: Duration
    end: float


@dataclass(frozen=True, slots=True)
class Source:
    """A metric that counts bins of columns: `label` tells the bin, none for missing values.

    `column` is the label that names the column, where a model has several of the kind.
    """

    kind: Kind
    metric: str
    label: Literal["le", "category", "predicted_class"] | None
    column: Literal["feature_name", ""] = "feature_name"


SOURCES: Final = (
    Source("feature", catalog.FEATURE_VALUE.bucket, "le"),
    Source("feature", catalog.FEATURE_CATEGORY.name, "category"),
    Source("feature", catalog.FEATURE_MISSING.name, None),
    Source("prediction", catalog.PREDICTION_VALUE.bucket, "le", ""),
    Source("prediction", catalog.PREDICTION_CLASS.name, "predicted_class", ""),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model has no counts."""

    reason: Reason
    text: str


@dataclass(slots=True)
class Counts:
    """Counts per row and bin, shape [rows, width] as in the layout, and the models without."""

    values: NDArray[np.float64]
    failures: dict[int, Failure] = field(default_factory=dict)

    def fail(self, model: int, failure: Failure) -> None:
        """Note why a model has no counts; the first reason stands."""
        self.failures.setdefault(model, failure)


@dataclass(frozen=True, slots=True)
class _Shard:
    """Models whose counts one query gives: the same window, and not too many series."""

    span: Span
    models: tuple[int, ...]


def read_counts(
    layout: Layout, ask: Ask, spans: Sequence[Span | None], *, deadline: float = math.inf
) -> Counts:
    """Counts of all models, each over its span; None leaves a model out, with counts of 0.

    Models whose window could not be asked for, or whose bins differ from their profile's, are in
    `failures`; the counts of the others stand. After `deadline` (monotonic) nothing is asked.
    """
    laying = _Laying(layout)
    shards = list(_shards(layout, spans))

    def read(shard: _Shard) -> None:
        try:
            for source in _sources(layout, shard):
                if time.monotonic() > deadline:
                    raise PrometheusError("not asked: the interval is over, so it is too slow")
                text = _expression(layout, shard, source)
                laying.lay(source, ask(text, shard.span.end), shard)
        except PrometheusError as error:
            laying.fail(shard, str(error))

    _run(read, shards)
    return laying.counts()


def _run(work: Callable[[_Shard], None], shards: Iterable[_Shard]) -> None:
    """Do the work for every shard, a few at a time; raises what any of it raised."""
    todo, lock = iter(shards), threading.Lock()
    raised: list[Exception] = []

    def keep_on() -> None:
        while not raised:
            with lock:
                shard = next(todo, None)
            if shard is None:
                return
            try:
                work(shard)
            except Exception as error:  # noqa: BLE001 # raised again by who waits for the threads
                raised.append(error)

    # Daemons: who is asked to stop doesn't wait for a query that takes long.
    threads = [threading.Thread(target=keep_on, daemon=True) for _ in range(QUERIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def _shards(layout: Layout, spans: Sequence[Span | None]) -> Iterator[_Shard]:
    widths = np.bincount(layout.model_of, layout.used.sum(axis=1), len(layout.models))
    by_span: dict[Span, list[int]] = {}
    for model, span in enumerate(spans):
        if span is not None and widths[model]:
            by_span.setdefault(span, []).append(model)
    for span, models in by_span.items():
        held: list[int] = []
        series = 0.0
        for model in models:
            if held and series + widths[model] > SERIES_EACH:
                yield _Shard(span, tuple(held))
                held, series = [], 0.0
            held.append(model)
            series += widths[model]
        yield _Shard(span, tuple(held))


def _sources(layout: Layout, shard: _Shard) -> Iterator[Source]:
    """What has to be asked for: predictions only where a profile has them."""
    rows = np.isin(layout.model_of, shard.models)
    kinds = {
        kind
        for kind, mask in (("feature", layout.is_feature), ("prediction", ~layout.is_feature))
        if (rows & mask).any()
    }
    return (source for source in SOURCES if source.kind in kinds)


def _expression(layout: Layout, shard: _Shard, source: Source) -> str:
    names = dict.fromkeys(layout.models[model].name for model in shard.models)
    # Names are letters, digits, dashes, dots and underscores.
    pattern = "|".join(name.replace(".", r"\\.") for name in names)
    by = ", ".join([*MODEL, *filter(None, (source.column, source.label))])
    series = f'{source.metric}{{model_name=~"{pattern}"}}'
    window = shard.span.window
    if window.seconds < LONG:
        return f"sum by ({by}) (increase({series}[{window}]))"
    return f"sum_over_time(sum by ({by}) (increase({series}[{HOUR}]))[{window}:{HOUR}])"


class _Laying:
    """Puts samples at their places, from several threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        shape = (len(layout.rows), layout.width)
        self._values = np.zeros(shape)
        self._seen = np.zeros(shape, dtype=np.bool_)
        self._failures: dict[int, Failure] = {}
        self._lock = threading.Lock()

    def fail(self, shard: _Shard, text: str) -> None:
        """Nothing is known of these models."""
        with self._lock:
            for model in shard.models:
                self._failures.setdefault(model, Failure("prometheus", text))

    def lay(self, source: Source, samples: Sequence[RawSample], shard: _Shard) -> None:
        """Add every sample of these models at its place; what has none fails its model."""
        known = self._layout.places_of.setdefault(source.metric, {})
        if len(known) > 4 * self._values.size + 10_000:
            known.clear()  # what a stranger counts must not fill the memory
        keys = [bytes(sample.metric) for sample in samples]
        for key in keys:
            if key not in known:
                known[key] = _place(self._layout, source, decode_labels(key))
        found = [known[key] for key in keys]
        texts: dict[int, str] = {}
        for model, text in {place for place in found if isinstance(place, tuple)}:
            texts[model] = min(text, texts.get(model, text))
        places = np.array([-1 if isinstance(p, tuple) else p for p in found], dtype=np.int64)
        values = np.array([float(sample.value[1]) for sample in samples])
        ours = np.zeros(len(self._layout.models), dtype=np.bool_)
        ours[list(shard.models)] = True
        kept = (places >= 0) & np.isfinite(values)
        kept[kept] = ours[self._layout.model_of[places[kept] // self._layout.width]]
        with self._lock:
            # Added, since one edge may be written 1 by one replica and 1.0 by another.
            np.add.at(self._values.reshape(-1), places[kept], values[kept])
            self._seen.reshape(-1)[places[kept]] = True
            for model, text in texts.items():
                if ours[model]:
                    self._failures.setdefault(model, Failure("bins", text))

    def counts(self) -> Counts:
        """What was laid, as counts of bins."""
        counts = Counts(self._values, self._failures)
        _check_whole(self._layout, counts, self._seen)
        counts.values = _bin_counts(self._layout, counts.values)
        return counts


def _place(layout: Layout, source: Source, labels: dict[str, str]) -> int | tuple[int, str]:
    """The place in the flat array, -1 for a stranger's, or the model that fails and why."""
    name, version = labels.get("model_name", ""), labels.get("model_version", "")
    number = layout.index.get((name, version, source.kind, labels.get(source.column, "")))
    if number is None:
        return -1
    row = layout.rows[number]
    column = _column(source, labels, row)
    if column is None:
        return (row.model, _difference(source, labels, row))
    return number * layout.width + column


def _column(source: Source, labels: dict[str, str], row: Row) -> int | None:
    """The array column of a bucket or category, or None where the profile has none such."""
    if source.label is None:
        return 0
    if (source.label == "le") is not isinstance(row.bins, NumericBins):
        return None
    text = labels.get(source.label, "")
    # The same edge may be written 1, 1.0 or 1e0: numbers are compared.
    key = _edge(text) if source.label == "le" else text
    columns: dict[float | str | None, int] = row.columns  # type: ignore[assignment]  # read only
    return columns.get(key)


def _edge(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _difference(source: Source, labels: dict[str, str], row: Row) -> str:
    is_edge = source.label == "le"
    what = f'le="{labels.get("le")}"' if is_edge else f"category {labels.get(source.label or '')}"
    return f"{_called(row)} is counted with {what}, which its profile does not have"


def _called(row: Row) -> str:
    return f"{row.kind} {row.name}".rstrip()


def _check_whole(layout: Layout, counts: Counts, seen: NDArray[np.bool_]) -> None:
    """A histogram of which some buckets are missing was counted on other bins."""
    lacking = layout.used & ~seen
    lacking[:, 0] = False
    counted = seen[:, 1:].any(axis=1)
    for number in np.flatnonzero(lacking.any(axis=1) & counted & layout.cumulative):
        row = layout.rows[number]
        column = int(np.flatnonzero(lacking[number])[0])
        edge = next(edge for edge, at in row.columns.items() if at == column)
        text = f'{_called(row)} is not counted at le="{edge}", which its profile has'
        counts.fail(row.model, Failure("bins", text))


def _bin_counts(layout: Layout, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Buckets hold all counts up to their edge: take from each the one below it."""
    below = np.zeros_like(values)
    below[:, 2:] = values[:, 1:-1]
    bins = np.where(layout.cumulative[:, np.newaxis], values - below, values)
    # Extrapolation treats each bucket by itself, so one may fall short of its neighbour by a hair.
    return np.where(layout.used, np.maximum(bins, 0.0), 0.0)
