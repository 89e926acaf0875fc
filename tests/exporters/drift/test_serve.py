"""The drift collector as a process, with a real Prometheus between it and what is counted."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from exporters.drift.chi_square import chi_square_quantile
from exporters.drift.statistics import Sides, psi
from tests.exporters.drift.counting import (
    EDGES,
    Bins,
    Replica,
    Scrape,
    category,
    numeric,
    prometheus,
    scrape,
    serving,
    write_models,
)
from tests.processes import Running, eventually, free_port, http, running

REFERENCE = (0, 400, 300, 300, 0)
STEADY = (0, 40, 30, 30, 0)
SHIFTED = (0, 10, 20, 60, 10)

PROFILES: dict[str, dict[str, Bins]] = {
    "priced": {
        "shifted": numeric(*REFERENCE),
        "steady": numeric(*REFERENCE),
        "gone": numeric(*REFERENCE),
        "silent": numeric(*REFERENCE),
        "city": category({"Oslo": 600, "Rome": 400}),
    },
    "ordered": {"shifted": numeric(*REFERENCE), "city": category({"Oslo": 600, "Rome": 400})},
    "rare": {"steady": numeric(*REFERENCE)},
    "misfit": {"steady": numeric(*REFERENCE)},
}
WINDOWS: dict[str, dict[str, object]] = {
    "priced": {"window": "30s", "min_samples": 400},
    "ordered": {"window": "30s", "method": "ks", "min_samples": 100},
    "rare": {"window": "1m", "min_samples": 1_000_000},
    "misfit": {"window": "30s"},
}
OTHER_EDGES = (0.0, 1.0, 2.0, 10.0)

REPLICAS = (
    Replica(
        {
            ("priced", "shifted"): (EDGES, SHIFTED),
            ("priced", "steady"): (EDGES, STEADY),
            ("priced", "gone"): (EDGES, STEADY),
            ("ordered", "shifted"): (EDGES, SHIFTED),
            ("rare", "steady"): (EDGES, SHIFTED),
            ("misfit", "steady"): (OTHER_EDGES, STEADY),
            ("unknown", "steady"): (EDGES, STEADY),
        },
        {
            ("priced", "city"): {"Oslo": 10, "Rome": 80, "other": 10},
            ("ordered", "city"): {"Oslo": 10, "Rome": 80, "other": 10},
        },
        {("priced", "gone"): 100},
    ),
    Replica({("priced", "steady"): (EDGES, STEADY), ("priced", "shifted"): (EDGES, SHIFTED)}),
)


@dataclass(frozen=True)
class Collector:
    address: str
    process: Running
    models: Path

    def scrape(self) -> Scrape:
        return scrape(self.address)

    def ready(self) -> int:
        with http() as client:
            return client.get(f"http://{self.address}/readyz").status_code

    def events(self) -> list[str]:
        lines = self.process.stderr.read_text().splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]


def _collector(stack: ExitStack, models: Path, prometheus_port: int) -> Collector:
    address = f"127.0.0.1:{free_port()}"
    argv = [sys.executable, "-m", "exporters.drift", "serve", "--models", str(models)]
    argv += ["--prometheus", f"http://127.0.0.1:{prometheus_port}", "--listen", address]
    argv += ["--interval", "1s", "--log-format", "json"]
    process = stack.enter_context(
        running(argv, ready_url=f"http://{address}/healthz", exits_with=0)
    )
    return Collector(address, process, models)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, Scrape]]:
    """A collector that has seen enough of every feature, and what it then exposed."""
    folder = tmp_path_factory.mktemp("drift")
    models = write_models(folder, PROFILES, drift=WINDOWS, without_profile=["plain"])
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving(REPLICAS))
        stack.enter_context(prometheus(folder / "prometheus", port, endpoint, len(REPLICAS)))
        collector = _collector(stack, models, port)

        def enough() -> Scrape | None:
            found = collector.scrape()
            samples = found.get("ml_drift_window_samples", model_name="priced", feature_name="city")
            return found if samples is not None and samples >= 400 else None

        yield collector, eventually(enough, seconds=40, says=collector.process.tail)


def _expected(counts: tuple[int, ...], missing: int = 0) -> float:
    reference = np.array([0, *REFERENCE], dtype=float)
    # A thousand times the size, as the shares of what is counted again and again.
    return float(psi(Sides(reference, np.array([missing, *counts], dtype=float) * 1000)))


SCORES = {
    "a feature that shifted": ("shifted", _expected(SHIFTED), 1),
    "a feature that did not": ("steady", 0.0, 0),
    "a feature that is missing half the time": ("gone", _expected(STEADY, 100), 1),
    "categories that moved, and a new one": (
        "city",
        float(psi(Sides(np.array([600.0, 400, 0]), np.array([10.0, 80, 10]) * 1000))),
        1,
    ),
}


@pytest.mark.parametrize(("feature", "expected", "verdict"), SCORES.values(), ids=SCORES.keys())
def test_scores_are_psi_of_the_counts(
    evaluated: tuple[Collector, Scrape], feature: str, expected: float, verdict: int
) -> None:
    found = evaluated[1]
    labels = {"model_name": "priced", "model_version": "1", "feature_name": feature}
    score = found.get("ml_feature_drift_score", method="psi", window="30s", **labels)
    assert score == pytest.approx(expected, rel=0.03, abs=0.003)
    for severity in ("warning", "critical"):
        assert found.get("ml_drift_detected", severity=severity, **labels) == verdict


def test_another_method_is_used_and_named(evaluated: tuple[Collector, Scrape]) -> None:
    name, model = "ml_feature_drift_score", "ordered"
    shifted = evaluated[1].get(name, model_name=model, feature_name="shifted", method="ks")
    assert shifted == pytest.approx(0.4, rel=0.03)
    # Categories have no order, so what stands for ks there says so.
    assert evaluated[1].all(name, model_name=model, feature_name="city", method="ks") == []
    city = evaluated[1].get(name, model_name=model, feature_name="city", method="total_variation")
    assert city == pytest.approx(0.5, rel=0.03)


def test_counts_of_replicas_are_added(evaluated: tuple[Collector, Scrape]) -> None:
    one, two = (
        evaluated[1].get("ml_drift_window_samples", model_name="priced", feature_name=feature)
        for feature in ("city", "steady")
    )
    assert one is not None
    assert two is not None
    assert two == pytest.approx(2 * one, rel=0.4)


def test_the_noise_floor_follows_from_the_samples(evaluated: tuple[Collector, Scrape]) -> None:
    labels = {"model_name": "priced", "feature_name": "steady"}
    samples = evaluated[1].get("ml_drift_window_samples", **labels)
    assert samples is not None
    # Three bins, of which none is nearly empty: the correction for small counts is small.
    expected = chi_square_quantile(0.99, 2) * (1 / samples + 1 / 1000)
    floor = evaluated[1].get("ml_drift_noise_floor", kind="feature", method="psi", **labels)
    assert floor == pytest.approx(expected, rel=0.03)


def test_a_feature_without_samples_has_no_score_and_no_verdict(
    evaluated: tuple[Collector, Scrape],
) -> None:
    labels = {"model_name": "priced", "feature_name": "silent"}
    assert evaluated[1].get("ml_drift_window_samples", **labels) == 0
    assert evaluated[1].get("ml_feature_drift_score", **labels) is None
    assert evaluated[1].get("ml_drift_noise_floor", **labels) is None
    assert evaluated[1].all("ml_drift_detected", **labels) == [0, 0]


def test_the_share_is_of_the_features_that_could_be_judged(
    evaluated: tuple[Collector, Scrape],
) -> None:
    name = "ml_drifted_features_ratio"
    # Of five features one is silent, and one of the other four did not move.
    assert evaluated[1].get(name, model_name="priced", window="30s") == 0.75
    assert evaluated[1].get(name, model_name="rare") is None


def test_the_reference_is_shown_by_bin(evaluated: tuple[Collector, Scrape]) -> None:
    _, shown = evaluated
    of_number = {"model_name": "priced", "kind": "feature", "feature_name": "steady"}
    bins = [
        ("01", "up to 0", "-Inf", "0", 0.0),
        ("02", "0 to 1", "0", "1", 0.4),
        ("03", "1 to 2.5", "1", "2.5", 0.3),
        ("04", "2.5 to 10", "2.5", "10", 0.3),
        ("05", "above 10", "10", "+Inf", 0.0),
    ]
    for number, values, above, upto, share in bins:
        labels = {"bin": number, "values": values, "above": above, "upto": upto, **of_number}
        assert shown.get("ml_drift_reference_ratio", **labels) == share
    city = {"model_name": "priced", "feature_name": "city", "above": "", "upto": ""}
    assert shown.get("ml_drift_reference_ratio", values="Oslo", **city) == 0.6
    assert shown.get("ml_drift_reference_ratio", values="other", **city) == 0


def test_too_few_samples_are_no_drift(evaluated: tuple[Collector, Scrape]) -> None:
    labels = {"model_name": "rare", "feature_name": "steady"}
    score = evaluated[1].get("ml_feature_drift_score", window="1m", **labels)
    assert score == pytest.approx(_expected(SHIFTED), rel=0.03)
    assert evaluated[1].all("ml_drift_detected", **labels) == [0, 0]


def test_other_bins_are_an_error_and_no_score(evaluated: tuple[Collector, Scrape]) -> None:
    collector, found = evaluated
    errors = found.get("ml_drift_errors_total", model_name="misfit", reason="bins")
    assert errors is not None
    assert errors > 0
    assert found.all("ml_feature_drift_score", model_name="misfit") == []
    assert found.all("ml_drift_detected", model_name="misfit") == []
    assert found.get("ml_drift_errors_total", model_name="priced", reason="bins") == 0
    lines = collector.process.stderr.read_text().splitlines()
    said = [json.loads(line) for line in lines if "bins_differ" in line]
    assert [(line["model"], line["reason"]) for line in said] == [
        ("misfit", 'feature steady is counted with le="2.0", which its profile does not have')
    ]


def test_the_time_of_evaluation_stands_still_where_it_fails(
    evaluated: tuple[Collector, Scrape],
) -> None:
    name = "ml_drift_evaluation_timestamp_seconds"
    good, bad = (evaluated[1].get(name, model_name=model) for model in ("priced", "misfit"))
    assert good is not None
    assert bad is not None
    assert bad < good <= time.time()


def test_every_model_is_promised_something(evaluated: tuple[Collector, Scrape]) -> None:
    assert evaluated[1].get("ml_model_target_info", model_name="plain") == 1
    critical = {"alert": "FeatureDrift", "severity": "critical", "hold": "15m"}
    assert evaluated[1].get("ml_alert_threshold", model_name="rare", **critical) == 0.25
    assert evaluated[1].get("ml_alert_threshold", model_name="plain", **critical) is None
    for kind in ("feature", "prediction"):
        warning = {"model_name": "rare", "kind": kind, "severity": "warning"}
        assert evaluated[1].get("ml_drift_threshold", **warning) == 0.1


def test_drift_is_logged_once_a_feature(evaluated: tuple[Collector, Scrape]) -> None:
    # Five features of two models, two severities each, however many evaluations there were since.
    assert evaluated[0].events().count("drift_detected") == 10


def test_without_prometheus_promises_stand_and_verdicts_do_not(tmp_path: Path) -> None:
    models = write_models(tmp_path, PROFILES, drift=WINDOWS)
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving(REPLICAS))
        started = time.time()
        collector = _collector(stack, models, port)
        found = eventually(lambda: _failed(collector))
        assert collector.ready() == 503
        assert found.all("ml_alert_threshold", model_name="priced")
        assert found.all("ml_drift_detected") == []
        since = found.get("ml_drift_evaluation_timestamp_seconds", model_name="priced")
        assert since is not None
        assert since >= started - 1

        with prometheus(tmp_path / "prometheus", port, endpoint, len(REPLICAS)):
            eventually(
                lambda: collector.scrape().all("ml_feature_drift_score", model_name="priced"),
                seconds=40,
                says=collector.process.tail,
            )
            assert collector.ready() == 200
            assert "prometheus_answers" in collector.events()

        eventually(lambda: not collector.scrape().all("ml_drift_detected"), seconds=40)
        gone = collector.scrape()
        assert gone.get("ml_exporter_collection_success") == 0
        assert gone.all("ml_alert_threshold", model_name="priced")
        errors = gone.get("ml_drift_errors_total", model_name="priced", reason="prometheus")
        assert errors is not None
        assert errors > 0


def _failed(collector: Collector) -> Scrape | None:
    found = collector.scrape()
    return (
        found
        if found.get("ml_drift_errors_total", model_name="rare", reason="prometheus")
        else None
    )


def test_a_changed_models_yaml_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    models = write_models(tmp_path, {"rare": PROFILES["rare"]})
    good = models.read_text()
    with ExitStack() as stack:
        collector = _collector(stack, models, free_port())
        models.write_text(good.replace("name: rare", "name: rarer"))
        eventually(lambda: collector.scrape().all("ml_alert_threshold", model_name="rarer"))
        assert collector.scrape().all("ml_alert_threshold", model_name="rare") == []

        models.write_text(good.replace("version:", "verson:"))
        eventually(lambda: collector.scrape().get("ml_exporter_errors_total", reason="spec") == 1)
        assert collector.scrape().all("ml_alert_threshold", model_name="rarer")
        assert "did you mean version?" in collector.process.output

        models.write_text(good)
        os.kill(collector.process.process.pid, signal.SIGHUP)
        eventually(lambda: collector.scrape().all("ml_alert_threshold", model_name="rare"))


REFUSED = {
    "a models.yaml that is not there": ([], "no.yaml:1:1: cannot be read"),
    "an interval without a unit": (["--interval", "60"], "argument --interval: is not a duration"),
    "an address instead of a URL": (["--prometheus", "localhost:9090"], "is not a URL"),
    "a time scale of nothing": (["--time-scale", "0"], "write a number from 1 on"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from exporters.drift.__main__ import main

    try:
        status = main(["serve", "--models", "no.yaml", *arguments])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err
