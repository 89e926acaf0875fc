"""The exposition: strict about labels and numbers, and read back as it was put in."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric as Parsed
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from contract import catalog
from contract.catalog import METRICS, Metric, Type
from exporters.expose import (
    Exemplar,
    Family,
    LabelError,
    Own,
    histogram_series,
    many_series,
    render,
    series,
)
from exporters.expose.server import prefers_openmetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
FORMATS: dict[str, tuple[bool, Callable[[str], Any]]] = {
    "text": (False, parse_text),
    "openmetrics": (True, parse_openmetrics),
}


def parsed(families: list[Family], form: str) -> list[Parsed]:
    openmetrics, parse = FORMATS[form]
    return list(parse(render(families, openmetrics=openmetrics).decode()))


def samples(families: list[Family], form: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed(families, form)
        for sample in family.samples
    }


def labelled(metric: Metric, value: str = "x", **more: str) -> dict[str, str]:
    return {**dict.fromkeys(metric.labels, value), **more}


label_text = st.text(max_size=12) | st.sampled_from(
    ['a"b', "a\\b", "a\nb", '\\"\n', "\\n", "ünï ☃ 🎈", "", " ", "\r", "\u2028", "}{=,", "# EOF"]
)
numbers = st.floats(allow_nan=False) | st.integers(min_value=0, max_value=2**53) | st.just(math.inf)


@pytest.mark.parametrize("form", FORMATS)
@given(values=st.dictionaries(label_text, numbers, min_size=1, max_size=5))
def test_any_label_and_number_is_read_back_as_it_was_put_in(
    form: str, values: dict[str, float]
) -> None:
    metric = catalog.ALERT_THRESHOLD
    made = [(series(metric, **labelled(metric, text)), number) for text, number in values.items()]
    expected = {
        (metric.name, tuple(sorted(labelled(metric, text).items()))): float(number)
        for text, number in values.items()
    }
    assert samples([Family(metric, made)], form) == expected


@pytest.mark.parametrize("form", FORMATS)
@given(
    text=label_text,
    edges=st.lists(
        st.floats(min_value=0, max_value=1e300), min_size=1, max_size=6, unique=True
    ).map(sorted),
    data=st.data(),
)
def test_a_histogram_is_cumulative_and_ends_in_its_count(
    form: str, text: str, edges: list[float], data: st.DataObject
) -> None:
    metric = catalog.INFERENCE_LATENCY
    size = len(edges) + 1
    counts = data.draw(st.lists(st.integers(0, 10**12), min_size=size, max_size=size))
    made = histogram_series(metric, edges, **labelled(metric, text))
    found = samples([Family(metric, histograms=[(made, counts, 12.5)])], form)
    own = tuple(sorted(labelled(metric, text).items()))
    assert found[metric.count, own] == sum(counts)
    assert found[metric.sum, own] == 12.5
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == metric.bucket
    }
    bounds = [*edges, math.inf]
    assert {float(le): value for le, value in buckets.items()} == dict(
        zip(bounds, itertools.accumulate(counts), strict=True)
    )
    assert buckets["+Inf"] == sum(counts)


@pytest.mark.parametrize("form", FORMATS)
def test_bins_over_negative_values_are_read_back(form: str) -> None:
    metric = catalog.FEATURE_VALUE
    made = histogram_series(metric, [-1.5, 0.0, 2.0], **labelled(metric))
    found = samples([Family(metric, histograms=[(made, [1, 2, 3, 4], -3.0)])], form)
    buckets = [value for (name, labels), value in found.items() if name == metric.bucket and labels]
    assert buckets == [1, 3, 6, 10]


@pytest.mark.parametrize("form", FORMATS)
def test_a_sum_that_fell_below_zero_does_not_make_the_whole_scrape_unreadable(form: str) -> None:
    metric = catalog.FEATURE_VALUE
    made = histogram_series(metric, [1.0, 2.0], **labelled(metric))
    assert samples([Family(metric, histograms=[(made, [9, 0, 0], -900.0)])], form)


@pytest.mark.parametrize("form", FORMATS)
def test_every_metric_of_the_catalog_can_be_exposed_together(form: str) -> None:
    families = []
    for metric in METRICS:
        if metric.type is Type.HISTOGRAM:
            made = histogram_series(metric, [0.5, 1.0], **labelled(metric))
            families.append(Family(metric, histograms=[(made, [1, 2, 3], 4.0)]))
        else:
            families.append(Family(metric, [(series(metric, **labelled(metric)), 1)]))
    found = {family.name: family for family in parsed(families, form)}
    assert len(found) == len(METRICS)
    for metric in METRICS:
        family = found[metric.name.removesuffix("_total")]
        assert family.type == str(metric.type)
        assert family.documentation == metric.help
        if form == "openmetrics":
            assert family.unit == str(metric.unit)


# Strictness

WRONG_LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "a missing label": (
        {"model_name": "a", "model_version": "1"},
        "ml_labels_total: missing result; its labels are model_name, model_version, result",
    ),
    "an extra label": (
        {"model_name": "a", "model_version": "1", "result": "x", "user": "u"},
        "ml_labels_total: extra user; its labels are model_name, model_version, result",
    ),
    "a misspelt label": (
        {"model_name": "a", "model_version": "1", "results": "x"},
        (
            "ml_labels_total: missing result; extra results; its labels are "
            "model_name, model_version, result"
        ),
    ),
    "a number as a label": (
        {"model_name": "a", "model_version": 1, "result": "x"},
        "ml_labels_total: label model_version should be text, got 1",
    ),
    "nothing as a label": (
        {"model_name": None, "model_version": "1", "result": "x"},
        "ml_labels_total: label model_name should be text, got None",
    ),
    "text that UTF-8 cannot hold": (
        {"model_name": "\ud800", "model_version": "1", "result": "x"},
        "ml_labels_total: label model_name is not Unicode text: '\\ud800'",
    ),
}


@pytest.mark.parametrize(("labels", "message"), WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_wrong_labels_are_an_error_where_the_series_is_made(
    labels: dict[str, Any], message: str
) -> None:
    with pytest.raises(LabelError) as raised:
        series(catalog.LABELS, **labels)
    assert str(raised.value) == message


def test_a_histogram_is_as_strict_about_its_labels() -> None:
    with pytest.raises(LabelError, match="missing model_version"):
        histogram_series(catalog.INFERENCE_LATENCY, [1.0], model_name="a")
    with pytest.raises(LabelError, match="extra le"):
        histogram_series(
            catalog.INFERENCE_LATENCY, [1.0], **labelled(catalog.INFERENCE_LATENCY, le="1")
        )


def test_many_series_are_those_that_are_made_one_by_one() -> None:
    labels = {"model_name": ["a", "b\\c", 'd"e'], "model_version": ["1", "\n", "1"]}
    labels["feature_name"] = ["x", "y", "x"]
    one_by_one = [
        series(catalog.FEATURE_MISSING, **dict(zip(labels, values, strict=True)))
        for values in zip(*labels.values(), strict=True)
    ]
    assert many_series(catalog.FEATURE_MISSING, **labels) == one_by_one
    empty: dict[str, list[str]] = {name: [] for name in labels}
    assert many_series(catalog.FEATURE_MISSING, **empty) == []


def test_many_series_are_as_strict_about_their_labels() -> None:
    with pytest.raises(LabelError, match="missing feature_name"):
        many_series(catalog.FEATURE_MISSING, model_name=["a"], model_version=["1"])
    with pytest.raises(LabelError, match="is not Unicode text"):
        many_series(
            catalog.FEATURE_MISSING, model_name=["\ud800"], model_version=["1"], feature_name=["x"]
        )
    with pytest.raises(ValueError, match="shorter"):
        many_series(
            catalog.FEATURE_MISSING, model_name=["a", "b"], model_version=["1"], feature_name=["x"]
        )
    with pytest.raises(LabelError, match="is a histogram"):
        many_series(catalog.FEATURE_VALUE, model_name=["a"])


def test_a_series_is_made_as_what_its_metric_is() -> None:
    with pytest.raises(LabelError, match="is a histogram"):
        series(catalog.INFERENCE_LATENCY, model_name="a", model_version="1")
    with pytest.raises(LabelError, match="is a counter"):
        histogram_series(catalog.LABELS, [1.0], **labelled(catalog.LABELS))


@pytest.mark.parametrize(
    "edges", [[], [2.0, 1.0], [1.0, 1.0], [math.inf], [math.nan], [-math.inf, 1.0]]
)
def test_edges_are_finite_and_ascend(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="edges must be finite and ascend"):
        histogram_series(catalog.INFERENCE_LATENCY, edges, model_name="a", model_version="1")


@pytest.mark.parametrize("form", FORMATS)
def test_nan_is_refused(form: str) -> None:
    metric = catalog.GPU_DEVICES
    with pytest.raises(ValueError, match="ml_gpu_devices: NaN is no value"):
        samples([Family(metric, [(series(metric), math.nan)])], form)
    latency = catalog.INFERENCE_LATENCY
    made = histogram_series(latency, [1.0], **labelled(latency))
    with pytest.raises(ValueError, match="NaN is no value"):
        samples([Family(latency, histograms=[(made, [0, 0], math.nan)])], form)


def test_a_series_of_another_metric_is_refused() -> None:
    with pytest.raises(LabelError, match="ml_gpu_nvml_up stands among those of ml_gpu_devices"):
        render([Family(catalog.GPU_DEVICES, [(series(catalog.GPU_NVML_UP), 1)])])


def test_a_metric_that_comes_twice_is_refused() -> None:
    family = Family(catalog.GPU_DEVICES, [(series(catalog.GPU_DEVICES), 1)])
    with pytest.raises(ValueError, match="ml_gpu_devices is exposed twice"):
        render([family, family])


def test_counts_of_another_length_are_refused() -> None:
    latency = catalog.INFERENCE_LATENCY
    made = histogram_series(latency, [1.0], **labelled(latency))
    with pytest.raises(ValueError):
        render([Family(latency, histograms=[(made, [1], 1.0)])])


def test_a_family_without_samples_is_left_out() -> None:
    assert render([Family(catalog.GPU_DEVICES)]) == b"\n"
    assert render([Family(catalog.GPU_DEVICES)], openmetrics=True) == b"# EOF\n"


def test_infinity_is_written_as_prometheus_does() -> None:
    devices = series(catalog.GPU_DEVICES)
    for number, text in ((math.inf, "+Inf"), (-math.inf, "-Inf"), (1, "1"), (1e-5, "1e-05")):
        assert f"\nml_gpu_devices {text}\n".encode() in render(
            [Family(catalog.GPU_DEVICES, [(devices, number)])]
        )


# Content negotiation

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
ACCEPTS = {
    "nothing said": ("", False),
    "anything": ("*/*", False),
    "Prometheus 2.42": (PROMETHEUS_2_42, True),
    "Prometheus 3": (PROMETHEUS_3, True),
    "an old Prometheus": ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
    "text before OpenMetrics": ("text/plain, application/openmetrics-text;q=0.5", False),
    "OpenMetrics refused": ("application/openmetrics-text;q=0", False),
    "a browser": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
    "protocol buffers first": (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
        "encoding=delimited," + PROMETHEUS_2_42,
        True,
    ),
    "a quality that is no number": ("application/openmetrics-text;q=high", False),
}


@pytest.mark.parametrize(("accept", "openmetrics"), ACCEPTS.values(), ids=ACCEPTS)
def test_the_format_is_the_one_that_was_asked_for(accept: str, openmetrics: bool) -> None:
    assert prefers_openmetrics(accept) is openmetrics


# What an exporter tells of itself


def own_samples(own: Own) -> dict[str, float]:
    return {
        " ".join([name, *(value for key, value in labels if key == "reason")]): value
        for (name, labels), value in samples(list(own.families()), "openmetrics").items()
        if name not in {"ml_exporter_memory_bytes", "ml_exporter_cpu_seconds_total"}
    }


def test_an_exporter_tells_its_memory_and_its_cpu_time() -> None:
    found = {name: v for (name, _), v in samples(list(Own("test").families()), "text").items()}
    assert 1e6 < found["ml_exporter_memory_bytes"] < 1e11
    assert 0 < found["ml_exporter_cpu_seconds_total"] <= time.process_time()


def test_an_exporter_that_follows_models_yaml_says_whether_it_could() -> None:
    own = Own("test")
    for spec_ok in (True, False):
        own.spec_ok = spec_ok
        assert own_samples(own)["ml_exporter_spec_ok"] == spec_ok


def test_an_exemplar_points_from_a_bucket_to_a_trace() -> None:
    made = histogram_series(
        catalog.INFERENCE_LATENCY, [0.1, 0.5], model_name="a", model_version="1"
    )
    exemplars = {made.labels: {1: Exemplar("abc", 0.25, 1700000000.5)}}
    family = Family(
        catalog.INFERENCE_LATENCY, histograms=[(made, [1, 2, 3], 4.0)], exemplars=exemplars
    )
    lines = render([family], openmetrics=True).decode().splitlines()
    [found] = [line for line in lines if "# {" in line]
    assert found.endswith('le="0.5"} 3 # {trace_id="abc"} 0.25 1700000000.500')
    assert b"trace_id" not in render([family])


def test_success_and_duration_are_absent_before_the_first_collection() -> None:
    assert own_samples(Own("test", reasons=("spec",))) == {
        "ml_exporter_build_info": 1,
        "ml_exporter_errors_total collect": 0,
        "ml_exporter_errors_total spec": 0,
    }


def test_a_collection_that_fails_is_told_and_counted_until_one_succeeds() -> None:
    own = Own("test")
    with pytest.raises(ZeroDivisionError), own.collecting():
        raise ZeroDivisionError
    found = own_samples(own)
    assert found["ml_exporter_collection_success"] == 0
    assert found["ml_exporter_errors_total collect"] == 1
    with own.collecting():
        pass
    found = own_samples(own)
    assert found["ml_exporter_collection_success"] == 1
    assert found["ml_exporter_collection_duration_seconds"] >= 0
    assert found["ml_exporter_errors_total collect"] == 1


def test_an_error_of_a_reason_that_was_not_declared_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Own("test").error("typo")
