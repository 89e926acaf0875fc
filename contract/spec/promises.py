"""What is promised of a model, and when its data counts as drifted."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from contract.quantity import Duration, Ratio, problem
from contract.spec.section import Section, as_list

__all__ = ["QUANTILES", "Drift", "Latency", "Slo"]

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
