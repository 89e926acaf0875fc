"""What a panel shows: its queries' answers, named and looked after; or why there are none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from preview.board import Annotation, Board, Panel, Target
from preview.prometheus import Asked, Prometheus, PrometheusError, Series
from preview.span import Span, render_seconds
from preview.variables import Choice, put_in

__all__ = ["Answer", "Line", "Mark", "ask_alerts", "ask_annotations", "ask_panels"]

PIXELS_A_COLUMN: Final = 58
PIXELS_A_POINT: Final = 3
"""Grafana asks for a point a pixel; a line of three pixels a point can't be told from it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series with the name that the panel's legend gives it."""

    name: str
    letter: str
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All lines of a panel; `errors` are what its queries failed with, each once."""

    lines: tuple[Line, ...] = ()
    errors: tuple[str, ...] = ()
    step: float = 15
    alerts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation of that `kind`: something held from `start` to `end`, in Unix seconds."""

    title: str
    kind: str
    colour: str
    start: float
    end: float


def ask_panels(
    board: Board,
    choices: Mapping[str, Choice],
    prometheus: Prometheus,
    span: Span,
    *,
    scrape_interval: float,
) -> dict[int, Answer]:
    """The answer to every panel with queries, by the panel's id; all queries run at once."""
    asked = [
        (panel, target, _asked(panel, target, choices, span, scrape_interval))
        for panel in board.panels
        for target in panel.targets
    ]
    answers = prometheus.answers([one for _, _, one in asked])
    lines: dict[int, list[Line]] = {panel.id: [] for panel in board.panels}
    errors: dict[int, list[str]] = {panel.id: [] for panel in board.panels}
    steps: dict[int, float] = {}
    for (panel, target, one), answer in zip(asked, answers, strict=True):
        steps[panel.id] = one.step or scrape_interval
        if isinstance(answer, PrometheusError):
            if str(answer) not in errors[panel.id]:
                errors[panel.id].append(str(answer))
        else:
            lines[panel.id] += [
                Line(_name(target.legend, one.labels, target), target.letter, one) for one in answer
            ]
    return {
        panel.id: Answer(
            lines=tuple(lines[panel.id]),
            errors=tuple(errors[panel.id]),
            step=steps.get(panel.id, scrape_interval),
        )
        for panel in board.panels
    }


def _asked(
    panel: Panel,
    target: Target,
    choices: Mapping[str, Choice],
    span: Span,
    scrape_interval: float,
) -> Asked:
    points = panel.max_points or panel.width * PIXELS_A_COLUMN // PIXELS_A_POINT
    step = span.step(points, shortest=scrape_interval)
    built_in = {
        "__interval": render_seconds(step),
        "__interval_ms": str(int(step * 1000)),
        # Four scrapes, so that a rate has its two samples even when one is missed.
        "__rate_interval": render_seconds(max(step + scrape_interval, 4 * scrape_interval)),
        "__range": render_seconds(round(span.seconds)),
        "__range_s": str(round(span.seconds)),
        "__range_ms": str(round(span.seconds * 1000)),
        "__from": str(int(span.start * 1000)),
        "__to": str(int(span.end * 1000)),
    }
    expression = put_in(target.expression, choices, built_in)
    if target.instant:
        return Asked(expression, span.end)
    # On multiples of the step, so that a reload moves no point.
    return Asked(expression, span.end, start=span.start - span.start % step, step=step)


def _name(legend: str, labels: Mapping[str, str], target: Target) -> str:
    if legend and legend != "__auto":
        return _fill(legend, labels) or target.letter
    name = labels.get("__name__", "")
    rest = ", ".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    if name or rest:
        return name + (f"{{{rest}}}" if rest else "")
    return target.expression


def _fill(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), text).strip()


def ask_annotations(
    board: Board, choices: Mapping[str, Choice], prometheus: Prometheus, span: Span
) -> tuple[tuple[Mark, ...], tuple[str, ...]]:
    """All marks of the range, and what the queries failed with."""
    step = span.step(240, shortest=15)
    start = span.start - span.start % step
    asked = [
        Asked(put_in(one.expression, choices, {}), span.end, start=start, step=step)
        for one in board.annotations
    ]
    marks: list[Mark] = []
    errors: list[str] = []
    for annotation, answer in zip(board.annotations, prometheus.answers(asked), strict=True):
        if isinstance(answer, PrometheusError):
            errors.append(f"{annotation.name}: {answer}")
        else:
            for series in answer:
                marks += _marks(annotation, series, step)
    seen = [mark for mark in marks if span.start <= mark.end and mark.start <= span.end]
    return tuple(sorted(seen, key=lambda mark: mark.start)), tuple(errors)


def _marks(annotation: Annotation, series: Series, step: float) -> Sequence[Mark]:
    """Points that follow each other are one mark, unless their values are its times."""
    title = _fill(annotation.title, series.labels) or annotation.name
    if annotation.value_is_time:
        moments = sorted({value / 1000 for value in series.values if math.isfinite(value)})
        return [Mark(title, annotation.name, annotation.colour, one, one) for one in moments]
    found: list[Mark] = []
    for moment in series.times:
        if found and moment - found[-1].end <= step * 1.5:
            found[-1] = replace(found[-1], end=moment)
        else:
            found.append(Mark(title, annotation.name, annotation.colour, moment, moment))
    return found


def ask_alerts(panel: Panel, prometheus: Prometheus) -> Answer:
    """What an alert list shows: every alert that fires or is pending. Grafana's own are unknown."""
    wanted = str(panel.options.get("alertName") or "")
    try:
        alerts = prometheus.alerts()
    except PrometheusError as error:
        return Answer(errors=(str(error),))
    chosen = [one for one in alerts if wanted in one["labels"].get("alertname", "")]
    return Answer(alerts=tuple(sorted(chosen, key=lambda one: str(one["activeAt"]), reverse=True)))
