"""References out of the models' own past: which past, and when it is asked for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from contract.read import read_spec
from contract.spec import Spec
from exporters.drift.cycle import Cycle
from exporters.drift.layout import Layout, read_layout
from exporters.drift.past import Past, reference_span
from exporters.drift.prometheus import PrometheusError, RawSample
from tests.exporters.drift.counting import numeric, write_models

NOON = dt.datetime(2026, 10, 9, 12, 34, 56, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0
MOVING: dict[str, object] = {"reference": {"window": "7d", "offset": "1d"}}
FIXED: dict[str, object] = {"reference": {"from": "2026-10-01", "to": "2026-10-08T12:00:00Z"}}


def _read(folder: Path, drift: dict[str, dict[str, object]], **options: Any) -> Spec:
    features = {"age": numeric(0, 400, 300, 300, 0)}
    path = write_models(folder, {name: dict(features) for name in drift}, drift=drift)
    return read_spec(path, **options)


def _span(folder: Path, drift: dict[str, object], at: float, **options: Any) -> tuple[str, float]:
    spec = _read(folder, {"m": drift}, **options)
    reference = spec.models[0].drift.reference
    assert reference is not None
    window, end = reference_span(reference, spec, at)
    return str(window), end


def test_a_moving_reference_moves_in_steps_that_follow_from_the_time_alone(tmp_path: Path) -> None:
    on_the_hour = NOON - 34 * 60 - 56
    assert _span(tmp_path, MOVING, NOON) == ("7d", on_the_hour - DAY)
    assert _span(tmp_path, MOVING, on_the_hour) == ("7d", on_the_hour - DAY)
    assert _span(tmp_path, MOVING, on_the_hour - 1) == ("7d", on_the_hour - DAY - 3600)


def test_a_fixed_reference_is_the_same_at_any_time(tmp_path: Path) -> None:
    end = dt.datetime(2026, 10, 8, 12, tzinfo=dt.UTC).timestamp()
    for at in (end - DAY, end, end + 30 * DAY):
        assert _span(tmp_path, FIXED, at) == ("7d12h", end)


def test_a_time_scale_shortens_what_moves_and_not_what_is_fixed(tmp_path: Path) -> None:
    window, end = _span(tmp_path, MOVING, NOON, time_scale=3600)
    assert (window, end) == ("2m48s", NOON - 24)
    assert _span(tmp_path, FIXED, NOON, time_scale=3600)[0] == "7d12h"


class _Counted:
    """What Prometheus counted: `counts` of the feature's bins at any time, or nothing."""

    def __init__(self, *counts: int) -> None:
        self.counts = counts
        self.asked: list[tuple[str, float]] = []
        self.broken = False

    def __call__(self, text: str, at: float) -> list[RawSample]:
        self.asked.append((text, at))
        if self.broken:
            raise PrometheusError("refused")
        if "bucket" not in text or not self.counts:
            return []
        edges = ("0.0", "1.0", "2.5", "10.0", "+Inf")
        labels = {"model_name": "m", "model_version": "1", "feature_name": "age"}
        return [
            RawSample(
                metric=msgspec.Raw(msgspec.json.encode({**labels, "le": le})),
                value=(at, str(count)),
            )
            for le, count in zip(edges, np.cumsum(self.counts).tolist(), strict=True)
        ]


def _past(folder: Path, drift: dict[str, object]) -> tuple[Past, Layout]:
    spec = _read(folder, {"m": drift})
    layout = read_layout(spec)
    return Past(spec, layout), layout


def test_the_past_takes_the_place_of_the_profile(tmp_path: Path) -> None:
    past, layout = _past(tmp_path, MOVING)
    held = past.held(_Counted(0, 10, 20, 70, 5), NOON)
    assert held.failures == {}
    assert held.counts.tolist() == [[0, 0, 10, 20, 70, 5]]
    assert layout.reference.tolist() == [[0, 0, 400, 300, 300, 0]]
    assert not np.array_equal(held.places, layout.places)


def test_without_a_reference_nothing_is_asked(tmp_path: Path) -> None:
    past, layout = _past(tmp_path, {})
    counted = _Counted()
    held = past.held(counted, NOON)
    assert counted.asked == []
    assert np.array_equal(held.counts, layout.reference)


def test_the_same_past_is_asked_for_once(tmp_path: Path) -> None:
    past, _ = _past(tmp_path, MOVING)
    counted = _Counted(0, 10, 20, 70, 0)
    for seconds in (0, 60, 120):
        past.held(counted, NOON + seconds)
    assert len(counted.asked) == 3  # one for each metric
    assert "[7d:1h]" in counted.asked[0][0]
    past.held(counted, NOON + 3600)
    assert len(counted.asked) == 6


def test_a_past_that_could_not_be_asked_for_is_asked_for_again(tmp_path: Path) -> None:
    past, _ = _past(tmp_path, MOVING)
    counted = _Counted(0, 10, 20, 70, 0)
    counted.broken = True
    assert past.held(counted, NOON).failures[0].reason == "prometheus"
    counted.broken = False
    assert past.held(counted, NOON).failures == {}


def test_a_reference_that_is_still_collected_is_a_failure_that_says_so(tmp_path: Path) -> None:
    past, _ = _past(tmp_path, FIXED)
    counted = _Counted(0, 10, 20, 70, 0)
    failure = past.held(counted, NOON - 7 * DAY).failures[0]
    assert failure.reason == "reference"
    assert failure.text == "the reference is collected until 2026-10-08T12:00:00Z"
    assert counted.asked == []
    assert past.held(counted, NOON).failures == {}


def test_a_past_in_which_nothing_was_counted_is_a_failure_until_it_is_another(
    tmp_path: Path,
) -> None:
    past, _ = _past(tmp_path, FIXED)
    counted = _Counted()
    for _ in range(2):
        failure = past.held(counted, NOON).failures[0]
        assert failure.reason == "reference"
        assert failure.text.startswith(
            "nothing was counted from 2026-10-01T00:00:00Z to 2026-10-08T12:00:00Z; `baseline`"
        )
    assert len(counted.asked) == 3


def test_a_model_without_its_reference_is_not_evaluated(tmp_path: Path) -> None:
    spec = _read(tmp_path, {"m": FIXED, "n": {}})
    counted = _Counted(0, 400, 300, 300, 0)
    found = Cycle(spec, read_layout(spec)).evaluate(counted, NOON - 7 * DAY)
    assert {number: failure.reason for number, failure in found.failures.items()} == {
        0: "reference"
    }
    assert not any('"m"' in text for text, _ in counted.asked)


def test_what_is_as_it_was_last_week_is_no_drift(tmp_path: Path) -> None:
    """However far from its training data: the profile has 40, 30 and 30 of 100."""
    spec = _read(tmp_path, {"m": MOVING})
    counted = _Counted(0, 100, 200, 700, 0)
    found = Cycle(spec, read_layout(spec)).evaluate(counted, NOON)
    assert found.score[0] == 0
    assert found.samples[0] == 1000
    trained = _read(tmp_path, {"m": {}})
    moved = Cycle(trained, read_layout(trained)).evaluate(counted, NOON)
    assert moved.detected["critical"][0]
