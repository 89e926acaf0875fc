"""Numbers as Prometheus's template functions of the same names write them.

Source: prometheus/template/template.go and prometheus/common, the same from 2.42 to 3.x.
"""

from __future__ import annotations

import math

__all__ = ["as_shown", "humanize_duration", "humanize_number", "humanize_percentage"]


def humanize_number(value: float) -> str:
    """0.1234 → 0.123."""
    return f"{value:.3g}"


def as_shown(value: float) -> float:
    """A little less, so that what is next to it is written alike: 1.575 → 1.57."""
    if value <= 0:
        return value
    digits = 2 - math.floor(math.log10(value))
    return float(round(math.floor(value * 10.0**digits) / 10.0**digits, max(digits, 0)))


def humanize_percentage(ratio: float) -> str:
    """0.0501 → 5.01%."""
    return f"{ratio * 100:.4g}%"


def humanize_duration(seconds: float) -> str:
    """0.25 → 250ms, 909 → 15m 9s."""
    if seconds == 0:
        return "0s"
    if seconds < 1:
        for prefix in "munpfazy":
            seconds *= 1000
            if seconds >= 1:
                return f"{seconds:.4g}{prefix}s"
    if seconds < 60:
        return f"{seconds:.4g}s"
    whole = int(seconds)
    parts = {"d": whole // 86400, "h": whole // 3600 % 24, "m": whole // 60 % 60, "s": whole % 60}
    while next(iter(parts.values())) == 0:
        parts.pop(next(iter(parts)))
    return " ".join(f"{number}{unit}" for unit, number in parts.items())
