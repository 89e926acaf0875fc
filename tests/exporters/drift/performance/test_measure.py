"""From outcomes to metrics and verdicts: what is said, and what is better left unsaid."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from contract import catalog
from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import Model, Promise
from contract.spec.performance import Drop
from exporters.drift.data_quality import failed_checks
from exporters.drift.performance.measure import Within, judge, measure
from exporters.drift.performance.outcomes import Outcomes, read_outcomes
from exporters.drift.performance.subject import Subject
from exporters.drift.prometheus import PrometheusError, RawSample

FALLEN = Promise(baseline=0.9, max_drop=Drop(0.05))
RISEN = Promise(baseline=10.0, max_drop=Drop(2.0))

VERDICTS: dict[str, tuple[str, Promise, tuple[float, float, float], float | None, bool]] = {
    "as it was": ("auc", FALLEN, (0.9, 0.88, 0.92), 0.0, False),
    "better": ("auc", FALLEN, (0.95, 0.94, 0.96), -0.05, False),
    "worse, but by less than max_drop": ("auc", FALLEN, (0.87, 0.86, 0.88), 0.03, False),
    "worse by more, which may be chance": ("auc", FALLEN, (0.8, 0.6, 0.95), 0.1, False),
    "worse by more than chance": ("auc", FALLEN, (0.8, 0.75, 0.85), 0.1, True),
    "an error that rose": ("mae", RISEN, (15.0, 14.0, 16.0), 5.0, True),
    "an error that rose by chance": ("mae", RISEN, (15.0, 9.0, 21.0), 5.0, False),
    "an error that fell": ("rmse", RISEN, (5.0, 4.0, 6.0), -5.0, False),
    "below its minimum": ("recall", Promise(min=0.8), (0.7, 0.6, 0.79), None, True),
    "below its minimum, which may be chance": (
        "recall", Promise(min=0.8), (0.7, 0.6, 0.81), None, False,
    ),
    "a loss above its maximum": ("log_loss", Promise(max=0.5), (0.7, 0.6, 0.8), None, True),
    "a bias on either side": ("bias", Promise(max=1), (-3.0, -4.0, -2.0), None, True),
    "a bias around nothing": ("bias", Promise(max=1), (3.0, -4.0, 10.0), None, False),
    "a bias that turned round": (
        "bias", Promise(baseline=-2, max_drop=Drop(0.5)), (2.0, 1.5, 2.5), 0.0, False,
    ),
    "a baseline alone": ("auc", Promise(baseline=0.9), (0.1, 0.05, 0.15), 0.8, False),
}  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "promise", "found", "drop", "decayed"), VERDICTS.values(), ids=VERDICTS
)
def test_a_verdict_needs_more_than_chance(
    metric: str,
    promise: Promise,
    found: tuple[float, float, float],
    drop: float | None,
    decayed: bool,
) -> None:
    verdict = judge(metric, promise, Within(*found))
    assert verdict.drop == (None if drop is None else pytest.approx(drop))
    assert verdict.decayed == decayed


def _subject(
    task: str = "binary_classification", classes: Sequence[str] = ("no", "yes")
) -> Subject:
    return Subject(
        Model.model_validate({"name": "m", "version": "1", "task": task}), tuple(classes)
    )


BINARY = _subject()


def _sample(value: float | str, **labels: str) -> RawSample:
    names = {"model_name": "m", "model_version": "1", **labels}
    return RawSample(metric=msgspec.Raw(msgspec.json.encode(names)), value=(0.0, str(value)))


def _read(
    subject: Subject, answers: dict[Metric, list[RawSample]]
) -> tuple[Outcomes, dict[int, str]]:
    def ask(text: str, _: float) -> list[RawSample]:
        named = {metric.name: found for metric, found in answers.items()}
        return next((own for name, own in named.items() if f"{name}{{" in text
                     or f"{name}_bucket{{" in text), [])  # fmt: skip

    found, failures = read_outcomes([subject], Duration.parse("1h"), ask, 0.0)
    return found[0], {number: failure.text for number, failure in failures.items()}


def test_two_classes_that_nobody_knows_are_neither_right_nor_wrong() -> None:
    own = Outcomes.of(BINARY)
    own.confusion[:] = [[60, 10, 0], [10, 60, 0], [5, 0, 500]]
    found = measure([BINARY], [own])[0]
    assert found.samples == 145
    assert found.metrics["accuracy"].value == pytest.approx(120 / 145)


def test_models_of_different_kinds_are_measured_together() -> None:
    subjects = [BINARY, _subject("multiclass_classification", "abc"), _subject("regression", ())]
    outcomes = [Outcomes.of(subject) for subject in subjects]
    outcomes[0].confusion[:2, :2] = [[90, 10], [10, 90]]
    outcomes[1].confusion[:3, :3] = np.diag([50, 50, 100])
    outcomes[2].sums = {
        (catalog.ERROR_SAMPLES.name, ""): 200.0,
        (catalog.ABSOLUTE_ERROR.name, ""): 400.0,
    }
    found = measure(subjects, outcomes)
    assert found[0].metrics["f1"].value == pytest.approx(0.9)
    assert found[1].metrics["recall_macro"].value == pytest.approx(1)
    assert "f1" not in found[1].metrics
    assert found[2].metrics["mae"].value == 2
    assert "accuracy" not in found[2].metrics


def test_with_few_labels_nothing_is_said() -> None:
    own = Outcomes.of(BINARY)
    own.confusion[:2, :2] = [[0, 49], [50, 0]]
    assert measure([BINARY], [own])[0].metrics == {}
    own.confusion[0, 1] += 1
    assert measure([BINARY], [own])[0].metrics["accuracy"].value == 0


def test_a_window_of_nothing_says_nothing() -> None:
    for subject in (BINARY, _subject("regression", ()), _subject("multiclass_classification", ())):
        found = measure([subject], [Outcomes.of(subject)])[0]
        assert (found.samples, found.metrics, found.estimated) == (0, {}, {})
        assert (found.coverage, found.delay) == (None, None)


def test_buckets_become_counts_of_bins() -> None:
    counted = (("0.05", 3), ("0.1", 5), ("0.95", 5), ("1.0", 9), ("+Inf", 9))
    buckets = [_sample(count, actual_class="yes", le=le) for le, count in counted]
    own, failures = _read(BINARY, {catalog.OUTCOME_SCORE: buckets})
    assert failures == {}
    assert own.scores[1, :2].tolist() == [3, 2]
    assert own.scores[0].sum() == 0


@pytest.mark.parametrize(
    ("counts", "median"),
    [
        ({"1.0": 0, "10.0": 0, "+Inf": 0}, None),
        ({"1.0": 10, "10.0": 10, "+Inf": 10}, 0.5),
        ({"1.0": 0, "10.0": 10, "+Inf": 10}, 5.5),
        ({"1.0": 0, "10.0": 1, "+Inf": 10}, 10.0),
    ],
    ids=["of nothing", "in the first bucket", "in a later bucket", "beyond all edges"],
)
def test_the_median_delay_is_read_off_its_buckets(
    counts: dict[str, float], median: float | None
) -> None:
    buckets = [_sample(count, le=le) for le, count in counts.items()]
    own, _ = _read(BINARY, {catalog.LABEL_DELAY: buckets})
    assert measure([BINARY], [own])[0].delay == median


STRANGE: dict[str, tuple[Metric, dict[str, str], str]] = {
    "a class": (
        catalog.OUTCOMES,
        {"predicted_class": "perhaps", "actual_class": "no"},
        'ml_outcomes_total is counted with predicted_class="perhaps", actual_class="no"',
    ),
    "an edge": (
        catalog.OUTCOME_SCORE,
        {"actual_class": "no", "le": "0.123"},
        'ml_outcome_score is counted with actual_class="no", le="0.123"',
    ),
    "an edge that is no number": (
        catalog.OUTCOME_SCORE,
        {"actual_class": "no", "le": "high"},
        'ml_outcome_score is counted with actual_class="no", le="high"',
    ),
}


@pytest.mark.parametrize(("metric", "labels", "text"), STRANGE.values(), ids=STRANGE)
def test_what_the_profile_does_not_have_is_an_error(
    metric: Metric, labels: dict[str, str], text: str
) -> None:
    _, failures = _read(BINARY, {metric: [_sample(4, **labels)]})
    assert failures == {0: f"{text}, which the profile does not have"}


def test_a_stranger_and_what_is_no_number_count_nothing() -> None:
    labels = {"predicted_class": "no", "actual_class": "no"}
    stranger = _sample(7, **{**labels, "model_name": "other"})
    own, failures = _read(BINARY, {catalog.OUTCOMES: [stranger, _sample("NaN", **labels)]})
    assert (own.confusion.sum(), failures) == (0, {})


def test_where_prometheus_fails_nothing_is_known() -> None:
    def ask(_: str, __: float) -> list[RawSample]:
        raise PrometheusError("it is down")

    _, failures = read_outcomes([BINARY], Duration.parse("1h"), ask, 0.0)
    assert failures[0].reason == "prometheus"


def test_long_windows_are_added_up_from_hours() -> None:
    asked: list[str] = []

    def ask(text: str, _: float) -> list[RawSample]:
        asked.append(text)
        return []

    for window in ("1d", "7d"):
        read_outcomes([BINARY], Duration.parse(window), ask, 0.0)
    assert any("increase(ml_outcomes_total{" in text and "[1d]" in text for text in asked)
    assert any("[1h]))[7d:1h])" in text for text in asked)


CHECKED = {
    "nothing bad": (0, 1_000, 0.0, 0),
    "a little more than allowed, of few": (8, 100, 0.05, 0),
    "a little more than allowed, of many": (800, 10_000, 0.05, 1),
    "all of too few": (29, 29, 0.05, 0),
    "anything at all where nothing is allowed": (1, 1_000, 0.0, 1),
    "everything allowed": (1_000, 1_000, 1.0, 0),
}


@pytest.mark.parametrize(("bad", "n", "limit", "failed"), CHECKED.values(), ids=CHECKED)
def test_a_check_fails_by_more_than_chance(bad: int, n: int, limit: float, failed: int) -> None:
    found = failed_checks(np.array([float(bad)]), np.array([float(n)]), np.array([limit]))
    assert found.tolist() == [failed]


def test_by_chance_alone_a_check_hardly_ever_fails() -> None:
    rng = np.random.default_rng(1)
    n = np.full(100_000, 400.0)
    bad = rng.binomial(400, 0.05, 100_000).astype(float)
    assert failed_checks(bad, n, np.full(100_000, 0.05)).mean() < 0.002
