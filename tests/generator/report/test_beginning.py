"""In the first minutes of a stack a report says since when there is data, and when to ask again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.__main__ import main
from generator.report.beginning import first_figures
from tests.processes import eventually, free_port, http, running

STEP = 300.0
BEGAN = 1000 * STEP + 7

FIRST = {
    "at once: the first count may come as late as a step later": (0, 1002 * STEP),
    "just before that": (STEP, 1002 * STEP),
    "at the end of a step, where it should be there by now": (2 * STEP - 7, 1002 * STEP),
    "a little later, once more": (2 * STEP, 1003 * STEP),
    "when it is no beginning any more": (3 * STEP, None),
}


@pytest.mark.parametrize(("later", "expected"), FIRST.values(), ids=FIRST)
def test_the_first_figures_are_there_at_the_end_of_a_step(
    later: float, expected: float | None
) -> None:
    assert first_figures(BEGAN, BEGAN + later, STEP) == expected


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A models.yaml whose Prometheus has just begun and scrapes nothing but itself."""
    folder = tmp_path_factory.mktemp("young")
    address = f"127.0.0.1:{free_port()}"
    job = {"job_name": "prometheus", "static_configs": [{"targets": [address]}]}
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    argv = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ]
    file = folder / "models.yaml"
    file.write_text(
        f'stack: {{prometheus: "{address}"}}\n'
        "models: [{name: m, version: '1', task: regression}]\n"
    )
    with running(argv, ready_url=f"http://{address}/-/ready"), http() as web:
        url = f"http://{address}/api/v1/query?query=prometheus_tsdb_lowest_timestamp_seconds"
        eventually(lambda: web.get(url).json()["data"]["result"])
        yield file


@pytest.mark.stack
@pytest.mark.parametrize("kind", ["sla", "performance", "drift"])
def test_a_young_prometheus_says_when_to_ask_again(
    models: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["report", kind, "--models", str(models), "--zone", "UTC"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    found = re.search(
        r"Prometheus's data begin at \d{4}-\d\d-\d\d \d\d:\d\d: requests are counted every "
        r"5 minutes, and the first figures are there at \d\d:\d[05]\. Ask again then\.",
        text,
    )
    assert found, text
    assert "nothing counted its requests yet." in text
    assert "make doctor" not in text


@pytest.mark.stack
def test_a_program_is_told_when_to_ask_again(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", str(models), "--zone", "UTC", "--format", "json"]
    assert main(["report", "sla", *options]) == 0
    again = json.loads(capsys.readouterr().out)["figures_from"]
    minutes = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:(\d\d):00Z", again)
    assert minutes
    assert int(minutes[1]) % 5 == 0


@pytest.mark.stack
def test_of_a_time_before_it_there_will_never_be_figures(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", str(models), "--zone", "UTC", "--from", "2025-10", "--to", "2025-10"]
    assert main(["report", "sla", *options]) == 0
    text = " ".join(capsys.readouterr().out.split())
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert re.search(rf"Prometheus's data begin at {today} \d\d:\d\d, after this period\.", text)
    assert "Ask again" not in text
