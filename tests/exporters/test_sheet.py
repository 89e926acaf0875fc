"""Lines made from arrays say what lines made one by one say, whatever the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import catalog
from contract.catalog import Metric
from exporters.expose import Family, Numbers, Sheet, histogram_series, series
from tests.exporters.test_expose import FORMATS, labelled, parsed

COUNTERS = [
    series(metric, **labelled(metric, name))
    for name in ("a", 'say "%d"', "ünï\n")
    for metric in (catalog.LABELS, catalog.FEATURE_MISSING)
]
SUMS = [
    series(catalog.ALERT_THRESHOLD, **labelled(catalog.ALERT_THRESHOLD, name))
    for name in ("+", "-")
]
EDGES = [(0.0, 1.0), (-2.5, 0.0, 7.0), (0.1,)]
HISTOGRAMS = [
    histogram_series(catalog.FEATURE_VALUE, edges, **labelled(catalog.FEATURE_VALUE, f"f{place}"))
    for place, edges in enumerate(EDGES)
]
BINS = sum(len(edges) + 1 for edges in EDGES)

whole = st.integers(0, 2**53)
real = st.floats(allow_nan=False)


def arrays(elements: Any, size: int) -> Any:
    return st.lists(elements, min_size=size, max_size=size).map(np.array)


numbers = st.builds(
    Numbers,
    counted=arrays(whole, len(COUNTERS)),
    summed=arrays(real, len(SUMS)),
    bins=arrays(st.integers(0, 2**40), BINS),
    totals=arrays(real, len(HISTOGRAMS)),
)


def one_by_one(given: Numbers) -> list[Family]:
    counted = list(zip([*COUNTERS, *SUMS], [*given.counted.tolist(), *given.summed], strict=True))
    parts = np.split(given.bins, np.cumsum([len(edges) + 1 for edges in EDGES])[:-1])
    histograms = [
        (line, bins.tolist(), float(total))
        for line, bins, total in zip(HISTOGRAMS, parts, given.totals, strict=True)
    ]
    metrics = dict.fromkeys(line.metric for line, _ in counted)
    return [
        *(
            Family(metric, [own for own in counted if own[0].metric is metric])
            for metric in metrics
        ),
        Family(catalog.FEATURE_VALUE, histograms=histograms),
    ]


def at_once(sheet: Sheet, given: Numbers) -> list[Family]:
    return [Family(metric, texts=[text]) for metric, text in sheet.render(given).items()]


@pytest.mark.parametrize("form", FORMATS)
@given(first=numbers, second=numbers)
def test_lines_made_at_once_are_those_made_one_by_one(
    form: str, first: Numbers, second: Numbers
) -> None:
    sheet = Sheet(COUNTERS, SUMS, HISTOGRAMS)
    for given_now in (first, second, first):
        assert parsed(at_once(sheet, given_now), form) == parsed(one_by_one(given_now), form)


def test_whole_numbers_stay_whole_and_a_sum_below_zero_takes_the_count_along() -> None:
    latency = catalog.INFERENCE_LATENCY
    sheet = Sheet([], [], [histogram_series(latency, [0.5], **labelled(latency, "m"))])
    counts = np.array([3, 4])
    name = '{model_name="m",model_version="m"'
    buckets = f'{latency}_bucket{name},le="0.5"}} 3\n{latency}_bucket{name},le="+Inf"}} 7'
    rest = f"\n{latency}_count{name}}} 7\n{latency}_sum{name}}} "

    def text(total: float) -> str:
        given = Numbers(np.zeros(0, int), np.zeros(0), counts, np.array([total]))
        return sheet.render(given)[latency].decode()

    assert text(1.25) == f"{buckets}{rest}1.25"
    assert text(-1.25) == buckets
    assert text(float("inf")) == f"{buckets}{rest}+Inf"


SINGLE = series(catalog.LABELS, **labelled(catalog.LABELS))
REFUSED: dict[str, tuple[Metric, Numbers, str]] = {
    "a number too many": (
        catalog.LABELS,
        Numbers(np.array([1, 2]), np.zeros(0), np.zeros(0, int), np.zeros(0)),
        "other numbers than",
    ),
    "a NaN": (
        catalog.LABELS,
        Numbers(np.zeros(0, int), np.array([np.nan]), np.zeros(0, int), np.zeros(0)),
        "ml_labels_total: NaN is no value",
    ),
}


@pytest.mark.parametrize(("metric", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_is_refused(metric: Metric, given: Numbers, message: str) -> None:
    line = [series(metric, **labelled(metric))]
    sheet = Sheet([], line, []) if len(given.summed) else Sheet(line, [], [])
    with pytest.raises(ValueError, match=message):
        sheet.render(given)
