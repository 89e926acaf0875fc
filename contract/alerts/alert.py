"""What an alert is, and a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from contract.quantity import Duration
from contract.spec import Model, Severity

__all__ = ["Alert", "CommonThreshold", "Display", "Promised", "Scope", "Threshold", "of_model"]

Display = Literal["percent", "duration", "number", "none"]
Scope = Literal["model", "gpu", "stack"]
Promised = Callable[[Model, Severity], Mapping[str, float]]
"""The thresholds of a model that an alert watches at a severity: by objective, "" where an alert
watches one promise only. Empty where the model promises nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; see `scope` for whom it is about.

    `summary` and `description` are Prometheus templates; `{threshold}` and `{value}` in them become
    the values at firing, shown as `display` says.
    """

    name: str
    severities: tuple[Severity, ...]
    hold: Duration
    summary: str
    description: str
    promised: Promised | None = None
    display: Display = "number"
    set_by: str = ""
    """The key of models.yaml that sets the threshold, for docs and notifications."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What every firing alert of the name carries besides its severity."""
    default: float | None = None
    """The threshold of an alert of GPUs or the stack, where models.yaml does not set another."""
    about_model: bool = False
    """Of an alert of the stack, whether its series name a model and its team, who are told then."""
    asked: bool = False
    """Whether only models have it that name it in `alerts`: for what is unusual, but may well be
    nothing, nobody is told who did not ask."""
    live_only: bool = False
    """Whether only models have it that are live: what is merely registered needs no target and no
    traffic, and need not be deployed."""
    retired_only: bool = False
    """Whether only versions have it that are retired, which have no other alert."""
    of_several: bool = False
    """Whether only models have it of which several versions may serve at once."""
    never_from: float = math.inf
    """From this threshold on the alert could never fire: nothing is above it."""
    never_to: float = -math.inf
    """Up to this threshold the alert could never fire: nothing is below it."""
    ends_within: Duration | None = None
    """Of an alert that ends by itself, for how long its condition holds at least, where the cause
    stays: longer it can neither wait nor take to escalate."""

    @property
    def scope(self) -> Scope:
        """Models have `promised`; what GPUs have is set under `gpu`."""
        if self.promised is not None:
            return "model"
        return "gpu" if self.set_by.startswith("gpu.") else "stack"


@dataclass(frozen=True, slots=True, order=True)
class Threshold:
    """The promise of one model that one alert watches; `value` in the alert's base unit."""

    alert: str
    severity: Severity
    hold: Duration
    model_name: str
    model_version: str
    team: str
    value: float
    objective: str = ""
    """Which promise, where the alert watches several: a metric of performance, a business ratio."""


@dataclass(frozen=True, slots=True, order=True)
class CommonThreshold:
    """What one alert watches that is no model's to set; `value` in the alert's base unit.

    It is the same on every GPU, or of the stack, of which most alerts have no threshold: 0.
    """

    alert: str
    severity: Severity
    hold: Duration
    value: float
    escalate_after: Duration | None = None


def of_model(name: str, default: float) -> Promised:
    """A threshold that `models[].alerts` sets."""

    def promised(model: Model, _: Severity) -> dict[str, float]:
        settings = model.alerts.get(name)
        chosen = None if settings is None else settings.threshold
        return {"": default if chosen is None else chosen}

    return promised
