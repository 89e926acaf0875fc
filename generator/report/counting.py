"""From counts to figures: pure functions of what was counted over any time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["QUANTILES", "Quantile", "added", "budget_spent", "quantile", "ratio"]

QUANTILES: Final = {
    "p50_seconds": 0.5,
    "p90_seconds": 0.9,
    "p95_seconds": 0.95,
    "p99_seconds": 0.99,
    "p999_seconds": 0.999,
}
"""Of latency, under the names of a report."""


def added(values: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def ratio(part: float | None, whole: float | None) -> float | None:
    """Part / whole; None without anything to divide by."""
    return None if part is None or not whole else part / whole


def budget_spent(bad: float | None, events: float | None, target: float) -> float | None:
    """Bad events as a share of those that the target allows; None without events."""
    if bad is None or not events:
        return None
    # 1 - target has an error in its last digits, which a ratio to it would show.
    return bad / (events * round(1 - target, 12))


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile; `beyond` where it lies above the last bucket, whose edge it then is."""

    value: float
    beyond: bool = False


def quantile(share: float, buckets: Mapping[float, float]) -> Quantile | None:
    """The value that `share` of what is counted lies below; None where nothing is.

    `buckets` are counts of values up to each upper edge, inf among them. Within a bucket values are
    taken as evenly spread, and as positive, as histogram_quantile of PromQL does.
    """
    edges = sorted(buckets)
    total = buckets[edges[-1]] if edges else 0
    if total <= 0 or len(edges) < 2 or not math.isinf(edges[-1]):
        return None
    rank = share * total
    lower, below = 0.0, 0.0
    for edge in edges:
        # Counts of rates may differ in their last digits: they never fall from edge to edge.
        count = max(buckets[edge], below)
        if count >= rank:
            break
        lower, below = edge, count
    if math.isinf(edge):
        return Quantile(lower, beyond=True)
    return Quantile(lower + (edge - lower) * (rank - below) / (count - below))
