"""Every metric's name says what it is; a wrong one cannot be made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract.catalog import METRICS, Exporter, Metric, Type, Unit

IDENTITY = {"model_name", "model_version", "gpu_id", "gpu_uuid"}


def metric(**changes: Any) -> Metric:
    """A counter that is right, but for `changes`."""
    fields: dict[str, Any] = {
        "name": "ml_things_total",
        "type": Type.COUNTER,
        "help": "Things.",
        "labels": ("kind",),
        "exporter": Exporter.SIDECAR,
    }
    return Metric(**{**fields, **changes})


def test_the_one_that_the_others_change_is_right() -> None:
    assert str(metric()) == "ml_things_total"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name without ml_": ({"name": "things_total"}, "names are ml_ and lower-case words"),
    "upper case": ({"name": "ml_Things_total"}, "names are ml_ and lower-case words"),
    "two underscores": ({"name": "ml__things_total"}, "names are ml_ and lower-case words"),
    "a counter without _total": ({"name": "ml_things"}, "counters, and only they, end in _total"),
    "a gauge with _total": ({"type": Type.GAUGE}, "counters, and only they, end in _total"),
    "a unit that the name does not say": (
        {"unit": Unit.SECONDS},
        "its name does not end in its unit seconds",
    ),
    "a label twice": ({"labels": ("kind", "kind")}, "a label stands twice"),
    "the label of buckets": ({"labels": ("le",)}, "bad label among"),
    "a label in upper case": ({"labels": ("Kind",)}, "bad label among"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_metric_against_the_practice_cannot_be_made(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(**changes)


def test_only_a_histogram_has_buckets_a_count_and_a_sum() -> None:
    latency = metric(name="ml_wait_seconds", type=Type.HISTOGRAM, unit=Unit.SECONDS)
    assert latency.bucket == "ml_wait_seconds_bucket"
    assert (latency.count, latency.sum) == ("ml_wait_seconds_count", "ml_wait_seconds_sum")
    with pytest.raises(ValueError, match="is a counter and has no _bucket series"):
        _ = metric().bucket


@pytest.mark.parametrize("one", METRICS, ids=str)
def test_a_metric_is_named_and_described(one: Metric) -> None:
    assert one.help.endswith("."), "a sentence"
    assert "\n" not in one.help
    if one.name.endswith("_info"):
        assert one.type is Type.GAUGE
    if one.unit is Unit.NONE:
        stem = one.name.removesuffix("_total")
        units = {str(unit) for unit in Unit if unit}
        assert stem.rsplit("_", 1)[1] not in units, "its name says a unit that it does not declare"
    for suffix in ("_bucket", "_count", "_sum", "_created"):
        assert not one.name.endswith(suffix), "the name of a histogram's own series"


def test_names_are_said_once() -> None:
    names = [one.name for one in METRICS]
    assert len(names) == len(set(names)) > 30
    families = {one.name.removesuffix("_total") for one in METRICS}
    assert len(families) == len(names), "OpenMetrics calls a counter by its name without _total"


def test_labels_are_of_bounded_number_and_stand_in_one_order() -> None:
    for one in METRICS:
        known = [label for label in one.labels if label in IDENTITY]
        assert list(one.labels[: len(known)]) == known, f"{one}: identity comes first"
        assert not {"prediction_id", "trace_id", "pid", "timestamp"} & set(one.labels)
