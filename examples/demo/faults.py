"""What can be made to go wrong in the running demo, and until when.

The model server holds all switches; the traffic generator asks it for its own, the shift.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from examples.demo.data import read_dataset

__all__ = ["Change", "Faults", "Shift", "Switches"]


class Shift(BaseModel):
    """One feature of the traffic moved away from the training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str | None = None
    """None in a change: the model's usual one."""
    standard_deviations: float = 2.0
    """How far, in standard deviations of the training data."""


class Switches(BaseModel):
    """The switches of one model; as made, nothing is wrong."""

    model_config = ConfigDict(frozen=True)

    error_ratio: float = 0.0
    extra_latency_seconds: float = 0.0
    shift: Shift | None = None


class Change(BaseModel):
    """What POST /faults takes; a switch that is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    """None: every model."""
    error_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    extra_latency_seconds: Annotated[float, Field(ge=0, le=60)] | None = None
    shift: Shift | None = None
    for_seconds: Annotated[float, Field(gt=0)] | None = None
    """After so long, what this change set goes back to normal; None: never by itself."""


class Faults:
    """The switches of every model, each with an end or without one."""

    def __init__(self, models: Iterable[str], *, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._set: dict[str, dict[str, tuple[object, float | None]]] = {name: {} for name in models}

    def of(self, model: str) -> Switches:
        """What is switched on for a model now."""
        now = self._clock()
        switched = self._set[model]
        for name, (_, until) in list(switched.items()):
            if until is not None and now >= until:
                del switched[name]
        return Switches.model_validate({name: value for name, (value, _) in switched.items()})

    def all(self) -> dict[str, Switches]:
        """Every model's switches now."""
        return {model: self.of(model) for model in self._set}

    def apply(self, change: Change) -> None:
        """Switch what the change names.

        Raises:
            ValueError: there is no such model or feature; nothing has changed.
        """
        models = self._models(change.model)
        until = None if change.for_seconds is None else self._clock() + change.for_seconds
        shifts = {model: _resolve_shift(model, change.shift) for model in models}
        for model in models:
            wanted = {
                "error_ratio": change.error_ratio,
                "extra_latency_seconds": change.extra_latency_seconds,
                "shift": shifts[model],
            }
            self._set[model] |= {
                name: (value, until) for name, value in wanted.items() if value is not None
            }

    def clear(self, model: str | None = None) -> None:
        """Switch everything off, for one model or all; ValueError when there is no such model."""
        for name in self._models(model):
            self._set[name].clear()

    def _models(self, model: str | None) -> list[str]:
        if model is None:
            return list(self._set)
        if model not in self._set:
            raise ValueError(f"model: no {model!r} here, only {', '.join(self._set)}")
        return [model]


def _resolve_shift(model: str, shift: Shift | None) -> Shift | None:
    if shift is None:
        return None
    dataset = read_dataset(model)
    feature = dataset.shifted_feature if shift.feature is None else shift.feature
    if feature not in dataset.feature_names:
        names = ", ".join(dataset.feature_names)
        raise ValueError(f"shift.feature: {model} has no {feature!r}, only {names}")
    return shift.model_copy(update={"feature": feature})
