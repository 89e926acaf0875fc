"""The demo's data: sets that ship inside scikit-learn, each split once and for all.

What was held out is what the traffic replays, so that no request repeats a training row.
Importing this module is cheap; scikit-learn is loaded when data are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["DATASETS", "SERVED", "Dataset", "Label", "Rows", "Value", "read_dataset"]

DATASETS: Final = ("breast-cancer", "diabetes", "diabetes-risk")
SERVED: Final = ("breast-cancer", "diabetes")
"""What the demo's server and traffic are about unless told otherwise."""
HELD_OUT: Final = 0.4
SWAPS: Final = 20_000

# Of sixty seeds those whose parts are most alike, in the features and in what the models say.
SEEDS: Final = {"breast-cancer": 16, "diabetes": 33, "diabetes-risk": 30}

Label = str | float
Value = str | float
"""A feature's value: a number, or the name of a category."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """`features` is (rows, features) of float64; `labels` has one entry a row.

    A category stands there as its place among the dataset's categories of that feature.
    """

    features: NDArray[np.float64]
    labels: tuple[Label, ...]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One model's data."""

    name: str
    version: str
    task: Literal["binary_classification", "regression"]
    feature_names: tuple[str, ...]
    training: Rows
    held_out: Rows
    shifted_feature: str
    """The feature that the shift switch moves unless told otherwise."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the categories, of each feature that has some."""

    def named(self, row: Sequence[float]) -> dict[str, Value]:
        """A row of `features` as a request has it: by name, categories by theirs."""
        return {
            name: self.categories[name][int(value)] if name in self.categories else value
            for name, value in zip(self.feature_names, row, strict=True)
        }

    @property
    def standard_deviations(self) -> dict[str, float]:
        """Of each feature, over the training rows."""
        deviations = self.training.features.std(axis=0)
        return dict(zip(self.feature_names, deviations.tolist(), strict=True))


@cache
def read_dataset(name: str) -> Dataset:
    """The data of a model of the demo; KeyError for a model that it doesn't have."""
    if name not in _READERS:
        raise KeyError(f"no model {name!r} in the demo, only {', '.join(_READERS)}")
    return _READERS[name]()


def _read_breast_cancer() -> Dataset:
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    labels = tuple(str(raw.target_names[target]) for target in raw.target)
    training, held_out = _split("breast-cancer", raw.data, labels, strata=raw.target)
    return Dataset(
        name="breast-cancer",
        version="1.0.0",
        task="binary_classification",
        feature_names=tuple(map(str, raw.feature_names)),
        training=training,
        held_out=held_out,
        shifted_feature="mean radius",
    )


def _read_diabetes() -> Dataset:
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    labels = tuple(map(float, raw.target))
    tenths = np.digitize(raw.target, np.quantile(raw.target, np.linspace(0.1, 0.9, 9)))
    training, held_out = _split("diabetes", raw.data, labels, strata=tenths)
    return Dataset(
        name="diabetes",
        version="1.0.0",
        task="regression",
        feature_names=tuple(map(str, raw.feature_names)),
        training=training,
        held_out=held_out,
        shifted_feature="bmi",
    )


BAND_EDGES: Final = (35.0, 45.0, 55.0, 65.0)
BANDS: Final = ("under 35", "35 to 44", "45 to 54", "55 to 64", "65 and over")


def _read_diabetes_risk() -> Dataset:
    """Whether the disease progresses faster than in most; the age is a category here."""
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    names = ("age_band", *map(str, raw.feature_names[1:]))
    features = raw.data.copy()
    features[:, 0] = np.digitize(features[:, 0], BAND_EDGES)
    fast = raw.target > np.median(raw.target)
    labels = tuple("fast" if one else "slow" for one in fast)
    training, held_out = _split("diabetes-risk", features, labels, strata=fast.astype(np.int64))
    return Dataset(
        name="diabetes-risk",
        version="1.0.0",
        task="binary_classification",
        feature_names=names,
        training=training,
        held_out=held_out,
        shifted_feature="s1",
        categories={"age_band": BANDS},
    )


_READERS: Final = {
    "breast-cancer": _read_breast_cancer,
    "diabetes": _read_diabetes,
    "diabetes-risk": _read_diabetes_risk,
}


def _split(
    name: str,
    features: NDArray[np.float64],
    labels: tuple[Label, ...],
    *,
    strata: NDArray[np.int64],
) -> tuple[Rows, Rows]:
    """Training rows and held-out rows, the same every time, that look as alike as can be.

    Parts of a few hundred rows differ in some of thirty features by luck alone: the worst
    feature's PSI between two random parts is 0.15 at the median, so that the demo would alert
    when nothing is wrong. So rows of one stratum are swapped between the parts for as long as
    that brings the shares of every feature's deciles together.
    """
    random = np.random.default_rng(SEEDS[name])
    order = random.permutation(len(labels))
    order = order[np.argsort(strata[order], kind="stable")]
    held_out = np.zeros(len(labels), dtype=bool)
    # Evenly spaced over the rows in the order of their strata: every stratum gives its share.
    held_out[order[np.linspace(0, len(order) - 1, int(HELD_OUT * len(order))).astype(int)]] = True
    _balance(held_out, _deciles(features), strata, random)
    training, rest = (
        Rows(
            features=features[part],
            labels=tuple(label for label, chosen in zip(labels, part, strict=True) if chosen),
        )
        for part in (~held_out, held_out)
    )
    return training, rest


def _deciles(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """For every row and feature a 1 in the place of its decile; (rows, 10 * features)."""
    edges = np.quantile(features, np.linspace(0.1, 0.9, 9), axis=0)
    decile = (features[:, :, np.newaxis] > edges.T).sum(axis=2)
    places: NDArray[np.float64] = np.eye(10)[decile].reshape(len(features), -1)
    return places


def _balance(
    held_out: NDArray[np.bool_],
    deciles: NDArray[np.float64],
    strata: NDArray[np.int64],
    random: np.random.Generator,
) -> None:
    """Swap rows between the parts, in place, where that makes the parts more alike."""
    apart = deciles[held_out].mean(axis=0) - deciles[~held_out].mean(axis=0)
    step = 1 / held_out.sum() + 1 / (~held_out).sum()
    for one, other in random.integers(len(held_out), size=(SWAPS, 2)):
        if held_out[one] == held_out[other] or strata[one] != strata[other]:
            continue
        inside, outside = (one, other) if held_out[one] else (other, one)
        swapped = apart + step * (deciles[outside] - deciles[inside])
        if swapped @ swapped < apart @ apart:
            apart = swapped
            held_out[inside], held_out[outside] = False, True
