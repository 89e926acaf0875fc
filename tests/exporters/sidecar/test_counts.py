"""Counting: the same bins as the profile's, Prometheus's semantics, and sums that add up."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from contract.profile import NumericBins, count_numeric
from contract.quantity import Duration
from contract.spec import Latency, Model, Slo
from exporters.sidecar.counts import Counts, count_events
from exporters.sidecar.event import Event, Value
from exporters.sidecar.layout import LATENCY_EDGES, Layout
from tests.exporters.sidecar.serving import classifier_profile, regressor_profile

PROFILE = classifier_profile()
MAIL = Layout.of(Model(name="mail", version="1", task="binary_classification"), PROFILE)
LENGTH = PROFILE.features["length"]
assert isinstance(LENGTH, NumericBins)
EDGES = LENGTH.edges

UNKNOWN = "the profile has no such predictions"

values = st.lists(
    st.one_of(st.sampled_from(EDGES), st.floats(-1e6, 1e6), st.integers(-5, 400)), min_size=1
)


def counted(layout: Layout, feature: str, found: list[Value]) -> tuple[list[int], float, int]:
    """The bins, the sum and the missing values of a numeric feature."""
    counts = count_events(layout, [Event("mail", features={feature: value}) for value in found])
    numbers = layout.numbers
    place = numbers.names.index(feature)
    start, missing = int(numbers.starts[place]), int(numbers.missing[place])
    return (
        counts.numbers[start:missing].tolist(),
        float(counts.number_totals[place]),
        int(counts.numbers[missing]),
    )


@given(values)
def test_bins_are_those_of_the_profile(found: list[Value]) -> None:
    bins, total, missing = counted(MAIL, "length", found)
    assert bins == count_numeric(EDGES, np.array(found, dtype=np.float64)).tolist()
    assert math.isclose(total, math.fsum(map(float, found)), rel_tol=1e-9, abs_tol=1e-6)  # type: ignore[arg-type]
    assert missing == 0


@given(values)
def test_bins_are_those_of_a_prometheus_histogram(found: list[Value]) -> None:
    registry = CollectorRegistry()
    peer = Histogram("peer", "", buckets=EDGES, registry=registry)
    for value in found:
        peer.observe(float(value))  # type: ignore[arg-type]
    bins, _, _ = counted(MAIL, "length", found)
    expected = [registry.get_sample_value("peer_bucket", {"le": repr(edge)}) for edge in EDGES]
    assert np.cumsum(bins).tolist()[:-1] == expected


@given(st.lists(st.sampled_from(["x", None, 1.0, True, 10**400, 1e300, 10**30, -3]), min_size=1))
def test_every_value_is_counted_once_whatever_it_is(found: list[Value]) -> None:
    counts = count_events(MAIL, [Event("mail", features={"length": value}) for value in found])
    bins, _, missing = counted(MAIL, "length", found)
    place = MAIL.numbers.names.index("length")
    invalid = int(counts.number_invalid[place])
    assert sum(bins) + missing + invalid == len(found)
    assert missing == found.count(None)
    numbers = [value for value in found if type(value) in {int, float} and abs(value) < 1e100]  # type: ignore[arg-type]
    assert sum(bins) == len(numbers)


@given(st.lists(st.one_of(st.none(), st.sampled_from(["de", "fr", "uk", 1, 1.5, True]))))
def test_every_category_is_counted_once(found: list[Value]) -> None:
    counts = count_events(MAIL, [Event("mail", features={"sender": value}) for value in found])
    place = list(MAIL.categories).index("sender")
    de, fr, it, other, missing = counts.categories[place].tolist()
    assert (de, fr, it) == (found.count("de"), found.count("fr"), 0)
    assert missing == found.count(None)
    assert de + fr + other + missing == len(found)


@given(st.lists(st.floats(0, 1)), st.lists(st.floats(0, 1)))
def test_counts_add_up(first: list[float], second: list[float]) -> None:
    def events(found: list[float]) -> list[Event]:
        return [
            Event(
                "mail",
                features={"length": 100 * value, "sender": "de"},
                prediction="spam",
                confidence=value,
                latency_seconds=value,
                stages={"inference": value},
            )
            for value in found
        ]

    together = count_events(MAIL, events(first + second))
    added = count_events(MAIL, events(first))
    added.add(count_events(MAIL, events(second)))
    for item in fields(Counts):
        own, other = getattr(together, item.name), getattr(added, item.name)
        for left, right in zip(
            own if isinstance(own, list) else [own],
            other if isinstance(other, list) else [other],
            strict=True,
        ):
            if hasattr(left, "counts"):
                assert left.counts.tolist() == right.counts.tolist()
                assert left.total == pytest.approx(right.total)
            else:
                assert np.allclose(left, right)


def test_a_regressor_bins_its_predictions() -> None:
    layout = Layout.of(Model(name="p", version="1", task="regression"), regressor_profile())
    assert layout.value_edges is not None
    edge = layout.value_edges[3]
    counts = count_events(layout, [Event("p", prediction=edge), Event("p", prediction=edge + 1e-6)])
    assert counts.value.counts.tolist() == [0, 0, 0, 1, 1, *[0] * (len(layout.value_edges) - 4)]


def test_promised_latencies_are_bucket_edges() -> None:
    promises = (
        Latency(threshold=Duration.parse("123ms")),
        Latency.model_validate({"threshold": "250ms", "target": "50%"}),
    )
    model = Model(name="m", version="1", task="regression", slo=Slo(latency=promises))
    assert Layout.of(model, None).latency_edges == tuple(sorted({*LATENCY_EDGES, 0.123}))


def test_above_the_highest_promise_there_is_an_edge_so_that_breaking_it_can_be_seen() -> None:
    slow = Latency(threshold=Duration.parse("60s"))
    model = Model(name="m", version="1", task="regression", slo=Slo(latency=(slow,)))
    assert Layout.of(model, None).latency_edges[-2:] == (60.0, 120.0)


def test_a_classifier_whose_profile_has_numeric_predictions_knows_no_classes() -> None:
    layout = Layout.of(
        Model(name="m", version="1", task="binary_classification"), regressor_profile()
    )
    assert layout.classes.names == ()
    assert layout.notes == (f"{UNKNOWN}: all classes count as other, and outcomes are not counted",)
