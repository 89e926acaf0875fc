"""What can be made to go wrong in the running demo, and until when.

The model server holds all switches; the traffic generator asks it for those that are its own: what
the requests are like, how many there are, and what becomes of labels and business events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from examples.demo.data import Dataset

__all__ = ["EVERY", "LONGEST", "Change", "Faults", "Missing", "Shift", "Switches", "Unseen"]

LONGEST: Final = 60.0
"""Seconds by which a request is slower at most."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Switch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str | None = None
    """None in a change: the model's usual one."""


EVERY: Final = "*"
"""In the place of a feature: all that are numbers."""


class Shift(_Switch):
    """One feature of the traffic, or every one (*), moved away from the training data."""

    standard_deviations: float = 2.0
    """How far, in standard deviations of the training data."""


class Missing(_Switch):
    """One feature that some requests have no value of."""

    ratio: Share = 1.0


class Unseen(_Switch):
    """One feature of which some requests name a category that the model was not trained on."""

    ratio: Share = 1.0
    category: str = "unknown"


class Switches(BaseModel):
    """The switches of one model; as made, nothing is wrong."""

    model_config = ConfigDict(frozen=True)

    error_ratio: float = 0.0
    extra_latency_seconds: float = 0.0
    latency_growth: float = 0.0
    """By how many seconds requests get slower every second; it adds to extra_latency_seconds."""
    flat_confidence: float = 0.0
    """How far confidences are drawn towards not knowing at all, which they are at 1."""
    wrong_ratio: float = 0.0
    """The share of predictions that say another class, as surely as they would the right one."""
    throughput: float = 1.0
    """The share of the usual requests that are sent."""
    shift: Shift | None = None
    missing: Missing | None = None
    unseen: Unseen | None = None
    label_delay_seconds: float | None = None
    """From a prediction to its label; None: as usual."""
    lost_labels: float = 0.0
    """The share of labels that never come."""
    unconfirmed: float = 0.0
    """The share of biopsies that confirm nothing, whatever the label says."""


class Change(BaseModel):
    """What POST /faults takes; a switch that is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    """None: every model."""
    error_ratio: Share | None = None
    extra_latency_seconds: Annotated[float, Field(ge=0, le=LONGEST)] | None = None
    latency_growth: Annotated[float, Field(ge=0, le=1)] | None = None
    flat_confidence: Share | None = None
    wrong_ratio: Share | None = None
    throughput: Share | None = None
    shift: Shift | None = None
    missing: Missing | None = None
    unseen: Unseen | None = None
    label_delay_seconds: Annotated[float, Field(ge=0)] | None = None
    lost_labels: Share | None = None
    unconfirmed: Share | None = None
    for_seconds: Annotated[float, Field(gt=0)] | None = None
    """After so long, what this change set goes back to normal; None: never by itself."""


class Faults:
    """The switches of every model, each with an end or without one."""

    def __init__(
        self, models: Mapping[str, Dataset], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """All switches off; `models` are the data of each model by its name."""
        self._models = models
        self._clock = clock
        self._set: dict[str, dict[str, tuple[object, float, float | None]]] = {
            name: {} for name in models
        }
        """By model and switch: its value, since when, and until when."""

    def of(self, model: str) -> Switches:
        """What is switched on for a model now."""
        now = self._clock()
        switched = self._set[model]
        for name, (_, _, until) in list(switched.items()):
            if until is not None and now >= until:
                del switched[name]
        found = Switches.model_validate({name: value for name, (value, _, _) in switched.items()})
        if not found.latency_growth:
            return found
        grown = found.latency_growth * (now - switched["latency_growth"][1])
        latency = min(found.extra_latency_seconds + grown, LONGEST)
        return found.model_copy(update={"extra_latency_seconds": latency})

    def all(self) -> dict[str, Switches]:
        """Every model's switches now."""
        return {model: self.of(model) for model in self._set}

    def apply(self, change: Change) -> None:
        """Switch what the change names.

        Raises:
            ValueError: there is no such model or feature; nothing has changed.
        """
        now = self._clock()
        until = None if change.for_seconds is None else now + change.for_seconds
        wanted = {model: self._resolve(model, change) for model in self._named(change.model)}
        for model, switches in wanted.items():
            self._set[model] |= {name: (value, now, until) for name, value in switches.items()}

    def clear(self, model: str | None = None) -> None:
        """Switch everything off, for one model or all; ValueError when there is no such model."""
        for name in self._named(model):
            self._set[name].clear()

    def _named(self, model: str | None) -> list[str]:
        if model is None:
            return list(self._set)
        if model not in self._set:
            raise ValueError(f"model: no {model!r} here, only {', '.join(self._set)}")
        return [model]

    def _resolve(self, model: str, change: Change) -> dict[str, Any]:
        """The switches of a change, with the features that the model's data have.

        Of a change for every model, each gets what can be about it.
        """
        named = {name: getattr(change, name) for name in Switches.model_fields}
        dataset = self._models[model]
        found = {}
        for name, value in named.items():
            lacking = _lacking(name, dataset)
            if value is None or (lacking and change.model is None):
                continue
            if lacking:
                raise ValueError(f"{name}: {model} has no {lacking}")
            is_switch = isinstance(value, _Switch)
            found[name] = _with_feature(name, value, model, dataset) if is_switch else value
        return found


def _lacking(switch: str, dataset: Dataset) -> str:
    """What a switch needs and a model's data do not have."""
    if switch in {"flat_confidence", "wrong_ratio"} and dataset.task == "regression":
        return "classes"
    return "feature with categories" if switch == "unseen" and not dataset.categories else ""


def _with_feature(switch: str, value: _Switch, model: str, dataset: Dataset) -> _Switch:
    usual, possible = dataset.shifted_feature, dataset.feature_names
    if switch == "unseen":
        possible = tuple(dataset.categories)
        usual = possible[0]
    elif switch == "shift":
        possible = tuple(name for name in possible if name not in dataset.categories)
    feature = usual if value.feature is None else value.feature
    if feature not in possible and (switch, feature) != ("shift", EVERY):
        raise ValueError(
            f"{switch}.feature: {model} has no {feature!r}, only {', '.join(possible)}"
        )
    return value.model_copy(update={"feature": feature})
