"""Over how long a query looks back, as Prometheus sees it."""

from __future__ import annotations

from typing import Final

from contract.quantity import Duration
from contract.spec import Spec

__all__ = [
    "DAY",
    "FIVE_MINUTES",
    "FOUR_MINUTES",
    "HALF_HOUR",
    "HOUR",
    "ONE_MINUTE",
    "PROMISE_MEMORY",
    "TEN_MINUTES",
    "TWO_MINUTES",
    "window",
]

ONE_MINUTE: Final = Duration.parse("1m")
TWO_MINUTES: Final = Duration.parse("2m")
FOUR_MINUTES: Final = Duration.parse("4m")
"""The slowest that a group may be: five minutes after a sample Prometheus no longer finds it."""
FIVE_MINUTES: Final = Duration.parse("5m")
TEN_MINUTES: Final = Duration.parse("10m")
HALF_HOUR: Final = Duration.parse("30m")
HOUR: Final = Duration.parse("1h")
DAY: Final = Duration.parse("1d")
PROMISE_MEMORY: Final = Duration.parse("15m")
"""For how long a promise outlives the drift collector that exposed it."""

_SCRAPES: Final = 4


def window(spec: Spec, duration: Duration) -> Duration:
    """`duration` under the time scale, and never so short that a rate over it finds nothing."""
    shortest = spec.clock(spec.stack.scrape_interval).milliseconds * _SCRAPES
    return Duration(max(spec.clock(duration).milliseconds, shortest))
