"""What the fleet dashboard asks: is anything wrong, with which model, and whose is it?"""

from __future__ import annotations

from contract.catalog import MODEL
from contract.spec import Severity
from generator.queries import recorded
from generator.queries.recorded import Recorded
from generator.queries.selection import (
    ALERTS,
    ALERTS_SINCE,
    BY_MODEL,
    FIRING,
    LOUD,
    ON_MODEL,
    UP,
    of_team,
    owners,
)

__all__ = [
    "alerts",
    "alerts_by_model",
    "drifted_features_by_model",
    "error_ratio",
    "error_ratio_by_model",
    "errors_of_limit_by_model",
    "firing",
    "jobs_up",
    "latency_of_limit_by_model",
    "models",
    "models_with_alerts",
    "p99_by_model",
    "requests",
    "requests_by_model",
    "targets_down",
    "targets_up_by_model",
    "top",
]

# One number


def firing(severity: Severity) -> str:
    """How many alerts of one severity fire; 0 where none does."""
    matchers = f'{FIRING}, severity="{severity}"'
    return f"count({of_team(ALERTS, matchers)}) or vector(0)"


def models() -> str:
    """How many models the chosen teams have."""
    return f"count({owners()})"


def models_with_alerts() -> str:
    """How many of them have an alert that fires."""
    broken = f"count {BY_MODEL} ({of_team(ALERTS, f'{FIRING}, {LOUD}')})"
    return f"count({broken} and {ON_MODEL} {owners()}) or vector(0)"


def targets_down() -> str:
    """How many targets, of models or of the stack itself, Prometheus can't scrape."""
    return f"count({UP} == 0) or vector(0)"


def requests() -> str:
    """Requests per second to all models of the chosen teams."""
    return f"sum({recorded.REQUESTS} and {ON_MODEL} {owners()})"


def error_ratio() -> str:
    """Share of those that failed."""
    errors = f"sum({recorded.ERRORS} and {ON_MODEL} {owners()}) or vector(0)"
    return f"({errors}) / ({requests()} > 0)"


# One value for each model, with its team: the rows of the table


def _owned(expression: str) -> str:
    return f"({expression}) * {ON_MODEL} group_left (team) {owners()}"


def alerts_by_model() -> str:
    """Alerts that fire; 0 where none does, so that every model has a row."""
    counted = f"count {BY_MODEL} ({of_team(ALERTS, f'{FIRING}, {LOUD}')})"
    return _owned(f"{counted} or 0 * group {BY_MODEL} ({owners()})")


def requests_by_model() -> str:
    """Requests per second."""
    return _owned(str(recorded.REQUESTS))


def error_ratio_by_model() -> str:
    """Share of requests that failed."""
    return _owned(str(recorded.ERROR_RATIO))


def errors_of_limit_by_model() -> str:
    """The error ratio as a share of the threshold of HighErrorRatio: 1 is the limit."""
    limit = f'max {BY_MODEL} ({recorded.THRESHOLD}{{alert="HighErrorRatio"}})'
    return _owned(f"{recorded.ERROR_RATIO} / {ON_MODEL} {limit}")


def p99_by_model() -> str:
    """99% of the requests took at most this many seconds."""
    return _owned(str(recorded.LATENCY_QUANTILES["p99"]))


def latency_of_limit_by_model() -> str:
    """The worst of the promised latency quantiles as a share of its threshold: 1 is the limit."""
    return _owned(str(recorded.LATENCY_OF_LIMIT))


def drifted_features_by_model() -> str:
    """Features above their threshold and their noise floor."""
    features = ", ".join((*MODEL, "feature_name"))
    drifted = f"count {BY_MODEL} (max by ({features}) ({recorded.DRIFT_DETECTED}))"
    # Only drifted features have a series; a model that was judged and has none has 0.
    return _owned(f"{drifted} or 0 * {recorded.DRIFTED_FEATURES}")


def targets_up_by_model() -> str:
    """Share of the model's targets that Prometheus can scrape."""
    return _owned(f"avg {BY_MODEL} ({recorded.TARGET_UP})")


# Lists and lines


def alerts() -> str:
    """Every alert that fires or is about to, as the time (Unix, ms) since when its reason holds."""
    now = of_team(ALERTS, LOUD)
    return f"{now} * ignoring (alertstate) group_left () {ALERTS_SINCE} * 1000"


def top(series: Recorded, *, by: str, count: int = 6) -> str:
    """The lines of the few models with the highest values over the whole time range.

    `by` is `avg` or `max`. Chosen once, at the end of the range, so that there are no more than
    `count` lines however the order changes in between, and Prometheus sorts once.
    """
    end = " @ end()"
    over_range = f"{by}_over_time({series}[$__range]{end}) and {ON_MODEL} {owners(at=end)}"
    return f"{series} and {ON_MODEL} topk({count}, {over_range})"


def jobs_up() -> str:
    """0 while any target of a scrape job is down."""
    return f"min by (job) ({UP})"
