"""Performance without labels: right where confidences are as right as they were, and how surely."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from contract.profile import CALIBRATION_EDGES, Calibration, build_profile
from exporters.drift.performance.estimate import Chances, estimate
from exporters.drift.performance.interval import Array
from tests.exporters.drift.performance.rows import Rows, classifier, profile_of

BINS = len(CALIBRATION_EDGES) + 1


def confidences(rows: Rows, classes: tuple[str, ...]) -> Array:
    counts = np.zeros((len(classes), BINS))
    places = np.array([classes.index(name) for name in rows.prediction])
    bins = np.searchsorted(CALIBRATION_EDGES, np.array(rows.confidence))
    np.add.at(counts, (places, bins), 1)
    return counts


def calibration(rows: Rows) -> Calibration:
    found = profile_of("m", rows).calibration
    assert found is not None
    return found


def shifted(seed: int, n: int, mean: float, *, sureness: float = 1.0) -> Rows:
    """Yes as often as its score says; scores lie elsewhere, and are said `sureness` times surer."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(mean, 1.5, n)
    actual = rng.random(n) < 1 / (1 + np.exp(-logit))
    score = 1 / (1 + np.exp(-logit * sureness))
    names = np.array(["no", "yes"])
    return Rows(
        {"x": rng.normal(size=n).tolist()},
        names[(score > 0.5).astype(int)].tolist(),
        names[actual.astype(int)].tolist(),
        np.maximum(score, 1 - score).tolist(),
        score.tolist(),
    )


def truth(rows: Rows) -> dict[str, float]:
    three = metrics.precision_recall_fscore_support(
        rows.actual, rows.prediction, average="binary", pos_label="yes"
    )
    macro = metrics.f1_score(rows.actual, rows.prediction, average="macro")
    positive = np.array(rows.actual) == "yes"
    return {
        "accuracy": metrics.accuracy_score(rows.actual, rows.prediction),
        "precision": three[0],
        "recall": three[1],
        "f1": three[2],
        "f1_macro": macro,
        "auc": metrics.roc_auc_score(positive, rows.score),
    }


SITUATIONS = {
    "inputs as they were": (0.0, 1.0),
    "inputs of which more are yes": (1.5, 1.0),
    "inputs that are easier": (-3.0, 1.0),
    "scores that were always too sure": (0.5, 2.5),
    "scores that were never sure enough": (-1.0, 0.4),
}


@pytest.mark.parametrize(("mean", "sureness"), SITUATIONS.values(), ids=SITUATIONS)
def test_estimates_are_near_what_labels_would_say(mean: float, sureness: float) -> None:
    chances = Chances.of(calibration(shifted(1, 20_000, 0.0, sureness=sureness)))
    window = shifted(2, 20_000, mean, sureness=sureness)
    found = estimate(confidences(window, ("no", "yes")), chances)
    for name, value in truth(window).items():
        # Scores that gather at one end of a bin are a little surer, or less so, than the bin was.
        assert found[name].value == pytest.approx(value, abs=0.06), name
        assert found[name].lower - 0.01 < value < found[name].upper + 0.01, name


def test_the_interval_holds_what_labels_say() -> None:
    held = dict.fromkeys(truth(shifted(0, 500, 0.0)), 0)
    for seed in range(100):
        chances = Chances.of(calibration(shifted(1_000 + seed, 1_000, 0.0)))
        window = shifted(seed, 300, 0.5)
        found = estimate(confidences(window, ("no", "yes")), chances)
        for name, value in truth(window).items():
            held[name] += bool(found[name].lower <= value <= found[name].upper)
    assert min(held.values()) >= 90, held


def test_with_few_rows_in_the_profile_little_is_certain() -> None:
    window = confidences(classifier(1, 5_000), ("no", "yes"))
    few, many = (
        estimate(window, Chances.of(calibration(classifier(2, n))))["accuracy"]
        for n in (50, 50_000)
    )
    assert few.upper - few.lower > 3 * (many.upper - many.lower)


def test_without_any_row_of_a_bin_its_confidence_is_believed() -> None:
    empty = Calibration(
        edges=CALIBRATION_EDGES,
        predicted=((0,) * BINS,) * 2,
        correct=((0,) * BINS,) * 2,
        confusion=((0,) * 3,) * 3,
    )
    right = Chances.of(empty).right
    assert right[0, 13] == pytest.approx(0.675)
    assert right[1, 19] == pytest.approx(0.96)


def test_being_right_never_falls_with_confidence() -> None:
    chances = Chances.of(calibration(classifier(3, 300)))
    assert (np.diff(chances.right, axis=1) >= 0).all()


def test_confusions_among_many_classes_are_those_of_the_profile() -> None:
    rng = np.random.default_rng(4)
    n = 30_000
    sure = rng.uniform(0.4, 1, n)
    names = np.array(["a", "b", "c"])
    predicted = rng.integers(0, 3, n)
    # Where it is wrong, a is taken for b, b for c and c for a.
    actual = np.where(rng.random(n) < sure, predicted, (predicted + 1) % 3)
    profile = build_profile(
        {
            "x": sure.tolist(),
            "said": names[predicted].tolist(),
            "true": names[actual].tolist(),
            "sure": sure.tolist(),
        },
        model_name="m",
        prediction="said",
        confidence="sure",
        label="true",
    )
    assert profile.calibration is not None
    rows = slice(0, 3_000)
    window = Rows({}, names[predicted[rows]].tolist(), names[actual[rows]].tolist(),
                  sure[rows].tolist())  # fmt: skip
    found = estimate(confidences(window, ("a", "b", "c")), Chances.of(profile.calibration))
    three = metrics.precision_recall_fscore_support(
        window.actual, window.prediction, average="macro"
    )
    for name, value in zip(("precision_macro", "recall_macro", "f1_macro"), three, strict=False):
        assert found[name].value == pytest.approx(value, abs=0.02)
    assert "auc" not in found


def test_nothing_predicted_is_nothing_estimated() -> None:
    found = estimate(np.zeros((2, BINS)), Chances.of(calibration(classifier(5, 500))))
    assert all(np.isnan(own.value) for own in found.values())


def test_a_class_that_was_never_predicted_has_no_precision() -> None:
    counts = np.zeros((2, BINS))
    counts[0, 18] = 1_000
    found = estimate(counts, Chances.of(calibration(classifier(6, 500))))
    assert np.isnan(found["precision"].value)
    assert found["accuracy"].value > 0.8
