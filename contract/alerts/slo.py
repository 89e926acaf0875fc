"""The alerts on error budgets: one for each tier of burn rates, for all objectives of a model."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert, Promised
from contract.quantity import Duration
from contract.slo import TIERS, Tier, objectives
from contract.spec import Model, Severity

__all__ = ["SLO_ALERTS"]


def _promised(tier: Tier) -> Promised:
    def promised(model: Model, _: Severity) -> dict[str, float]:
        shares = {
            objective.name: round(tier.factor(objective.period) * objective.budget, 12)
            for objective in objectives(model)
        }
        return {name: share for name, share in shares.items() if share < 1}

    return promised


SLO_ALERTS: Final = tuple(
    Alert(
        tier.alert,
        (tier.severity,),
        Duration(0),
        "{model} burns its error budget of {objective}: {value} bad",
        f"Over the last {tier.name}, {{value}} of what {{model}} promises as {{objective}} was "
        f"bad, and it goes on: over the last {tier.short} it was more than {{threshold}} as well. "
        f"At that pace {tier.share:.0%} of the budget of the whole period, or more, is gone within "
        f"{tier.name}.",
        _promised(tier),
        "percent",
        "models[].slo",
        {"slo_tier": tier.name},
    )
    for tier in TIERS
)
"""From the fastest on."""
