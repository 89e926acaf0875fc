from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.alerts import ALERTS, Alert
from contract.catalog import METRICS
from contract.read import read_spec
from contract.spec import Spec
from generator.docs import CONDITIONS, render_docs
from generator.rules.recording import RULES as RECORDED
from tests.processes import ROOT

RUNBOOKS = ROOT / "docs" / "runbooks"


def spec_of(folder: Path, text: str) -> Spec:
    file = folder / "models.yaml"
    file.write_text(text)
    return read_spec(file)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return render_docs(read_spec(ROOT / "models.yaml"))


def rows(page: str, name: str) -> list[list[str]]:
    """The cells of each row of a table whose first cell names `name`."""
    found = [line for line in page.splitlines() if re.match(rf"\| \[?`?{re.escape(name)}\b", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_every_metric_is_described_once(metric: object, pages: dict[str, str]) -> None:
    table = [row for row in rows(pages["docs/metrics.md"], str(metric)) if row[0] == f"`{metric}`"]
    assert len(table) == 1
    assert len(table[0]) == 5
    assert all(table[0])


@pytest.mark.parametrize("rule", RECORDED, ids=str)
def test_every_recorded_series_is_described_once(rule: object, pages: dict[str, str]) -> None:
    table = [row for row in rows(pages["docs/metrics.md"], str(rule)) if row[0] == f"`{rule}`"]
    assert len(table) == 1
    assert len(table[0]) == 4


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_every_alert_has_a_row_for_each_severity_an_expression_and_a_runbook(
    alert: Alert, pages: dict[str, str]
) -> None:
    name, severities = alert.name, alert.severities
    page = pages["docs/alerts.md"]
    assert [row[1] for row in rows(page, name)] == list(severities)
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert CONDITIONS[name] in section
    assert section.count("```promql\n") == len(severities)
    assert f"(runbooks/{name}.md)" in section
    assert (RUNBOOKS / f"{name}.md").read_text().startswith(f"# {name}\n")


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_says_what_it_means_what_to_look_at_and_what_to_do(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    parts = re.split(r"^\*\*(What it means|Look at|What to do)[.:]?\*\*", text, flags=re.MULTILINE)
    assert parts[1::2] == ["What it means", "Look at", "What to do"]
    assert [part for part in parts[2::2] if len(part.split()) < 5] == []


def test_no_runbook_or_condition_is_about_an_alert_that_does_not_exist() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)
    assert set(CONDITIONS) == set(ALERTS)


def test_links_between_runbooks_lead_somewhere() -> None:
    for path in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"


THRESHOLDS = {
    "without defaults, the built-in ones": ("", "HighErrorRatio", ["critical", "5%", "2m"]),
    "a threshold of defaults": (
        "alerts: {HighErrorRatio: {threshold: 1%}}",
        "HighErrorRatio",
        ["critical", "1%", "2m"],
    ),
    "a severity and a for of defaults": (
        "alerts: {HighErrorRatio: {severity: error, for: 90s}}",
        "HighErrorRatio",
        ["error", "5%", "1m30s"],
    ),
    "an alert that defaults turn off": (
        "alerts: {HighErrorRatio: off}",
        "HighErrorRatio",
        ["critical", "off", "2m"],
    ),
    "a promise of defaults": (
        "slo: {latency: {threshold: 1.5s, target: 50%}}",
        "HighLatencyP50",
        ["error", "1s500ms", "5m"],
    ),
    "a threshold of GPUs, built in": ("", "GpuThrottledAndSlow", ["warning", "10%", "5m"]),
    "an alert without a for": ("", "GpuXid", ["critical", "1h", "at once"]),
    "a quantile that nothing promises": ("", "HighLatencyP50", ["error", "off", "5m"]),
}


@pytest.mark.parametrize(("defaults", "alert", "expected"), THRESHOLDS.values(), ids=THRESHOLDS)
def test_thresholds_are_those_of_defaults(
    defaults: str, alert: str, expected: list[str], tmp_path: Path
) -> None:
    text = f"defaults: {{{defaults}}}\nmodels: [{{name: m, version: '1', task: regression}}]\n"
    page = render_docs(spec_of(tmp_path, text))["docs/alerts.md"]
    assert [row[1:4] for row in rows(page, alert)] == [expected]


def test_thresholds_of_gpus_are_those_of_gpu_alerts(tmp_path: Path) -> None:
    text = (
        "gpu: {alerts: {GpuHot: {threshold: 10, for: 1h, severity: error}, GpuIdleButHeld: off}}\n"
        "models: [{name: m, version: '1', task: regression}]\n"
    )
    page = render_docs(spec_of(tmp_path, text))["docs/alerts.md"]
    assert [row[1:4] for row in rows(page, "GpuHot")] == [["error", "10", "1h"]]
    assert [row[1:4] for row in rows(page, "GpuIdleButHeld")] == [["info", "off", "30m"]]


def test_rendering_twice_gives_the_same_bytes() -> None:
    spec = read_spec(ROOT / "models.yaml")
    assert render_docs(spec) == render_docs(spec)


def test_no_page_holds_a_mark_of_its_template(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert not re.search(r"<%|<<|>>|None\b", page)
