"""A model as its performance is measured: its classes, and what its confidences are worth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from contract.profile import OTHER, CategoryBins, Profile, read_profile
from contract.spec import Model, Spec
from contract.spec.performance import METRICS_OF_TASK, Promise
from exporters.drift.performance.estimate import Chances

__all__ = ["Subject", "read_subjects"]


@dataclass(frozen=True)
class Subject:
    """One model version. `classes` are those of its profile, the last of two the positive one."""

    model: Model
    classes: tuple[str, ...] = ()
    chances: Chances | None = None

    @classmethod
    def of(cls, model: Model, profile: Profile | None) -> Subject:
        """What the profile says of the model's classes and confidences."""
        output = profile.prediction if profile else None
        if model.task == "regression" or not isinstance(output, CategoryBins) or profile is None:
            return cls(model)
        calibration = profile.calibration
        return cls(model, output.categories, Chances.of(calibration) if calibration else None)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate((*self.classes, OTHER))}

    def place(self, name: str) -> int:
        """The place of a class; raises KeyError for one that the profile does not have."""
        return self._places[name]

    @cached_property
    def _bins(self) -> dict[float, int]:
        edges = self.chances.edges if self.chances else ()
        return {edge: place for place, edge in enumerate((*edges, math.inf))}

    def bin_of(self, edge: float) -> int:
        """The bin of confidence that ends there; raises KeyError where the profile has none."""
        return self._bins[edge]

    @property
    def width(self) -> int:
        """Classes, with the one for all others; of a regressor 2, as many as signs."""
        return max(len(self.classes) + 1, 2)

    def has_classes(self) -> bool:
        """Whether its outcomes are a confusion matrix."""
        return bool(self.classes)

    def has_scores(self) -> bool:
        """Whether its outcomes have scores: of two classes."""
        return len(self.classes) == 2

    def has_chances(self) -> bool:
        """Whether its performance can be estimated without labels."""
        return self.chances is not None

    def is_sliced(self) -> bool:
        """Whether its outcomes are counted by segment."""
        return bool(self.model.segments)

    def has_errors(self) -> bool:
        """Whether its outcomes are errors."""
        return self.model.task == "regression"

    def promises(self) -> Iterator[tuple[str, Promise]]:
        """What is promised of it; `defaults:` may promise what other tasks have."""
        known = METRICS_OF_TASK[self.model.task]
        return (pair for pair in self.model.performance.promises() if pair[0] in known)


def read_subjects(spec: Spec) -> tuple[Subject, ...]:
    """All models of models.yaml. Raises ProfileError for a profile that cannot be read."""
    return tuple(
        Subject.of(model, read_profile(spec.path(model.profile)) if model.profile else None)
        for model in spec.models
    )
