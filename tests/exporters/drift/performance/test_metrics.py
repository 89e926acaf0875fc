"""Metrics of counts are scikit-learn's of the rows that were counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from contract.profile import CONFIDENCE_EDGES, count_numeric
from exporters.drift.performance import confusion, errors, scores
from exporters.drift.performance.interval import Measured, of_share, wilson

Array = NDArray[np.float64]
Places = NDArray[np.int64]
EXACT = 1e-12


def classes(rng: np.random.Generator, n: int, k: int, right: float) -> tuple[Places, Places]:
    """Actual and predicted classes of n rows, `right` of them right."""
    actual = rng.choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    predicted = np.where(rng.random(n) < right, actual, rng.integers(0, k, n))
    return actual.astype(np.int64), predicted.astype(np.int64)


def matrix(actual: Places, predicted: Places, width: int) -> Array:
    counts = np.zeros((width, width))
    np.add.at(counts, (predicted, actual), 1)
    return counts


CONFUSIONS: dict[str, tuple[int, int, float]] = {
    "two classes": (500, 2, 0.8),
    "ten classes": (2_000, 10, 0.6),
    "thirty classes and few rows, so that some never occur": (40, 30, 0.3),
    "everything right": (300, 3, 1.0),
    "everything by chance": (300, 3, 0.0),
}


@pytest.mark.parametrize(("n", "k", "right"), CONFUSIONS.values(), ids=CONFUSIONS)
def test_averages_over_classes_are_those_of_scikit_learn(n: int, k: int, right: float) -> None:
    actual, predicted = classes(np.random.default_rng(1), n, k, right)
    # Two more classes, as other and as padding have them, change nothing.
    counts = matrix(actual, predicted, k + 2)
    found = {"accuracy": confusion.accuracy(counts), **confusion.averages(counts)}
    expected = {"accuracy": metrics.accuracy_score(actual, predicted)}
    for kind in ("macro", "weighted"):
        three = metrics.precision_recall_fscore_support(
            actual, predicted, average=kind, zero_division=0
        )
        expected |= {
            f"{name}_{kind}": value
            for name, value in zip(("precision", "recall", "f1"), three, strict=False)
        }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=EXACT), name
        assert 0 <= found[name].lower <= value + EXACT, name
        assert value - EXACT <= found[name].upper <= 1, name


@pytest.mark.parametrize("place", [0, 1])
def test_precision_recall_and_f1_of_a_class_are_those_of_scikit_learn(place: int) -> None:
    actual, predicted = classes(np.random.default_rng(2), 700, 2, 0.7)
    found = confusion.of_class(matrix(actual, predicted, 3), place)
    three = metrics.precision_recall_fscore_support(
        actual, predicted, average="binary", pos_label=place
    )
    for name, value in zip(("precision", "recall", "f1"), three, strict=False):
        assert found[name].value == pytest.approx(value, abs=EXACT)


def scored(
    rng: np.random.Generator, n: int, *, digits: int = 6, apart: float = 1.5
) -> tuple[Array, Array]:
    """What was true (0, 1) and scores that tell, calibrated."""
    logit = rng.normal(-1, apart, n)
    score = np.round(1 / (1 + np.exp(-logit)), digits)
    return (rng.random(n) < score).astype(float), score


def histograms(actual: Array, score: Array) -> tuple[Array, Array]:
    found = [count_numeric(CONFIDENCE_EDGES, score[actual == truth]) for truth in (1, 0)]
    return found[0].astype(float), found[1].astype(float)


def binned(score: Array) -> Array:
    return np.searchsorted(CONFIDENCE_EDGES, score).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_average_precision_of_binned_scores_are_those_of_scikit_learn(seed: int) -> None:
    actual, score = scored(np.random.default_rng(seed), 800)
    counts = histograms(actual, score)
    found = scores.auc(*counts)
    assert found.value == pytest.approx(metrics.roc_auc_score(actual, binned(score)), abs=EXACT)
    precise = scores.average_precision(*counts)
    expected = metrics.average_precision_score(actual, binned(score))
    assert precise.value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_what_bins_can_move_covers_auc_and_average_precision_of_raw_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    actual, score = scored(rng, 50_000, apart=0.3 + seed)
    positives, negatives = histograms(actual, score)
    p, n = positives.sum(), negatives.sum()
    ties = (positives * negatives).sum() / (2 * p * n)
    raw = metrics.roc_auc_score(actual, score)
    assert abs(raw - scores.auc(positives, negatives).value) <= ties
    found = scores.average_precision(positives, negatives)
    assert found.lower <= metrics.average_precision_score(actual, score) <= found.upper


def test_log_loss_and_brier_are_those_of_scikit_learn() -> None:
    actual, score = scored(np.random.default_rng(3), 900)
    n = np.array(900.0)
    loss = -np.log(np.where(actual == 1, score, 1 - score))
    found = scores.mean_loss(loss.sum(), (loss**2).sum(), n)
    assert found.value == pytest.approx(metrics.log_loss(actual, score), abs=EXACT)
    squared = (score - actual) ** 2
    found = scores.mean_loss(squared.sum(), (squared**2).sum(), n)
    assert found.value == pytest.approx(metrics.brier_score_loss(actual, score), abs=EXACT)


EDGES = np.array([0.0, *CONFIDENCE_EDGES, 1.0])


def test_calibration_error_is_right_to_half_a_bin() -> None:
    actual, score = scored(np.random.default_rng(4), 5_000)
    score = score**2  # too low, so that there is something to find
    bins = binned(score)
    expected = sum(
        (bins == place).mean() * abs(actual[bins == place].mean() - score[bins == place].mean())
        for place in set(bins)
    )
    found = scores.calibration_error(*histograms(actual, score), EDGES)
    assert abs(found.value - expected) <= 0.025
    assert found.lower <= expected <= found.upper
    assert found.lower > 0.05


def test_perfect_scores_are_within_the_interval_of_the_calibration_error() -> None:
    lower = [
        scores.calibration_error(*histograms(*scored(np.random.default_rng(seed), 300)), EDGES)
        for seed in range(200)
    ]
    assert sum(bool(found.lower > 0) for found in lower) <= 4


def sums(prediction: Array, actual: Array) -> errors.Sums:
    error = prediction - actual
    return errors.Sums(
        n=np.array(float(len(error))),
        absolute=np.abs(error).sum(),
        signed=error.sum(),
        squared=(error**2).sum(),
        quartic=(error**4).sum(),
        actual=actual.sum(),
        squared_actual=(actual**2).sum(),
    )


def test_metrics_of_errors_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    actual = rng.normal(150, 77, 400)
    prediction = actual + rng.normal(3, 40, 400)
    found = sums(prediction, actual)
    expected = {
        errors.mae: metrics.mean_absolute_error(actual, prediction),
        errors.rmse: metrics.root_mean_squared_error(actual, prediction),
        errors.r2: metrics.r2_score(actual, prediction),
        errors.bias: (prediction - actual).mean(),
    }
    for metric, value in expected.items():
        assert metric(found).value == pytest.approx(value, rel=1e-9)
        assert metric(found).lower < value < metric(found).upper


NOTHING: dict[str, Callable[[], Measured]] = {
    "no labels at all": lambda: confusion.accuracy(np.zeros((3, 3))),
    "averages of no labels": lambda: confusion.averages(np.zeros((3, 3)))["f1_macro"],
    "precision of a class that was never predicted": lambda: confusion.of_class(
        np.array([[5.0, 5.0], [0.0, 0.0]]), 1
    )["precision"],
    "recall of a class that never occurred": lambda: confusion.of_class(
        np.array([[5.0, 0.0], [5.0, 0.0]]), 1
    )["recall"],
    "F1 of a class that never came up": lambda: confusion.of_class(
        np.array([[5.0, 0.0], [0.0, 0.0]]), 1
    )["f1"],
    "AUC of one class only": lambda: scores.auc(np.zeros(21), np.ones(21)),
    "AUC of the other class only": lambda: scores.auc(np.ones(21), np.zeros(21)),
    "average precision without positives": lambda: scores.average_precision(
        np.zeros(21), np.ones(21)
    ),
    "calibration of nothing": lambda: scores.calibration_error(np.zeros(21), np.zeros(21), EDGES),
    "a loss of nothing": lambda: scores.mean_loss(*np.zeros((3, 1))),
    "the error of nothing": lambda: errors.mae(sums(np.zeros(0), np.zeros(0))),
    "R² of actual values that are all alike": lambda: errors.r2(
        sums(np.arange(9.0), np.full(9, 1e6))
    ),
}


@pytest.mark.parametrize("measure", NOTHING.values(), ids=NOTHING)
def test_what_nothing_defines_is_nan(measure: Callable[[], Measured]) -> None:
    with np.errstate(all="raise"):
        found = measure()
    assert np.isnan(found.value).all()
    assert np.isnan(found.lower).all()
    assert np.isnan(found.upper).all()


def test_everything_right_is_not_quite_certain() -> None:
    counts = np.diag([50.0, 50.0, 0.0])
    for found in (confusion.accuracy(counts), *confusion.averages(counts).values()):
        assert found.value == pytest.approx(1)
        assert 0.9 < found.lower < 0.99
    apart = np.zeros((2, 21))
    apart[0, 19], apart[1, 0] = 50, 50
    assert 0.9 < scores.auc(*apart).lower < 0.99


def test_wilson_is_as_published() -> None:
    # Newcombe (1998), table I: 81 of 263.
    found = wilson(np.array(81 / 263), np.array(263.0))
    assert found.lower == pytest.approx(0.2553, abs=1e-4)
    assert found.upper == pytest.approx(0.3662, abs=1e-4)


def test_a_share_of_known_variance_has_its_interval() -> None:
    share, n = np.array(0.7), np.array(90.0)
    assert of_share(share, share * (1 - share) / n, np.array(5.0)) == wilson(share, n)


def test_many_matrices_are_one_call() -> None:
    rng = np.random.default_rng(6)
    many = rng.integers(0, 50, (4, 5, 3, 3)).astype(float)
    together = confusion.averages(many)
    for name, found in together.items():
        assert found.value.shape == (4, 5)
        assert found.lower[2, 3] == pytest.approx(confusion.averages(many[2, 3])[name].lower)


COVERED = 300


@pytest.fixture(scope="module")
def coverage() -> dict[str, float]:
    """How often intervals of 200 rows hold the metric of the whole population."""
    rng = np.random.default_rng(7)
    truth, score = scored(rng, 400_000)
    predicted = (score > 0.5).astype(int)
    value = rng.gamma(4, 20, 400_000)
    guess = value + rng.laplace(5, 20, 400_000)

    def measured(rows: slice) -> dict[str, Measured]:
        counts = matrix(truth[rows].astype(int), predicted[rows], 2)
        split = histograms(truth[rows], score[rows])
        error = sums(guess[rows], value[rows])
        return {
            "accuracy": confusion.accuracy(counts),
            **confusion.of_class(counts, 1),
            **confusion.averages(counts),
            "auc": scores.auc(*split),
            "average_precision": scores.average_precision(*split),
            "mae": errors.mae(error),
            "rmse": errors.rmse(error),
            "bias": errors.bias(error),
            "r2": errors.r2(error),
        }

    whole = measured(slice(None))
    held = dict.fromkeys(whole, 0)
    for start in range(COVERED):
        for name, found in measured(slice(200 * start, 200 * (start + 1))).items():
            held[name] += bool(found.lower <= whole[name].value <= found.upper)
    return {name: count / COVERED for name, count in held.items()}


def test_intervals_hold_what_they_say(coverage: dict[str, float]) -> None:
    # Means of squares of what has heavy tails, as here, are the least sure ones.
    for name, share in coverage.items():
        assert share >= (0.88 if name in ("rmse", "r2") else 0.92), name
