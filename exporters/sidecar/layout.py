"""What is counted of one model version: bins, classes and categories, frozen from its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import (
    CONFIDENCE_EDGES,
    CategoryBins,
    NumericBins,
    Profile,
    category_of,
)
from contract.spec import FeatureRange, Limits, Model
from exporters.sidecar.event import MAX_MAGNITUDE

__all__ = [
    "BATCH_EDGES",
    "DELAY_EDGES",
    "LATENCY_EDGES",
    "STAGES",
    "Categories",
    "Layout",
    "Numbers",
]

LATENCY_EDGES: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Seconds; the thresholds of a model's SLOs are added."""

BATCH_EDGES: Final = tuple(float(2**power) for power in range(11))

DELAY_EDGES: Final = (
    1.0,
    10.0,
    60.0,
    600.0,
    3_600.0,
    6 * 3_600.0,
    86_400.0,
    3 * 86_400.0,
    7 * 86_400.0,
    14 * 86_400.0,
    30 * 86_400.0,
    90 * 86_400.0,
)
"""Seconds from a prediction to its label."""

STAGES: Final = ("preprocess", "inference", "postprocess", "other")


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numeric features, side by side, so that a batch of them is binned at once.

    All counts lie in one array of `size`; feature f has its bins from `starts[f]` on and, after
    them, one count of missing values at `missing[f]`.

    `cuts`, shape [features, most edges], are the edges, and MAX_MAGNITUDE for every edge that
    others have more. Bin b of feature f is there where `bins[f, b]` is true, at `places`. `limits`,
    shape [features, 5], are what apart from that a feature's values are counted up to: all below
    -MAX_MAGNITUDE; MAX_MAGNITUDE; infinity; all below the range of models.yaml; its end.
    """

    names: tuple[str, ...]
    feature_edges: tuple[tuple[float, ...], ...]
    starts: NDArray[np.intp]
    missing: NDArray[np.intp]
    size: int
    cuts: NDArray[np.float64]
    limits: NDArray[np.float64]
    bins: NDArray[np.bool_]
    places: NDArray[np.intp]
    ranged: tuple[bool, ...]
    """Which features have a range: that of models.yaml, or else the profile's."""
    packing: Struct
    """One row of values as bytes."""

    @classmethod
    def of(
        cls, features: Mapping[str, NumericBins], ranges: Mapping[str, FeatureRange] | None = None
    ) -> Numbers:
        """Lay out the numeric features of a profile, with those `ranges` that are theirs."""
        names = tuple(features)
        edges = tuple(bins.edges for bins in features.values())
        widths = np.array([len(own) + 2 for own in edges], dtype=np.intp)
        ends = np.cumsum(widths, dtype=np.intp)
        starts = ends - widths
        most = max(map(len, edges), default=0)
        cuts = np.full((len(edges), most), MAX_MAGNITUDE)
        for row, own in zip(cuts, edges, strict=True):
            row[: len(own)] = np.clip(own, _BELOW, MAX_MAGNITUDE)
        valid = [(ranges or {}).get(name) or _wide_range(own) for name, own in features.items()]
        limits = np.empty((len(edges), 5))
        limits[:, :3] = _BELOW, MAX_MAGNITUDE, np.inf
        for row, within in zip(limits, valid, strict=True):
            row[3:] = _cut_range(within)
        bins = np.arange(most + 1) < widths[:, None] - 1
        places = (starts[:, None] + np.arange(most + 1))[bins]
        size = int(ends[-1]) if len(ends) else 0
        packing = Struct(f"{len(edges)}d")
        ranged = tuple(own is not None for own in valid)
        return cls(
            names, edges, starts, ends - 1, size, cuts, limits, bins, places, ranged, packing
        )


_BELOW: Final = float(np.nextafter(-MAX_MAGNITUDE, -np.inf))


def _wide_range(bins: NumericBins) -> FeatureRange | None:
    """What lies no farther outside of the training data than those are wide.

    Values a little beyond them are to be expected, and have bins of their own; a unit that is wrong
    or a -999 for what is missing is not. A constant says nothing of how wide values may be.
    """
    low, high = bins.edges[0], bins.edges[-1]
    width = high - low
    if len(bins.edges) <= 2 or not width <= MAX_MAGNITUDE:
        return None
    return FeatureRange(min=low - width, max=high + width)


def _cut_range(valid: FeatureRange | None) -> tuple[float, float]:
    low = -MAX_MAGNITUDE if valid is None or valid.min is None else valid.min
    high = MAX_MAGNITUDE if valid is None or valid.max is None else valid.max
    low, high = np.clip([low, high], -MAX_MAGNITUDE, MAX_MAGNITUDE)
    return float(np.nextafter(low, -np.inf)), float(high)


@dataclass(frozen=True, slots=True)
class Categories:
    """Names that are told apart; all others count in one more place, at `other`."""

    names: tuple[str, ...]
    places: Mapping[str, int]
    other: int

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Categories:
        """Number the names in their order."""
        return cls(names, {name: place for place, name in enumerate(names)}, len(names))

    @classmethod
    def most(cls, bins: CategoryBins, limit: int) -> Categories:
        """At most `limit` of the names of a profile: those that were most frequent in training."""
        counts = dict(zip(bins.categories, bins.counts, strict=False))
        kept = set(sorted(counts, key=counts.__getitem__, reverse=True)[:limit])
        return cls.of(tuple(name for name in bins.categories if name in kept))

    def place(self, value: float | str | bool) -> int:
        """Where a value counts."""
        return self.places.get(value if type(value) is str else category_of(value), self.other)


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is counted of one model version.

    Of a model without a profile, traffic, latency and confidence are counted; its classes all
    fold into `other`; its numeric predictions, features and outcomes are not counted. `notes` say
    so.
    """

    model: Model
    classifies: bool
    latency_edges: tuple[float, ...]
    confidence_edges: tuple[float, ...]
    classes: Categories
    value_edges: tuple[float, ...] | None
    numbers: Numbers
    categories: Mapping[str, Categories]
    notes: tuple[str, ...] = ()
    calibration_edges: tuple[float, ...] = ()
    """Bins of how right confidences are, by predicted class; none where the profile can't say."""
    features: frozenset[str] = field(default_factory=frozenset)
    columns: tuple[str, ...] = ()
    """The features in the order of the profile, for rows that come without names."""

    @classmethod
    def of(cls, model: Model, profile: Profile | None, limits: Limits | None = None) -> Layout:
        """The layout of a model version, with the profile that models.yaml gives it."""
        limits = limits or Limits()
        classifies = model.task != "regression"
        features = profile.features if profile else {}
        output = profile.prediction if profile else None
        confidence = profile.confidence if profile else None
        calibration = profile.calibration if profile else None
        classes = Categories.of(())
        if classifies and isinstance(output, CategoryBins):
            classes = Categories.most(output, limits.classes)
        edges = output.edges if not classifies and isinstance(output, NumericBins) else None
        promised = {pair.threshold.seconds for pair in model.slo.latency}
        return cls(
            model=model,
            classifies=classifies,
            latency_edges=_latency_edges(promised),
            confidence_edges=confidence.edges if confidence else CONFIDENCE_EDGES,
            classes=classes,
            value_edges=edges,
            numbers=Numbers.of(
                {name: bins for name, bins in features.items() if isinstance(bins, NumericBins)},
                model.ranges,
            ),
            categories={
                name: Categories.most(bins, limits.categories)
                for name, bins in features.items()
                if isinstance(bins, CategoryBins)
            },
            notes=_notes(model, profile, limits, known=bool(classes.names or edges)),
            calibration_edges=calibration.edges if calibration and classes.names else (),
            features=frozenset(features),
            columns=tuple(features),
        )

    @property
    def scores_outcomes(self) -> bool:
        """Whether labels give scores by class: of two classes, the last is the positive one."""
        return self.classifies and len(self.classes.names) == 2

    @property
    def counts_outcomes(self) -> bool:
        """Whether labels give a confusion matrix; with all classes in `other` it would lie."""
        return bool(self.classes.names)


def _notes(
    model: Model, profile: Profile | None, limits: Limits, *, known: bool
) -> tuple[str, ...]:
    classifies = model.task != "regression"
    notes = []
    for what, bins, limit in (
        ("classes", profile.prediction if profile else None, limits.classes),
        *((f, b, limits.categories) for f, b in (profile.features if profile else {}).items()),
    ):
        if isinstance(bins, CategoryBins) and len(bins.categories) > limit:
            notes.append(f"{what}: {limit} of {len(bins.categories)} are told apart by the limits")
    features = profile.features if profile else {}
    notes += [
        f"ranges: {name} is no numeric feature of the profile"
        for name in model.ranges
        if not isinstance(features.get(name), NumericBins)
    ]
    notes += [
        f"segments: {name} is no categorical feature of the profile"
        for name in model.segments
        if not isinstance(features.get(name), CategoryBins)
    ]
    if profile is None:
        notes.append("no profile: features are not counted")
    if not known:
        why = "no profile" if profile is None else "the profile has no such predictions"
        notes.append(
            f"{why}: all classes count as other, and outcomes are not counted"
            if classifies
            else f"{why}: the values of predictions are not counted"
        )
    return tuple(notes)


def _latency_edges(promised: set[float]) -> tuple[float, ...]:
    """The ladder and every promise, with an edge above the highest promise.

    A quantile in the last bucket is given as the highest edge; were that the promise itself,
    nothing could ever be slower than promised.
    """
    edges = {*LATENCY_EDGES, *promised}
    highest = max(edges)
    return tuple(sorted(edges | {2 * highest} if highest in promised else edges))
