"""Whether data, predictions and their quality are still what a model was made for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contract.catalog import MODEL
from contract.quantity import Duration
from contract.spec import Model
from contract.spec.performance import LOWER_IS_BETTER, Promise
from generator.doctor.ask import Sample
from generator.queries import report as queries
from generator.report.ask import Asked, Key, Row
from generator.report.counting import added, ratio
from generator.report.figures import Drift, Drifting, Held, Quality, Timed, Verdict

__all__ = ["read_drift"]

_DriftKind = Literal["feature", "prediction"]
_KINDS: Final[tuple[_DriftKind, ...]] = ("feature", "prediction")
_Labels = tuple[str, ...]
_METRIC: Final = (*MODEL, "metric", "window")
_OBJECTIVE: Final = (*MODEL, "objective", "window")


def read_drift(asked: Asked, keys: Sequence[Key]) -> dict[Key, Drift]:
    """Drift and quality of each of these versions."""
    drifting = {kind: _read_drifting(asked, kind) for kind in _KINDS}
    evaluated = _by(
        asked.whole(queries.evaluated_seconds(asked.who, asked.over, asked.spec)), MODEL
    )
    quality = _read_quality(asked)
    held = _read_held(asked)
    labels = {
        what: _longest_window(
            asked.whole(queries.quality(what, aggregation, asked.who, asked.over), "labels")
        )
        for what, aggregation in (("coverage", "mean"), ("delay", "median"))
    }
    seconds = asked.period.whole.seconds
    return {
        key: Drift(
            evaluated_ratio=min(1.0, evaluated.get(key, 0.0) / seconds),
            features=drifting["feature"].get(key, []),
            predictions=drifting["prediction"].get(key, []),
            quality=quality.get(key, []),
            label_coverage_ratio=labels["coverage"].get(key),
            label_delay_median_seconds=labels["delay"].get(key),
            other=held.get(key, []),
        )
        for key in keys
    }


def _by(samples: Iterable[Sample], labels: _Labels) -> dict[_Labels, float]:
    return {tuple(one.labels.get(name, "") for name in labels): one.value for one in samples}


def _longest_window(samples: Sequence[Sample]) -> dict[Key, float]:
    """Of each model the value over its longest window."""
    ordered = sorted(samples, key=lambda one: Duration.parse(one.labels["window"]))
    return {one.model: one.value for one in ordered}


# Scores


def _read_drifting(asked: Asked, kind: _DriftKind) -> dict[Key, list[Drifting]]:
    who, over, spec = asked.who, asked.over, asked.spec
    labels = (*MODEL, "feature_name", "method", "window")
    one_feature = (*MODEL, "feature_name")

    def score(function: str) -> dict[_Labels, float]:
        return _by(asked.whole(queries.score(kind, function, who, over), "drift"), labels)

    last, mean, highest = score("last"), score("avg"), score("max")
    if not last:
        return {}
    series = _timed_rows(asked, lambda f, w: queries.score(kind, f, who, w), ("avg", "max"), labels)
    thresholds, floors = (asked.whole(text, "drift") for text in queries.drift_limits(who, over))
    limits = _by(thresholds, (*MODEL, "kind", "severity"))
    floor = _by(floors, (*MODEL, "kind", "feature_name"))
    seconds = _by(asked.whole(queries.drift_seconds(kind, who, over, spec), "drift"), one_feature)
    first, final = (
        _by(asked.whole(text, "drift"), one_feature)
        for text in queries.drift_moments(kind, who, over, spec)
    )
    at_end = _by(asked.whole(queries.drifted_now(kind, who), "drift"), one_feature)
    found: dict[Key, list[Drifting]] = {}
    for key, value in last.items():
        model, version, feature, method, window = key
        own = (model, version, feature)
        found.setdefault((model, version), []).append(
            Drifting(
                kind=kind,
                feature=feature,
                method=method,
                score_window=window,
                score_last=value,
                score_mean=mean[key],
                score_max=highest[key],
                threshold_warning=limits.get((model, version, kind, "warning")),
                threshold_critical=limits.get((model, version, kind, "critical")),
                noise_floor=floor.get((model, version, kind, feature)),
                drifted=own in seconds,
                drifted_seconds=seconds.get(own, 0.0),
                first_drifted=asked.period.moment(first[own]) if own in first else None,
                last_drifted=asked.period.moment(final[own]) if own in final else None,
                drifted_at_end=own in at_end,
                series=_timed(asked, series, key),
            )
        )
    for of_model in found.values():
        of_model.sort(key=lambda one: (-one.drifted_seconds, -one.score_max, one.feature))
    return found


def _timed_rows(
    asked: Asked,
    question: Callable[[str, Duration], str],
    functions: tuple[str, str],
    labels: _Labels,
) -> tuple[dict[_Labels, Row], dict[_Labels, Row]]:
    """A mean and a maximum of each interval."""
    mean, highest = (
        asked.intervals(lambda over, one=one: question(one, over), labels, "over time")  # type: ignore[misc]  # bound now
        for one in functions
    )
    return mean, highest


def _timed(
    asked: Asked, rows: tuple[dict[_Labels, Row], dict[_Labels, Row]], key: _Labels
) -> list[Timed]:
    nothing: Row = [None] * len(asked.period.intervals)
    mean, highest = (row.get(key, nothing) for row in rows)
    return [
        Timed(
            start=asked.period.moment(interval.start),
            end=asked.period.moment(interval.end),
            mean=mean[index],
            max=highest[index],
        )
        for index, interval in enumerate(asked.period.intervals)
    ]


def _read_held(asked: Asked) -> dict[Key, list[Held]]:
    found: dict[Key, list[Held]] = {}
    for name in queries.TIMED_VERDICTS:
        text = queries.timed_verdict(name, asked.who, asked.over, asked.spec)
        for one in asked.whole(text, "verdicts"):
            feature, check = (one.labels.get(label, "") for label in ("feature_name", "objective"))
            found.setdefault(one.model, []).append(
                Held(name=name, feature=feature, check=check, seconds=one.value)
            )
    for of_model in found.values():
        of_model.sort(key=lambda one: -one.seconds)
    return found


# Quality


@dataclass(frozen=True, slots=True)
class _Known:
    """All that was asked about performance, by _METRIC unless its name says otherwise."""

    told: Mapping[str, Mapping[_Labels, float]]
    """By aggregation of what was measured."""
    limits: Mapping[_Labels, float]
    estimated: Mapping[_Labels, float]
    estimated_limits: Mapping[_Labels, float]
    baselines: Mapping[_Labels, float]
    """By model and metric."""
    samples: Mapping[_Labels, float]
    """By model and window."""
    decayed: Mapping[_Labels, float]
    estimated_decayed: Mapping[_Labels, float]
    period: Mapping[_Labels, float]
    """By model and metric."""
    series: tuple[dict[_Labels, Row], dict[_Labels, Row]]


def _read_quality(asked: Asked) -> dict[Key, list[Quality]]:
    who, over, spec = asked.who, asked.over, asked.spec
    bounded = (*_METRIC, "bound")

    def ask(what: str, aggregation: str, labels: _Labels) -> dict[_Labels, float]:
        return _by(asked.whole(queries.quality(what, aggregation, who, over), "quality"), labels)

    told = {
        aggregation: ask("measured", aggregation, _METRIC)
        for aggregation in ("last", *queries.AGGREGATIONS)
    }
    estimated = ask("estimated", "last", _METRIC)
    if not told["last"] and not estimated:
        return {}
    known = _Known(
        told,
        ask("limit", "last", bounded),
        estimated,
        ask("estimated_limit", "last", bounded),
        ask("baseline", "last", (*MODEL, "metric")),
        ask("samples", "last", (*MODEL, "window")),
        _by(asked.whole(queries.decayed_seconds(who, over, spec), "quality"), _OBJECTIVE),
        _by(asked.whole(queries.decayed_seconds(who, over, spec, estimated=True)), _OBJECTIVE),
        _of_period(asked),
        _timed_rows(
            asked,
            lambda one, window: queries.quality("measured", one, who, window),
            ("mean", "max"),
            _METRIC,
        ),
    )
    promises = {model.key: _promises(model) for model in spec.versions}
    found: dict[Key, list[Quality]] = {}
    for key in told["last"].keys() | estimated.keys():
        of_model = promises.get((key[0], key[1]), {})
        quality = _quality(asked, known, key, of_model.get(key[2]))
        found.setdefault((key[0], key[1]), []).append(quality)
    for (name, version), metrics in found.items():
        order = list(promises.get((name, version), {}))
        metrics.sort(key=lambda one: _rank(one, order))
    return found


def _rank(one: Quality, promised: Sequence[str]) -> tuple[int, str, float]:
    """What is promised first, as models.yaml has it; of one metric the longest window first."""
    place = promised.index(one.metric) if one.metric in promised else len(promised)
    return place, one.metric, -Duration.parse(one.window).seconds


def _promises(model: Model) -> dict[str, Promise]:
    return dict(model.performance.promises())


def _quality(asked: Asked, known: _Known, key: _Labels, promise: Promise | None) -> Quality:
    name, version, metric, window = key
    of_metric = (name, version, metric)
    least, most = _bounds(metric, promise)
    decayed = known.decayed.get(key, 0.0)
    last = known.told["last"].get(key)
    return Quality(
        metric=metric,
        window=window,
        value_last=last,
        interval_lower=known.limits.get((*key, "lower")),
        interval_upper=known.limits.get((*key, "upper")),
        value_mean=known.told["mean"].get(key),
        value_min=known.told["min"].get(key),
        value_max=known.told["max"].get(key),
        value_median=known.told["median"].get(key),
        period_value=known.period.get(of_metric),
        labels_last=known.samples.get((name, version, window)),
        baseline=known.baselines.get(of_metric, promise.baseline if promise else None),
        promised_min=least,
        promised_max=most,
        decayed_seconds=decayed,
        verdict=_verdict(last, decayed, promised=promise is not None),
        estimated_last=known.estimated.get(key),
        estimated_lower=known.estimated_limits.get((*key, "lower")),
        estimated_upper=known.estimated_limits.get((*key, "upper")),
        estimated_decayed_seconds=known.estimated_decayed.get(key, 0.0),
        series=_timed(asked, known.series, key),
    )


def _verdict(last: float | None, decayed: float, *, promised: bool) -> Verdict:
    if not promised:
        return "no_events"
    if last is None:
        return "no_data"
    return "broken" if decayed else "met"


def _bounds(metric: str, promise: Promise | None) -> tuple[float | None, float | None]:
    """What a metric must at least, or at most be, of all that is promised of it."""
    if promise is None:
        return None, None
    lower = metric in LOWER_IS_BETTER
    bounds = [promise.max if lower else promise.min]
    if promise.baseline is not None and promise.max_drop is not None:
        drop = promise.max_drop if lower else -promise.max_drop
        bounds.append(promise.baseline + drop)
    given = [bound for bound in bounds if bound is not None]
    if not given:
        return None, None
    return (None, min(given)) if lower else (max(given), None)


def _of_period(asked: Asked) -> dict[_Labels, float]:
    """Accuracy, MAE and RMSE from all labels of the period, by model and metric."""
    who, over = asked.who, asked.over
    labels = (*MODEL, "predicted_class", "actual_class")
    outcomes = _by(asked.whole(queries.actual_outcomes(who, over), "labels"), labels)
    right: dict[Key, list[float]] = {}
    every: dict[Key, list[float]] = {}
    for (name, version, predicted, actual), count in outcomes.items():
        every.setdefault((name, version), []).append(count)
        if predicted == actual:
            right.setdefault((name, version), []).append(count)
    found: dict[_Labels, float] = {}
    for model, counts in every.items():
        if (share := ratio(added(right.get(model, [0.0])), added(counts))) is not None:
            found[*model, "accuracy"] = share
    samples = _by(asked.whole(queries.error_samples(who, over), "labels"), MODEL)
    for metric, text in zip(("mae", "rmse"), queries.errors_total(who, over), strict=True):
        for key, total in _by(asked.whole(text, "labels"), MODEL).items():
            if (mean := ratio(total, samples.get(key))) is not None:
                found[*key, metric] = math.sqrt(mean) if metric == "rmse" else mean
    return found
