"""How versions of a model that serve at once are held against each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contract.quantity import Duration, Ratio
from contract.spec.section import Section

__all__ = ["Comparison"]


class Comparison(Section):
    """By how much a newer version may be worse than the one before it, while both serve.

    Each limit is the least difference that matters: VersionWorse fires where the newer version is
    worse by more than that, and by more than chance.
    """

    window: Duration = Duration.parse("1h")
    """The time over which both are counted, in twelve parts: only what both served at the same time
    is compared."""
    min_samples: int = Field(default=100, gt=0)
    """What each of the two must at least have: requests, labels, events; with fewer, nothing is
    said."""
    significance: Annotated[Ratio, Field(gt=0)] = 0.001
    """How often equal versions may differ by chance alone in some aspect, each time they are
    compared. All aspects together have this rate."""
    errors: Ratio = 0.01
    """How much larger the share of requests that fail may be."""
    slow: Ratio = 0.05
    """How much larger the share of requests may be that take longer than slo.latency allows: of
    the promise with the highest target."""
    confidence: Ratio = 0.05
    """By how much the mean confidence may be lower."""
    accuracy: Ratio = 0.02
    """By how much the share of right answers may be lower, by the labels that came."""
    mae: Ratio = 0.1
    """For regressions: by how much of the older version's the mean absolute error may be larger."""
    business: Ratio = 0.1
    """By how much of the older version's a ratio of `business` may be lower."""
    predictions: Ratio | None = None
    """Which share of predictions may fall into other classes or bins than the older version's. Left
    out, that is shown but no reason for an alert: a better version predicts something else, too."""
