"""When each alert fires: PromQL over recorded series, joined with the promises of models.yaml.

One expression serves every model: its threshold comes from `model:ml_alert_threshold`, its team
from the same series. The value of an alert is always what is measured, never the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from generator.queries.alerting.gpus import GPU_EXPRESSIONS, codes_lookup
from generator.queries.alerting.models import DRIFT_EXPRESSIONS, REQUEST_EXPRESSIONS
from generator.queries.alerting.promise import (
    Promise,
    escalated,
    escalated_after,
    side_lookup,
    threshold_lookup,
)
from generator.queries.alerting.quality import QUALITY_EXPRESSIONS
from generator.queries.alerting.serving import SERVING_EXPRESSIONS
from generator.queries.alerting.slo import SLO_EXPRESSIONS
from generator.queries.alerting.stack import STACK_EXPRESSIONS, STACK_JOBS, WATCHDOG

__all__ = [
    "GPU_EXPRESSIONS",
    "MODEL_EXPRESSIONS",
    "SLOW",
    "STACK_EXPRESSIONS",
    "STACK_JOBS",
    "WATCHDOG",
    "Promise",
    "codes_lookup",
    "escalated",
    "escalated_after",
    "side_lookup",
    "threshold_lookup",
]

MODEL_EXPRESSIONS: Final[Mapping[str, Callable[[Promise], str]]] = {
    **REQUEST_EXPRESSIONS,
    **SERVING_EXPRESSIONS,
    **DRIFT_EXPRESSIONS,
    **QUALITY_EXPRESSIONS,
    **SLO_EXPRESSIONS,
}
"""The alerts of models, by name; the series carry model_name, model_version and team."""

SLOW: Final = frozenset(
    {
        *DRIFT_EXPRESSIONS,
        *QUALITY_EXPRESSIONS,
        *(name for name in SLO_EXPRESSIONS if name != "ErrorBudgetBurn1h"),
        "TrafficVanished",
        "ThroughputDrop",
        "LatencyAnomaly",
        "PredictedSloBreach",
        "QueueGrowing",
        "LowConfidence",
        "StaleModel",
        "ArtifactChanged",
        "UnregisteredVersion",
        "RetiredVersion",
        "VersionMissing",
    }
)
"""Those of models that read what moves in minutes: they are evaluated every two."""
