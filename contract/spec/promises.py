"""What is promised of a model, and when its data counts as drifted."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.quantity import Duration, Ratio, problem
from contract.spec.section import ExistingFile, Section, as_list

__all__ = ["QUANTILES", "Drift", "Freshness", "Latency", "Multivariate", "Reference", "Slo"]

QUANTILES: Final = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p999"}
"""Latency quantiles that are recorded, and how they are called in names."""


def _with_budget(target: float) -> float:
    if target >= 1:
        raise problem("leaves no error budget: 100%", "nothing never fails: write 99.9% or 99.99%")
    if target <= 0:
        raise problem("promises nothing: 0%", "write what share must be good: 99%")
    return target


Target = Annotated[Ratio, AfterValidator(_with_budget)]
"""The share of events that must be good, below 100%."""


class Latency(Section):
    """A promise on latency: `target` of the requests are faster than `threshold`."""

    threshold: Duration
    """What a request may take."""
    target: Target = 0.99
    """The share of requests that are faster. At 50%, 90%, 95%, 99% and 99.9% there is also an
    alert on that quantile of the last five minutes."""

    @property
    def quantile(self) -> str | None:
        """What the quantile is called in names, p99; None where the target is none."""
        return QUANTILES.get(self.target)


def _distinct(pairs: tuple[Latency, ...]) -> tuple[Latency, ...]:
    if len({(pair.threshold, pair.target) for pair in pairs}) != len(pairs):
        raise problem("promises the same twice", "keep one of them")
    return pairs


_FRESHEST: Final = Duration.parse("5m")


def _not_too_fresh(within: Duration) -> Duration:
    if within < _FRESHEST:
        raise problem(f"is below {_FRESHEST}: {within}", "traffic is looked at over five minutes")
    return within


class Freshness(Section):
    """A promise that predictions keep coming: for `target` of the time, one within `within`."""

    target: Target = 0.99
    """The share of the time in which the last prediction is recent."""
    within: Annotated[Duration, AfterValidator(_not_too_fresh)]
    """How long ago the last prediction may be; at least 5m."""


_SHORTEST_PERIOD: Final = Duration.parse("7d")


def _long_enough(period: Duration) -> Duration:
    if period < _SHORTEST_PERIOD:
        raise problem(
            f"is too short a period to judge: {period}",
            f"write {_SHORTEST_PERIOD} or more, 30d as a rule",
        )
    return period


class Slo(Section):
    """What is promised of a model over `window`; docs/slo.md says what follows from it."""

    window: Annotated[Duration, AfterValidator(_long_enough)] = Duration.parse("30d")
    """The period over which the promise holds, at least 7d."""
    availability: Target = 0.999
    """The share of requests that succeed."""
    latency: Annotated[
        tuple[Latency, ...],
        BeforeValidator(as_list, json_schema_input_type=Latency | list[Latency]),
        AfterValidator(_distinct),
    ] = (Latency(threshold=Duration.parse("250ms")),)
    """How fast requests are: one promise, or a list of them."""
    accuracy: Target | None = None
    """The share of labelled predictions that are right; of classifiers with a profile."""
    drift_free: Target | None = None
    """The share of the time in which nothing has drifted critically; of models with a profile."""
    freshness: Freshness | None = None
    """That predictions keep coming."""


def _moment(value: object) -> object:
    """A moment as YAML leaves it: text. A date alone is its midnight, UTC."""
    if isinstance(value, dt.datetime):
        return value
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise problem(
            f"is not a moment: {value!r}", "write 2026-10-01 or 2026-10-01T12:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


Moment = Annotated[dt.datetime, BeforeValidator(_moment, json_schema_input_type=str)]


class Reference(Section):
    """A past of the model itself that its data is held against, instead of its profile's counts.

    Either the last `window` up to `offset` ago, which moves on; or all between `from` and `to`,
    which is collected first and stays then. The bins are the profile's either way.
    """

    window: Duration | None = None
    """How much of the past, moving on with time."""
    offset: Duration = Duration.parse("1d")
    """How long ago the window ends."""
    start: Moment | None = Field(default=None, alias="from")
    """Where a reference that stays begins."""
    to: Moment | None = None
    """Where it ends; nothing is compared before."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        fixed = self.start is not None and self.to is not None
        moving = self.window is not None
        given = {"window", "offset", "start", "to"} & self.model_fields_set
        if not (fixed and given == {"start", "to"}) and not (
            moving and given <= {"window", "offset"}
        ):
            raise problem(
                "is neither a window nor a time between two moments",
                "write {window: 7d, offset: 1d} or {from: 2026-10-01, to: 2026-10-08}",
            )
        if self.start is not None and self.to is not None and self.start >= self.to:
            raise problem("ends before it starts")
        return self


class Multivariate(Section):
    """Drift of all features together, from rows: what no feature shows alone.

    The sidecar keeps a bounded sample of rows in memory for it, which is off without this.
    """

    data: ExistingFile
    """Rows of the reference, .csv or .parquet, with a column for each feature."""
    rows: int = Field(default=1_000, ge=100, le=10_000)
    """Rows that each sidecar keeps, and that are taken from the reference."""
    window: Duration = Duration.parse("1h")
    """The time from which those rows are a sample."""
    warning: float = Field(default=0.6, gt=0.5, lt=1)
    """How well rows can be told from the reference's (AUC): 0.5 is not at all."""
    critical: float = Field(default=0.75, gt=0.5, lt=1)
    """The same for critical."""


def _less_than_all(share: float) -> float:
    if share >= 1:
        raise problem("is never exceeded: 100%", "write less than 100%")
    return share


class Drift(Section):
    """When a feature counts as drifted: score above warning or critical, over window."""

    method: Literal[
        "psi",
        "kl",
        "jensen_shannon_distance",
        "hellinger",
        "total_variation",
        "ks",
        "wasserstein",
        "cramers_v",
    ] = "psi"
    """How the distance between now and the reference is measured; docs/drift.md compares them."""
    window: Duration = Duration.parse("1h")
    """The time over which values are counted and compared with the reference."""
    warning: float = Field(default=0.1, gt=0)
    """The score above which a feature has drifted, in the units of the method."""
    critical: float = Field(default=0.25, gt=0)
    """The score above which the drift is critical; not below `warning`."""
    min_samples: int = Field(default=500, gt=0)
    """Values that a window needs; with fewer, nothing is concluded."""
    share: Annotated[Ratio, AfterValidator(_less_than_all)] = 0.3
    """The share of drifted features above which DriftShare fires."""
    reference: Reference | None = None
    """The past that data is held against, instead of the profile's counts."""
    multivariate: Multivariate | None = None
    """Drift of all features together, by rows; left out, no row is kept."""
