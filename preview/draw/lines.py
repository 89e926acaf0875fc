"""Time series: lines, areas, bars, stacks, limits, annotations; with what a pointer shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from preview.answer import Answer, Mark
from preview.board import Panel
from preview.colours import resolve_colour
from preview.draw import scale
from preview.draw.canvas import DPI, Canvas
from preview.draw.legend import Entry, calculate, legend_height, paint_legend
from preview.fields import Field, resolve_field
from preview.prometheus import Series
from preview.span import Span

__all__ = ["Hover", "grid_times", "on_grid", "paint_lines"]

MOST_LINES: Final = 60
"""More can't be told apart, and would take a minute to draw."""

Floats = NDArray[np.float64]
Hover = Mapping[str, Any]
"""What the page's script needs to show values beside the pointer; JSON."""


@dataclass(frozen=True, slots=True)
class _Curve:
    field: Field
    values: Floats

    @property
    def stacking(self) -> str:
        found = self.field.custom.get("stacking") or {}
        return str(found.get("mode") or "none")

    @property
    def dashed(self) -> bool:
        style = self.field.custom.get("lineStyle") or {}
        return style.get("fill") in ("dash", "dot")


def grid_times(span: Span, step: float) -> Floats:
    """The times that a range query was asked for."""
    start = span.start - span.start % step
    return np.arange(start, span.end + step / 1000, step, dtype=np.float64)


def on_grid(series: Series, times: Floats) -> Floats:
    """The values at those times, NaN where the series has none; shape [times]."""
    values = np.full(len(times), np.nan)
    if not len(times):
        return values
    step = times[1] - times[0] if len(times) > 1 else 1.0
    places = np.rint((np.asarray(series.times) - times[0]) / step).astype(int)
    inside = (places >= 0) & (places < len(times))
    values[places[inside]] = np.asarray(series.values)[inside]
    return values


def paint_lines(
    canvas: Canvas, panel: Panel, answer: Answer, span: Span, marks: Sequence[Mark]
) -> Hover:
    """Paint the panel's lines; the answer must have some."""
    times = grid_times(span, answer.step)
    curves = [
        _Curve(
            resolve_field(panel, line.name, canvas.theme, index=index, letter=line.letter),
            on_grid(line.series, times),
        )
        for index, line in enumerate(answer.lines[:MOST_LINES])
    ]
    options = panel.options.get("legend") or {}
    entries = [_entry(curve, options.get("calcs") or ()) for curve in curves]
    below = legend_height(options, len(entries), canvas.width, canvas.height)
    share = any(curve.stacking == "percent" for curve in curves)
    edges = _stack(curves, share=share)
    at_left, at_right = _sides(curves)
    main = _axis(curves, edges, at_left, share=share)
    other = _axis(curves, edges, at_right, share=False) if at_right else None
    left = scale.label_width(main.texts) + 6
    right = scale.label_width(other.texts) + 6 if other else 14.0
    box = (left, 10.0, canvas.width - left - right, canvas.height - below - 10 - 26)
    axes = canvas.plot(*box)
    axes.set_ylim(main.low, main.high)
    scale.put_times(axes, span, box[2], canvas.theme)
    scale.put_values(axes, main.ticks, main.texts, canvas.theme)
    _paint_marks(axes, marks, canvas)
    _paint_thresholds(axes, curves[0].field, span, (main.low, main.high))
    second = axes
    if other:
        second = canvas.plot(*box)
        second.set_xlim(span.start, span.end)
        second.set_xticks([])
        second.set_ylim(other.low, other.high)
        second.yaxis.tick_right()
        second.tick_params(length=0)
        second.set_yticks(other.ticks, other.texts)
    for index in reversed(range(len(curves))):
        _paint_curve(second if index in at_right else axes, times, curves[index], *edges[index])
    if below:
        paint_legend(canvas, options, entries, canvas.height - below)
    return _hover(canvas, box, span, times, curves, marks)


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    ticks: list[float]
    texts: list[str]


def _sides(curves: Sequence[_Curve]) -> tuple[list[int], list[int]]:
    """Which curves have their axis at the left, and at the right: those of another unit."""
    unit = curves[0].field.unit
    right = [
        index
        for index, curve in enumerate(curves)
        if curve.field.custom.get("axisPlacement") == "right" or curve.field.unit != unit
    ]
    if len(right) == len(curves):
        right = []
    return [index for index in range(len(curves)) if index not in right], right


def _axis(
    curves: Sequence[_Curve],
    edges: Sequence[tuple[Floats, Floats]],
    chosen: Sequence[int],
    *,
    share: bool,
) -> _Axis:
    field = curves[chosen[0]].field
    low, high, ticks = _limits(field, [edges[index] for index in chosen], share=share)
    render = Field("", {"unit": "percentunit" if share else field.unit}, field.theme).text
    return _Axis(low, high, ticks, scale.tick_texts(ticks, render))


def _entry(curve: _Curve, calcs: Sequence[str]) -> Entry:
    field = curve.field
    values = tuple(field.text(calculate(name, curve.values.tolist())) for name in calcs)
    return Entry(field.title, field.series_colour, curve.dashed, values)


def _stack(curves: Sequence[_Curve], *, share: bool) -> list[tuple[Floats, Floats]]:
    """The lower and the upper edge of each curve."""
    stacked = [curve for curve in curves if curve.stacking in ("normal", "percent")]
    total = (
        np.nansum([curve.values for curve in stacked], axis=0) if share and stacked else np.ones(1)
    )
    below = np.zeros(len(curves[0].values)) if curves else np.zeros(0)
    edges = []
    for curve in curves:
        if curve.stacking not in ("normal", "percent"):
            edges.append((np.zeros(len(curve.values)), curve.values))
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            part = curve.values / total if share else curve.values
        upper = below + part
        edges.append((below, upper))
        below = np.where(np.isnan(upper), below, upper)
    return edges


def _limits(
    field: Field, edges: Sequence[tuple[Floats, Floats]], *, share: bool
) -> tuple[float, float, list[float]]:
    if share:
        return 0.0, 1.0, [0, 0.25, 0.5, 0.75, 1]
    known = [values[~np.isnan(values)] for _, values in edges]
    together = np.concatenate(known) if known else np.zeros(0)
    low, high = (together.min(), together.max()) if len(together) else (0.0, 1.0)
    soft_low, soft_high = field.custom.get("axisSoftMin"), field.custom.get("axisSoftMax")
    low = low if soft_low is None else min(low, float(soft_low))
    high = high if soft_high is None else max(high, float(soft_high))
    fixed_low, fixed_high = field.config.get("min"), field.config.get("max")
    return scale.limits(
        float(low),
        float(high),
        field.unit,
        fixed_low=None if fixed_low is None else float(fixed_low),
        fixed_high=None if fixed_high is None else float(fixed_high),
    )


def _paint_curve(axes: Axes, times: Floats, curve: _Curve, base: Floats, line: Floats) -> None:
    custom, colour = curve.field.custom, curve.field.series_colour
    width = float(custom.get("lineWidth", 1)) * 1.3 * 72 / DPI
    opacity = float(custom.get("fillOpacity", 0)) / 100
    draw = custom.get("drawStyle", "line")
    if custom.get("spanNulls") is True:
        known = ~np.isnan(line)
        times, base, line = times[known], base[known], line[known]
    if draw == "bars":
        step = times[1] - times[0] if len(times) > 1 else 1
        axes.bar(
            times,
            line - base,
            width=step * 0.85,
            bottom=base,
            color=colour,
            alpha=max(opacity, 0.5),
        )
        return
    if opacity:
        axes.fill_between(times, base, line, color=colour, alpha=opacity, linewidth=0, zorder=2)
    if draw != "points" and width:
        steps = {"stepBefore": "steps-pre", "stepAfter": "steps-post"}
        axes.plot(
            times,
            line,
            color=colour,
            linewidth=width,
            linestyle=(0, (5, 4)) if curve.dashed else "-",
            drawstyle=steps.get(str(custom.get("lineInterpolation")), "default"),
            solid_joinstyle="round",
            zorder=3,
        )
    alone = _alone(line) if draw != "points" else ~np.isnan(line)
    axes.plot(times[alone], line[alone], "o", color=colour, markersize=3, zorder=3)


def _alone(line: Floats) -> NDArray[np.bool_]:
    """Values between two gaps: no line goes through them."""
    missing = np.concatenate([[True], np.isnan(line), [True]])
    alone: NDArray[np.bool_] = ~missing[1:-1] & missing[:-2] & missing[2:]
    return alone


def _paint_marks(axes: Axes, marks: Sequence[Mark], canvas: Canvas) -> None:
    for mark in marks[:40]:
        colour = resolve_colour(mark.colour, canvas.theme)
        if mark.end > mark.start:
            axes.axvspan(mark.start, mark.end, color=colour, alpha=0.05, linewidth=0, zorder=0.5)
        axes.axvline(mark.start, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)


def _paint_thresholds(axes: Axes, field: Field, span: Span, ends: tuple[float, float]) -> None:
    style = (field.custom.get("thresholdsStyle") or {}).get("mode", "off")
    steps = (field.config.get("thresholds") or {}).get("steps") or ()
    if style == "off":
        return
    for step in steps:
        value = step.get("value")
        if value is not None and ends[0] <= value <= ends[1]:
            colour = resolve_colour(step["color"], field.theme)
            dash: Literal["-", "--"] = "--" if "dashed" in style else "-"
            axes.hlines(value, span.start, span.end, colors=colour, linewidth=1, linestyles=dash)
            if "area" in style:
                axes.axhspan(value, ends[1], color=colour, alpha=0.07, linewidth=0)


def _hover(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    span: Span,
    times: Floats,
    curves: Sequence[_Curve],
    marks: Sequence[Mark],
) -> Hover:
    left, top, width, height = box
    return {
        "box": [
            round(left / canvas.width, 5),
            round(top / canvas.height, 5),
            round(width / canvas.width, 5),
            round(height / canvas.height, 5),
        ],
        "start": span.start,
        "end": span.end,
        "first": float(times[0]) if len(times) else span.start,
        "step": float(times[1] - times[0]) if len(times) > 1 else 1.0,
        "series": [
            {
                "name": curve.field.title,
                "colour": curve.field.series_colour,
                "order": [None if math.isnan(v) else float(f"{v:.6g}") for v in curve.values],
                "texts": ["" if math.isnan(v) else curve.field.text(v) for v in curve.values],
            }
            for curve in curves[:20]
        ],
        "marks": [
            [mark.title, mark.start, mark.end, mark.kind, resolve_colour(mark.colour, canvas.theme)]
            for mark in marks[:40]
        ],
    }
