"""Everything that is broken during the game day, and what is not."""

from __future__ import annotations

from typing import Final

from gameday.gpus import GPU_INCIDENTS
from gameday.incidents import INCIDENTS
from gameday.outages import OUTAGES
from gameday.scenario import Scenario

__all__ = ["SCENARIOS", "UNCOVERED"]

SCENARIOS: Final[tuple[Scenario, ...]] = (*INCIDENTS, *GPU_INCIDENTS, *OUTAGES)
"""In the order in which they are started, where nothing keeps them from it."""

_QUANTILE: Final = "the rule of HighLatencyP95 at another quantile, which no model here promises"
_DAYS: Final = (
    "the rule of ErrorBudgetBurn1h over windows that are longer than the game day: what it sees "
    "would never be over"
)

UNCOVERED: Final = {
    **dict.fromkeys(
        ("HighLatencyP50", "HighLatencyP90", "HighLatencyP99", "HighLatencyP999"), _QUANTILE
    ),
    **dict.fromkeys(("ErrorBudgetBurn6h", "ErrorBudgetBurn1d", "ErrorBudgetBurn3d"), _DAYS),
    "QueueGrowing": "the demo's model server has no queue that requests wait in",
    "StaleModel": "time alone makes a model too old: nothing can be broken",
    "ArtifactChanged": "the demo trains its models when it starts, so nothing is known of their "
    "files before",
    **dict.fromkeys(
        ("UnregisteredVersion", "RetiredVersion", "VersionMissing", "VersionWorse"),
        "the game day serves one version of each model, the one that is registered",
    ),
    "RemediationFailing": "no remediation is asked for here",
    "DriftEvaluationStale": "the collector has to fail for one model and not for the others",
    "MultivariateDrift": "it compares rows with a reference of rows, which no model here has",
    "EstimatedDecay": "a demo that is unsure of everything has too few such rows in its profile "
    "for an estimate to be certain",
    "ExporterStale": "an exporter has to answer and collect nothing, which no fault here does",
    "Watchdog": "it fires when nothing is wrong; the game day waits for it before it begins",
}
"""Alerts that no scenario sets off, and why."""
