"""When the alerts on error budgets fire: one expression a tier, for every objective of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.slo import MIN_BAD_EVENTS, TIERS, Tier
from generator.queries.alerting.promise import Promise, compare
from generator.queries.slo import BAD_COUNTS, RATIOS
from generator.queries.slo_events import ON_OBJECTIVE

__all__ = ["SLO_EXPRESSIONS"]


def _burns(tier: Tier) -> Callable[[Promise], str]:
    def expression(promise: Promise) -> str:
        long = compare(str(RATIOS[str(tier.long)]), ">", promise, by="objective")
        short = compare(str(RATIOS[str(tier.short)]), ">", promise, by="objective")
        few = f"{BAD_COUNTS[tier.name]} >= {MIN_BAD_EVENTS}"
        return f"{long}\nand {ON_OBJECTIVE}\n{short}\nand {ON_OBJECTIVE}\n{few}"

    return expression


SLO_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    tier.alert: _burns(tier) for tier in TIERS
}
"""By the name of the alert; the series carry model_name, model_version, objective and team."""
