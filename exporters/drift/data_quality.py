"""The quality of each feature's values: what is missing, out of range, no number, new, or stale.

A check fails where its share is above what models.yaml allows by more than chance: where even the
lower end of Wilson's interval is. Every feature is checked at every evaluation, so chance here is
about 1 in 1,000 for what is just allowed, and nothing for what is well within.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract import catalog
from contract.alerts import MIN_REQUESTS
from contract.catalog import MODEL, Metric
from contract.profile import CategoryBins
from contract.quantity import Duration
from contract.spec import Model, Spec
from exporters.drift.layout import Layout, Row
from exporters.drift.prometheus import PrometheusError, RawSample, decode_labels
from exporters.drift.window import Ask
from exporters.expose import Family, Series, many_series

__all__ = ["CHECKS", "DataQuality", "DataQualityCycle", "failed_checks"]

Array = NDArray[np.float64]
Sample = tuple[Series, float]

CHECKS: Final = ("missing", "range", "type", "category")

LEAST: Final = 30
"""Values below which no check fails."""

Z: Final = 3.2905267314919255
"""The 99.95% quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class DataQuality:
    """Of each feature: `shares` and `failed`, shape [rows, checks], NaN where a check has no value.

    `stale` is 1 where a feature had no value for as long as models.yaml allows, NaN where there
    was too little traffic to say.
    """

    shares: Array
    failed: Array
    stale: Array


def failed_checks(bad: Array, n: Array, limit: Array) -> Array:
    """1 where more than `limit` of n values are bad, by more than chance, else 0; NaN as `bad` is.

    The lower end of Wilson's interval at Z is above the limit, which it is where
    (share - limit)^2 > Z^2 limit (1 - limit) / n: the score test of a share.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        above = bad / n - limit
        beyond = above**2 > Z * Z * limit * (1 - limit) / n
    failed = (above > 0) & beyond & (n >= LEAST)
    return np.where(np.isnan(bad), np.nan, failed.astype(np.float64))


class DataQualityCycle:
    """Checks every feature, from the counts of an evaluation and two questions more."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        self._layout = layout
        self._freshness = [spec.clock(model.data_quality.freshness) for model in layout.models]
        rows = [(number, row) for number, row in enumerate(layout.rows) if row.kind == "feature"]
        self._rows = np.array([number for number, _ in rows], dtype=np.int64)
        self._numeric = layout.cumulative[self._rows]
        own = [layout.models[row.model] for _, row in rows]
        self._places = {
            (*model.key, row.name): place
            for place, ((_, row), model) in enumerate(zip(rows, own, strict=True))
        }
        reference = layout.reference[self._rows]
        held = np.maximum(reference.sum(axis=1), 1.0)
        last = [
            len(row.bins.counts) if isinstance(row.bins, CategoryBins) else 0 for _, row in rows
        ]
        self._other = np.array(last, dtype=np.int64)
        allowed = np.array(
            [[model.data_quality.limit(check) for check in CHECKS] for model in own]
        ).reshape(-1, len(CHECKS))
        each = np.arange(len(rows))
        allowed[:, 0] += reference[:, 0] / held
        allowed[:, 3] += np.where(self._numeric, 0.0, reference[each, self._other] / held)
        self._allowed = np.minimum(allowed, 1.0)
        self._series = {
            check: self._prepare(catalog.DATA_QUALITY, check, own, rows) for check in CHECKS
        }
        self._verdicts = {
            check: self._prepare(catalog.DATA_QUALITY_FAILED, check, own, rows)
            for check in (*CHECKS, "freshness")
        }

    def _prepare(
        self, metric: Metric, check: str, models: Sequence[Model], rows: Sequence[tuple[int, Row]]
    ) -> dict[int, Series]:
        """The series of a check by place, of the features that it applies to."""
        applies = {
            "range": self._numeric,
            "type": self._numeric,
            "category": ~self._numeric,
        }.get(check, np.ones(len(rows), dtype=np.bool_))
        places = np.flatnonzero(applies).tolist()
        made = many_series(
            metric,
            model_name=[models[place].name for place in places],
            model_version=[models[place].version for place in places],
            feature_name=[rows[place][1].name for place in places],
            check=[check] * len(places),
        )
        return dict(zip(places, made, strict=True))

    def evaluate(
        self, counts: Array, ask: Ask, at: float, *, deadline: float = math.inf
    ) -> DataQuality:
        """Check the counts [rows of the layout, bins] of windows that end at a Unix time.

        Raises PrometheusError.
        """
        own = counts[self._rows]
        invalid = {"type": np.zeros(len(own)), "range": np.zeros(len(own))}
        for window in dict.fromkeys(self._layout.windows):
            for sample in _asked(ask, _invalid(window), at, deadline):
                labels = decode_labels(sample.metric)
                place = self._place(labels)
                if place is not None and self._layout.windows[self._model(place)] == window:
                    invalid[labels["reason"]][place] += float(sample.value[1])
        n = own.sum(axis=1) + invalid["type"]
        other = own[np.arange(len(own)), self._other]
        nothing = np.nan
        bad = np.stack(
            [
                own[:, 0],
                np.where(self._numeric, invalid["range"], nothing),
                np.where(self._numeric, invalid["type"], nothing),
                np.where(self._numeric, nothing, other),
            ],
            axis=1,
        )
        bad[n < 0.5] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.minimum(bad / n[:, np.newaxis], 1.0)
        failed = failed_checks(bad, n[:, np.newaxis], self._allowed)
        return DataQuality(shares, failed, self._stale(ask, at, deadline))

    def _stale(self, ask: Ask, at: float, deadline: float) -> Array:
        stale = np.full(len(self._rows), np.nan)
        for window in dict.fromkeys(self._freshness):
            served = {
                (labels.get("model_name", ""), labels.get("model_version", ""))
                for labels in (
                    decode_labels(sample.metric)
                    for sample in _asked(ask, _traffic(window), at, deadline)
                )
            }
            for (*model, _), place in self._places.items():
                if tuple(model) in served and self._freshness[self._model(place)] == window:
                    stale[place] = 0.0
            for sample in _asked(ask, _silent(window), at, deadline):
                place_ = self._place(decode_labels(sample.metric))
                if place_ is not None and stale[place_] == 0:
                    stale[place_] = float(self._freshness[self._model(place_)] == window)
        return stale

    def _model(self, place: int) -> int:
        return int(self._layout.model_of[self._rows[place]])

    def _place(self, labels: dict[str, str]) -> int | None:
        return self._places.get(
            (
                labels.get("model_name", ""),
                labels.get("model_version", ""),
                labels.get("feature_name", ""),
            )
        )

    def families(self, found: DataQuality, failures: Sequence[int]) -> Iterator[Family]:
        """Shares and verdicts, of all models but those that could not be evaluated."""
        left_out = np.isin(self._layout.model_of[self._rows], list(failures))
        shown = np.where(left_out[:, np.newaxis], np.nan, found.shares)
        verdicts = np.concatenate([found.failed, found.stale[:, np.newaxis]], axis=1)
        verdicts[left_out] = np.nan

        def filled(made: Mapping[str, Mapping[int, Series]], values: Array) -> list[Sample]:
            return [
                (own, value)
                for column, labelled in enumerate(made.values())
                for own, value in zip(
                    labelled.values(), values[list(labelled), column].tolist(), strict=True
                )
                if not math.isnan(value)
            ]

        yield Family(catalog.DATA_QUALITY, filled(self._series, shown))
        yield Family(catalog.DATA_QUALITY_FAILED, filled(self._verdicts, verdicts))


def _asked(ask: Ask, text: str, at: float, deadline: float) -> Sequence[RawSample]:
    if time.monotonic() > deadline:
        raise PrometheusError("not asked: the interval is over, so it is too slow")
    return ask(text, at)


def _invalid(window: Duration) -> str:
    """Only what is not 0, so that the answer is short."""
    by = ", ".join([*MODEL, "feature_name", "reason"])
    counted = f'{catalog.FEATURE_INVALID}{{reason=~"type|range"}}'
    return f"sum by ({by}) (increase({counted}[{window}])) > 0"


def _traffic(window: Duration) -> str:
    served = f'{catalog.INFERENCE_REQUESTS}{{status="success"}}'
    by = ", ".join(MODEL)
    return f"sum by ({by}) (increase({served}[{window}])) >= {MIN_REQUESTS}"


def _silent(window: Duration) -> str:
    by = ", ".join([*MODEL, "feature_name"])
    values = f"sum by ({by}) (increase({catalog.FEATURE_VALUE.count}[{window}])) == 0"
    categories = f"sum by ({by}) (increase({catalog.FEATURE_CATEGORY}[{window}])) == 0"
    return f"({values}) or ({categories})"
