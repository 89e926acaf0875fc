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
    target: Annotated[Ratio, AfterValidator(_known_quantile)] = 0.99

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
    availability: Ratio = 0.999
    latency: Annotated[
        tuple[Latency, ...],
        BeforeValidator(as_list, json_schema_input_type=Latency | list[Latency]),
        AfterValidator(_distinct_quantiles),
    ] = (Latency(threshold=Duration.parse("250ms")),)


class Drift(Section):
    """When a feature counts as drifted: score above warning or critical, over window.

    `warning` and `critical` are in the units of `method`. `share` is the share of drifted features
    above which DriftShare fires.
    """

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
    window: Duration = Duration.parse("1h")
    warning: float = Field(default=0.1, gt=0)
    critical: float = Field(default=0.25, gt=0)
    min_samples: int = Field(default=500, gt=0)
    share: Ratio = 0.3
