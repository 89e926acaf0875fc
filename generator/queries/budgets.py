"""What the SLO dashboard asks: which promises are in danger, how much is left, what spends it?"""

from __future__ import annotations

from typing import Final

from contract.slo import Tier
from generator.queries import recorded, slo
from generator.queries.recorded import Recorded
from generator.queries.selection import (
    ALERTS,
    ALERTS_SINCE,
    FIRING,
    ON_MODEL,
    chosen,
    of_team,
    owners,
)

__all__ = [
    "bad_share",
    "budget_alerts",
    "burn_alerts",
    "by_objective",
    "objective",
    "objective_variable",
    "objectives",
    "of_objective",
    "overspent",
    "promised_share",
    "running_out",
    "tier_threshold",
]

_OBJECTIVE: Final = 'objective="$objective"'
_BUDGET_ALERTS: Final = 'slo_tier!=""'
_ON_OBJECTIVE: Final = slo.ON_OBJECTIVE
_SOON: Final = 3 * 86_400


def objective_variable() -> str:
    """What is promised of the chosen model."""
    return f"label_values({chosen(slo.OBJECTIVES)}, objective)"


# All promises of the chosen teams


def _of_teams(expression: str) -> str:
    return f"{expression} and {ON_MODEL} {owners()}"


def by_objective(series: Recorded) -> str:
    """A series of every promise of the chosen teams' models, with their team."""
    return f"{series} * {ON_MODEL} group_left (team) {owners()}"


def promised_share() -> str:
    """The share of good events that is promised, of every promise, with its team."""
    promised = f"max by ({', '.join(slo.OBJECTIVE)}) ({slo.OBJECTIVES})"
    return f"{promised} * {ON_MODEL} group_left (team) {owners()}"


def objectives() -> str:
    """How many promises there are."""
    promised = f"group by ({', '.join(slo.OBJECTIVE)}) ({slo.OBJECTIVES})"
    return f"count({_of_teams(promised)})"


def overspent() -> str:
    """How many are broken: more bad events than the period's budget has."""
    return f"count({_of_teams(f'({slo.REMAINING} < 0)')}) or vector(0)"


def running_out() -> str:
    """How many will be within three days, at the pace of the last hour."""
    soon = f"({slo.EXHAUSTED} < {_SOON} and {_ON_OBJECTIVE} {slo.REMAINING} > 0)"
    return f"count({_of_teams(soon)}) or vector(0)"


def burn_alerts() -> str:
    """Alerts on error budgets that fire."""
    return f"count({of_team(ALERTS, f'{FIRING}, {_BUDGET_ALERTS}')}) or vector(0)"


def budget_alerts() -> str:
    """Those and pending ones, as the time (Unix, ms) since when each holds."""
    own = of_team(ALERTS, _BUDGET_ALERTS)
    return f"{own} * ignoring (alertstate) group_left () {ALERTS_SINCE} * 1000"


# The chosen promise


def of_objective(series: Recorded) -> str:
    """A series of the chosen promise."""
    return chosen(series, _OBJECTIVE)


def objective() -> str:
    """The share of good events that it promises."""
    return f"max({of_objective(slo.OBJECTIVES)})"


def bad_share(window: str) -> str:
    """The share of events that were bad, over a window: 1h."""
    return of_objective(slo.RATIOS[window])


def tier_threshold(tier: Tier) -> str:
    """The share of bad events above which a tier's alert fires."""
    matchers = f"{_OBJECTIVE}, {_alert(tier)}"
    return f"max({chosen(recorded.THRESHOLD, matchers)})"


def _alert(tier: Tier) -> str:
    return f'alert="{tier.alert}"'
