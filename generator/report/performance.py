"""How fast each version was, for how much, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contract.catalog import MODEL
from contract.quantity import Duration
from generator.queries import report as queries
from generator.report.ask import Asked, Key, Row
from generator.report.counting import QUANTILES, added, quantile, ratio
from generator.report.figures import Latency, Measure, Performance, Statistics, Traffic
from generator.report.period import Interval

__all__ = ["read_performance"]

_NO_MEAN: Final = frozenset(
    {
        "latency_p50_seconds",
        "latency_p99_seconds",
        "batch_size_rows",
        "time_to_first_token_p99_seconds",
        "inter_token_latency_mean_seconds",
    }
)
"""Quantiles and means of five minutes each: a mean of them would not be that of all requests."""

_Buckets = Mapping[float, float]


@dataclass(frozen=True, slots=True)
class _Timed:
    """Counts of latency in one time: those up to each edge, and time taken by how many."""

    buckets: _Buckets
    total: float | None
    weight: float | None


def read_performance(
    asked: Asked, traffic: Mapping[Key, tuple[Traffic, list[Traffic]]]
) -> dict[Key, Performance]:
    """The performance of each version, whose traffic over the period and by interval is known."""
    timed = _read_timed(asked)
    energy = asked.intervals(lambda over: queries.energy(asked.who, over, asked.spec), MODEL)
    statistics = _read_gauges(asked)
    found = {}
    for key, (whole, series) in traffic.items():
        intervals = timed.get(key) or [_Timed({}, None, None)] * len(series)
        latency = _latency(asked, asked.period.whole, _all_of(intervals))
        latencies = [
            _latency(asked, *one) for one in zip(asked.period.intervals, intervals, strict=True)
        ]
        joules = energy.get(key) or [None] * len(series)
        parts = (
            (whole, latency, added(joules)),
            *zip(series, latencies, joules, strict=True),
        )
        measures = [_measure(name, rows, parts) for name, rows in statistics.get(key, {}).items()]
        peak = next((m.whole.max for m in measures if m.name == _THROUGHPUT), None)
        found[key] = Performance(
            requests_per_second_mean=_throughput(whole),
            requests_per_second_peak=peak,
            energy_joules=added(joules),
            latency=latency,
            latency_series=latencies,
            measures=measures,
        )
    return found


# Latency


def _read_timed(asked: Asked) -> dict[Key, list[_Timed]]:
    def rows(question: Callable[..., str], labels: tuple[str, ...]) -> dict[tuple[str, ...], Row]:
        return asked.intervals(
            lambda over: question(asked.who, over, asked.spec), labels, "latency"
        )

    total, weight = rows(queries.latency_total, MODEL), rows(queries.latency_weight, MODEL)
    edges: dict[Key, dict[float, Row]] = {}
    for (name, version, le), row in rows(queries.buckets, (*MODEL, "le")).items():
        # Some write 1 where others write 1.0: the same edge.
        of_model = edges.setdefault((name, version), {})
        edge = float(le)
        of_model[edge] = _sum_of(of_model[edge], row) if edge in of_model else row
    nothing: Row = [None] * len(asked.period.intervals)
    found = {}
    for key in edges.keys() | {(key[0], key[1]) for key in total}:
        of_model = edges.get(key, {})
        found[key] = [
            _Timed(
                {edge: count for edge, row in of_model.items() if (count := row[i]) is not None},
                total.get(key, nothing)[i],
                weight.get(key, nothing)[i],
            )
            for i in range(len(nothing))
        ]
    return found


def _sum_of(one: Row, other: Row) -> Row:
    return [added(pair) for pair in zip(one, other, strict=True)]


def _all_of(intervals: Sequence[_Timed]) -> _Timed:
    """All intervals together; edges that some do not have, because they were changed, go."""
    known = [one.buckets for one in intervals if one.buckets]
    edges = set.intersection(*(set(buckets) for buckets in known)) if known else set()
    return _Timed(
        {edge: sum(buckets[edge] for buckets in known) for edge in edges},
        added(one.total for one in intervals),
        added(one.weight for one in intervals),
    )


def _latency(asked: Asked, interval: Interval, timed: _Timed) -> Latency:
    quantiles = {name: quantile(share, timed.buckets) for name, share in QUANTILES.items()}
    beyond = [name for name, found in quantiles.items() if found and found.beyond]
    counted = timed.buckets.get(float("inf"), timed.weight)
    return Latency(
        start=asked.period.moment(interval.start),
        end=asked.period.moment(interval.end),
        timed_requests=counted,
        mean_seconds=ratio(timed.total, timed.weight),
        beyond_buckets=beyond,
        **{name: found.value if found else None for name, found in quantiles.items()},
    )


# What has a value at each moment

_THROUGHPUT: Final = "throughput_requests_per_second"
_Rows = dict[str, tuple[float | None, Row]]
"""By aggregation: of the whole period, and of each interval."""


def _read_gauges(asked: Asked) -> dict[Key, dict[str, _Rows]]:
    labels = (*MODEL, "measure")
    found: dict[tuple[str, ...], _Rows] = {}
    for aggregation in queries.AGGREGATIONS:

        def asks(over: Duration, aggregation: str = aggregation) -> str:
            return queries.gauge(aggregation, asked.who, over, asked.spec)

        whole = {
            tuple(one.labels.get(label, "") for label in labels): one.value
            for one in asked.whole(asks(asked.over), aggregation)
        }
        for key, row in asked.intervals(asks, labels, aggregation).items():
            found.setdefault(key, {})[aggregation] = whole.get(key), row
    by_model: dict[Key, dict[str, _Rows]] = {}
    for name in queries.GAUGES:
        for (model, version, measure), rows in found.items():
            if measure == name:
                by_model.setdefault((model, version), {})[name] = rows
    return by_model


def _measure(
    name: str, rows: _Rows, parts: Sequence[tuple[Traffic, Latency, float | None]]
) -> Measure:
    """`parts` are the period and then its intervals: traffic, latency and energy of each."""
    told = {aggregation: (whole, *row) for aggregation, (whole, row) in rows.items()}
    each = []
    for index, (traffic, latency, joules) in enumerate(parts):
        values = {
            aggregation: told[aggregation][index] if aggregation in told else None
            for aggregation in queries.AGGREGATIONS
        }
        values["mean"] = _mean(name, values["mean"], traffic, latency, joules)
        each.append(Statistics(start=traffic.start, end=traffic.end, **values))
    return Measure(name=name, whole=each[0], series=each[1:])


def _mean(
    name: str, over_time: float | None, traffic: Traffic, latency: Latency, joules: float | None
) -> float | None:
    """The mean over time, or where that would be wrong what the counts say."""
    if name in _NO_MEAN:
        return None
    if name == _THROUGHPUT:
        return _throughput(traffic)
    if name == "error_ratio":
        return traffic.error_ratio
    if name == "latency_mean_seconds":
        return latency.mean_seconds
    if name == "gpu_energy_joules_per_1000_requests":
        per_request = ratio(joules, traffic.requests)
        return None if per_request is None else per_request * 1000
    return over_time


def _throughput(traffic: Traffic) -> float | None:
    """Requests per second of the time in which they were counted."""
    seconds = traffic.end.timestamp() - traffic.start.timestamp()
    return ratio(traffic.requests, traffic.covered_ratio * seconds)
