"""A report's data: asked of Prometheus for many models at once, then told version by version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from contract.spec import Spec
from generator.doctor.ask import AskError, Prometheus
from generator.doctor.cost import longest
from generator.queries import report as queries
from generator.queries.slo_events import counts_step
from generator.report.alerts import read_alerts
from generator.report.ask import BATCH, Asked, Key, Progress, matchers_of
from generator.report.beginning import read_beginning
from generator.report.drift import read_drift
from generator.report.figures import (
    SCHEMA_VERSION,
    Coverage,
    Kind,
    ModelReport,
    Report,
    Span,
)
from generator.report.performance import read_performance
from generator.report.period import Period
from generator.report.sla import read_sla
from generator.report.traffic import Counted, read_counted, read_presence, traffic_of

__all__ = ["gather", "known_name"]


def known_name(prometheus: Prometheus, period: Period, name: str) -> bool:
    """Whether anything was counted of a model of that name, which models.yaml does not have."""
    expression = queries.counts(matchers_of([name]), period.whole.window)
    return bool(prometheus.query(expression, at=period.end))


def gather(
    spec: Spec,
    kind: Kind,
    names: Sequence[str],
    period: Period,
    prometheus: Prometheus,
    *,
    now: float,
    progress: Progress,
) -> Report:
    """Ask for all versions of the models of these names. Raises AskError."""
    models: list[ModelReport] = []
    for first in range(0, len(names), BATCH):
        batch = names[first : first + BATCH]
        about = f", models {first + 1} to {first + len(batch)} of {len(names)}"
        asked = Asked(
            prometheus=prometheus,
            spec=spec,
            period=period,
            who=matchers_of(batch),
            progress=progress,
            about=about if len(names) > 1 else "",
        )
        models += _gather(asked, kind, batch)
    beginning = None
    if not any(model.coverage.first for model in models):
        step = counts_step(spec).seconds
        beginning = read_beginning(prometheus, period, now=now, step=step)
    again = beginning.figures_from if beginning else None
    return Report(
        schema_version=SCHEMA_VERSION,
        kind=kind,
        generated_at=period.moment(now),
        prometheus=prometheus.who,
        period=Span(period.moment(period.start), period.moment(period.end)),
        zone=str(period.zone),
        step=str(period.step),
        notes=[*([beginning.note] if beginning else []), *_notes(period, prometheus, now)],
        figures_from=None if again is None else period.moment(again),
        models=models,
    )


def _notes(period: Period, prometheus: Prometheus, now: float) -> list[str]:
    notes = []
    if period.cut:
        notes.append("The period was to end in the future; it ends now.")
    try:
        kept = prometheus.retention()
    except AskError:  # only Prometheus itself has such a page
        kept = ""
    seconds = longest(kept)
    if seconds is not None and period.start < now - seconds:
        forgotten = dt.timedelta(seconds=round(seconds))
        since = period.moment(now) - forgotten
        notes.append(
            f"Prometheus keeps samples for {kept}: nothing before {since:%Y-%m-%d %H:%M} is known."
        )
    notes += [f"Prometheus warned: {warning}" for warning in prometheus.warnings]
    return notes


def _gather(asked: Asked, kind: Kind, names: Sequence[str]) -> list[ModelReport]:
    counted = read_counted(asked, every_objective=kind == "sla")
    keys = _versions(asked, counted, names)
    traffic = {key: traffic_of(asked, counted, key) for key in keys}
    presence = read_presence(asked, counted)
    alerts = read_alerts(asked)
    sla = read_sla(asked, counted, keys) if kind == "sla" else {}
    performance = read_performance(asked, traffic) if kind == "performance" else {}
    drift = read_drift(asked, keys) if kind == "drift" else {}
    teams = _teams(asked, keys)
    nothing = Coverage(
        first=None, last=None, covered_ratio=0.0, gaps=[], gap_resolution_seconds=0.0
    )
    states = {model.key: model.state for model in asked.spec.versions}
    reports = []
    for key in keys:
        served = presence.served.get(key)
        whole, series = traffic[key]
        reports.append(
            ModelReport(
                name=key[0],
                version=key[1],
                team=teams.get(key, ""),
                state=states.get(key, ""),
                first_request=asked.period.moment(served[0]) if served else None,
                last_request=asked.period.moment(served[1]) if served else None,
                coverage=presence.coverage.get(key, nothing),
                traffic=whole,
                traffic_series=series,
                alerts=alerts.get(key, []),
                sla=sla.get(key),
                performance=performance.get(key),
                drift=drift.get(key),
            )
        )
    return reports


def _versions(asked: Asked, counted: Counted, names: Sequence[str]) -> list[Key]:
    """Those that are watched, and before each of them other versions that had requests."""
    served = {
        (key[0], key[1]) for key, row in counted.events.items() if any(value for value in row)
    }
    given = [model.key for model in asked.spec.models]
    found: list[Key] = []
    for name in names:
        own = [key for key in given if key[0] == name]
        found += sorted(key for key in served if key[0] == name and key not in own)
        found += own
    return found


def _teams(asked: Asked, keys: Sequence[Key]) -> dict[Key, str]:
    teams = {model.key: model.team for model in asked.spec.versions}
    if any(key not in teams for key in keys):
        for sample in asked.whole(queries.owners(asked.who, asked.over), "owners"):
            teams.setdefault(sample.model, sample.labels.get("team", ""))
    return teams
