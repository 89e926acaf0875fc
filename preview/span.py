"""Time ranges as Grafana's URLs have them: now-1h, now, milliseconds since 1970."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Span", "SpanError", "render_seconds", "resolve_span"]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400}
_NICE: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800)
_NICE_LONG: Final = (21600, 43200, 86400, 604800)


class SpanError(ValueError):
    """A range that can't be read; the message says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `start` to `end`, in Unix seconds; `since` and `until` are the texts it came from."""

    since: str
    until: str
    start: float
    end: float
    zone: dt.tzinfo | None = None
    """In which times are written below a plot; None is this machine's."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    def step(self, points: int, *, shortest: float) -> int:
        """The seconds between points, for about so many of them; never below `shortest`."""
        raw = max(self.seconds / max(points, 1), shortest, 1)
        return next((nice for nice in (*_NICE, *_NICE_LONG) if nice >= raw), _NICE_LONG[-1])


def resolve_span(since: str, until: str, *, now: float) -> Span:
    """The range that two texts of a URL mean.

    Raises:
        SpanError: one of them can't be read, or the range is empty or longer than ten years.
    """
    start, end = _moment(since, now), _moment(until, now)
    if not 1 <= end - start <= 10 * 366 * 86400:
        raise SpanError(f"from={since} to={until}: write a range that ends after it begins")
    return Span(since=since, until=until, start=start, end=end)


def _moment(text: str, now: float) -> float:
    if re.fullmatch(r"\d{12,15}", text):
        return int(text) / 1000
    if re.fullmatch(r"\d{9,11}", text):
        return float(text)
    found = re.fullmatch(r"now(?:([+-])(\d{1,6})([smhdwM]))?", text)
    if not found:
        raise SpanError(f"{text}: no time; write now, now-1h, now-7d or milliseconds since 1970")
    sign, count, unit = found.groups()
    return now + (1 if sign == "+" else -1) * int(count or 0) * _SECONDS[unit or "s"]


def render_seconds(seconds: float) -> str:
    """As Prometheus writes it, in whole seconds or finer: 15s, 500ms."""
    if seconds != int(seconds):
        return f"{max(1, round(seconds * 1000))}ms"
    return f"{int(seconds)}s"
