"""What keeps still while something worse says the same."""

from __future__ import annotations

from typing import Any, Final

from contract.spec import ALERT_NAMES, SEVERITIES
from generator.routes.names import equals, one_of

__all__ = ["ABOUT", "inhibitions"]

ABOUT: Final = (
    "model_name",
    "model_version",
    "objective",
    "feature_name",
    "target",
    "job",
    "instance",
    "gpu_id",
    "gpu_uuid",
)
"""The labels that tell what an alert is about; what is missing on both sides counts as equal."""


def inhibitions() -> list[dict[str, Any]]:
    """A worse severity silences a lesser one of the same alert; a model that is down, its symptoms.

    Alertmanager takes a label that is missing on both sides for equal, which is right for
    feature_name, and is why the stack's own alerts have a model_name, too.
    """
    ladder = [
        {
            "source_matchers": [equals("severity", severity)],
            "target_matchers": [one_of("severity", SEVERITIES[:index])],
            "equal": ["alertname", *ABOUT],
        }
        for index, severity in reversed(list(enumerate(SEVERITIES)))
        if index
    ]
    return [*ladder, _down()]


def _down() -> dict[str, Any]:
    symptoms = [name for name in ALERT_NAMES if name != "TargetDown"]
    return {
        # With a replica left, the model's other alerts are about the requests it still gets.
        "source_matchers": [equals("alertname", "TargetDown"), equals("targets", "1")],
        "target_matchers": [one_of("alertname", symptoms)],
        "equal": ["model_name", "model_version"],
    }
