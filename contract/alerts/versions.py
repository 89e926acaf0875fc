"""The alert on versions of a model that serve at once."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert
from contract.quantity import Duration
from contract.spec import Model, Severity

__all__ = ["VERSION_ALERTS"]


def _comparison(model: Model, _: Severity) -> dict[str, float]:
    """The least difference that matters, of each aspect that the model has."""
    limits = model.comparison
    found = {"errors": limits.errors, "confidence": limits.confidence}
    if model.slo.latency:
        found["slow"] = limits.slow
    if model.task == "regression":
        found["mae"] = limits.mae
    else:
        found["accuracy"] = limits.accuracy
    if limits.predictions is not None:
        found["predictions"] = limits.predictions
    return found | {f"business_{ratio.name}": limits.business for ratio in model.business}


VERSION_ALERTS: Final = (
    Alert(
        "VersionWorse",
        ("error",),
        Duration.parse("10m"),
        "{model} is worse than {baseline}: {objective} is {value}, there {older}",
        "While both serve, {objective} is {value} of {model} and {older} of {baseline}, by "
        "{newer_samples} and {older_samples} counted at the same times. The difference is more "
        "than chance, and more than the {threshold} that comparison allows.",
        _comparison,
        "number",
        "models[].comparison",
        of_several=True,
    ),
)
