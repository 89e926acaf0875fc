"""Decoding into a struct made for the model counts what decoding into dictionaries counts."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.profile import build_profile
from contract.spec import Model
from exporters.sidecar.body import BodyError, Reader
from exporters.sidecar.counts import Histogram
from exporters.sidecar.event import Event
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.shape import Features
from tests.exporters.sidecar.serving import classifier_profile

# In version 3, `sender` is a number and `links` a category; `length` comes after another number.
CROSSED = build_profile(
    {
        "weight": [1.0, 2.0, 3.0],
        "sender": [1.0, 2.0, 3.0],
        "links": ["a", "b", "c"],
        "length": [10.0, 20.0, 30.0],
    },
    model_name="mail",
)


def sidecar() -> Intake:
    """Three versions of one model, of which the last has features of other types."""
    return Intake(
        [
            Layout.of(Model(name="mail", version=version, task="binary_classification"), profile)
            for version, profile in {
                "1": classifier_profile(),
                "2": classifier_profile(),
                "3": CROSSED,
            }.items()
        ]
        + [Layout.of(Model(name="plain", version="1", task="regression"), None)]
    )


def counted(bodies: list[bytes], *, lines: bool = False, shaped: bool) -> dict[str, Any]:
    """Everything that a sidecar has counted and said after these bodies."""
    intake = sidecar()
    reader = Reader(Event, intake.shapes if shaped else None)
    said = []
    for body in bodies:
        try:
            outcome = intake.take_predictions(reader.read(body, lines=lines))
        except BodyError as error:
            said.append(str(error))
        else:
            said.append(f"{outcome.accepted} {outcome.refusals}")
    return {**counts_of(intake), "said": said}


def counts_of(intake: Intake) -> dict[str, Any]:
    """Everything that was counted."""
    counts: dict[str, Any] = {
        f"{tally.layout.model.key} {item.name}": getattr(tally.counts, item.name)
        for tally in intake.tallies
        for item in fields(tally.counts)
    }
    ignored = [Counter(tally.ignored) for tally in intake.tallies]
    fields_ = Counter(intake.ignored_fields)
    return {**counts, "accepted": intake.accepted, "ignored": ignored, "fields": fields_}


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        if left.dtype.kind == "f":
            return np.allclose(left, right, rtol=1e-9)
        return np.array_equal(left, right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(left, Histogram):
        return same(left.counts, right.counts) and same(left.total, right.total)
    return bool(left == right)


def assert_same(bodies: list[bytes], *, lines: bool = False) -> None:
    """The same counts with and without a shape; floating-point sums within rounding."""
    fast = counted(bodies, lines=lines, shaped=True)
    plain = counted(bodies, lines=lines, shaped=False)
    assert [key for key in plain if not same(fast[key], plain[key])] == []


names = st.sampled_from(["length", "links", "sender", "reply", "weight", "new", "newer"])
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**30), 10**30),
    st.sampled_from(["de", "fr", "1", "xx", True, False, None, 1, 1.0, "1.0", 2, 20.0, 10**120]),
    st.lists(st.integers(), max_size=1),
)
events = st.fixed_dictionaries(
    {"model_name": st.sampled_from(["mail", "mail", "mail", "plain", "none"])},
    optional={
        "model_version": st.sampled_from(["1", "2", "3", "9"]),
        "features": st.dictionaries(names, values, max_size=7),
        "prediction": st.sampled_from(["ham", "spam", 1, True, [0.2, 0.8], None, {}]),
        "confidence": st.sampled_from([0, 0.5, 1, 2]),
        "latency_seconds": st.floats(0, 20),
        "status": st.sampled_from(["success", "error", "bad"]),
        "stages": st.dictionaries(st.sampled_from(["inference", "x"]), st.floats(0, 1)),
    },
)
batches = st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=4)


@settings(max_examples=50)
@given(batches)
@example([[{"model_name": "mail", "features": {"length": True}}]])
@example([[{"model_name": "mail", "features": {"length": 3, "new": 1}}]] * 3)
@example([[{"model_name": "mail", "model_version": "3", "features": {"sender": True}}]])
def test_a_shape_changes_no_number(found: list[list[dict[str, Any]]]) -> None:
    assert_same([json.dumps(batch).encode() for batch in found])


@settings(max_examples=50)
@given(batches)
def test_a_shape_changes_no_number_of_lines(found: list[list[dict[str, Any]]]) -> None:
    assert_same(
        ["\n".join(map(json.dumps, batch)).encode() for batch in found],
        lines=True,
    )


def read_features(intake: Intake, features: dict[str, Any]) -> Any:
    body = msgspec.json.encode([{"model_name": "mail", "features": features}])
    return Reader(Event, intake.shapes).read(body).events[0].features


def test_events_that_fit_are_decoded_into_the_shape() -> None:
    found = read_features(sidecar(), {"length": 3, "sender": "de"})
    assert isinstance(found, Features)
    assert dict(found.items()) == {"length": 3.0, "sender": "de"}
    assert (len(found), found["length"], found.get("links")) == (2, 3.0, None)


def test_a_feature_that_no_profile_knows_is_learned() -> None:
    intake = sidecar()
    assert isinstance(read_features(intake, {"new": 1}), dict)
    assert isinstance(read_features(intake, {"new": 1}), Features)


def test_what_is_learned_has_a_bound() -> None:
    intake = sidecar()
    for start in range(0, 200, 10):
        read_features(intake, {f"n{place}": 1 for place in range(start, start + 10)})
    assert isinstance(read_features(intake, {"n49": 1}), Features)
    assert isinstance(read_features(intake, {"n50": 1}), dict)


def test_an_event_is_written_as_it_was_read() -> None:
    intake = sidecar()
    body = b'{"model_name":"mail","features":{"length":3.5,"sender":"de"}}'
    [event] = Reader(Event, intake.shapes).read(body).events
    written = msgspec.json.decode(msgspec.json.encode(event))
    assert written["model_name"] == "mail"
    assert {n: v for n, v in written["features"].items() if v is not None} == {
        "length": 3.5,
        "sender": "de",
    }


@pytest.mark.parametrize("name", ["length", "sender", "new"])
def test_a_missing_feature_is_no_key(name: str) -> None:
    found = read_features(sidecar(), {"links": 1})
    assert name not in found
    with pytest.raises(KeyError):
        found[name]
