"""Error budgets, recorded: burn rates over each window, what of the period's budget is left.

Every ratio is bad events over events of the same time, never a mean of ratios: empty without
events, 0 without bad ones. The windows of the fastest tier are sums of rates of a minute each, so
that nobody waits; those of minutes and hours are sums of counts of five minutes, and those of days
sums of counts of hours, which are fewer samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

_SLOWER: Final = Group("slo-windows", slowly=FOUR_MINUTES)
"""What moves as counts of five minutes do: the windows of the other tiers, and the period."""

_WINDOWS: Final = {
    str(window): window
    for window in sorted({window for tier in TIERS for window in (tier.long, tier.short)})
}
_DAY: Final = Duration.parse("1d")


def _group(length: Duration) -> Group:
    return RATES if length in {TIERS[0].short, TIERS[0].long} else _SLOWER


# Over each window


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one kind of events is recorded as, from the finest to the coarsest."""

    rates: Recorded
    counted: Recorded
    of_hours: Recorded
    since_hour: Recorded

    def over(self, length: Duration, spec: Spec) -> str:
        """Events of a window, from the coarsest that it has enough of."""
        if length >= _DAY:
            return counted_over(length, self.of_hours, self.since_hour, spec)
        over = short_of(window(spec, length), spec)
        if _group(length) is RATES:
            return f"sum_over_time({self.rates}[{over}]) * {rates_step(spec).seconds:g}"
        return f"sum_over_time({self.counted}[{over}])"


_ALL: Final = _Counts(EVENTS, EVENTS_COUNTED, EVENTS_OF_HOURS, EVENTS_SINCE_HOUR)
_BAD: Final = _Counts(BAD, BAD_COUNTED, BAD_OF_HOURS, BAD_SINCE_HOUR)


def _bad_count(tier: Tier) -> Recorded:
    return Recorded(
        name=f"model:ml_slo_bad_events:count{tier.name}",
        labels=OBJECTIVE,
        help=f"Bad events in the last {tier.name}.",
        group=_group(tier.long),
        expression=lambda spec: _BAD.over(tier.long, spec),
    )


def _ratio(name: str, length: Duration) -> Recorded:
    counted = BAD_COUNTS.get(name)

    def expression(spec: Spec) -> str:
        bad = str(counted) if counted else _BAD.over(length, spec)
        return f"{bad}\n/\n({_ALL.over(length, spec)} > 0)"

    return Recorded(
        name=f"model:ml_slo_bad_events:ratio_rate{name}",
        labels=OBJECTIVE,
        help=f"Share of the events of the last {name} that were bad.",
        group=_group(length),
        expression=expression,
        unit=Unit.RATIO,
    )


def _burn_rate(name: str) -> Recorded:
    return Recorded(
        name=f"model:ml_slo_burn:rate{name}",
        labels=OBJECTIVE,
        help=f"How many times faster than evenly the error budget went over the last {name}.",
        # No alert reads it.
        group=_SLOWER,
        expression=lambda _: f"{RATIOS[name]} / {ON_OBJECTIVE} {BUDGET}",
    )


BAD_COUNTS: Final = {tier.name: _bad_count(tier) for tier in TIERS}
"""By the name of the tier, over its long window."""
RATIOS: Final = {name: _ratio(name, length) for name, length in _WINDOWS.items()}
"""By the window: RATIOS["1h"]."""
BURN_RATES: Final = {
    name: _burn_rate(name) for name in (str(TIERS[0].short), *(tier.name for tier in TIERS))
}
"""Now, and over the long window of each tier: BURN_RATES["1h"]."""


# Over the period


def _period(events: _Counts) -> Callable[[Spec], str]:
    def expression(spec: Spec) -> str:
        periods = sorted({model.slo.window for model in spec.models})
        sums = [events.over(period, spec) for period in periods]
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
    group=_SLOWER,
    expression=_period(_ALL),
)
BAD_OF_PERIOD: Final = Recorded(
    name="model:ml_slo_bad_events:count_period",
    labels=OBJECTIVE,
    help="Bad events over the period of the promise.",
    group=_SLOWER,
    expression=_period(_BAD),
)
SLI: Final = Recorded(
    name="model:ml_slo_good_events:ratio_period",
    labels=OBJECTIVE,
    help="Share of the events of the period that were good: what is held against the objective.",
    group=_SLOWER,
    expression=lambda _: f"1 - {BAD_OF_PERIOD} / ({EVENTS_OF_PERIOD} > 0)",
    unit=Unit.RATIO,
)
SPENT: Final = Recorded(
    name="model:ml_slo_error_budget_spent:ratio",
    labels=OBJECTIVE,
    help="Share of the period's error budget that is spent; above 1 the promise is broken.",
    group=_SLOWER,
    expression=lambda _: f"(1 - {SLI}) / {ON_OBJECTIVE} {BUDGET}",
    unit=Unit.RATIO,
)
REMAINING: Final = Recorded(
    name="model:ml_slo_error_budget_remaining:ratio",
    labels=OBJECTIVE,
    help="Share of the period's error budget that is left; negative where it is overspent.",
    group=_SLOWER,
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
    group=_SLOWER,
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
    *(rule for rule in _MEASURED if rule.group is _SLOWER),
    EVENTS_OF_PERIOD,
    BAD_OF_PERIOD,
    SLI,
    SPENT,
    REMAINING,
    EXHAUSTED,
)
"""In the order in which they are evaluated."""
