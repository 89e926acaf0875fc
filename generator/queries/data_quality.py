"""What the data quality dashboard asks of one version of one model: can its input be trusted?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from generator.queries.selection import RATE_INTERVAL, chosen

__all__ = [
    "CHECKS",
    "failed_by_feature",
    "failed_checks",
    "failed_features",
    "features",
    "rejected",
    "share",
    "top_share",
    "values",
    "when_failed",
    "worst_share",
]

CHECKS: Final = ("missing", "type", "range", "category")
"""Of `ml_data_quality_ratio`; freshness is told by `ml_data_quality_failed` alone."""

_TOP: Final = 5
_FEATURES: Final = 'kind="feature"'
_REJECTED: Final = 'status="rejected"'
_BY_FEATURE: Final = "by (feature_name)"


def failed_checks() -> str:
    """Checks that fail, over all features."""
    return f"sum({chosen(catalog.DATA_QUALITY_FAILED)})"


def failed_features() -> str:
    """Features of which at least one check fails."""
    return f"sum(max {_BY_FEATURE} ({chosen(catalog.DATA_QUALITY_FAILED)}))"


def features() -> str:
    """Features that are checked."""
    return f"count(group {_BY_FEATURE} ({chosen(catalog.DATA_QUALITY_FAILED)}))"


def share(check: str) -> str:
    """Of each feature's values over the drift window, the share that fails a check."""
    return f"max {_BY_FEATURE} ({chosen(catalog.DATA_QUALITY, _check(check))})"


def worst_share(check: str) -> str:
    """The highest of those."""
    return f"max({chosen(catalog.DATA_QUALITY, _check(check))})"


def top_share(check: str) -> str:
    """Over time, of the few features with the highest share at any time."""
    series = chosen(catalog.DATA_QUALITY, _check(check))
    most = f"max {_BY_FEATURE} (max_over_time({series}[$__range] @ end()))"
    return f"{share(check)} and on (feature_name) topk({_TOP}, {most})"


def failed_by_feature() -> str:
    """How many checks of each feature fail."""
    return f"sum {_BY_FEATURE} ({chosen(catalog.DATA_QUALITY_FAILED)})"


def values() -> str:
    """Values of each feature over the drift window."""
    return f"max {_BY_FEATURE} ({chosen(catalog.DRIFT_WINDOW_SAMPLES, _FEATURES)})"


def when_failed(count: int = 12) -> str:
    """Over time, 1 while a check of a feature failed; of those that did for the longest."""
    by = "feature_name, check"
    failed = chosen(catalog.DATA_QUALITY_FAILED)
    longest = f"sum by ({by}) (sum_over_time({failed}[$__range] @ end())) > 0"
    return f"max by ({by}) ({failed}) and on ({by}) topk({count}, {longest})"


def rejected() -> str:
    """Of all requests, the share that the model server refused."""
    refused = f"sum(rate({chosen(catalog.INFERENCE_REQUESTS, _REJECTED)}[{RATE_INTERVAL}]))"
    return f"{refused} / ({_all_requests()} > 0)"


def _all_requests() -> str:
    return f"sum(rate({chosen(catalog.INFERENCE_REQUESTS)}[{RATE_INTERVAL}]))"


def _check(name: str) -> str:
    return f'check="{name}"'
