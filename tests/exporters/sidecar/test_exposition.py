"""What /metrics says: complete from the start, and as other programs read it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from contract.catalog import METRICS, Exporter, Type
from tests.exporters.sidecar.serving import Sidecar, model_of, serving


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar that has not been told anything."""
    with serving(tmp_path_factory.mktemp("fresh")) as started:
        yield started


def test_every_metric_of_the_catalog_is_there_from_the_start(fresh: Sidecar) -> None:
    names = {line.partition("{")[0] for line in fresh.samples()}
    expected = {
        metric.count if metric.type is Type.HISTOGRAM else metric.name
        for metric in METRICS
        if metric.exporter is Exporter.SIDECAR
    }
    # See test_log and test_reload.
    names |= {name for name in expected if name.startswith(("ml_sidecar_log_", "ml_exporter_"))}
    assert (
        expected - names == REPORTED | OF_UPSTREAMS | OF_ARTIFACTS | OF_CALIBRATIONS | OF_SEGMENTS
    )


OF_ARTIFACTS = {"ml_model_artifact_matches"}
"""Of models that declare their artifact; none of these does."""

OF_UPSTREAMS = {
    "ml_model_loaded",
    "ml_upstream_probes_total",
    "ml_upstream_probe_failures_total",
}
"""Of models that have an upstream; none of these has."""

OF_CALIBRATIONS = {"ml_prediction_class_confidence_count"}
"""Of models whose profile has a calibration, see tests/exporters/drift/performance; none here."""

OF_SEGMENTS = {"ml_segment_outcomes_total", "ml_segment_errors_total"}
"""Of models that are sliced, see test_segments; none of these is."""

REPORTED = {
    "ml_model_memory_bytes",
    "ml_queue_depth",
    "ml_torch_allocation_retries_total",
    "ml_torch_memory_allocated_bytes",
    "ml_torch_memory_peak_bytes",
    "ml_torch_memory_reserved_bytes",
}
"""What a process must report before it is known: absent until then, see test_process."""


def test_counters_start_at_zero(fresh: Sidecar) -> None:
    counted = (pair for pair in fresh.samples().items() if not pair[0].startswith("ml_model_"))
    assert {value for _, value in counted} == {0}


SERIES = {
    "every status": (
        "ml_inference_requests_total", "status", {"success", "error", "rejected"}
    ),
    "every stage": (
        "ml_inference_stage_latency_seconds_count", "stage",
        {"preprocess", "inference", "postprocess", "other"},
    ),
    "every class": ("ml_prediction_class_total", "predicted_class", {"ham", "spam", "other"}),
    "every actual class": ("ml_outcomes_total", "actual_class", {"ham", "spam", "other"}),
    "every numeric feature": ("ml_feature_value_bucket", "feature_name", {"length", "links"}),
    "every feature that can be missing": (
        "ml_feature_missing_total", "feature_name", {"length", "links", "sender", "reply"}
    ),
    "every category": (
        "ml_feature_category_total", "category", {"de", "fr", "it", "true", "false", "other"}
    ),
    "every reason": ("ml_feature_invalid_total", "reason", {"type", "category", "range"}),
    "every result": (
        "ml_labels_total", "result", {"matched", "unmatched", "duplicate", "late"}
    ),
    "every promised latency": (
        "ml_inference_latency_seconds_bucket", "le",
        {"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.123", "0.25", "0.5",
         "1.0", "2.5", "5.0", "10.0", "+Inf"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "label", "expected"), SERIES.values(), ids=SERIES)
def test_a_series_exists_for(fresh: Sidecar, name: str, label: str, expected: set[str]) -> None:
    start = f'{name}{{model_name="mail",model_version="1",'
    lines = [line for line in fresh.samples() if line.startswith(start)]
    assert {line.partition(f'{label}="')[2].partition('"')[0] for line in lines} == expected


def test_a_metric_exists_for_the_models_it_fits(fresh: Sidecar) -> None:
    samples = fresh.samples()
    everywhere = ["mail 1", "mail 2", "plain 1", "plain-number 1", "price 7"]
    expected = {
        "ml_inference_requests_total": everywhere,
        "ml_prediction_confidence_count": everywhere,
        "ml_labels_total": everywhere,
        "ml_prediction_class_total": ["mail 1", "mail 2", "plain 1"],
        "ml_outcomes_total": ["mail 1", "mail 2"],
        "ml_prediction_value_count": ["price 7"],
        "ml_absolute_error_total": ["plain-number 1", "price 7"],
        "ml_model_trained_timestamp_seconds": ["mail 1"],
    }
    assert {name: model_of(samples, name) for name in expected} == expected


def test_both_formats_are_read_by_prometheus_client(sidecar: Sidecar) -> None:
    sidecar.predict(
        {"model_name": "mail", "features": {"length": 3}, "prediction": "ham", "confidence": 0.5}
    )
    url = sidecar.url + "/metrics"
    text = sidecar.client.get(url)
    other = sidecar.client.get(url, headers={"Accept": "application/openmetrics-text"})
    again = sidecar.client.get(url)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert other.headers["content-type"].startswith("application/openmetrics-text")
    before, after = (
        {family.name for family in text_string_to_metric_families(answer.text)}
        for answer in (text, again)
    )
    strict = {
        family.name
        for family in openmetrics.text_string_to_metric_families(other.text)  # type: ignore[no-untyped-call]  # has no types
    }
    # What the log says of itself comes once it has looked, which may be in between.
    assert before <= strict <= after


def test_promtool_accepts_the_metrics(sidecar: Sidecar) -> None:
    text = sidecar.client.get(sidecar.url + "/metrics").content
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout.decode(), checked.stderr.decode()) == (0, "", "")
