"""What `render` says the stack will cost, beside what a real Prometheus then holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.catalog import METRICS, Exporter, Metric
from contract.problems import ProblemsError
from contract.read import read_spec
from contract.slo import objectives
from generator.__main__ import main
from generator.estimate import Cost, estimate, refuse_beyond_limit
from generator.queries.recorded import Recorded
from generator.rules.recording import RULES
from generator.series import countable
from tests.contract.models_file import MODEL, ONE, read
from tests.live_models import live_models
from tests.processes import ROOT, eventually

OF_OBJECTIVES = [rule for rule in RULES if str(rule).startswith("model:ml_slo_")]
TOLERANCE = 0.15
"""How far the series of models may be from the estimate, either way."""


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if "model_name" in m.labels and m.exporter is not Exporter.GPU]
)
def test_how_many_series_each_metric_has_is_known(metric: Metric) -> None:
    assert countable(metric), "add its label to generator.series.LABELS"


@pytest.mark.parametrize("rule", [rule for rule in RULES if "model_name" in rule.labels], ids=str)
def test_how_many_series_each_rule_records_is_known(rule: Recorded) -> None:
    assert countable(rule), "add its label to generator.series.LABELS"


# Beside a real Prometheus


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder = tmp_path_factory.mktemp("estimate")
    with live_models(folder) as client:
        yield client, folder


def count(client: httpx.Client, selector: str) -> int:
    answer = client.get("/api/v1/query", params={"query": f"count({selector}) or vector(0)"})
    return int(answer.json()["data"]["result"][0]["value"][1])


@pytest.mark.stack
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("part", "selector"),
    [
        ("sidecar", '{job="ml-sidecar", model_name!=""}'),
        ("drift", '{job="ml-drift", model_name!=""}'),
        ("recorded", '{__name__=~"(model|gpu):.+", __name__!~"model:ml_slo_.+"}'),
    ],
)
def test_prometheus_holds_about_as_many_series_as_were_estimated(
    live: tuple[httpx.Client, Path], part: str, selector: str
) -> None:
    client, folder = live
    spec = read_spec(folder / "models.yaml")
    expected = estimate(spec).parts[part].series
    if part == "recorded":
        # Most of those of error budgets are first recorded after some minutes.
        expected -= sum(len(list(objectives(m))) for m in spec.models) * len(OF_OBJECTIVES)

    def close() -> bool:
        return abs(count(client, selector) / expected - 1) <= TOLERANCE

    eventually(close, seconds=120, says=lambda: f"{count(client, selector)}, not {expected}")


# Its arithmetic


def test_twice_the_models_cost_twice(tmp_path: Path) -> None:
    one = estimate(read(tmp_path, ONE))
    two = estimate(read(tmp_path, ONE + MODEL.replace("name: a", "name: b")))
    assert two.parts["sidecar"].series == 2 * one.parts["sidecar"].series
    assert list(two.models.values()) == 2 * list(one.models.values())


def test_samples_follow_the_intervals(tmp_path: Path) -> None:
    usual = estimate(read(tmp_path, ONE)).parts
    slow = estimate(
        read(tmp_path, "stack: {scrape_interval: 30s, evaluation_interval: 2m}\n" + ONE)
    )
    assert slow.parts["sidecar"].samples == usual["sidecar"].samples / 2
    # Groups with an interval of their own keep it where that is the longer one.
    recorded = slow.parts["recorded"].samples / usual["recorded"].samples
    assert 1 / 4 < recorded < 1
    assert slow.total.series == sum(usual.values(), Cost()).series


def test_replicas_and_features_cost(tmp_path: Path) -> None:
    text = (ROOT / "models.yaml").read_text().replace("profile: ", f"profile: {ROOT}/")
    demo = estimate(read(tmp_path, text))
    three = '["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]'
    key = ("diabetes", "1.0.0")
    served = text.replace(
        "task: regression", f"task: regression\n    serving: {{targets: {three}}}"
    )
    assert estimate(read(tmp_path, served)).models[key].series > 1.7 * demo.models[key].series
    bare = "\n".join(line for line in text.splitlines() if "profile:" not in line)
    assert estimate(read(tmp_path, bare)).models[key].series < demo.models[key].series / 2


# The limit


def test_what_costs_more_than_the_limit_is_refused_and_the_dearest_models_are_named(
    tmp_path: Path,
) -> None:
    spec = read(tmp_path, "limits: {series: 1000}\n" + ONE)
    with pytest.raises(ProblemsError) as raised:
        refuse_beyond_limit(estimate(spec), spec, tmp_path / "models.yaml")
    [problem] = raised.value.problems
    assert (problem.line, problem.column, problem.path) == (1, 18, "limits.series")
    assert "series are more than 1,000 (limits.series); of models: a 1 " in problem.message
    assert "leave features out of profiles" in problem.suggestion
    assert re.search(r"about [1-9][0-9]* MiB of memory$", problem.suggestion)


def test_the_limit_is_two_million_where_nothing_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, ONE).limits.series == 2_000_000


def test_render_writes_nothing_beyond_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.yaml").write_text("limits: {series: 10}\n" + ONE)
    arguments = ["render", "--models", str(tmp_path / "models.yaml"), "--out", str(tmp_path / "o")]
    assert main(arguments) == 2
    assert "limits.series" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
