"""The stack itself: is the watching well, what gets lost, and what does it cost?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards.alerting import alert_table, alerting_works
from generator.dashboards.field import OF_LIMIT, Override, Steps, Unit, by_name, on_the_right
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, state_timeline, time_series
from generator.dashboards.shell import render
from generator.dashboards.tables import Column, Link, table
from generator.queries import fleet, marks, stack

__all__ = ["render_stack"]

NO_SIDECAR: Final = "No data: no sidecar is scraped"
NO_SELF_SCRAPE: Final = "No data: Prometheus does not scrape itself"
ANY: Final = Steps(at=((1, "red"),))
UP: Final = {"0": ("down", "red"), "1": ("up", "green")}
COLLECTS: Final = {"0": ("fails", "red"), "1": ("yes", "green")}
REFUSED: Final = {"0": ("refused", "red"), "1": ("in force", "green")}
METRICS: Final = Link("Open its metrics", 'http://${__data.fields["Address"]}/metrics')


def render_stack(spec: Spec) -> str:
    """The text of stack.json."""
    return render(
        uid="ml-stack",
        title="ML stack health",
        description="The stack itself: is the watching well, what gets lost, what does it cost?",
        variables=[],
        marks=marks.of_all(),
        rows=[
            Row(1, "Can the other dashboards be believed?", _numbers()),
            Row(2, "Which part is ill, and since when?", (*_parts(spec), _exporters())),
            Row(3, "Do events get through?", _events()),
            Row(4, "Do Prometheus and its rules keep up?", _prometheus()),
            Row(5, "Do alerts reach people?", _notifications()),
            Row(6, "What does the watching cost?", _cost()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        alerting_works(),
        stat(
            "Targets down",
            "Targets that Prometheus can't scrape, of every job.",
            Query(fleet.targets_down(), "down"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=ANY,
            width=3,
        ),
        stat(
            "Is models.yaml in force?",
            "Refused: an exporter runs with the one before, because it can't read the one now. "
            "Its log says why.",
            Query(stack.spec_in_force(), "in force"),
            unit=Unit.NONE,
            no_data="No exporter is scraped",
            steps=Steps(at=((1, "green"),), base="red"),
            mappings=REFUSED,
            width=4,
        ),
        stat(
            "Rules that failed",
            "Evaluations of rules that failed in the last hour; what they record is missing.",
            Query(stack.failed_rules(), "failed"),
            unit=Unit.COUNT,
            decimals=0,
            no_data=NO_SELF_SCRAPE,
            steps=ANY,
            width=3,
        ),
        stat(
            "Slowest rules, of interval",
            "How long the slowest group of rules takes, of the time it has. Above 100% it skips.",
            Query(stack.rules_of_interval(), "of interval"),
            unit=Unit.RATIO,
            decimals=0,
            no_data=NO_SELF_SCRAPE,
            steps=OF_LIMIT,
            width=4,
        ),
        stat(
            "Notifications that failed",
            "In the last hour: what Alertmanager could not send, and what the responder could not "
            "take or write down.",
            Query(stack.failed_notifications(), "failed"),
            unit=Unit.COUNT,
            decimals=0,
            no_data="Prometheus does not answer",
            steps=ANY,
            width=4,
        ),
        stat(
            "Oldest drift evaluation",
            "Time since the drift collector looked at the model that it left alone the longest.",
            Query(stack.oldest_drift_evaluation(), "ago"),
            unit=Unit.SECONDS,
            decimals=0,
            no_data="No model has a profile",
            width=3,
        ),
    )


def _parts(spec: Spec) -> tuple[Tile, ...]:
    return (
        alert_table(
            "Which alerts about the stack fire?",
            "Alerts that fire or are pending and belong to no model.",
            stack.alerts(),
            runbooks=spec.stack.responder,
            of_one_model=True,
            more=(
                Column(source="job", title="Job"),
                Column(source="instance", title="Address"),
            ),
            width=12,
            height=7,
        ),
        state_timeline(
            "Which jobs were up?",
            "One band for each scrape job, red while any of its targets was down.",
            Query(fleet.jobs_up(), "{{job}}"),
            no_data="Prometheus scrapes nothing",
            states=UP,
            width=12,
            height=7,
        ),
    )


def _exporters() -> Tile:
    return table(
        "Every exporter",
        "One row for each process. A collection is what it does for a scrape, or the drift "
        "collector's evaluation; errors are those of the last hour.",
        Query(stack.collection_success()),
        Query(stack.collection_age()),
        Query(stack.collection_duration()),
        Query(stack.cpu()),
        Query(stack.memory()),
        Query(stack.exporter_errors()),
        columns=[
            Column(source="exporter", title="Exporter"),
            Column(source="instance", title="Address", link=METRICS),
            Column(source="A", title="Collects", states=COLLECTS, width=90),
            Column(source="B", title="Last, ago", unit=Unit.SECONDS, decimals=0),
            Column(source="C", title="Took", unit=Unit.SECONDS),
            Column(source="D", title="CPUs", decimals=3),
            Column(source="E", title="Memory", unit=Unit.BYTES),
            Column(source="F", title="Errors", decimals=0, steps=Steps(at=((1, "orange"),))),
        ],
        sort="Errors",
        no_data="No data: no exporter is scraped",
        height=7,
    )


def _events() -> tuple[Tile, ...]:
    return (
        time_series(
            "How many events arrive?",
            "Events at all sidecars a second, by what became of them.",
            Query(stack.events(), "{{result}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_SIDECAR,
            stacked=True,
            overrides=[_colour("accepted", "green"), _colour("rejected", "red")],
            width=6,
        ),
        time_series(
            "Why are events refused?",
            "Events and requests refused a second. decode: no JSON; field: a value is wrong; "
            "model: not in models.yaml; size: too large; log: it could not be written.",
            Query(stack.rejected(), "{{reason}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_SIDECAR,
            width=6,
        ),
        time_series(
            "What is lost on the way?",
            "Events that clients threw away because their queue was full, bodies that the proxy "
            "forwarded unread, and groups that the log could not take (they are sent again).",
            Query(stack.dropped(), "dropped by clients"),
            Query(stack.proxy(), "not read: {{reason}}"),
            Query(stack.log_failures(), "log failed"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_SIDECAR,
            width=6,
        ),
        time_series(
            "Does the prediction log keep up?",
            "Events and labels that wait to be written, and the size of the largest logs (right "
            "axis).",
            Query(stack.log_pending(), "waiting"),
            Query(stack.log_bytes(), "size of {{instance}}"),
            unit=Unit.COUNT,
            no_data=NO_SIDECAR,
            overrides=[on_the_right("^size", Unit.BYTES)],
            width=6,
        ),
    )


def _prometheus() -> tuple[Tile, ...]:
    return (
        time_series(
            "Which rules take their time?",
            "How long groups of rules take, of the interval they have, for the 6 slowest.",
            Query(stack.slowest_rules_of_interval(), "{{group}}"),
            unit=Unit.RATIO,
            no_data=NO_SELF_SCRAPE,
            width=8,
        ),
        time_series(
            "How much does it take in?",
            "Samples a second, and series in memory (right axis). Series that grow without end: "
            "a label has too many values.",
            Query(stack.samples(), "samples a second"),
            Query(stack.head_series(), "series"),
            unit=Unit.COUNT,
            no_data=NO_SELF_SCRAPE,
            overrides=[on_the_right("^series$", Unit.COUNT)],
            width=8,
        ),
        time_series(
            "Is drift evaluated?",
            "Time since drift was evaluated, for the 6 models that wait the longest. A saw is "
            "well; a slope is not.",
            Query(stack.drift_age(), "{{model_name}} {{model_version}}"),
            unit=Unit.SECONDS,
            no_data="No data: no model has a profile",
            width=8,
        ),
        time_series(
            "Why are evaluations missing?",
            "Evaluations of rules that were skipped, and of drift that failed, a second.",
            Query(stack.missed_rules(), "rules skipped"),
            Query(stack.drift_errors(), "drift: {{reason}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_SELF_SCRAPE,
            width=12,
        ),
        time_series(
            "How long do scrapes take?",
            "The slowest scrape of each job, for the 6 slowest.",
            Query(stack.scrape_seconds_by_job(), "{{job}}"),
            unit=Unit.SECONDS,
            no_data="Prometheus scrapes nothing",
            width=12,
        ),
    )


def _notifications() -> tuple[Tile, ...]:
    return (
        time_series(
            "What does Alertmanager send?",
            "Notifications a second by kind of receiver, and those that failed.",
            Query(stack.alertmanager_sent(), "{{integration}}"),
            Query(stack.alertmanager_failed(), "failed"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: Alertmanager is not scraped",
            overrides=[_colour("failed", "red")],
            width=12,
        ),
        time_series(
            "What arrives at the responder?",
            "Alerts a second that the responder was told of, and those that Prometheus could not "
            "hand to Alertmanager.",
            Query(stack.notifications(), "{{status}}"),
            Query(stack.undelivered(), "never delivered"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: the responder is not scraped",
            overrides=[_colour("never delivered", "red")],
            width=12,
        ),
    )


def _cost() -> tuple[Tile, ...]:
    return (
        time_series(
            "How much CPU?",
            "CPUs in use, by kind of exporter and for Prometheus and Alertmanager.",
            Query(stack.cpu_by_exporter(), "{{exporter}}"),
            Query(stack.process_cpu(), "{{job}}"),
            unit=Unit.COUNT,
            no_data="No data: no exporter is scraped",
            stacked=True,
            width=8,
        ),
        time_series(
            "How much memory?",
            "Resident memory, by kind of exporter and for Prometheus and Alertmanager.",
            Query(stack.memory_by_exporter(), "{{exporter}}"),
            Query(stack.process_memory(), "{{job}}"),
            unit=Unit.BYTES,
            no_data="No data: no exporter is scraped",
            stacked=True,
            width=8,
        ),
        time_series(
            "Who has the most series?",
            "Series that one scrape of each job gives, for the 6 largest.",
            Query(stack.samples_by_job(), "{{job}}"),
            unit=Unit.COUNT,
            no_data="Prometheus scrapes nothing",
            stacked=True,
            width=8,
        ),
    )


def _colour(name: str, colour: str) -> Override:
    return by_name(name, color={"mode": "fixed", "fixedColor": colour})
