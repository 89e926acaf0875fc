"""The drift report: what moved, for how long, and whether the model is still right."""

from __future__ import annotations

from typing import Final

from generator.report.figures import Drift, Drifting, ModelReport, Quality, Report
from generator.report.page import Cell, Chart, Column, Section, Table
from generator.report.pages.head import (
    alert_table,
    alerts_cell,
    badge,
    facts,
    labelled,
    plain,
)
from generator.report.wording import UNKNOWN, clock, count, duration, number, percent

__all__ = ["drift_section", "drift_summary"]

_SHOWN: Final = 15
"""Features without drift that are shown beside those with it."""
_CHARTS: Final = 6
_VERDICTS: Final = {
    "concept_drift": "Concept: labels are not what predictions used to mean",
    "multivariate_drift": "Rows differ from the reference's, all features together",
    "data_quality": "Too many bad values",
    "feature_stale": "No value while there was traffic",
}


def _drift(model: ModelReport) -> Drift:
    if model.drift is None:
        raise AssertionError("the report is of another kind")
    return model.drift


def _drifted(model: ModelReport) -> list[Drifting]:
    return [one for one in _drift(model).features if one.drifted]


def _decayed(model: ModelReport) -> list[Quality]:
    return [one for one in _drift(model).quality if one.verdict == "broken"]


def _is_wrong(model: ModelReport) -> bool:
    moved = any(one.drifted for one in _drift(model).predictions)
    return bool(_drifted(model) or _decayed(model) or moved or _drift(model).other)


def drift_summary(report: Report) -> tuple[list[Cell], Table, list[ModelReport]]:
    """How many models drifted or decayed; all models, the worst first; those that did."""
    moved = sum(bool(_drifted(model)) for model in report.models)
    worse = sum(bool(_decayed(model)) for model in report.models)
    total = len(report.models)
    if total == 1:
        [model] = report.models
        worse = len(_decayed(model))
        text = (
            f"{len(_drifted(model))} of {len(_drift(model).features)} features drifted; "
            f"{worse} {'metric' if worse == 1 else 'metrics'} worse than promised."
        )
    else:
        text = (
            f"{moved} of {total} models have drifted features; {worse} predicted worse than "
            "promised."
        )
    lines = [Cell(text, "bad" if worse else "warn" if moved else "good")]
    unseen = sum(not _drift(model).evaluated_ratio for model in report.models)
    if unseen:
        lines.append(
            Cell(f"Of {unseen} there is no verdict: no profile, or no evaluation.", "warn")
        )
    ordered = sorted(report.models, key=_badness)
    columns = (
        Column("Model", right=False),
        Column("Version", right=False),
        Column("Requests"),
        Column("Drifted features"),
        Column("Longest"),
        Column("Worse than promised", right=False),
        Column("Alerts"),
    )
    rows = [_row(model) for model in ordered]
    wrong = [model for model in ordered if _is_wrong(model)]
    return lines, Table(title="The worst first", columns=columns, rows=rows), wrong


def _badness(model: ModelReport) -> tuple[float, float, str, str]:
    decayed = sum(one.decayed_seconds for one in _decayed(model))
    drifted = sum(one.drifted_seconds for one in _drifted(model))
    return -decayed, -drifted, model.name, model.version


def _row(model: ModelReport) -> list[Cell]:
    drift, drifted = _drift(model), _drifted(model)
    longest = max((one.drifted_seconds for one in drifted), default=None)
    decayed = ", ".join(dict.fromkeys(one.metric for one in _decayed(model)))
    return [
        *plain(model.name, model.version, count(model.traffic.requests)),
        Cell(f"{len(drifted)} of {len(drift.features)}", "warn" if drifted else "")
        if drift.features
        else Cell("not evaluated", "faint"),
        Cell(duration(longest)),
        Cell(decayed or UNKNOWN, "bad" if decayed else ""),
        alerts_cell(model),
    ]


def drift_section(model: ModelReport, report: Report) -> Section:
    """The section of one version."""
    drift = _drift(model)
    lines = [*facts(model, report), *_evaluated(drift)]
    if drift.label_coverage_ratio is not None:
        delay = drift.label_delay_median_seconds
        came = "" if delay is None else f", {duration(delay)} after their predictions (median)"
        text = f"Labels came for {percent(drift.label_coverage_ratio)} of predictions{came}."
        lines.append(Cell(text))
    blocks: list[Table | Chart] = []
    if drift.features or drift.predictions:
        blocks.append(_scores(drift))
    blocks += [
        Chart(
            title=f"Score of {one.feature or 'predictions'}",
            unit="short",
            values=[each.max for each in one.series],
            limit=_limit(one),
        )
        for one in [*drift.features, *drift.predictions]
        if one.drifted
    ][:_CHARTS]
    if drift.other:
        blocks.append(_verdicts(drift))
    if drift.quality:
        blocks += [_quality_table(drift), *_quality_charts(drift)]
    blocks.append(alert_table(model))
    return Section(title=labelled(model), badge=_badge(model), facts=lines, blocks=blocks)


def _badge(model: ModelReport) -> Cell:
    if _decayed(model):
        return Cell("WORSE THAN PROMISED", "bad")
    if _is_wrong(model):
        return Cell("drifted", "warn")
    if not _drift(model).evaluated_ratio:
        return Cell("not evaluated", "faint")
    return Cell("as it was", "good")


def _evaluated(drift: Drift) -> list[Cell]:
    share = drift.evaluated_ratio
    if not share:
        text = "Drift was not evaluated: the model has no profile, or the drift collector was down."
        return [Cell(text, "faint")]
    if share < 0.99:
        return [Cell(f"Drift was evaluated for {percent(share)} of the period.", "warn")]
    return []


def _limit(one: Drifting) -> float | None:
    """What a score must exceed: the threshold, and the floor."""
    known = [limit for limit in (one.threshold_warning, one.noise_floor) if limit is not None]
    return max(known, default=None)


def _scores(drift: Drift) -> Table:
    drifted = [one for one in drift.features if one.drifted]
    calm = [one for one in drift.features if not one.drifted]
    shown = [*drift.predictions, *drifted, *calm[:_SHOWN]]
    columns = (
        Column("Feature", right=False),
        Column("Score"),
        Column("Mean", optional=True),
        Column("Max"),
        Column("Limit"),
        Column("Floor", optional=True),
        Column("Drifted for"),
        Column("First", right=False, optional=True),
        Column("Last", right=False),
    )
    rows = []
    for one in shown:
        last = Cell("still", "bad") if one.drifted_at_end else Cell(clock(one.last_drifted))
        above = one.score_max > (_limit(one) or float("inf"))
        rows.append(
            [
                Cell(one.feature or "(predictions)"),
                *plain(number(one.score_last), number(one.score_mean)),
                Cell(number(one.score_max), "warn" if above else ""),
                *plain(number(one.threshold_warning), number(one.noise_floor)),
                Cell(duration(one.drifted_seconds), "warn")
                if one.drifted
                else Cell("never", "faint"),
                Cell(clock(one.first_drifted)),
                last,
            ]
        )
    first = shown[0]
    more = len(calm) - _SHOWN
    note = (
        f"{first.method} over {first.score_window}; drifted is above both limit and floor"
        f"{f'; {more} more features never drifted' if more > 0 else ''}."
    )
    return Table(title="Drift", columns=columns, rows=rows, note=note)


def _verdicts(drift: Drift) -> Table:
    columns = (Column("What", right=False), Column("Of", right=False), Column("For"))
    rows = [
        plain(
            _VERDICTS.get(one.name, one.name),
            " ".join(filter(None, (one.feature, one.check))),
            duration(one.seconds),
        )
        for one in drift.other
    ]
    return Table(title="Other verdicts", columns=columns, rows=rows)


# Quality


def _quality_table(drift: Drift) -> Table:
    columns = (
        Column("Metric", right=False),
        Column("Window", optional=True),
        Column("Value"),
        Column("95% interval"),
        Column("Min–max", optional=True),
        Column("Period", optional=True),
        Column("Baseline", optional=True),
        Column("Promised"),
        Column("Worse for"),
        Column("Estimate", optional=True),
        Column("", right=False),
    )
    rows = [_metric(one) for one in drift.quality]
    note = (
        "Value is the last one, with as many labels as came within the window; Period is from all "
        "labels of the period; Estimate is made without labels."
    )
    return Table(title="Quality", columns=columns, rows=rows, note=note)


def _metric(one: Quality) -> list[Cell]:
    promised = UNKNOWN
    if one.promised_min is not None:
        promised = f"≥ {number(one.promised_min)}"
    elif one.promised_max is not None:
        promised = f"≤ {number(one.promised_max)}"
    worse = Cell(duration(one.decayed_seconds), "bad") if one.decayed_seconds else Cell(UNKNOWN)
    verdict = Cell("") if one.verdict == "no_events" else badge(one.verdict)
    return [
        *plain(one.metric, one.window, number(one.value_last)),
        *plain(_range(one.interval_lower, one.interval_upper)),
        *plain(_range(one.value_min, one.value_max), number(one.period_value)),
        *plain(number(one.baseline), promised),
        worse,
        Cell(number(one.estimated_last), "warn" if one.estimated_decayed_seconds else ""),
        verdict,
    ]


def _range(low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None or high is None else f"{number(low)}–{number(high)}"


def _quality_charts(drift: Drift) -> list[Chart]:
    promised = [one for one in drift.quality if one.verdict != "no_events"]
    return [
        Chart(
            title=f"{one.metric} over {one.window}",
            unit="short",
            values=[each.mean for each in one.series],
            limit=one.promised_min if one.promised_min is not None else one.promised_max,
            from_zero=False,
        )
        for one in promised
    ][:_CHARTS]
