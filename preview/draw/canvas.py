"""A Matplotlib figure measured in pixels from the top left corner."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from preview.colours import Theme

__all__ = ["Canvas", "drawing", "fit", "shorten", "text_width", "wrap"]

DPI: Final = 100
FONT: Final = "DejaVu Sans"
"""It comes with Matplotlib, so that a picture is the same everywhere; and it is wide, so that
what fits with it fits with whatever the browser takes in its place."""

_SETTINGS: Final[Any] = {
    "font.family": FONT,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "path.simplify": True,
    "axes.unicode_minus": True,
}
_LOCK: Final = threading.Lock()


@contextmanager
def drawing(salt: str) -> Iterator[None]:
    """Matplotlib's settings are global and its fonts are not for several threads: one at a time.

    `salt` makes the ids of one picture differ from those of others on the same page.
    """
    with _LOCK, mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}):
        yield


class Canvas:
    """What a panel's body is painted on. All lengths are pixels, sizes of text too."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        self.width = width
        self.height = height
        self.theme = theme
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        self.figure.patch.set_alpha(0)
        self._front = self._sheet(10)
        self._back = self._sheet(-10)

    def _sheet(self, order: int) -> Axes:
        sheet = self.figure.add_axes((0, 0, 1, 1), zorder=order)
        sheet.set_xlim(0, self.width)
        sheet.set_ylim(self.height, 0)
        sheet.axis("off")
        return sheet

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        colour: str | None = None,
        across: Literal["left", "center", "right"] = "left",
        down: Literal["top", "center", "bottom", "baseline"] = "center",
        bold: bool = False,
    ) -> None:
        """One line of text at a point."""
        self._front.text(
            x,
            y,
            text,
            fontsize=size * 72 / DPI,
            color=colour or self.theme.text,
            ha=across,
            va="center_baseline" if down == "center" else down,
            weight="bold" if bold else "normal",
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: str,
        *,
        round_by: float = 0,
        alpha: float = 1,
    ) -> None:
        """A filled rectangle below all text and all plots."""
        if width <= 0 or height <= 0:
            return
        shape = (
            FancyBboxPatch(
                (x + round_by, y + round_by),
                max(width - 2 * round_by, 0.1),
                max(height - 2 * round_by, 0.1),
                boxstyle=f"round,pad={round_by},rounding_size={round_by}",
                facecolor=colour,
                edgecolor="none",
                alpha=alpha,
            )
            if round_by
            else Rectangle((x, y), width, height, facecolor=colour, edgecolor="none", alpha=alpha)
        )
        self._back.add_patch(shape)

    def add(self, artist: Any) -> None:
        """Another patch, in pixels, above the boxes and below the text."""
        self._front.add_patch(artist)

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, width: float = 1) -> None:
        """A line through points in pixels."""
        self._front.plot(xs, ys, color=colour, linewidth=width * 72 / DPI)

    def plot(self, left: float, top: float, width: float, height: float) -> Axes:
        """A bare coordinate system in a rectangle of the canvas."""
        axes = self.figure.add_axes(
            (
                left / self.width,
                1 - (top + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )
        axes.patch.set_alpha(0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0, labelsize=11 * 72 / DPI, labelcolor=self.theme.faint, pad=4)
        axes.margins(0)
        return axes

    def message(self, text: str, *, colour: str | None = None) -> None:
        """A few words in the middle instead of a picture."""
        size = 12.5
        lines = wrap(text, self.width - 24, size)
        room = max(1, int(self.height // 18))
        if len(lines) > room:
            lines = [
                *lines[: room - 1],
                shorten(" ".join(lines[room - 1 :]), self.width - 24, size),
            ]
        top = self.height / 2 - 9 * (len(lines) - 1)
        for index, line in enumerate(lines):
            self.text(
                self.width / 2,
                top + 18 * index,
                line,
                size=size,
                colour=colour or self.theme.faint,
                across="center",
            )

    def to_svg(self) -> str:
        """The picture as an <svg> element without ids that another picture may have too."""
        out = io.BytesIO()
        FigureCanvasSVG(self.figure).print_svg(  # type: ignore[no-untyped-call]
            out, metadata={"Date": None, "Creator": None}
        )
        text = out.getvalue().decode()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'<g id="[a-zA-Z0-9]+_\d+">', "<g>", text)
        text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        return re.sub(r'width="[\d.]+pt" height="[\d.]+pt" ', "", text.rstrip(), count=1)

    def to_pixels(self, scale: float = 1) -> NDArray[np.uint8]:
        """The picture as RGBA, shape [height x scale, width x scale, 4]."""
        self.figure.set_dpi(DPI * scale)
        canvas: Any = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba(), dtype=np.uint8).copy()


@lru_cache(maxsize=4)
def _font(bold: bool) -> FT2Font:
    # Our own: Matplotlib changes the size of those that it shares.
    font = FT2Font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    font.set_size(100, 72)
    return font


@lru_cache(maxsize=20_000)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How many pixels wide a line of text is."""
    font = _font(bold)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64 * size / 100


def fit(
    text: str, width: float, largest: float, *, smallest: float = 8, bold: bool = False
) -> float:
    """The size at which the text is no wider than `width`, at most `largest`."""
    wide = text_width(text, largest, bold=bold)
    return largest if wide <= width else max(smallest, largest * width / wide)


def shorten(text: str, width: float, size: float) -> str:
    """The text, with its end replaced by … where it is wider than `width`."""
    if text_width(text, size) <= width + 0.5:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + "…", size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def wrap(text: str, width: float, size: float) -> list[str]:
    """The text in lines of at most `width`."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [shorten(line, width, size) for line in lines]
