"""What a report says, as data: the schema of its JSON (docs/report.schema.json).

Names end in their units. None, in JSON null, is what nobody knows: no requests, no labels, or no
data. Times carry the zone of the report. Nothing is NaN.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

__all__ = [
    "SCHEMA_VERSION",
    "Alert",
    "Compliance",
    "Coverage",
    "Drift",
    "Drifting",
    "Held",
    "Kind",
    "Latency",
    "Measure",
    "ModelReport",
    "Outcome",
    "Performance",
    "Quality",
    "Report",
    "Sla",
    "Span",
    "Statistics",
    "Timed",
    "Traffic",
    "Verdict",
    "render_schema",
    "serializer",
]

SCHEMA_VERSION: Final = 1
"""Grows by 1 when a name or a meaning changes or goes; new names do not change it."""

Kind = Literal["sla", "performance", "drift"]
Verdict = Literal["met", "broken", "no_events", "no_data"]

_documented: Final = ConfigDict(use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Span:
    """A time from `start` to `end`."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end.timestamp() - self.start.timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of which time something is known of a model."""

    __pydantic_config__ = _documented

    first: dt.datetime | None
    """When its requests were counted first in the period; there may have been none."""
    last: dt.datetime | None
    """When they were counted last."""
    covered_ratio: float
    """The share of the period in which they were counted: 1 is all of it."""
    gaps: list[Span]
    """Times between first and last in which nothing was counted."""
    gap_resolution_seconds: float
    """To which the ends of gaps are known; shorter ones are not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests of one time. Those of times that follow each other add up."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime
    covered_ratio: float
    """The share of that time in which requests were counted."""
    requests: float | None
    errors: float | None
    error_ratio: float | None
    """errors / requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of the model: whatever feature, objective or target it was about."""

    __pydantic_config__ = _documented

    name: str
    severity: str
    episodes: int
    """How often it began to fire, and once more where it already did when the period began."""
    firing_seconds: float
    """How long it fired, in all."""
    first_firing: dt.datetime
    """When it fired first in the period."""
    last_firing: dt.datetime
    """When it fired last."""
    firing_at_end: bool


# Promises


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one promise was kept in one time."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime
    events: float | None
    bad_events: float | None
    achieved_ratio: float | None
    """The share of events that were good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """One promise (slo of models.yaml) against what was."""

    __pydantic_config__ = _documented

    objective: str
    """availability, latency_250ms, accuracy, drift_free, freshness."""
    kind: str
    event_unit: Literal["requests", "labels", "seconds"]
    target_ratio: float
    """The share of events that must be good."""
    slo_window_seconds: float
    """Over how long models.yaml promises it."""
    events: float | None
    bad_events: float | None
    achieved_ratio: float | None
    budget_spent_ratio: float | None
    """Bad events of those that the target allows in this report's period; above 1 it is broken."""
    budget_left_ratio: float | None
    """1 - budget_spent_ratio; negative where it is overspent."""
    budget_left_of_slo_window_ratio: float | None
    """The same of the promise's own window, which ends with the report's period."""
    verdict: Verdict
    worst: Outcome | None
    """The interval that spent most of the budget."""
    series: list[Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """The report sla: what is promised of the model, and what became of it."""

    __pydantic_config__ = _documented

    verdict: Verdict
    """broken where any promise is."""
    availability_ratio: float | None
    """The share of requests that did not fail."""
    targets_up_ratio: float | None
    """The share of the time that the model's targets could be scraped."""
    promises: list[Compliance]


# Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times of requests. Quantiles are of all requests of that time, from their buckets."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime
    timed_requests: float | None
    """Requests whose time is known."""
    mean_seconds: float | None
    p50_seconds: float | None
    p90_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    p999_seconds: float | None
    beyond_buckets: list[str]
    """Quantiles that lie beyond the last bucket: they are at least what is said of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The values that something had over one time."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime
    mean: float | None
    """Of a ratio or a mean it is weighted by requests; None of what has no mean, as quantiles."""
    min: float | None
    max: float | None
    median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that has a value at each moment, over the period and over each interval."""

    __pydantic_config__ = _documented

    name: str
    """It ends in the unit of its values: memory_bytes."""
    whole: Statistics
    series: list[Statistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The report performance: how fast the model was, for how much, with what."""

    __pydantic_config__ = _documented

    requests_per_second_mean: float | None
    """Over the time in which requests were counted."""
    requests_per_second_peak: float | None
    """In the busiest five minutes."""
    energy_joules: float | None
    """The model's part of the energy of its GPUs."""
    latency: Latency
    latency_series: list[Latency]
    measures: list[Measure]


# Drift and quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The mean of a value over one time, and the highest."""

    __pydantic_config__ = _documented

    start: dt.datetime
    end: dt.datetime
    mean: float | None
    max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifting:
    """How far a feature, or the predictions, moved from the reference."""

    __pydantic_config__ = _documented

    kind: Literal["feature", "prediction"]
    feature: str
    """Empty for predictions."""
    method: str
    score_window: str
    """Over how long values are compared with the reference."""
    score_last: float
    score_mean: float
    score_max: float
    threshold_warning: float | None
    threshold_critical: float | None
    noise_floor: float | None
    """The score that sampling alone exceeds in 1 of 100 windows."""
    drifted: bool
    """Whether it ever was above both its threshold and its floor."""
    drifted_seconds: float
    """For how long, in all."""
    first_drifted: dt.datetime | None
    last_drifted: dt.datetime | None
    drifted_at_end: bool
    series: list[Timed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One metric of the model's predictions: measured by labels, and estimated without them."""

    __pydantic_config__ = _documented

    metric: str
    window: str
    """The time over which labels are counted for one value."""
    value_last: float | None
    interval_lower: float | None
    interval_upper: float | None
    """Ends of the 95% interval of the last value."""
    value_mean: float | None
    value_min: float | None
    value_max: float | None
    value_median: float | None
    """Of all values of the period."""
    period_value: float | None
    """From all labels of the period; None where only windows are known."""
    labels_last: float | None
    """Labels of the last window."""
    baseline: float | None
    promised_min: float | None
    promised_max: float | None
    """What the metric must at least, or at most be: by min or max, or the baseline and max_drop."""
    decayed_seconds: float
    """How long it was worse than promised, and by more than chance."""
    verdict: Verdict
    """broken where it ever was; no_events where nothing is promised."""
    estimated_last: float | None
    estimated_lower: float | None
    estimated_upper: float | None
    estimated_decayed_seconds: float
    series: list[Timed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Another verdict, and how long it held."""

    __pydantic_config__ = _documented

    name: str
    """concept_drift, multivariate_drift, data_quality, feature_stale."""
    feature: str
    check: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The report drift: whether data and predictions are still what the model was made for."""

    __pydantic_config__ = _documented

    evaluated_ratio: float
    """The share of the period for which there are verdicts."""
    features: list[Drifting]
    """Those that drifted for longest first."""
    predictions: list[Drifting]
    quality: list[Quality]
    label_coverage_ratio: float | None
    label_delay_median_seconds: float | None
    other: list[Held]


# All of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One version of one model; of sla, performance and drift that is there which was asked for."""

    __pydantic_config__ = _documented

    name: str
    version: str
    team: str
    state: str
    """live, registered or retired, as models.yaml says; empty where it no longer names it."""
    first_request: dt.datetime | None
    last_request: dt.datetime | None
    """When it served, to five minutes."""
    coverage: Coverage
    traffic: Traffic
    """Of the whole period."""
    traffic_series: list[Traffic]
    alerts: list[Alert]
    """That fired for longest first."""
    sla: Sla | None
    performance: Performance | None
    drift: Drift | None

    @property
    def key(self) -> tuple[str, str]:
        """What tells versions apart."""
        return self.name, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of one kind over one period."""

    __pydantic_config__ = _documented

    schema_version: Annotated[int, Field(ge=1)]
    kind: Kind
    generated_at: dt.datetime
    prometheus: str
    """Who was asked."""
    period: Span
    zone: str
    """The time zone in which days begin."""
    step: str
    """How long the intervals of series are; the first and the last may be shorter."""
    notes: list[str]
    """What a reader should know of all of it."""
    figures_from: dt.datetime | None
    """When to ask again, where Prometheus is so young that nothing is counted yet."""
    models: list[ModelReport]


@cache
def serializer() -> TypeAdapter[Report]:
    """To JSON, and to the schema of it."""
    return TypeAdapter(Report)


def render_schema() -> str:
    """The schema of a report's JSON, as text."""
    schema = serializer().json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | schema, indent=2) + "\n"
