"""What the business dashboard asks: do the ratios hold, and does the model move with them?"""

from __future__ import annotations

from contract import catalog
from generator.queries import recorded
from generator.queries.recorded_business import BUSINESS_RATIO
from generator.queries.selection import ON_MODEL, RATE_INTERVAL, chosen, owners

__all__ = [
    "below",
    "events",
    "events_by_name",
    "limit_by_model",
    "limits",
    "per_prediction",
    "ratio_by_model",
    "ratios",
    "ratios_in_all",
    "requests_by_model",
]

_LOW = 'alert="BusinessRatioLow"'
_RATIO = ", ".join(BUSINESS_RATIO.labels)


def _owned(expression: str) -> str:
    return f"({expression}) * {ON_MODEL} group_left (team) {owners()}"


def _limits() -> str:
    return f"max by ({_RATIO}) ({recorded.THRESHOLD}{{{_LOW}}})"


def ratio_by_model() -> str:
    """Every ratio of the chosen teams' models."""
    return _owned(str(BUSINESS_RATIO))


def limit_by_model() -> str:
    """The least that is expected of each of them, as far as models.yaml says so."""
    return _owned(f"{_limits()} and on ({_RATIO}) {BUSINESS_RATIO}")


def requests_by_model() -> str:
    """Requests per second of the model of each."""
    return _owned(f"0 * {BUSINESS_RATIO} + {ON_MODEL} group_left () {recorded.REQUESTS}")


def ratios_in_all() -> str:
    """How many ratios there are."""
    return f"count({_owned(str(BUSINESS_RATIO))})"


def below() -> str:
    """How many are below what is expected."""
    low = f"{BUSINESS_RATIO} < on ({_RATIO}) {_limits()}"
    return f"count({_owned(low)}) or 0 * {ratios_in_all()}"


def ratios() -> str:
    """The chosen model's ratios."""
    return chosen(BUSINESS_RATIO)


def limits() -> str:
    """The least that is expected of them."""
    return f"max by (objective) ({chosen(recorded.THRESHOLD, _LOW)})"


def events() -> str:
    """Business events a second, all together."""
    return f"sum(rate({chosen(catalog.BUSINESS_EVENTS)}[{RATE_INTERVAL}]))"


def events_by_name() -> str:
    """Business events a second by name, for the most frequent."""
    series = chosen(catalog.BUSINESS_EVENTS)
    most = f"topk(6, sum by (event) (increase({series}[$__range] @ end())))"
    return f"sum by (event) (rate({series}[{RATE_INTERVAL}])) and on (event) {most}"


def per_prediction() -> str:
    """Business events for each prediction."""
    predictions = f"sum(rate({chosen(catalog.INFERENCE_REQUESTS)}[{RATE_INTERVAL}]))"
    return f"({events_by_name()}) / on () group_left () ({predictions} > 0)"
