"""Counts out of Prometheus's answers: what is taken, what is a failure, and of which model."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from contract.profile import Profile
from contract.quantity import Duration
from contract.spec import Model
from exporters.drift.evaluate import evaluate
from exporters.drift.layout import Layout, layout
from exporters.drift.prometheus import PrometheusError, RawSample
from exporters.drift.window import QUERIES, SOURCES, Counts, Failure, Span, read_counts
from tests.exporters.drift.counting import Bins, category, numeric

HOUR, DAY = Duration.parse("1h"), Duration.parse("1d")
NOW = 1_800_000_000.0
BUCKETS, CATEGORIES, MISSING, VALUES, CLASSES = (source.metric for source in SOURCES)


def _layout(*models: tuple[str, dict[str, Bins], Duration]) -> Layout:
    return layout(
        [Model(name=name, version="1", task="regression") for name, _, _ in models],
        [Profile(model_name=name, rows=100, features=features) for name, features, _ in models],
        [window for _, _, window in models],
    )


AGE = numeric(0, 40, 30, 30, 0, missing=2)
CITY = category({"Oslo": 60, "Rome": 40})
ONE = _layout(("m", {"age": AGE, "city": CITY}, HOUR))

Answers = dict[str, list[RawSample]]


def _sample(value: float | str, model: str = "m", feature: str = "age", **labels: str) -> RawSample:
    names = {"model_name": model, "model_version": "1", "feature_name": feature}
    return RawSample(
        metric=msgspec.Raw(msgspec.json.encode({**names, **labels})), value=(0.0, str(value))
    )


def _buckets(*texts: str, cumulative: Sequence[float], model: str = "m") -> list[RawSample]:
    return [_sample(value, model, le=text) for text, value in zip(texts, cumulative, strict=True)]


WHOLE = _buckets("0.0", "1.0", "2.5", "10.0", "+Inf", cumulative=[1, 11, 31, 61, 62])


def _counts(layout: Layout, answers: Answers) -> Counts:
    def ask(text: str, at: float) -> list[RawSample]:
        assert at == NOW
        return next((found for metric, found in answers.items() if metric + "{" in text), [])

    return read_counts(layout, ask, _spans(layout))


def _spans(layout: Layout) -> list[Span]:
    return [Span(window, NOW) for window in layout.windows]


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
        {BUCKETS: [sample for sample in WHOLE if b'"2.5"' not in bytes(sample.metric)]},
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

    def ask(text: str, _: float) -> list[RawSample]:
        if "[1d:1h]" in text:
            raise PrometheusError("too many samples")
        return WHOLE if BUCKETS in text else []

    failures = read_counts(two, ask, _spans(two)).failures
    assert failures == {1: Failure("prometheus", "too many samples")}


def _asked(layout: Layout) -> list[str]:
    asked: list[str] = []

    def ask(text: str, _: float) -> list[RawSample]:
        asked.append(text)
        return []

    read_counts(layout, ask, _spans(layout))
    return asked


def test_one_query_a_metric_and_window_serves_many_models() -> None:
    features: dict[str, Bins] = {"age": AGE}
    asked = _asked(_layout(*((f"m.{i}", features, (HOUR, DAY)[i % 2]) for i in range(4))))
    assert len(asked) == len(set(asked)) == 6
    assert (
        "sum by (model_name, model_version, feature_name, le) "
        r'(increase(ml_feature_value_bucket{model_name=~"m\\.0|m\\.2"}[1h]))'
    ) in asked


def test_a_long_window_is_added_up_from_hours() -> None:
    asked = _asked(_layout(("m", {"age": AGE}, DAY)))
    assert (
        "sum_over_time(sum by (model_name, model_version, feature_name) "
        '(increase(ml_feature_missing_total{model_name=~"m"}[1h]))[1d:1h])'
    ) in asked


def test_many_series_are_asked_for_in_parts_and_few_at_a_time() -> None:
    features: dict[str, Bins] = {f"f{number}": AGE for number in range(100)}
    many = _layout(*((f"m{i}", features, HOUR) for i in range(100)))
    running, most, asked = 0, 0, 0
    lock = threading.Lock()

    def ask(text: str, _: float) -> list[RawSample]:
        nonlocal running, most, asked
        with lock:
            running, asked = running + 1, asked + 1
            most = max(most, running)
        time.sleep(0.005)
        assert text.count("|") < 60
        with lock:
            running -= 1
        return []

    assert read_counts(many, ask, _spans(many)).failures == {}
    assert asked == 9
    assert most <= QUERIES


def test_a_failing_part_leaves_the_others_alone() -> None:
    features: dict[str, Bins] = {f"f{number}": AGE for number in range(3000)}
    two = _layout(("one", features, HOUR), ("two", features, HOUR))

    def ask(text: str, _: float) -> list[RawSample]:
        if '"one"' in text:
            raise PrometheusError("out of memory")
        return []

    assert read_counts(two, ask, _spans(two)).failures == {
        0: Failure("prometheus", "out of memory")
    }


def test_nothing_is_asked_after_the_deadline() -> None:
    asked: list[str] = []

    def ask(text: str, _: float) -> list[RawSample]:
        asked.append(text)
        return []

    counts = read_counts(ONE, ask, _spans(ONE), deadline=time.monotonic() - 1)
    assert asked == []
    assert counts.failures[0].reason == "prometheus"


def test_a_bug_while_reading_is_not_swallowed() -> None:
    def ask(_: str, __: float) -> list[RawSample]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_counts(ONE, ask, _spans(ONE))


def test_one_edge_written_in_two_ways_is_added_up() -> None:
    samples = [*WHOLE, *_buckets("0", "1", cumulative=[1, 11])]
    assert _read(ONE, {BUCKETS: samples})[0][0][1:3] == [2, 20]


def test_a_model_that_is_left_out_is_not_asked_for() -> None:
    two = _layout(("one", {"age": AGE}, HOUR), ("two", {"age": AGE}, HOUR))
    counts = read_counts(two, lambda *_: WHOLE, [None, Span(HOUR, NOW)])
    assert not counts.values.any()
    assert counts.failures == {}


def test_without_models_nothing_is_asked() -> None:
    nothing = _layout()
    found = evaluate(nothing, read_counts(nothing, lambda *_: [], []), time=0)
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


def _outputs(prediction: Bins) -> Layout:
    model = Model(name="m", version="1", task="regression")
    profile = Profile(model_name="m", rows=100, features={"age": AGE}, prediction=prediction)
    return layout([model], [profile], [HOUR])


PREDICTED: dict[str, tuple[Bins, Answers, list[float]]] = {
    "classes": (
        category({"no": 60, "yes": 40}),
        {CLASSES: [_sample(5, predicted_class="no"), _sample(2, predicted_class="other")]},
        [0, 5, 0, 2],
    ),
    "numbers": (
        numeric(0, 40, 30, 30, 0, missing=7),
        {VALUES: WHOLE},
        [0, 1, 10, 20, 30, 1],
    ),
}


@pytest.mark.parametrize(("bins", "answers", "expected"), PREDICTED.values(), ids=PREDICTED)
def test_predictions_are_a_row_of_their_own(
    bins: Bins, answers: Answers, expected: list[float]
) -> None:
    for found in answers.values():
        for sample in found:
            labels = msgspec.json.decode(sample.metric)
            sample.metric = msgspec.Raw(
                msgspec.json.encode({k: v for k, v in labels.items() if k != "feature_name"})
            )
    outputs = _outputs(bins)
    counts = _counts(outputs, answers)
    assert counts.failures == {}
    assert outputs.reference[1, 0] == 0  # what has no prediction is no value that is missing
    assert counts.values[1][: len(expected)].tolist() == expected
    # Predictions are judged, but are none of the features that a share is of.
    evaluation = evaluate(outputs, counts, time=NOW)
    assert evaluation.samples.tolist() == [0, sum(expected)]
    assert np.isnan(evaluation.share).all()


def test_a_class_that_the_profile_does_not_have_is_an_error() -> None:
    strange = _sample(5, feature="", predicted_class="perhaps")
    counts = _counts(_outputs(category({"no": 6, "yes": 4})), {CLASSES: [strange]})
    assert counts.failures[0].text == (
        "prediction is counted with category perhaps, which its profile does not have"
    )
