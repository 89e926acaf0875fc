"""The alerts that hold a model's traffic and latency against its own past, and its state."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert, of_model
from contract.quantity import Duration
from contract.runtimes import SIDECAR
from contract.spec import Model, Severity

__all__ = ["EXPECTED_FOR", "LEAST_EXPECTED", "MUCH_LATER", "NEAR_BREACH", "SERVING_ALERTS"]

EXPECTED_FOR: Final = Duration.parse("6h")
"""For how long after it stopped traffic is still expected."""

LEAST_EXPECTED: Final = 100
"""Requests in five minutes that must be usual before fewer of them are a drop and not chance."""

MUCH_LATER: Final = 24
"""By how much longer a version may wait for its first request where the others get none, either."""

NEAR_BREACH: Final = 0.5
"""Share of its promise that a latency must have come to before its growth is anybody's business."""


_WHILE_EXPECTED: Final = Duration(EXPECTED_FOR.milliseconds - Duration.parse("1h").milliseconds)
_UNUSUAL_FOR: Final = Duration.parse("1h")
"""Then what goes on now begins to be part of what is usual."""


def _probed(model: Model, _: Severity) -> dict[str, float]:
    """Somebody says whether the model is ready: probes of its upstream, or its runtime."""
    serving = model.serving
    return {"": 1.0} if serving.upstream or serving.runtime != SIDECAR else {}


def _max_age(model: Model, _: Severity) -> dict[str, float]:
    return {} if model.max_age is None else {"": model.max_age.seconds}


def _artifact(model: Model, _: Severity) -> dict[str, float]:
    return {} if model.artifact is None else {"": 1.0}


SERVING_ALERTS: Final = (
    Alert(
        "ModelNotLoaded",
        ("critical",),
        Duration.parse("2m"),
        "{model} is not ready",
        "The server of {model} answers that the model is not ready, or does not answer its probes "
        "at all.",
        _probed,
        "none",
        "models[].serving.upstream",
        live_only=True,
    ),
    Alert(
        "TrafficVanished",
        ("error",),
        Duration.parse("10m"),
        "{model} gets no requests any more",
        "In the last 5 minutes nobody asked {model}. Usually there are {value} requests in 5 "
        "minutes now, as there were at this time yesterday and within the last hours.",
        of_model("TrafficVanished", 10.0),
        "number",
        "models[].alerts.TrafficVanished.threshold",
        live_only=True,
        ends_within=_WHILE_EXPECTED,
    ),
    Alert(
        "ThroughputDrop",
        ("warning",),
        Duration.parse("15m"),
        "{model} gets only {value} of its usual requests",
        "{model} gets {value} of the requests that are usual at this time, by yesterday and by the "
        "last hours; the limit is {threshold}.",
        of_model("ThroughputDrop", 0.5),
        "percent",
        "models[].alerts.ThroughputDrop.threshold",
        asked=True,
        live_only=True,
        never_to=0.0,
        ends_within=_WHILE_EXPECTED,
    ),
    Alert(
        "LatencyAnomaly",
        ("warning",),
        Duration.parse("15m"),
        "{model} is unusually slow",
        "The mean latency of {model} over the last 5 minutes is {value} standard deviations above "
        "that of its last day; the limit is {threshold}.",
        of_model("LatencyAnomaly", 4.0),
        "number",
        "models[].alerts.LatencyAnomaly.threshold",
        asked=True,
        ends_within=_UNUSUAL_FOR,
    ),
    Alert(
        "PredictedSloBreach",
        ("warning",),
        Duration.parse("10m"),
        "{model} will soon be slower than promised",
        "The latency of {model} grows; at the pace of the last hour it breaks a promise of "
        "slo.latency in {value}.",
        of_model("PredictedSloBreach", 3600.0),
        "duration",
        "models[].alerts.PredictedSloBreach.threshold",
        asked=True,
    ),
    Alert(
        "QueueGrowing",
        ("warning",),
        Duration.parse("10m"),
        "{value} requests wait for {model}, and the queue grows",
        "{value} requests wait in a queue of {model}, and over the last 15 minutes they became "
        "more; the limit is {threshold}.",
        of_model("QueueGrowing", 100.0),
        "number",
        "models[].alerts.QueueGrowing.threshold",
        asked=True,
    ),
    Alert(
        "LowConfidence",
        ("warning",),
        Duration.parse("15m"),
        "{model} is unsure: mean confidence {value}",
        "The mean probability that {model} gives to what it predicts was {value} over the last 5 "
        "minutes; the limit is {threshold}.",
        of_model("LowConfidence", 0.6),
        "percent",
        "models[].alerts.LowConfidence.threshold",
        asked=True,
        never_to=0.0,
    ),
    Alert(
        "StaleModel",
        ("warning",),
        Duration.parse("1h"),
        "{model} was trained {value} ago",
        "{model} was trained {value} ago and should be replaced after {threshold}.",
        _max_age,
        "duration",
        "models[].max_age",
        live_only=True,
    ),
    Alert(
        "ArtifactChanged",
        ("error",),
        Duration.parse("1m"),
        "{model} is not loaded from what was declared",
        "The SHA-256 of the file of {model}, or of what its server loaded, is not that of "
        "models.yaml, or the file is gone: something else is served than what was tested, or will "
        "be after the next start.",
        _artifact,
        "none",
        "models[].artifact",
        live_only=True,
    ),
    Alert(
        "UnregisteredVersion",
        ("error",),
        Duration.parse("2m"),
        "{name} is served as version {unregistered}, which models.yaml does not have",
        "In the last 5 minutes {value} predictions of {name} came from version {unregistered}. "
        "models.yaml does not have it, so nothing of them is counted: no alert watches it.",
        of_model("UnregisteredVersion", 10.0),
        "number",
        "models[].alerts.UnregisteredVersion.threshold",
    ),
    Alert(
        "RetiredVersion",
        ("warning",),
        Duration.parse("10m"),
        "{model} is retired, and still serves",
        "In the last 5 minutes there were {value} requests to {model}, which models.yaml has "
        "retired: nothing but this alert watches it.",
        of_model("RetiredVersion", 10.0),
        "number",
        "models[].alerts.RetiredVersion.threshold",
        retired_only=True,
    ),
    Alert(
        "VersionMissing",
        ("warning",),
        Duration.parse("5m"),
        "{model} is live, and never got a request",
        "{model} has been live for {value}, and nobody ever asked it. The limit is {threshold} "
        f"where other versions of it are asked, and {MUCH_LATER} times that where none is.",
        of_model("VersionMissing", 3600.0),
        "duration",
        "models[].alerts.VersionMissing.threshold",
        live_only=True,
    ),
)
