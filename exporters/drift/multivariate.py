"""Drift of all features together, from rows: a domain classifier and PCA's reconstruction error.

Both see what no feature shows alone, such as two features that no longer belong together. Rows are
the reference's and a sample of the window's; plain numpy, tested against scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import category_of

__all__ = [
    "Found",
    "compare_rows",
    "domain_auc",
    "encode",
    "nearest",
    "reconstruction_errors",
]

Array = NDArray[np.float64]
Value = float | int | str | bool | None

NEIGHBOURS: Final = 15
PERMUTATIONS: Final = 499
"""With the sample itself 500: a p-value of 0.002 at the least."""

CATEGORIES: Final = 20
"""Categories of a column that get a place of their own, the most frequent ones."""

EXPLAINED: Final = 0.65
"""The share of the variance that the components of a reconstruction explain, as in NannyML."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the two methods say of a window's rows.

    `auc` is how well a classifier tells them from the reference's, 0.5 not at all; `error` is by
    how much worse they are reconstructed, 1 as well as the reference's own. Each with the p-value
    of that, and how many rows of the window there were.
    """

    auc: float
    auc_p_value: float
    error: float
    error_p_value: float
    rows: int


def compare_rows(
    reference: Mapping[str, Sequence[Value]],
    current: Mapping[str, Sequence[Value]],
    *,
    categories: Sequence[str] = (),
) -> Found:
    """Hold rows against the reference's, by the columns that both have; deterministic.

    Columns in `categories` are categories even where they hold numbers. As many rows of the
    reference are taken as there are current ones, and as many again for PCA, if it has them.
    Raises ValueError without rows or without a common column.
    """
    names = [name for name in reference if name in current]
    if not names:
        raise ValueError("the reference and the rows have no column in common")
    random = np.random.default_rng(0)
    before, now = encode(
        {name: reference[name] for name in names},
        {name: current[name] for name in names},
        categories=categories,
    )
    if min(len(before), len(now)) < 2 * NEIGHBOURS:
        raise ValueError(f"has {min(len(before), len(now))} rows, fewer than {2 * NEIGHBOURS}")
    before = before[random.permutation(len(before))]
    own = before[: len(now)]
    auc, auc_p_value = domain_auc(own, now, random)
    half = max(len(before) // 2, len(before) - len(now))
    expected, seen = reconstruction_errors(before[:half], before[half:], now)
    return Found(
        auc=auc,
        auc_p_value=auc_p_value,
        error=float(seen.mean() / expected.mean()) if expected.mean() > 0 else 1.0,
        error_p_value=_mean_p_value(expected, seen, random),
        rows=len(now),
    )


def encode(
    reference: Mapping[str, Sequence[Value]],
    current: Mapping[str, Sequence[Value]],
    *,
    categories: Sequence[str] = (),
) -> tuple[Array, Array]:
    """Rows as points: numbers in the reference's deviations, a place for each category.

    What is missing lies at the reference's mean, and has a place of its own that says so. Numbers
    are cut at 5 deviations, so that a single one does not outweigh all else.
    """
    parts: list[tuple[Array, Array]] = []
    for name, values in reference.items():
        other = current[name]
        if name in categories or any(isinstance(v, str | bool) for v in (*values, *other)):
            parts.append(_encode_categories(values, other))
        else:
            parts.append(_encode_numbers(values, other))
    return np.hstack([part[0] for part in parts]), np.hstack([part[1] for part in parts])


def _encode_numbers(reference: Sequence[Value], current: Sequence[Value]) -> tuple[Array, Array]:
    numbers = [np.array(side, dtype=np.float64) for side in (reference, current)]
    known = numbers[0][np.isfinite(numbers[0])]
    mean = known.mean() if len(known) else 0.0
    deviation = known.std() if len(known) else 0.0
    sides = []
    for values in numbers:
        missing = ~np.isfinite(values)
        apart = np.where(missing, 0.0, values - mean) / (deviation if deviation > 0 else 1.0)
        sides.append(np.column_stack([np.clip(apart, -5, 5), missing.astype(np.float64)]))
    return sides[0], sides[1]


def _encode_categories(reference: Sequence[Value], current: Sequence[Value]) -> tuple[Array, Array]:
    texts = [["" if v is None else category_of(v) for v in side] for side in (reference, current)]
    names, counts = np.unique(texts[0], return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")][:CATEGORIES].tolist()
    places = {name: place for place, name in enumerate(kept)}
    sides = []
    for side in texts:
        found = np.array([places.get(text, len(kept)) for text in side], dtype=np.int64)
        # Two categories are then as far apart as numbers of one deviation.
        sides.append(np.eye(len(kept) + 1)[found] / math.sqrt(2))
    return sides[0], sides[1]


def domain_auc(
    reference: Array, current: Array, random: np.random.Generator
) -> tuple[float, float]:
    """How well a nearest-neighbour classifier tells the sides apart: its AUC, and a p-value.

    A row's score is the share of current rows among its 15 nearest others, so no row is judged by
    itself. The p-value is the share of 499 permutations of the sides that do as well; neighbours
    stay what they are. Source: Henze, A Multivariate Two-Sample Test Based on the Number of Nearest
    Neighbor Type Coincidences (1988); as a domain classifier, Lopez-Paz and Oquab (2017).
    """
    points = np.vstack([reference, current])
    # Rows that are alike are each other's neighbours by chance, and not in the order of the sides.
    neighbours = nearest(points + random.normal(scale=1e-6, size=points.shape))
    sides = np.concatenate([np.zeros(len(reference)), np.ones(len(current))])
    seen = _auc(sides, neighbours)
    as_well = sum(
        _auc(random.permutation(sides), neighbours) >= seen - 1e-12 for _ in range(PERMUTATIONS)
    )
    return seen, (1 + as_well) / (1 + PERMUTATIONS)


def nearest(points: Array) -> NDArray[np.int64]:
    """The 15 nearest other points of each, by Euclidean distance; shape [points, 15]."""
    squares = (points**2).sum(axis=1)
    found = np.empty((len(points), NEIGHBOURS), dtype=np.int64)
    for start in range(0, len(points), 512):
        block = slice(start, min(start + 512, len(points)))
        distances = squares - 2 * (points[block] @ points.T)
        distances[np.arange(block.stop - start), np.arange(start, block.stop)] = np.inf
        found[block] = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return found


def _auc(sides: Array, neighbours: NDArray[np.int64]) -> float:
    scores = sides[neighbours].sum(axis=1).astype(np.int64)
    positives = np.bincount(scores[sides > 0], minlength=NEIGHBOURS + 1)
    negatives = np.bincount(scores[sides == 0], minlength=NEIGHBOURS + 1)
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / (positives.sum() * negatives.sum()))


def reconstruction_errors(fitted: Array, reference: Array, current: Array) -> tuple[Array, Array]:
    """How far rows lie from the plane of `fitted`'s main components; shapes [rows].

    The components are as many as explain 65% of the variance. Source: Pearson, On Lines and Planes
    of Closest Fit to Systems of Points in Space (1901); for drift, NannyML.
    """
    middle = fitted.mean(axis=0)
    _, singular, components = np.linalg.svd(fitted - middle, full_matrices=False)
    variance = singular**2
    total = variance.sum()
    if not total > 0:
        kept = components[:1]
    else:
        # The least number whose sum passes the share.
        count = int(np.searchsorted(np.cumsum(variance) / total, EXPLAINED)) + 1
        kept = components[:count]
    errors = []
    for side in (reference, current):
        apart = side - middle
        errors.append(np.sqrt(((apart - (apart @ kept.T) @ kept) ** 2).sum(axis=1)))
    return errors[0], errors[1]


def _mean_p_value(expected: Array, seen: Array, random: np.random.Generator) -> float:
    """How often permuted rows have means so far apart, either way."""
    both = np.concatenate([expected, seen])
    size = len(seen)
    apart = abs(seen.mean() - expected.mean())
    as_far = 0
    for _ in range(PERMUTATIONS):
        mixed = random.permutation(both)
        as_far += abs(mixed[:size].mean() - mixed[size:].mean()) >= apart - 1e-12
    return float((1 + as_far) / (1 + PERMUTATIONS))
