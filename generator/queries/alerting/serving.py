"""When the alerts on a model's traffic, latency and state fire, by its own past."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.alerts import LEAST_EXPECTED, MUCH_LATER
from generator.queries import recorded, recorded_past, recorded_serving, recorded_versions
from generator.queries.alerting.promise import ON_MODEL, Promise, above, compare, enough

__all__ = ["SERVING_EXPRESSIONS"]


def _vanished(promise: Promise) -> str:
    # `unless` and not `== 0`: that nothing is said of requests is no sign of any.
    return (
        f"{compare(str(recorded_past.EXPECTED), '>', promise)}\n"
        f"unless {ON_MODEL}\n{recorded.REQUESTS_INCREASE} > 0"
    )


def _dropped(promise: Promise) -> str:
    return (
        f"{compare(str(recorded_past.OF_EXPECTED), '<', promise)}\n"
        f"and {ON_MODEL}\n{recorded_past.EXPECTED} >= {LEAST_EXPECTED}"
    )


def _queue(promise: Promise) -> str:
    return (
        f"{compare(str(recorded_serving.QUEUE_DEPTH), '>', promise)}\n"
        f"and on (model_name, model_version, queue_name)\n{recorded_past.QUEUE_GROWTH} > 0"
    )


def _missing(promise: Promise) -> str:
    """Later where no other version gets requests, either: then perhaps nobody wants any."""
    waited, asked = recorded_versions.WAITED, f"sum by (model_name) ({recorded.REQUESTS}) > 0"
    return (
        f"{compare(str(waited), '>', promise)}\n"
        f"unless {ON_MODEL} (\n"
        f"  {waited} < {ON_MODEL} {MUCH_LATER} * {promise.thresholds}\n"
        f"  unless on (model_name) ({asked})\n)"
    )


def _state(promise: Promise, state: recorded.Recorded) -> str:
    return compare(str(state), "<", promise)


SERVING_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    "ModelNotLoaded": lambda promise: _state(promise, recorded_serving.LOADED),
    "TrafficVanished": _vanished,
    "ThroughputDrop": _dropped,
    "LatencyAnomaly": above(recorded_past.LATENCY_SCORE, guarded=True),
    "PredictedSloBreach": lambda promise: enough(
        compare(str(recorded_past.TIME_TO_BREACH), "<", promise)
    ),
    "QueueGrowing": _queue,
    "LowConfidence": lambda promise: enough(compare(str(recorded.CONFIDENCE_MEAN), "<", promise)),
    "StaleModel": lambda promise: compare(f"time() - {recorded_past.TRAINED}", ">", promise),
    "UnregisteredVersion": above(recorded_versions.UNREGISTERED, guarded=False),
    "RetiredVersion": above(recorded.REQUESTS_INCREASE, guarded=False),
    "VersionMissing": _missing,
    "ArtifactChanged": lambda promise: _state(promise, recorded_past.ARTIFACT),
}
"""By name; the series carry model_name, model_version and team."""
