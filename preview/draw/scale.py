"""The axes of a plot: times below, values at the left."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Final

from matplotlib.axes import Axes

from preview.colours import Theme
from preview.draw.canvas import text_width
from preview.span import Span
from preview.units import axis_ticks

__all__ = ["TICK_SIZE", "label_width", "limits", "put_times", "put_values", "tick_texts"]

TICK_SIZE: Final = 11.0
_ROUNDING: Final = 1e-9
"""Of a value, what is no difference but comes of how it was counted."""
_STEPS: Final = (
    1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200,
    86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400,
)  # fmt: skip


def put_times(axes: Axes, span: Span, width: float, theme: Theme) -> None:
    """Round local times below the plot, as many as fit in its width in pixels."""
    axes.set_xlim(span.start, span.end)
    wanted = span.seconds / max(2, width / 85)
    step = next((one for one in _STEPS if one >= wanted), _STEPS[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M"
    if step >= 86400:
        form = "%b %d"
    elif span.seconds > 86400:
        form = "%m/%d %H:%M"
    shift = (_local(span.end, span).utcoffset() or dt.timedelta()).total_seconds()
    first = math.ceil((span.start + shift) / step) * step - shift
    ticks = [first + index * step for index in range(int((span.end - first) / step) + 1)]
    texts = [_local(tick, span).strftime(form) for tick in ticks]
    # A label that would stick out at either end is left out; its line stays.
    half = [text_width(text, TICK_SIZE) / 2 * span.seconds / width for text in texts]
    reach = 8 * span.seconds / width
    texts = [
        text if span.start - reach <= tick - side and tick + side <= span.end + reach else ""
        for tick, text, side in zip(ticks, texts, half, strict=True)
    ]
    axes.set_xticks(ticks, texts)
    axes.grid(visible=True, axis="x", color=theme.grid, linewidth=0.5, zorder=0)


def _local(moment: float, span: Span) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment, span.zone).astimezone(span.zone)


def limits(
    low: float, high: float, unit: str, *, fixed_low: float | None, fixed_high: float | None
) -> tuple[float, float, list[float]]:
    """Where the axis starts and ends, and its ticks: round, and around the data."""
    bottom = low if fixed_low is None else fixed_low
    top = high if fixed_high is None else fixed_high
    if not top - bottom > _ROUNDING * max(abs(top), abs(bottom)):
        top = bottom + (abs(bottom) or 1)
    ticks = axis_ticks(bottom, top, unit)
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        if fixed_high is None:
            top = math.ceil(top / step - 1e-9) * step
        if fixed_low is None:
            bottom = math.floor(bottom / step + 1e-9) * step
        count = round((top - bottom) / step)
        first = math.ceil(bottom / step - 1e-9)
        ticks = [(first + i) * step for i in range(count + 1) if (first + i) * step <= top * 1.0001]
    return bottom, top, ticks


def tick_texts(ticks: Sequence[float], render: Callable[[float], str]) -> list[str]:
    """The labels of an axis."""
    return [render(tick) for tick in ticks]


def label_width(texts: Sequence[str]) -> float:
    """The room that the labels of the left axis need, in pixels."""
    return max((text_width(text, TICK_SIZE) for text in texts), default=0) + 8


def put_values(axes: Axes, ticks: Sequence[float], texts: Sequence[str], theme: Theme) -> None:
    """Labels and lines of the left axis."""
    axes.set_yticks(list(ticks), list(texts))
    axes.grid(visible=True, axis="y", color=theme.grid, linewidth=0.7, zorder=0)
