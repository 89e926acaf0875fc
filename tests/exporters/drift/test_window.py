"""Counts out of Prometheus's answers: what is taken, what is a failure, and of which model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from contract.profile import Profile
from contract.quantity import Duration
from contract.spec import Model
from exporters.drift.evaluate import evaluate
from exporters.drift.layout import Layout, layout
from exporters.drift.prometheus import PrometheusError, Sample
from exporters.drift.window import (
    BUCKETS,
    CATEGORIES,
    MISSING,
    Counts,
    Failure,
    expressions,
    read_counts,
)
from tests.exporters.drift.counting import Bins, category, numeric

HOUR, DAY = Duration.parse("1h"), Duration.parse("1d")


def _layout(*models: tuple[str, dict[str, Bins], Duration]) -> Layout:
    return layout(
        [Model(name=name, version="1", task="regression") for name, _, _ in models],
        [Profile(model_name=name, rows=100, features=features) for name, features, _ in models],
        [window for _, _, window in models],
    )


AGE = numeric(0, 40, 30, 30, 0, missing=2)
CITY = category({"Oslo": 60, "Rome": 40})
ONE = _layout(("m", {"age": AGE, "city": CITY}, HOUR))

Answers = dict[str, list[Sample]]


def _sample(value: float | str, model: str = "m", feature: str = "age", **labels: str) -> Sample:
    names = {"model_name": model, "model_version": "1", "feature_name": feature}
    return Sample(metric={**names, **labels}, value=(0.0, str(value)))


def _buckets(*texts: str, cumulative: Sequence[float], model: str = "m") -> list[Sample]:
    return [_sample(value, model, le=text) for text, value in zip(texts, cumulative, strict=True)]


WHOLE = _buckets("0.0", "1.0", "2.5", "10.0", "+Inf", cumulative=[1, 11, 31, 61, 62])


def _counts(layout: Layout, answers: Answers) -> Counts:
    by_expression = {text: answers.get(metric, []) for metric, text in expressions(HOUR).items()}
    return read_counts(layout, lambda text: by_expression[text])


def _read(layout: Layout, answers: Answers) -> tuple[list[list[float]], dict[int, Failure]]:
    counts = _counts(layout, answers)
    return counts.values.tolist(), counts.failures


def test_buckets_become_counts_of_bins() -> None:
    answers = {
        BUCKETS: WHOLE,
        MISSING: [_sample(7)],
        CATEGORIES: [
            _sample(5, feature="city", category="Rome"),
            _sample(3, feature="city", category="other"),
        ],
    }
    values, failures = _read(ONE, answers)
    assert values == [[7, 1, 10, 20, 30, 1], [0, 0, 5, 3, 0, 0]]
    assert failures == {}


def test_the_text_of_an_edge_does_not_matter() -> None:
    texts = ("0", "1e0", "2.50", "1e+01", "+Inf")
    values, failures = _read(ONE, {BUCKETS: _buckets(*texts, cumulative=[1, 11, 31, 61, 62])})
    assert values[0] == [0, 1, 10, 20, 30, 1]
    assert failures == {}


def test_a_bucket_that_falls_short_by_a_hair_is_no_negative_count() -> None:
    samples = _buckets("0.0", "1.0", "2.5", "10.0", "+Inf", cumulative=[5, 4.999, 9, 9, 9])
    assert min(_read(ONE, {BUCKETS: samples})[0][0]) == 0


def test_what_the_profile_does_not_know_is_left_alone() -> None:
    samples = [_sample(5, "stranger", le="1.0"), _sample(5, feature="new", le="1.0")]
    values, failures = _read(ONE, {BUCKETS: samples})
    assert not np.any(values)
    assert failures == {}


DIFFERING: dict[str, tuple[Answers, str]] = {
    "an edge that the profile does not have": (
        {BUCKETS: [*WHOLE, _sample(1, le="3.0")]},
        'feature age is counted with le="3.0", which its profile does not have',
    ),
    "an edge of the profile that nobody counts at": (
        {BUCKETS: [sample for sample in WHOLE if sample.metric["le"] != "2.5"]},
        'feature age is not counted at le="2.5", which its profile has',
    ),
    "an edge that is no number": (
        {BUCKETS: [*WHOLE, _sample(1, le="wide")]},
        'feature age is counted with le="wide", which its profile does not have',
    ),
    "a category that the profile does not have": (
        {CATEGORIES: [_sample(1, feature="city", category="Bonn")]},
        "feature city is counted with category Bonn, which its profile does not have",
    ),
    "a number counted as a category": (
        {CATEGORIES: [_sample(1, category="31")]},
        "feature age is counted with category 31, which its profile does not have",
    ),
    "a category counted as a number": (
        {BUCKETS: [_sample(1, feature="city", le="1.0")]},
        'feature city is counted with le="1.0", which its profile does not have',
    ),
}


@pytest.mark.parametrize(("answers", "text"), DIFFERING.values(), ids=DIFFERING.keys())
def test_other_bins_fail_the_model(answers: Answers, text: str) -> None:
    assert _read(ONE, answers)[1] == {0: Failure("bins", text)}


def test_other_bins_of_one_model_leave_the_next_alone() -> None:
    two = _layout(("bad", {"age": AGE}, HOUR), ("good", {"age": AGE}, HOUR))
    good = _buckets("0", "1", "2.5", "10", "+Inf", cumulative=[0, 40, 70, 100, 100], model="good")
    counts = _counts(two, {BUCKETS: [_sample(1, "bad", le="3.0"), *good]})
    found = evaluate(two, counts, time=0)
    assert list(found.failures) == [0]
    assert found.evaluated().tolist() == [False, True]


def test_a_window_that_cannot_be_asked_for_fails_its_models_alone() -> None:
    two = _layout(("short", {"age": AGE}, HOUR), ("long", {"age": AGE}, DAY))

    def query(text: str) -> list[Sample]:
        if "[1d]" in text:
            raise PrometheusError("too many samples")
        return WHOLE if BUCKETS in text else []

    failures = read_counts(two, query).failures
    assert failures == {1: Failure("prometheus", "too many samples")}


def test_one_query_a_metric_and_window_serves_all_models() -> None:
    features: dict[str, Bins] = {"age": AGE}
    many = _layout(*((f"m{i}", features, (HOUR, DAY)[i % 2]) for i in range(10)))
    asked: list[str] = []

    def query(text: str) -> list[Sample]:
        asked.append(text)
        return []

    read_counts(many, query)
    assert len(asked) == len(set(asked)) == 6
    assert asked[0] == (
        "sum by (model_name, model_version, feature_name, le) "
        "(increase(ml_feature_value_bucket[1h]))"
    )


def test_without_models_nothing_is_asked() -> None:
    nothing = _layout()
    found = evaluate(nothing, read_counts(nothing, lambda _: []), time=0)
    assert found.score.shape == (0,)


VERDICTS = {
    "a sample too few": (1000, 499, [0.25, 0.5, 0.25], False, False),
    "above warning": (1000, 500, [0.25, 0.5, 0.25], True, False),
    "above critical": (1000, 500, [0.2, 0.55, 0.25], True, True),
    "above both, yet below what a reference of 50 rows can tell": (
        50,
        500,
        [0.25, 0.5, 0.25],
        False,
        False,
    ),
}


@pytest.mark.parametrize(
    ("rows", "samples", "shares", "warning", "critical"), VERDICTS.values(), ids=VERDICTS.keys()
)
def test_verdicts_need_samples_threshold_and_noise_floor(
    rows: int, samples: int, shares: list[float], warning: bool, critical: bool
) -> None:
    """PSI is 0.18 and 0.30; thresholds are 0.1 and 0.25, min_samples is 500."""
    reference = [round(share * rows) for share in (0.4, 0.3, 0.3)]
    model = _layout(("m", {"age": numeric(0, *reference, 0)}, HOUR))
    below = np.cumsum([0, *(share * samples for share in shares), 0]).tolist()
    answers = {BUCKETS: _buckets("0", "1", "2.5", "10", "+Inf", cumulative=below)}
    found = evaluate(model, _counts(model, answers), time=0)
    verdicts = {name: bool(detected[0]) for name, detected in found.detected.items()}
    assert verdicts == {"warning": warning, "critical": critical}
