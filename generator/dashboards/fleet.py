"""Fleet: is anything wrong, with which model, and whose is it?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards.alerting import SEVERITY_COLOURS, alert_table, alerting_works
from generator.dashboards.field import OF_LIMIT, Steps, Unit, by_name
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, state_timeline, time_series
from generator.dashboards.shell import link_to_model, render, variable
from generator.dashboards.tables import Column, table
from generator.queries import fleet, marks, recorded, selection

__all__ = ["render_fleet"]

NO_REQUESTS: Final = "No requests in the last 5 minutes"


def render_fleet(spec: Spec) -> str:
    """The text of fleet.json."""
    return render(
        uid="ml-fleet",
        title="ML fleet",
        description="Is anything wrong, with which model, and whose is it?",
        variables=[variable("team", "Team", selection.teams_variable(), many=True)],
        marks=marks.of_team_models(),
        rows=[
            Row(1, "Is anything wrong?", _numbers()),
            Row(2, "Which model, and whose is it?", (_models(), _alerts(spec))),
            Row(3, "Since when?", _lines()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Alerts that fire",
            "Alerts of the chosen teams by severity. Info is left out: Watchdog always fires.",
            Query(fleet.firing("critical"), "critical"),
            Query(fleet.firing("error"), "error"),
            Query(fleet.firing("warning"), "warning"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "red"),)),
            overrides=[
                by_name(name, thresholds=Steps(at=((1, colour),)).to_json())
                for name, colour in SEVERITY_COLOURS.items()
                if name != "info"
            ],
            width=7,
        ),
        stat(
            "Models with an alert",
            "Models of which at least one alert fires, beside all models of the chosen teams.",
            Query(fleet.models_with_alerts(), "with an alert"),
            Query(fleet.models(), "models"),
            unit=Unit.COUNT,
            no_data="No model is known: is the drift collector or a sidecar up?",
            overrides=[by_name("with an alert", thresholds=Steps(at=((1, "red"),)).to_json())],
            width=4,
        ),
        stat(
            "Targets down",
            "Targets that Prometheus can't scrape: models and the stack's own processes, of all "
            "teams. What a target exposes is missing while it is down.",
            Query(fleet.targets_down(), "down"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "red"),)),
            width=3,
        ),
        stat(
            "Requests",
            "Requests per second to all models of the chosen teams, over 5 minutes.",
            Query(fleet.requests(), "requests"),
            unit=Unit.PER_SECOND,
            no_data=NO_REQUESTS,
            history=True,
            width=3,
        ),
        stat(
            "Requests that fail",
            "Share of those requests that failed. One broken model hides in it among many: see "
            "the table.",
            Query(fleet.error_ratio(), "failed"),
            unit=Unit.RATIO,
            no_data=NO_REQUESTS,
            history=True,
            decimals=2,
            width=4,
        ),
        alerting_works(),
    )


def _models() -> Tile:
    return table(
        "Every model: click on one to see why",
        "One row for each version of each model. 'Of limit' is the value as a share of what "
        "models.yaml promises: 100% is the limit. A cell is empty where the model had no requests "
        "in the last 5 minutes, or where nothing is promised.",
        Query(fleet.alerts_by_model()),
        Query(fleet.targets_up_by_model()),
        Query(fleet.requests_by_model()),
        Query(fleet.error_ratio_by_model()),
        Query(fleet.errors_of_limit_by_model()),
        Query(fleet.p99_by_model()),
        Query(fleet.latency_of_limit_by_model()),
        Query(fleet.drifted_features_by_model()),
        columns=[
            Column(source="model_name", title="Model", link=link_to_model("Model", "Version")),
            Column(source="model_version", title="Version", width=90),
            Column(source="team", title="Team"),
            Column(source="A", title="Alerts", steps=Steps(at=((1, "red"),)), width=80),
            Column(
                source="B",
                title="Targets up",
                unit=Unit.RATIO,
                steps=Steps(at=((1, "green"),), base="red"),
                width=100,
            ),
            Column(source="C", title="Requests", unit=Unit.PER_SECOND, decimals=1),
            Column(source="D", title="Errors", unit=Unit.RATIO, decimals=2),
            Column(
                source="E", title="Errors, of limit", unit=Unit.RATIO, decimals=0, steps=OF_LIMIT
            ),
            Column(source="F", title="p99", unit=Unit.SECONDS),
            Column(
                source="G", title="Latency, of limit", unit=Unit.RATIO, decimals=0, steps=OF_LIMIT
            ),
            Column(source="H", title="Drifted features", steps=Steps(at=((1, "orange"),))),
        ],
        sort="Alerts",
        no_data="No model is known: is the drift collector or a sidecar up?",
        height=7,
    )


def _alerts(spec: Spec) -> Tile:
    return alert_table(
        "Which alerts fire, and since when?",
        "Alerts that fire, and pending ones, whose reason does not yet hold for long enough.",
        fleet.alerts(),
        runbooks=spec.stack.responder,
        of_one_model=False,
        height=6,
    )


def _lines() -> tuple[Tile, ...]:
    return (
        time_series(
            "Requests: the busiest models",
            "Requests per second over 5 minutes, for the 6 models with the most of them in the "
            "time range.",
            Query(fleet.top(recorded.REQUESTS, by="avg"), "{{model_name}} {{model_version}}"),
            unit=Unit.PER_SECOND,
            no_data="No data: no sidecar has counted a request",
        ),
        time_series(
            "Errors: the models that fail most",
            "Share of requests that failed over 5 minutes, for the 6 models with the highest "
            "peak in the time range.",
            Query(fleet.top(recorded.ERROR_RATIO, by="max"), "{{model_name}} {{model_version}}"),
            unit=Unit.RATIO,
            no_data="No data: no model has had a request",
        ),
        time_series(
            "Latency: the slowest models",
            "99% of the requests of the last 5 minutes took at most this long, for the 6 models "
            "with the highest peak in the time range.",
            Query(
                fleet.top(recorded.LATENCY_QUANTILES["p99"], by="max"),
                "{{model_name}} {{model_version}}",
            ),
            unit=Unit.SECONDS,
            no_data="No data: no model has had a request",
        ),
        state_timeline(
            "Were all targets up?",
            "One band for each scrape job, red while any of its targets was down. A gap is a time "
            "in which Prometheus itself was down.",
            Query(fleet.jobs_up(), "{{job}}"),
            no_data="Prometheus scrapes nothing",
            states={"0": ("down", "red"), "1": ("up", "green")},
            height=8,
        ),
    )
