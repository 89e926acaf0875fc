"""Error budgets, recorded: burn rates over each window, what of the period's budget is left.

Every ratio is bad events over events of the same time, never a mean of ratios: empty without
events, 0 without bad ones. The windows of the fastest tier are sums of rates of a minute each, so
that nobody waits; the others are sums of counts of five minutes, which are fewer samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.catalog import Unit
from contract.quantity import Duration
from contract.slo import TIERS, Tier
from contract.spec import Spec
from generator.queries.recorded import Group, Recorded
from generator.queries.slo_events import (
    BAD,
    BAD_COUNTED,
    BAD_OF_HOURS,
    BAD_SINCE_HOUR,
    BUDGET,
    EVENTS,
    EVENTS_COUNTED,
    EVENTS_OF_HOURS,
    EVENTS_SINCE_HOUR,
    LAST_PREDICTION,
    OBJECTIVE,
    OBJECTIVES,
    ON_OBJECTIVE,
    RATES,
    counted_over,
    rates_step,
    short_of,
)
from generator.queries.windows import FOUR_MINUTES, window

__all__ = [
    "BAD",
    "BAD_COUNTS",
    "BAD_OF_PERIOD",
    "BURN_RATES",
    "EVENTS",
    "EVENTS_OF_PERIOD",
    "EXHAUSTED",
    "OBJECTIVE",
    "OBJECTIVES",
    "ON_OBJECTIVE",
    "RATIOS",
    "REMAINING",
    "SLI",
    "SLO_RECORDED",
    "SLO_TIERS",
    "SPENT",
]

SLO_TIERS: Final = tuple(tier.name for tier in TIERS)
"""The values of the label slo_tier: where one fires for an objective, those after it say less."""

_HOURS: Final = Group("slo-hours", slowly=Duration.parse("2m"))
_DAYS: Final = Group("slo-days", slowly=FOUR_MINUTES)
_OUTLOOK: Final = Group("slo-outlook", slowly=Duration.parse("2m"))

_WINDOWS: Final = {
    str(window): window
    for window in sorted({window for tier in TIERS for window in (tier.long, tier.short)})
}
_DAY: Final = Duration.parse("1d")


def _group(length: Duration) -> Group:
    """Both windows of a tier are needed at once, and the long one moves the slower."""
    if length in {TIERS[0].short, TIERS[0].long}:
        return RATES
    return _HOURS if length < _DAY else _DAYS


# Over each window


def _sum(rates: Recorded, counts: Recorded, length: Duration, spec: Spec) -> str:
    """Events of a window: a sum of rates in a short one, of counts in a long one."""
    over = short_of(window(spec, length), spec)
    if _group(length) is RATES:
        return f"sum_over_time({rates}[{over}]) * {rates_step(spec).seconds:g}"
    return f"sum_over_time({counts}[{over}])"


def _bad_count(tier: Tier) -> Recorded:
    return Recorded(
        name=f"model:ml_slo_bad_events:count{tier.name}",
        labels=OBJECTIVE,
        help=f"Bad events in the last {tier.name}.",
        group=_group(tier.long),
        expression=lambda spec: _sum(BAD, BAD_COUNTED, tier.long, spec),
    )


def _ratio(name: str, length: Duration) -> Recorded:
    counted = BAD_COUNTS.get(name)

    def expression(spec: Spec) -> str:
        bad = str(counted) if counted else _sum(BAD, BAD_COUNTED, length, spec)
        return f"{bad}\n/\n({_sum(EVENTS, EVENTS_COUNTED, length, spec)} > 0)"

    return Recorded(
        name=f"model:ml_slo_bad_events:ratio_rate{name}",
        labels=OBJECTIVE,
        help=f"Share of the events of the last {name} that were bad.",
        group=_group(length),
        expression=expression,
        unit=Unit.RATIO,
    )


def _burn_rate(name: str, length: Duration) -> Recorded:
    return Recorded(
        name=f"model:ml_slo_burn:rate{name}",
        labels=OBJECTIVE,
        help=f"How many times faster than evenly the error budget went over the last {name}.",
        # No alert reads it.
        group=_HOURS if length < _DAY else _DAYS,
        expression=lambda _: f"{RATIOS[name]} / {ON_OBJECTIVE} {BUDGET}",
    )


BAD_COUNTS: Final = {tier.name: _bad_count(tier) for tier in TIERS}
"""By the name of the tier, over its long window."""
RATIOS: Final = {name: _ratio(name, length) for name, length in _WINDOWS.items()}
"""By the window: RATIOS["1h"]."""
BURN_RATES: Final = {name: _burn_rate(name, length) for name, length in _WINDOWS.items()}


# Over the period


def _period(hours: Recorded, rest: Recorded) -> Callable[[Spec], str]:
    def expression(spec: Spec) -> str:
        periods = sorted({model.slo.window for model in spec.models})
        sums = [counted_over(period, hours, rest, spec) for period in periods]
        if len(sums) == 1:
            return sums[0]
        return "\nor\n".join(
            f'({total} and {ON_OBJECTIVE} {OBJECTIVES}{{period="{period}"}})'
            for total, period in zip(sums, periods, strict=True)
        )

    return expression


EVENTS_OF_PERIOD: Final = Recorded(
    name="model:ml_slo_events:count_period",
    labels=OBJECTIVE,
    help="Events over the period of the promise.",
    group=_DAYS,
    expression=_period(EVENTS_OF_HOURS, EVENTS_SINCE_HOUR),
)
BAD_OF_PERIOD: Final = Recorded(
    name="model:ml_slo_bad_events:count_period",
    labels=OBJECTIVE,
    help="Bad events over the period of the promise.",
    group=_DAYS,
    expression=_period(BAD_OF_HOURS, BAD_SINCE_HOUR),
)
SLI: Final = Recorded(
    name="model:ml_slo_good_events:ratio_period",
    labels=OBJECTIVE,
    help="Share of the events of the period that were good: what is held against the objective.",
    group=_DAYS,
    expression=lambda _: f"1 - {BAD_OF_PERIOD} / ({EVENTS_OF_PERIOD} > 0)",
    unit=Unit.RATIO,
)
SPENT: Final = Recorded(
    name="model:ml_slo_error_budget_spent:ratio",
    labels=OBJECTIVE,
    help="Share of the period's error budget that is spent; above 1 the promise is broken.",
    group=_DAYS,
    expression=lambda _: f"(1 - {SLI}) / {ON_OBJECTIVE} {BUDGET}",
    unit=Unit.RATIO,
)
REMAINING: Final = Recorded(
    name="model:ml_slo_error_budget_remaining:ratio",
    labels=OBJECTIVE,
    help="Share of the period's error budget that is left; negative where it is overspent.",
    group=_DAYS,
    expression=lambda _: f"1 - {SPENT}",
    unit=Unit.RATIO,
)


def _exhausted(spec: Spec) -> str:
    periods = sorted({model.slo.window for model in spec.models})
    return "\nor\n".join(
        f"clamp_min({REMAINING}, 0) * {spec.clock(period).seconds:g}\n"
        f"/ {ON_OBJECTIVE} ({BURN_RATES['1h']} > 0)\n"
        f'and {ON_OBJECTIVE} {OBJECTIVES}{{period="{period}"}}'
        for period in periods
    )


EXHAUSTED: Final = Recorded(
    name="model:ml_slo_error_budget_exhausted:seconds",
    labels=OBJECTIVE,
    help="Time until nothing is left of the error budget, at the burn rate of the last hour; "
    "absent while nothing burns.",
    group=_OUTLOOK,
    expression=_exhausted,
    unit=Unit.SECONDS,
)

_MEASURED: Final = (*BAD_COUNTS.values(), *RATIOS.values(), *BURN_RATES.values())

SLO_RECORDED: Final = (
    OBJECTIVES,
    BUDGET,
    LAST_PREDICTION,
    EVENTS,
    BAD,
    *(rule for rule in _MEASURED if rule.group is RATES),
    EVENTS_COUNTED,
    BAD_COUNTED,
    EVENTS_OF_HOURS,
    BAD_OF_HOURS,
    EVENTS_SINCE_HOUR,
    BAD_SINCE_HOUR,
    *(rule for rule in _MEASURED if rule.group is _HOURS),
    *(rule for rule in _MEASURED if rule.group is _DAYS),
    EVENTS_OF_PERIOD,
    BAD_OF_PERIOD,
    SLI,
    SPENT,
    REMAINING,
    EXHAUSTED,
)
"""In the order in which they are evaluated."""
