"""Versions that serve at once, compared from the counts that a real Prometheus holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from contract.read import read_spec
from contract.spec import Spec
from exporters.drift.prometheus import Prometheus, PrometheusError, RawSample
from exporters.drift.versions.cycle import Compared, Pair, Versions
from exporters.expose import render
from tests.exporters.drift.history import NOON, STEP, openmetrics, remembering

START: Final = NOON.timestamp() - 3 * 3600
MINUTES: Final = 240

MODELS: Final = """
stack: {scrape_interval: 1m}
models:
  - {name: spam, version: "1.9", task: binary_classification, deployed_at: 2026-09-01}
  - {name: spam, version: "1.10", task: binary_classification, deployed_at: 2026-10-01}
  - {name: spam, version: "1.8", task: binary_classification, state: retired}
  - {name: price, version: "1", task: regression,
      business: [{name: sold, numerator: sale, denominator: offer}]}
  - {name: price, version: "2", task: regression, state: registered,
      business: [{name: sold, numerator: sale, denominator: offer}]}
  - {name: alone, version: "1", task: regression}
"""


def grows(
    name: str, version: str, series: str, each: float, *, labels: str = "", since: int = 0
) -> dict[str, list[float]]:
    """A counter of a version that grows by as much every minute, from one of them on."""
    own = f'{series}{{model_name="{name}",model_version="{version}"{labels}}}'
    return {own: [0.0 if minute < since else each for minute in range(MINUTES)]}


def requests(
    name: str, version: str, ok: float, failed: float, slow: float, *, since: int = 0
) -> dict[str, dict[str, list[float]]]:
    """Requests a minute, and those of them that took more than 250 ms."""
    total, latency = "ml_inference_requests_total", "ml_inference_latency_seconds_bucket"
    both = ok + failed
    return {
        total: grows(name, version, total, ok, labels=',status="success"', since=since)
        | grows(name, version, total, failed, labels=',status="error"', since=since),
        latency: grows(name, version, latency, both - slow, labels=',le="0.25"', since=since)
        | grows(name, version, latency, both, labels=',le="+Inf"', since=since),
    }


def outcomes(version: str, right: float, wrong: float) -> dict[str, dict[str, list[float]]]:
    name = "ml_outcomes_total"
    classes = ',predicted_class="ham",actual_class="{}"'
    return {
        name: grows("spam", version, name, right, labels=classes.format("ham"))
        | grows("spam", version, name, wrong, labels=classes.format("spam"))
    }


def regressed(version: str, n: float, error: float) -> dict[str, dict[str, list[float]]]:
    """Labels a minute whose absolute errors are half 0 and half twice as much as the mean."""
    values = {
        "ml_error_samples_total": n,
        "ml_absolute_error_total": n * error,
        "ml_squared_error_total": n * 2 * error**2,
    }
    return {name: grows("price", version, name, value) for name, value in values.items()}


def business(version: str, offers: float, sales: float) -> dict[str, dict[str, list[float]]]:
    name = "ml_business_events_total"
    return {
        name: grows("price", version, name, offers, labels=',event="offer"')
        | grows("price", version, name, sales, labels=',event="sale"')
    }


def exposition() -> str:
    """In the last of four hours `spam` 1.10 is there, and worse in errors; `price` 2 in mae."""
    parts = (
        requests("spam", "1.9", 99, 1, 2),
        requests("spam", "1.10", 28, 2, 0.6, since=180),
        requests("spam", "1.8", 50, 50, 50),
        outcomes("1.9", 45, 5),
        outcomes("1.10", 9, 1),
        requests("price", "1", 100, 0, 0),
        requests("price", "2", 100, 0, 0),
        regressed("1", 50, 2.0),
        regressed("2", 50, 3.0),
        business("1", 40, 8),
        business("2", 40, 7.9),
        requests("alone", "1", 10, 10, 10),
    )
    families: dict[str, dict[str, Sequence[float]]] = {}
    for part in parts:
        for family, series in part.items():
            families.setdefault(family, {}).update(series)
    return "\n".join(openmetrics(own, START, family=name) for name, own in families.items())


class Asking:
    """Prometheus, and how often it was asked."""

    def __init__(self, url: str) -> None:
        self.prometheus = Prometheus(f"http://{url}")
        self.asked: list[tuple[str, float]] = []

    def __call__(self, expression: str, at: float) -> Sequence[RawSample]:
        self.asked.append((expression, at))
        return self.prometheus.query_raw(expression, at)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with remembering(tmp_path_factory.mktemp("past"), exposition()) as address:
        yield address


@pytest.fixture
def ask(address: str) -> Iterator[Asking]:
    asking = Asking(address)
    yield asking
    asking.prometheus.close()


def spec_of(folder: Path, text: str = MODELS) -> Spec:
    (folder / "models.yaml").write_text(text)
    return read_spec(folder / "models.yaml")


END: Final = START + (MINUTES - 1) * STEP


def pairs(compared: Compared) -> Mapping[tuple[str, str, str], Pair]:
    return {(*pair.newer.key, pair.older.version): pair for pair in compared.pairs}


def worse(pair: Pair) -> set[str]:
    return {aspect.name for aspect in pair.aspects if aspect.worse}


def test_the_newer_version_is_worse_in_what_it_is_worse_in(tmp_path: Path, ask: Asking) -> None:
    found = pairs(Versions(spec_of(tmp_path)).evaluate(ask, END))
    assert set(found) == {("spam", "1.10", "1.9"), ("price", "2", "1")}, "1.10 is after 1.9"
    spam, price = found["spam", "1.10", "1.9"], found["price", "2", "1"]
    assert worse(spam) == {"errors"}
    assert worse(price) == {"mae"}, "and of what is sold, the difference is chance"
    aspects = {aspect.name: aspect for aspect in spam.aspects}
    assert set(aspects) == {"errors", "slow", "accuracy"}
    errors = aspects["errors"]
    assert (errors.newer, errors.older) == pytest.approx((2 / 30, 1 / 100), rel=0.02)
    # Of the stretches that are over, those in which both served.
    assert errors.newer_samples == pytest.approx(60 * 30, rel=0.1)
    assert errors.older_samples == pytest.approx(60 * 100, rel=0.1)
    assert aspects["slow"].newer == pytest.approx(aspects["slow"].older, rel=0.02)
    assert aspects["accuracy"].older == pytest.approx(0.9)
    mae = {aspect.name: aspect for aspect in price.aspects}["mae"]
    assert (mae.newer, mae.older) == pytest.approx((3.0, 2.0))


def test_it_is_exposed_by_pair_and_aspect(tmp_path: Path, ask: Asking) -> None:
    compared = Versions(spec_of(tmp_path)).evaluate(ask, END)
    lines = render(compared.families).decode().splitlines()
    pair = 'model_name="spam",model_version="1.10",baseline_version="1.9"'
    assert f"ml_version_baseline_info{{{pair}}} 1" in lines
    assert f'ml_version_worse{{{pair},objective="errors"}} 1' in lines
    assert f'ml_version_worse{{{pair},objective="slow"}} 0' in lines
    sides = [line for line in lines if line.startswith(f"ml_version_comparison{{{pair}")]
    assert len(sides) == 2 * 3
    assert sum(line.startswith("ml_version_comparison_p_value{") for line in lines) == 3 + 4


def test_a_stretch_of_time_is_asked_for_once(tmp_path: Path, ask: Asking) -> None:
    versions = Versions(spec_of(tmp_path))
    versions.evaluate(ask, END - 300)
    first = len(ask.asked)
    assert len({at for _, at in ask.asked}) == 12
    versions.evaluate(ask, END - 299)
    assert len(ask.asked) == first
    versions.evaluate(ask, END)
    assert len(ask.asked) == first * 13 / 12
    assert not [text for text, _ in ask.asked if "alone" in text]


def test_while_only_one_of_them_serves_there_is_nothing_to_compare(
    tmp_path: Path, ask: Asking
) -> None:
    found = Versions(spec_of(tmp_path)).evaluate(ask, START + 150 * STEP)
    assert set(pairs(found)) == {("price", "2", "1")}


def test_models_of_one_version_cost_no_query(tmp_path: Path, ask: Asking) -> None:
    one = 'models: [{name: alone, version: "1", task: regression}]'
    assert Versions(spec_of(tmp_path, one)).evaluate(ask, END).pairs == ()
    assert ask.asked == []


def test_a_limit_of_the_model_is_what_counts(tmp_path: Path, ask: Asking) -> None:
    text = MODELS.replace("deployed_at: 2026-10-01}", "comparison: {errors: 10%}}")
    found = pairs(Versions(spec_of(tmp_path, text)).evaluate(ask, END))["spam", "1.10", "1.9"]
    assert worse(found) == set()
    few = MODELS.replace("models:\n", "defaults: {comparison: {min_samples: 2000}}\nmodels:\n")
    found = pairs(Versions(spec_of(tmp_path, few)).evaluate(ask, END))["spam", "1.10", "1.9"]
    assert found.aspects == ()


def test_a_prometheus_that_does_not_answer_fails_the_models_with_versions(tmp_path: Path) -> None:
    def silent(_: str, __: float) -> Sequence[RawSample]:
        raise PrometheusError("nobody there")

    compared = Versions(spec_of(tmp_path)).evaluate(silent, END)
    assert compared.pairs == ()
    assert set(compared.failures) == {
        ("spam", "1.9"), ("spam", "1.10"), ("price", "1"), ("price", "2"),
    }  # fmt: skip
