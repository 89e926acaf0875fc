"""Values as texts in Grafana's units."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

__all__ = ["axis_ticks", "render_ago", "render_value"]

_SI: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))
_SHORT: Final = ((1e12, " Tri"), (1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, ""))
_IEC: Final = tuple(
    (1024.0**power, name) for power, name in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki"), (0, ""))
)
_TIME: Final = (
    (86400 * 365, " years"),
    (86400 * 7, " weeks"),
    (86400, " days"),
    (3600, " hours"),
    (60, " mins"),
    (1, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
    (1e-9, " ns"),
)

# Grafana's name of the unit → (scale, text after the scale's prefix, factor).
_SCALED: Final = {
    "short": (_SHORT, "", 1.0),
    "bytes": (_IEC, "B", 1.0),
    "decbytes": (_SI, "B", 1.0),
    "kbytes": (_IEC, "B", 1024.0),
    "mbytes": (_IEC, "B", 1024.0**2),
    "gbytes": (_IEC, "B", 1024.0**3),
    "bits": (_IEC, "b", 1.0),
    "decbits": (_SI, "b", 1.0),
    "binBps": (_IEC, "B/s", 1.0),
    "Bps": (_SI, "B/s", 1.0),
    "binbps": (_IEC, "b/s", 1.0),
    "bps": (_SI, "b/s", 1.0),
    "watt": (_SI, "W", 1.0),
    "kwatt": (_SI, "W", 1e3),
    "joule": (_SI, "J", 1.0),
    "watth": (_SI, "Wh", 1.0),
    "kwatth": (_SI, "Wh", 1e3),
    "hertz": (_SI, "Hz", 1.0),
    "rothz": (_SI, "Hz", 1.0),
    "rotmhz": (_SI, "Hz", 1e6),
    "reqps": (_SHORT, " req/s", 1.0),
    "rps": (_SHORT, " rd/s", 1.0),
    "wps": (_SHORT, " wr/s", 1.0),
    "ops": (_SHORT, " ops/s", 1.0),
    "iops": (_SHORT, " io/s", 1.0),
    "cps": (_SHORT, " c/s", 1.0),
    "opm": (_SHORT, " ops/m", 1.0),
    "reqpm": (_SHORT, " req/m", 1.0),
    "s": (_TIME, "", 1.0),
    "ms": (_TIME, "", 1e-3),
    "µs": (_TIME, "", 1e-6),
    "ns": (_TIME, "", 1e-9),
    "m": (_TIME, "", 60.0),
    "h": (_TIME, "", 3600.0),
    "d": (_TIME, "", 86400.0),
    "dtdurations": (_TIME, "", 1.0),
}
_PLAIN: Final = {
    "none": ("", 1.0),
    "": ("", 1.0),
    "sishort": ("", 1.0),
    "percent": ("%", 1.0),
    "percentunit": ("%", 100.0),
    "celsius": (" °C", 1.0),
    "fahrenheit": (" °F", 1.0),
    "volt": (" V", 1.0),
    "amp": (" A", 1.0),
    "rotrpm": (" rpm", 1.0),
    "currencyUSD": (" $", 1.0),
    "currencyEUR": (" €", 1.0),
}


def render_value(value: float, unit: str, decimals: int | None = None) -> str:
    """The value as a person reads it: 0.0123 in `s` is 12.3 ms. NaN is a dash.

    A unit that isn't known here is written behind the number, so that nothing is hidden.
    """
    if math.isnan(value):
        return "–"
    if unit in ("dateTimeFromNow", "dateTimeAsIso", "dateTimeAsSystem"):
        if unit == "dateTimeFromNow":
            return render_ago(value / 1000)
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if unit in _SCALED:
        scale, after, factor = _SCALED[unit]
        value *= factor
        size, prefix = _step(abs(value), scale)
        if scale is _TIME and not after:
            after = prefix.rstrip("s") if _is_one(value / size, decimals, prefix) else prefix
            return _number(value / size, decimals) + after
        return _number(value / size, decimals) + (
            f" {prefix}{after}" if scale in (_SI, _IEC) else f"{prefix}{after}"
        )
    if unit in _PLAIN:
        after, factor = _PLAIN[unit]
        return _number(value * factor, decimals) + after
    after = unit.removeprefix("suffix:") if ":" in unit else f" {unit}"
    return f"{_number(value, decimals)}{after}"


def _is_one(value: float, decimals: int | None, name: str) -> bool:
    return len(name) > 4 and name.endswith("s") and _number(value, decimals) == "1"


def _step(size: float, scale: Sequence[tuple[float, str]]) -> tuple[float, str]:
    if size == 0:
        return next((s, name) for s, name in scale if s == 1)
    # Values that would be rounded up to the next step are written in it.
    return next(((s, name) for s, name in scale if size >= s * 0.9995), scale[-1])


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e15 or size < 1e-6:
        return f"{value:.3g}"
    places = max(0, 2 - math.floor(math.log10(size)))
    text = f"{value:,.{min(places, 8)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def render_ago(moment: float, now: float | None = None) -> str:
    """A Unix time in seconds as `5 minutes ago`."""
    seconds = (time.time() if now is None else now) - moment
    if abs(seconds) < 45:
        return "a few seconds ago" if seconds >= 0 else "in a few seconds"
    for size, name in ((86400 * 365, "year"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if abs(seconds) >= size * 0.95 or size == 60:
            count = max(1, round(abs(seconds) / size))
            text = f"{count} {name}{'s' if count > 1 else ''}"
            return f"{text} ago" if seconds >= 0 else f"in {text}"
    raise AssertionError("the last size always fits")


def axis_ticks(low: float, high: float, unit: str, count: int = 5) -> list[float]:
    """Round values between two others, in the unit that the axis is labelled with."""
    top = max(abs(low), abs(high))
    factor = 1.0
    if unit in _SCALED:
        scale, _, own = _SCALED[unit]
        size, _ = _step(top * own, scale)
        factor = own / size
    elif unit in _PLAIN:
        factor = _PLAIN[unit][1]
    return [tick / factor for tick in _round_ticks(low * factor, high * factor, count)]


def _round_ticks(low: float, high: float, count: int) -> list[float]:
    width = high - low
    if not width > 0 or not math.isfinite(width):
        return [low]
    raw = width / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]
