"""What keeps still while something worse says the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from contract.spec import ALERT_NAMES, SEVERITIES
from generator.queries.alerting.models import EVERY_TARGET
from generator.queries.slo import SLO_TIERS
from generator.routes.names import equals, one_of
from generator.text import quoted

__all__ = ["ABOUT", "inhibitions"]

ABOUT: Final = (
    "model_name",
    "model_version",
    "objective",
    "feature_name",
    "queue_name",
    "unregistered_version",
    "baseline_version",
    "target",
    "job",
    "instance",
    "integration",
    "rule_group",
    "gpu_id",
    "gpu_uuid",
    "action",
)
"""The labels that tell what an alert is about; what is missing on both sides counts as equal."""


def inhibitions() -> list[dict[str, Any]]:
    """What silences what.

    A worse severity silences a lesser one of the same alert, the fastest tier that burns an error
    budget the slower ones, and a model that is down its symptoms.

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
    return [*ladder, *_tiers(), *_down(), *_not_loaded()]


def _tiers() -> list[dict[str, Any]]:
    """Of the tiers that burn one objective's budget the fastest says it all."""
    return [
        {
            "source_matchers": [equals("slo_tier", tier)],
            "target_matchers": [one_of("slo_tier", slower)],
            "equal": ["model_name", "model_version", "objective"],
        }
        for index, tier in enumerate(SLO_TIERS)
        if (slower := SLO_TIERS[index + 1 :])
    ]


def _down() -> Iterator[dict[str, Any]]:
    """With a replica left, the model's other alerts are about the requests it still gets."""
    down, as_one = equals("alertname", "TargetDown"), quoted(f'target=~"{EVERY_TARGET}"')
    symptoms = one_of("alertname", [name for name in ALERT_NAMES if name != "TargetDown"])
    of_model = ["model_name", "model_version"]
    for none_left in (equals("targets", "1"), as_one):
        yield {
            "source_matchers": [down, none_left],
            "target_matchers": [symptoms],
            "equal": of_model,
        }
    yield {
        "source_matchers": [down, as_one],
        "target_matchers": [down, quoted(f'target!~"{EVERY_TARGET}"')],
        "equal": of_model,
    }


def _not_loaded() -> list[dict[str, Any]]:
    """Nobody wonders where the requests to a model are that is not loaded.

    One replica may be enough for that alert: what the others answer stays worth hearing.
    """
    about_traffic = [name for name in ("TrafficVanished", "ThroughputDrop") if name in ALERT_NAMES]
    if "ModelNotLoaded" not in ALERT_NAMES or not about_traffic:
        return []
    return [
        {
            "source_matchers": [equals("alertname", "ModelNotLoaded")],
            "target_matchers": [one_of("alertname", about_traffic)],
            "equal": ["model_name", "model_version"],
        }
    ]
