"""Heatmaps of the buckets of a classic histogram."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from numpy.typing import NDArray

from preview.answer import Answer
from preview.board import Panel
from preview.draw import scale
from preview.draw.canvas import Canvas
from preview.draw.lines import Hover, grid_times, on_grid
from preview.fields import resolve_field
from preview.span import Span
from preview.units import render_value

__all__ = ["paint_heat"]


def paint_heat(canvas: Canvas, panel: Panel, answer: Answer, span: Span) -> Hover | None:
    """Paint a row for each bucket. None where no bucket counted anything: there is no picture."""
    times = grid_times(span, answer.step)
    edges, counts = _counts(answer, times)
    used = np.flatnonzero(np.nansum(counts, axis=1) > 0)
    if not len(used):
        return None
    # Buckets that nothing falls into, beyond those that something does, only make rows thin.
    first, last = max(0, used[0] - 1), min(len(edges), used[-1] + 2)
    edges, counts = edges[first:last], counts[first:last]
    unit = str((panel.options.get("yAxis") or {}).get("unit") or "none")
    texts = ["more" if math.isinf(edge) else render_value(edge, unit) for edge in edges]
    ticks = _ticks(len(edges), canvas.height - 44)
    left = scale.label_width([texts[tick] for tick in ticks]) + 6
    box = (left, 8.0, canvas.width - left - 14, canvas.height - 8 - 26)
    axes = canvas.plot(*box)
    theme = canvas.theme
    colours = LinearSegmentedColormap.from_list(
        "heat",
        ["#16324f", "#2f6db5", "#8ab8ff", "#e6f0ff"]
        if theme.name == "dark"
        else ["#dbe9fb", "#8ab8ff", "#2f6db5", "#12305e"],
    )
    shown = np.where(counts > 1e-9, counts, np.nan)
    exponent = float((panel.options.get("color") or {}).get("exponent", 0.5))
    axes.imshow(
        shown,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(times[0] - answer.step / 2, times[-1] + answer.step / 2, 0, len(edges)),
        cmap=colours,
        norm=PowerNorm(exponent, vmin=0, vmax=float(np.nanmax(shown))),
        zorder=2,
    )
    axes.set_ylim(0, len(edges))
    scale.put_times(axes, span, box[2], theme)
    # A row holds what is at most its label; the label stands at the row's upper edge.
    axes.set_yticks([tick + 1 for tick in ticks], [texts[tick] for tick in ticks])
    axes.grid(visible=True, axis="y", color=theme.grid, linewidth=0.5, zorder=0)
    cells = str((panel.options.get("cellValues") or {}).get("unit") or "none")
    cell = resolve_field(panel, "", theme)
    series = [
        {
            "name": f"≤ {text}" if text != "more" else f"> {texts[index - 1]}",
            "colour": "#5794f2",
            "order": [None if math.isnan(v) else index for v in shown[index]],
            "texts": ["" if math.isnan(v) else render_value(v, cells) for v in shown[index]],
        }
        for index, text in enumerate(texts)
    ]
    return {
        "box": [
            box[0] / canvas.width,
            box[1] / canvas.height,
            box[2] / canvas.width,
            box[3] / canvas.height,
        ],
        "title": cell.title,
        "start": span.start,
        "end": span.end,
        "first": float(times[0]),
        "step": answer.step,
        "series": series,
        "marks": [],
    }


def _counts(answer: Answer, times: NDArray[np.float64]) -> tuple[list[float], NDArray[np.float64]]:
    """Upper edges, ascending, and what each bucket counted alone; shape [edges, times]."""
    rows: dict[float, NDArray[np.float64]] = {}
    for line in answer.lines:
        try:
            edge = float(line.series.labels.get("le", line.name))
        except ValueError:
            continue
        row = on_grid(line.series, times)
        rows[edge] = row if edge not in rows else np.nansum([rows[edge], row], axis=0)
    edges = sorted(rows)
    if not edges:
        return [], np.zeros((0, len(times)))
    cumulative = np.array([rows[edge] for edge in edges])
    counts = np.diff(cumulative, axis=0, prepend=0)
    # Rates of buckets are calculated one by one, so a difference may be a little below 0.
    return edges, np.maximum(counts, 0)


def _ticks(rows: int, height: float) -> list[int]:
    """Which rows get a label, so that they stand 20 pixels apart."""
    every = max(1, math.ceil(rows / max(1, height / 20)))
    return list(range(rows - 1, -1, -every))[::-1]
