"""SLOs: which promises are in danger, how much is left of a budget, and what spends it?"""

from __future__ import annotations

from typing import Final

from contract.slo import TIERS, Tier
from contract.spec import Spec
from generator.dashboards.alerting import SEVERITY_COLOURS, alert_table
from generator.dashboards.field import Steps, Unit, by_name, dashed
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, time_series
from generator.dashboards.shell import model_variables, render, variable
from generator.dashboards.tables import Column, Link, table
from generator.queries import budgets, marks, slo

__all__ = ["render_slo"]

NO_EVENTS: Final = "No data: no events yet that this promise is about, or only since minutes"
NOTHING_BURNS: Final = "Nothing burns"
LEFT: Final = Steps(at=((0, "orange"), (0.25, "yellow"), (0.5, "green")), base="red")
"""Of what is left of a budget: red where it is overspent."""
SOON: Final = Steps(
    at=((86_400, "orange"), (3 * 86_400, "yellow"), (7 * 86_400, "green")), base="red"
)
EVENLY: Final = Steps(at=((1, "yellow"), (6, "orange"), (14.4, "red")))
"""Of a burn rate: 1 spends the budget exactly by the end of the period."""
OBJECTIVE: Final = Link(
    "Show this promise",
    "/d/ml-slo?${datasource:queryparam}&${team:queryparam}&${__url_time_range}"
    '&var-model=${__data.fields["Model"]}&var-version=${__data.fields["Version"]}'
    '&var-objective=${__data.fields["Promise"]}',
)


def render_slo(spec: Spec) -> str:
    """The text of slo.json."""
    return render(
        uid="ml-slo",
        title="ML SLOs",
        description="What is promised: which promises are in danger, and what spends their budget?",
        variables=[
            *model_variables(),
            variable("objective", "Promise", budgets.objective_variable()),
        ],
        marks=marks.of_model(),
        time="now-24h",
        rows=[
            Row(1, "Is any promise in danger?", (*_numbers(), _promises(), _alerts(spec))),
            Row(2, "$model, $objective: how much is left?", _budget()),
            Row(3, "$model, $objective: how fast does it go?", _burn()),
            Row(4, "$model, $objective: who is told?", tuple(_tier(tier) for tier in TIERS)),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Promises",
            "Objectives of the chosen teams' models: availability, latency, and what else "
            "models.yaml promises under slo.",
            Query(budgets.objectives(), "promises"),
            unit=Unit.COUNT,
            no_data="No model is known",
            width=6,
        ),
        stat(
            "Broken promises",
            "Objectives whose error budget of the period is overspent.",
            Query(budgets.overspent(), "broken"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "red"),)),
            width=6,
        ),
        stat(
            "Broken within three days",
            "Objectives whose budget will be gone within three days, at the pace of the last hour.",
            Query(budgets.running_out(), "soon"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "orange"),)),
            width=6,
        ),
        stat(
            "Alerts on budgets",
            "ErrorBudgetBurn alerts that fire, of every tier.",
            Query(budgets.burn_alerts(), "fire"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "red"),)),
            width=6,
        ),
    )


def _promises() -> Tile:
    return table(
        "Every promise: click on one for its history",
        "Good is the share of the events of the period that were good. A burn rate of 1 spends the "
        "budget exactly by the end of the period. 'Gone in' is at the pace of the last hour, and "
        "empty while nothing burns.",
        Query(budgets.by_objective(slo.REMAINING)),
        Query(budgets.promised_share()),
        Query(budgets.by_objective(slo.SLI)),
        Query(budgets.by_objective(slo.BURN_RATES["1h"])),
        Query(budgets.by_objective(slo.BURN_RATES["6h"])),
        Query(budgets.by_objective(slo.BURN_RATES["3d"])),
        Query(budgets.by_objective(slo.EXHAUSTED)),
        Query(budgets.by_objective(slo.EVENTS_OF_PERIOD)),
        columns=[
            Column(source="objective", title="Promise", link=OBJECTIVE),
            Column(source="model_name", title="Model"),
            Column(source="model_version", title="Version", width=90),
            Column(source="team", title="Team"),
            Column(source="A", title="Budget left", unit=Unit.RATIO, decimals=0, steps=LEFT),
            Column(source="B", title="Promised", unit=Unit.RATIO, decimals=2),
            Column(source="C", title="Good", unit=Unit.RATIO, decimals=3),
            Column(source="D", title="Burn, 1h", decimals=1, steps=EVENLY),
            Column(source="E", title="Burn, 6h", decimals=1, steps=EVENLY),
            Column(source="F", title="Burn, 3d", decimals=1, steps=EVENLY),
            Column(source="G", title="Gone in", unit=Unit.SECONDS, decimals=0),
            Column(source="H", title="Events", unit=Unit.COUNT),
        ],
        sort="Budget left",
        ascending=True,
        no_data="No data: no promise has events yet; the first are summed up within 10 minutes",
        height=8,
    )


def _alerts(spec: Spec) -> Tile:
    return alert_table(
        "Which alerts on budgets fire, and since when?",
        "Alerts of every tier that fire or are pending; of several for one promise, the fastest "
        "alone is told.",
        budgets.budget_alerts(),
        runbooks=spec.stack.responder,
        of_one_model=False,
        more=(Column(source="objective", title="Promise"),),
        height=5,
    )


def _budget() -> tuple[Tile, ...]:
    return (
        stat(
            "Budget left",
            "Of the error budget of the whole period; below 0 the promise is broken.",
            Query(budgets.of_objective(slo.REMAINING), "left"),
            unit=Unit.RATIO,
            decimals=1,
            no_data="No events yet, or since less than 10 minutes",
            steps=LEFT,
            width=4,
        ),
        stat(
            "Gone in",
            "Time until nothing is left, at the pace of the last hour.",
            Query(budgets.of_objective(slo.EXHAUSTED), "gone in"),
            unit=Unit.SECONDS,
            decimals=1,
            no_data=NOTHING_BURNS,
            steps=SOON,
            width=4,
        ),
        stat(
            "Good events, and what is promised",
            "Share of the events of the period that were good, and the share that is promised.",
            Query(budgets.of_objective(slo.SLI), "good"),
            Query(budgets.objective(), "promised"),
            unit=Unit.RATIO,
            decimals=3,
            no_data="No events yet, or since less than 10 minutes",
            width=8,
        ),
        stat(
            "Events of the period",
            "What the promise is about: requests, labels, or seconds; and the bad ones.",
            Query(budgets.of_objective(slo.EVENTS_OF_PERIOD), "all"),
            Query(budgets.of_objective(slo.BAD_OF_PERIOD), "bad"),
            unit=Unit.COUNT,
            no_data="No events yet, or since less than 10 minutes",
            width=8,
        ),
        time_series(
            "How has the budget gone?",
            "What was left of the error budget of the period before each moment. It comes back as "
            "bad days leave the period.",
            Query(budgets.of_objective(slo.REMAINING), "left"),
            unit=Unit.RATIO,
            no_data=NO_EVENTS,
            whole_axis=False,
            top=1,
        ),
        time_series(
            "When will it be gone?",
            "Time until nothing is left, at the pace of the hour before.",
            Query(budgets.of_objective(slo.EXHAUSTED), "gone in"),
            unit=Unit.SECONDS,
            no_data=NOTHING_BURNS,
        ),
    )


def _burn() -> tuple[Tile, ...]:
    return (
        time_series(
            "How many times too fast?",
            "Burn rate over windows: 1 spends the budget exactly by the end of the period, 14.4 "
            "spends a fiftieth of 30 days' in an hour.",
            *(Query(budgets.of_objective(slo.BURN_RATES[t.name]), t.name) for t in TIERS),
            unit=Unit.NONE,
            no_data=NO_EVENTS,
        ),
        time_series(
            "How many events are bad?",
            "Events that the promise is about, a second, and those that break it.",
            Query(budgets.of_objective(slo.EVENTS), "all"),
            Query(budgets.of_objective(slo.BAD), "bad"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_EVENTS,
            overrides=[by_name("bad", color={"mode": "fixed", "fixedColor": "red"})],
        ),
    )


def _tier(tier: Tier) -> Tile:
    short = str(tier.short)
    return time_series(
        f"Over {tier.name}: {tier.severity}?",
        f"Share of events that were bad over {tier.name}, and over {short}. {tier.alert} "
        f"({tier.severity}) fires where both are above the dashed line.",
        Query(budgets.bad_share(tier.name), f"over {tier.name}"),
        Query(budgets.bad_share(short), f"over {short}"),
        Query(budgets.tier_threshold(tier), "limit"),
        unit=Unit.RATIO,
        no_data=NO_EVENTS,
        overrides=[dashed("^limit$", SEVERITY_COLOURS[tier.severity])],
        width=6,
    )
