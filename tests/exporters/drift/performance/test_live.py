"""From events and labels to metrics: a real sidecar, a real Prometheus and the drift collector."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from sklearn import metrics

from contract.profile import CONFIDENCE_EDGES, write_profile
from tests.exporters.drift.counting import Scrape, scrape
from tests.exporters.drift.performance.rows import Rows, classifier, kinds, profile_of, regressor
from tests.processes import ROOT, eventually, free_port, http, running

WINDOW = "40s"
ROUND = 200
BINARY = "binary_classification"

SOUND = classifier(1, ROUND)
TURNED = classifier(2, ROUND, flipped=0.4)
UNLABELLED = classifier(3, ROUND)
KINDS = kinds(4, ROUND)
PRICES = regressor(5, ROUND)
ONE_CLASS = replace(SOUND, actual=["no"] * ROUND)


def _spoiled() -> Rows:
    """Ages missing or no number, plans that nobody knew, and nothing at all of `gone`."""
    rows = classifier(6, ROUND)
    ages = [None if n % 4 == 0 else "old" if n % 4 == 1 else a for n, a in enumerate(
        rows.features["age"])]  # fmt: skip
    plans = ["gratis" if n % 3 == 0 else plan for n, plan in enumerate(rows.features["plan"])]
    return replace(rows, features={"age": ages, "plan": plans})


SPOILED = _spoiled()

MODELS: dict[str, tuple[str, Rows, Rows, dict[str, Any]]] = {
    "sound": (
        BINARY,
        classifier(11, 4_000),
        SOUND,
        {
            "auc": {"baseline": 0.9, "max_drop": 0.05},
            "accuracy": {"min": "60%"},
            "log_loss": {"max": 0.6},
        },
    ),
    "turned": (
        BINARY,
        classifier(12, 4_000),
        TURNED,
        {"accuracy": {"baseline": "80%", "max_drop": "5%"}, "recall": {"min": 0.1}},
    ),
    "unlabelled": (BINARY, classifier(13, 4_000), UNLABELLED, {"accuracy": {"min": "95%"}}),
    "spoiled": (BINARY, replace(classifier(14, 4_000)), SPOILED, {}),
    "one-class": (BINARY, classifier(15, 4_000), ONE_CLASS, {"auc": {"min": 0.9}}),
    "rare": (BINARY, classifier(16, 4_000), TURNED, {"min_samples": 10**6, "auc": {"min": 0.99}}),
    "kinds": ("multiclass_classification", kinds(17, 2_000), KINDS, {"f1_macro": {"min": 0.9}}),
    "price": (
        "regression",
        regressor(18, 2_000),
        PRICES,
        {"mae": {"baseline": 8, "max_drop": 5}, "r2": {"min": 0.5}, "bias": {"max": 1}},
    ),
}


SLICED = ("turned", "price")


def _write(folder: Path, sidecar: str) -> Path:
    models = []
    for name, (task, training, _, performance) in MODELS.items():
        profile = profile_of(name, training)
        if name == "spoiled":
            gone = profile.features["age"]
            profile = profile.model_copy(update={"features": {**profile.features, "gone": gone}})
        write_profile(profile, folder / f"{name}.json")
        models.append(
            {
                "name": name,
                "version": "1",
                "task": task,
                "profile": f"{name}.json",
                "performance": {"windows": WINDOW, **performance},
                "drift": {"window": WINDOW, "min_samples": 100},
                "data_quality": {"freshness": "10s"},
                "segments": ["plan"] if name in SLICED else [],
            }
        )
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"stack": {"sidecar": sidecar}, "models": models}))
    return path


@contextmanager
def _traffic(sidecar: str) -> Iterator[None]:
    """The same rows again and again, and labels for all but one model, until the block ends."""
    ended = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=sidecar, trust_env=False, timeout=30) as client:
            for round_ in itertools.count():
                predictions, labels = [], []
                for name, (_, _, rows, _) in MODELS.items():
                    asked, answered = rows.events(name, round_)
                    predictions += asked
                    labels += answered if name != "unlabelled" else []
                client.post("/v1/predictions", json=predictions).raise_for_status()
                client.post("/v1/labels", json=labels).raise_for_status()
                if ended.wait(0.5):
                    return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _prometheus(folder: Path, port: int, sidecar: str) -> list[str]:
    scraped = {"job_name": "ml-sidecar", "static_configs": [{"targets": [sidecar]}]}
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scraped]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


Answer = dict[str, Any]


@pytest.fixture(scope="module")
def found(told: tuple[Scrape, list[Answer], list[Answer]]) -> Scrape:
    """What the collector says after a while of steady traffic."""
    return told[0]


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Scrape, list[Answer], list[Answer]]]:
    """The same, what it answers on /v1/models, and what the evaluate command prints."""
    folder = tmp_path_factory.mktemp("quality")
    sidecar, drift, port = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", free_port()
    models = _write(folder, sidecar)
    serve = [sys.executable, "-m"]
    with ExitStack() as stack:
        argv = [*serve, "exporters.sidecar", "serve", "--models", str(models)]
        argv += ["--listen", sidecar, "--data-dir", str(folder / "data")]
        stack.enter_context(running(argv, ready_url=f"http://{sidecar}/readyz"))
        ready = f"http://127.0.0.1:{port}/-/ready"
        stack.enter_context(running(_prometheus(folder, port, sidecar), ready_url=ready))
        argv = [*serve, "exporters.drift", "serve", "--models", str(models), "--listen", drift]
        argv += ["--prometheus", f"http://127.0.0.1:{port}", "--interval", "1s"]
        process = stack.enter_context(running(argv, ready_url=f"http://{drift}/healthz"))
        stack.enter_context(_traffic(f"http://{sidecar}"))

        def enough() -> Scrape | None:
            seen = scrape(drift)
            samples = seen.get("ml_model_performance_samples", model_name="price") or 0
            stale = seen.get(
                "ml_data_quality_failed",
                model_name="spoiled", feature_name="gone", check="freshness",
            )  # fmt: skip
            return seen if samples > 12 * ROUND and stale else None

        seen = eventually(enough, seconds=90, says=process.tail)
        with http() as client:
            answers = [
                client.get(f"http://{drift}/v1/models/{name}").raise_for_status().json()
                for name in MODELS
            ]
        argv = [*serve, "exporters.drift", "evaluate", "--models", str(models), "--format", "json"]
        argv += ["--prometheus", f"http://127.0.0.1:{port}"]
        printed = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
        yield seen, answers, json.loads(printed.stdout)


def value(found: Scrape, model: str, metric: str, name: str = "ml_model_performance") -> Any:
    return found.get(name, model_name=model, metric=metric, window=WINDOW)


def binned(score: list[float]) -> Any:
    return np.searchsorted(CONFIDENCE_EDGES, score)


def _of_classes(rows: Rows, positive: str | None) -> dict[str, float]:
    expected = {"accuracy": metrics.accuracy_score(rows.actual, rows.prediction)}
    for average in ("macro", "weighted"):
        three = metrics.precision_recall_fscore_support(
            rows.actual, rows.prediction, average=average
        )
        names = (f"{name}_{average}" for name in ("precision", "recall", "f1"))
        expected |= dict(zip(names, three, strict=False))
    if positive is not None:
        three = metrics.precision_recall_fscore_support(
            rows.actual, rows.prediction, average="binary", pos_label=positive
        )
        expected |= dict(zip(("precision", "recall", "f1"), three, strict=False))
    return expected


def _of_scores(rows: Rows) -> dict[str, float]:
    assert rows.score is not None
    truth = np.array(rows.actual) == "yes"
    return {
        "auc": metrics.roc_auc_score(truth, binned(rows.score)),
        "average_precision": metrics.average_precision_score(truth, binned(rows.score)),
        "log_loss": metrics.log_loss(truth, rows.score),
        "brier": metrics.brier_score_loss(truth, rows.score),
    }


def _of_numbers(rows: Rows) -> dict[str, float]:
    actual, predicted = np.array(rows.actual), np.array(rows.prediction)
    return {
        "mae": metrics.mean_absolute_error(actual, predicted),
        "rmse": metrics.root_mean_squared_error(actual, predicted),
        "r2": metrics.r2_score(actual, predicted),
        "bias": float((predicted - actual).mean()),
    }


EXPECTED: dict[str, Mapping[str, float]] = {
    "sound": {**_of_classes(SOUND, "yes"), **_of_scores(SOUND)},
    "turned": {**_of_classes(TURNED, "yes"), **_of_scores(TURNED)},
    "kinds": _of_classes(KINDS, None),
    "price": _of_numbers(PRICES),
}


@pytest.mark.parametrize("model", EXPECTED)
def test_metrics_are_those_of_scikit_learn_on_the_rows(found: Scrape, model: str) -> None:
    for metric, expected in EXPECTED[model].items():
        measured = value(found, model, metric)
        assert measured == pytest.approx(expected, rel=0.02, abs=0.005), metric
        limits = {
            bound: found.get(
                "ml_model_performance_limit", model_name=model, metric=metric, bound=bound
            )
            for bound in ("lower", "upper")
        }
        assert limits["lower"] is not None
        assert limits["upper"] is not None
        assert limits["lower"] < measured < limits["upper"], metric


def _part(rows: Rows, plan: str) -> Rows:
    kept = [place for place, value in enumerate(rows.features["plan"]) if value == plan]
    return Rows(
        {}, [rows.prediction[place] for place in kept], [rows.actual[place] for place in kept]
    )


@pytest.mark.parametrize("plan", ["free", "paid"])
def test_segments_are_measured_as_models_of_their_own(found: Scrape, plan: str) -> None:
    labels = {"feature_name": "plan", "category": plan, "window": WINDOW}
    numbers = _of_numbers(_part(PRICES, plan))
    for model, expected in (
        ("turned", _of_classes(_part(TURNED, plan), "yes")),
        ("price", {name: numbers[name] for name in ("mae", "rmse", "bias")}),
    ):
        for metric, number in expected.items():
            own = {"model_name": model, "metric": metric, **labels}
            measured = found.get("ml_segment_performance", **own)
            assert measured == pytest.approx(number, rel=0.02, abs=0.005), metric
            assert len(found.all("ml_segment_performance_limit", **own)) == 2
    verdict = {"model_name": "turned", "metric": "accuracy", **labels}
    assert found.get("ml_segment_performance_decayed", **verdict) == 1


def test_a_segment_that_never_came_has_samples_and_nothing_else(found: Scrape) -> None:
    labels = {"model_name": "turned", "feature_name": "plan", "category": "other"}
    assert found.get("ml_segment_samples", **labels) == 0
    assert found.all("ml_segment_performance", **labels) == []
    assert found.all("ml_segment_samples", model_name="sound") == []


DECAYED: dict[str, tuple[str, str, int | None]] = {
    "a metric that is as it was": ("sound", "auc", 0),
    "a metric above its minimum": ("sound", "accuracy", 0),
    "a loss below its maximum": ("sound", "log_loss", 0),
    "a metric that fell from its baseline": ("turned", "accuracy", 1),
    "another promise of that model, which it keeps": ("turned", "recall", 0),
    "an average below its minimum": ("kinds", "f1_macro", 1),
    "an error as large as it was": ("price", "mae", 0),
    "an explained variance above its minimum": ("price", "r2", 0),
    "a bias beyond its maximum": ("price", "bias", 1),
    "what needs two classes, of which one never occurred": ("one-class", "auc", None),
    "a model with too few labels": ("rare", "auc", None),
    "a model without labels": ("unlabelled", "accuracy", None),
}


@pytest.mark.parametrize(("model", "metric", "verdict"), DECAYED.values(), ids=DECAYED)
def test_a_promise_is_broken_only_by_what_is_known(
    found: Scrape, model: str, metric: str, verdict: int | None
) -> None:
    assert value(found, model, metric, "ml_model_performance_decayed") == verdict


def test_the_drop_is_from_the_baseline(found: Scrape) -> None:
    expected = 0.8 - metrics.accuracy_score(TURNED.actual, TURNED.prediction)
    drop = value(found, "turned", "accuracy", "ml_model_performance_drop")
    assert drop == pytest.approx(expected, abs=0.01)
    baseline = found.get("ml_model_performance_baseline", model_name="turned", metric="accuracy")
    assert baseline == 0.8
    larger = value(found, "price", "mae", "ml_model_performance_drop")
    assert larger == pytest.approx(EXPECTED["price"]["mae"] - 8, abs=0.2)


def test_what_is_not_known_is_absent(found: Scrape) -> None:
    for model in ("unlabelled", "rare"):
        assert found.all("ml_model_performance", model_name=model) == []
        assert found.all("ml_model_performance_limit", model_name=model) == []
    samples = found.get("ml_model_performance_samples", model_name="unlabelled")
    assert samples == 0
    assert value(found, "one-class", "recall") is None
    assert value(found, "one-class", "accuracy") is not None


def test_performance_is_estimated_without_labels(found: Scrape) -> None:
    name = "ml_model_performance_estimated"
    truth = {**_of_classes(UNLABELLED, "yes"), **_of_scores(UNLABELLED)}
    for metric in ("accuracy", "precision", "recall", "f1", "f1_macro", "auc"):
        estimated = value(found, "unlabelled", metric, name)
        assert estimated == pytest.approx(truth[metric], abs=0.06), metric
    low, high = (
        found.get(f"{name}_limit", model_name="unlabelled", metric="accuracy", bound=bound)
        for bound in ("lower", "upper")
    )
    assert low is not None
    assert high is not None
    assert low < truth["accuracy"] < high
    assert value(found, "unlabelled", "accuracy", f"{name}_decayed") == 1
    assert value(found, "sound", "accuracy", f"{name}_decayed") == 0


def test_labels_tell_how_far_an_estimate_was_off(found: Scrape) -> None:
    name = "ml_model_performance_estimation_error"
    assert abs(value(found, "sound", "accuracy", name)) < 0.08
    # What is true of the same inputs has changed, which confidences can't know.
    assert value(found, "turned", "accuracy", name) > 0.15
    assert found.all(name, model_name="unlabelled") == []


CONCEPT = {"sound": 0, "turned": 1, "kinds": 1}


@pytest.mark.parametrize(("model", "verdict"), CONCEPT.items())
def test_a_concept_drifts_where_performance_falls_and_inputs_stay(
    found: Scrape, model: str, verdict: int
) -> None:
    assert found.get("ml_drift_detected", model_name=model, kind="concept") == verdict


def test_a_concept_is_not_judged_without_labels_or_promises(found: Scrape) -> None:
    for model in ("unlabelled", "rare", "spoiled"):
        assert found.get("ml_drift_detected", model_name=model, kind="concept") is None


def test_predictions_are_held_against_the_profile(found: Scrape) -> None:
    for model in MODELS:
        score = found.get("ml_prediction_drift_score", model_name=model, window=WINDOW)
        floor = found.get("ml_drift_noise_floor", model_name=model, kind="prediction")
        assert score is not None
        assert floor is not None


COVERED = {"sound": 1.0, "unlabelled": 0.0}


@pytest.mark.parametrize(("model", "share"), COVERED.items())
def test_coverage_is_the_share_of_predictions_with_labels(
    found: Scrape, model: str, share: float
) -> None:
    coverage = found.get("ml_label_coverage_ratio", model_name=model, window=WINDOW)
    assert coverage == pytest.approx(share, abs=0.1)
    delay = found.get("ml_label_delay_median_seconds", model_name=model, window=WINDOW)
    assert (delay is None) == (share == 0)


QUALITY: dict[str, tuple[str, str, str, float, int]] = {
    "values that are missing": ("spoiled", "age", "missing", 0.25, 1),
    "values that are no number": ("spoiled", "age", "type", 0.25, 1),
    "values within their range": ("spoiled", "age", "range", 0.0, 0),
    "categories that nobody knew": ("spoiled", "plan", "category", 1 / 3, 1),
    "categories that are there": ("spoiled", "plan", "missing", 0.0, 0),
    "a feature that never comes": ("spoiled", "gone", "missing", 1.0, 1),
    "a feature as it should be": ("sound", "age", "missing", 0.0, 0),
}


@pytest.mark.parametrize(
    ("model", "feature", "check", "share", "failed"), QUALITY.values(), ids=QUALITY
)
def test_the_quality_of_values_is_their_share(
    found: Scrape, model: str, feature: str, check: str, share: float, failed: int
) -> None:
    labels = {"model_name": model, "feature_name": feature, "check": check}
    assert found.get("ml_data_quality_ratio", **labels) == pytest.approx(share, abs=0.02)
    assert found.get("ml_data_quality_failed", **labels) == failed


def test_a_check_is_only_of_features_it_applies_to(found: Scrape) -> None:
    for feature, check in (("age", "category"), ("plan", "type"), ("plan", "range")):
        labels = {"model_name": "sound", "feature_name": feature, "check": check}
        assert found.get("ml_data_quality_ratio", **labels) is None


STALE = {"gone": 1, "age": 0, "plan": 0}


@pytest.mark.parametrize(("feature", "stale"), STALE.items())
def test_a_feature_that_does_not_come_any_more_is_stale(
    found: Scrape, feature: str, stale: int
) -> None:
    labels = {"model_name": "spoiled", "feature_name": feature, "check": "freshness"}
    assert found.get("ml_data_quality_failed", **labels) == stale


@pytest.mark.parametrize("who", [1, 2], ids=["the collector", "the command"])
def test_who_asks_is_told_of_performance_and_of_the_concept(
    told: tuple[Scrape, list[Answer], list[Answer]], who: int
) -> None:
    answers: list[Answer] = told[who]  # type: ignore[assignment]  # the first one is the scrape
    models = {answer["model_name"]: answer for answer in answers}
    turned = models["turned"]
    assert turned["drift_types"] == ["concept"]
    assert (turned["drift_detected"], turned["severity"]) == (True, "warning")
    accuracy = next(own for own in turned["performance"] if own["metric"] == "accuracy")
    expected = metrics.accuracy_score(TURNED.actual, TURNED.prediction)
    assert accuracy["value"] == pytest.approx(expected, abs=0.02)
    assert accuracy["lower"] < accuracy["value"] < accuracy["upper"]
    assert accuracy["decayed"] is True
    assert accuracy["estimated"] > accuracy["value"]
    unlabelled = {own["metric"]: own for own in models["unlabelled"]["performance"]}
    assert unlabelled["accuracy"]["value"] is None
    assert unlabelled["accuracy"]["estimated"] > 0.5
    assert models["sound"]["drift_types"] == []
