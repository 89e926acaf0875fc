"""What the model dashboard asks of all versions of the chosen model, beside each other."""

from __future__ import annotations

from generator.queries import recorded
from generator.queries.recorded import Recorded
from generator.queries.recorded_versions import (
    COMPARISON,
    COMPARISON_P_VALUE,
    COMPARISON_SAMPLES,
    WORSE,
)
from generator.queries.selection import with_matchers

__all__ = [
    "by_version",
    "compared",
    "p_values",
    "requests",
    "samples",
    "worse",
]

_OF_MODEL = 'model_name="$model"'
_PAIR = "by (model_version, baseline_version, objective)"


def requests() -> str:
    """Requests per second of each version that gets some."""
    return f"{by_version(recorded.REQUESTS)} > 0"


def by_version(series: Recorded) -> str:
    """A normalised series of every version of the model."""
    return f"max by (model_version) ({with_matchers(series, _OF_MODEL)})"


def compared(side: str, objectives: str = "") -> str:
    """An aspect of every pair of versions, on one side; `objectives` is a pattern."""
    matchers = f'objective=~"{objectives}"' if objectives else ""
    series = with_matchers(COMPARISON, _OF_MODEL, f'side="{side}"', matchers)
    return f"max {_PAIR} ({series})"


def samples(side: str) -> str:
    """What an aspect was counted of, on one side."""
    series = with_matchers(COMPARISON_SAMPLES, _OF_MODEL, f'side="{side}"')
    return f"max {_PAIR} ({series})"


def p_values() -> str:
    """How often chance alone makes such a difference."""
    return f"max {_PAIR} ({with_matchers(COMPARISON_P_VALUE, _OF_MODEL)})"


def worse() -> str:
    """1 where the newer version is worse, else 0."""
    found = with_matchers(COMPARISON, _OF_MODEL, 'side="newer"')
    is_worse = f"max {_PAIR} ({with_matchers(WORSE, _OF_MODEL)})"
    return f"{is_worse} ^ 0 or 0 * max {_PAIR} ({found})"
