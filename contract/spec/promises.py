"""What is promised of a model, and when its data counts as drifted."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.quantity import Duration, Ratio, problem
from contract.spec.section import Section, as_list

__all__ = ["QUANTILES", "Drift", "Latency", "Reference", "Slo"]

QUANTILES: Final = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p999"}
"""Latency quantiles that are recorded, and how they are called in names."""


def _known_quantile(target: float) -> float:
    if target not in QUANTILES:
        known = ", ".join(f"{quantile * 100:g}%" for quantile in QUANTILES)
        raise problem(
            f"is not one of the recorded quantiles: {target * 100:g}%", f"write one of {known}"
        )
    return target


class Latency(Section):
    """A promise on latency: `target` of the requests are faster than `threshold`."""

    threshold: Duration
    """What a request may take."""
    target: Annotated[Ratio, AfterValidator(_known_quantile)] = 0.99
    """The share of requests that are faster: 50%, 90%, 95%, 99% or 99.9%."""

    @property
    def quantile(self) -> str:
        """What the quantile is called in names: p99."""
        return QUANTILES[self.target]


def _distinct_quantiles(pairs: tuple[Latency, ...]) -> tuple[Latency, ...]:
    targets = [pair.target for pair in pairs]
    if len(set(targets)) != len(targets):
        raise problem("promises the same target twice")
    return pairs


class Slo(Section):
    """What is promised of a model over `window`."""

    window: Duration = Duration.parse("30d")
    """The period over which the promise holds."""
    availability: Ratio = 0.999
    """The share of requests that succeed."""
    latency: Annotated[
        tuple[Latency, ...],
        BeforeValidator(as_list, json_schema_input_type=Latency | list[Latency]),
        AfterValidator(_distinct_quantiles),
    ] = (Latency(threshold=Duration.parse("250ms")),)
    """How fast requests are: one promise, or a list of them with different targets."""


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
    share: Ratio = 0.3
    """The share of drifted features above which DriftShare fires."""
    reference: Reference | None = None
    """The past that data is held against, instead of the profile's counts."""
