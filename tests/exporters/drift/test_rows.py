"""Rows from real sidecars to verdicts on all features together."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from contract.profile import build_profile, write_profile
from contract.read import read_spec
from exporters.drift.rows import Together
from tests.exporters.drift.counting import Scrape, scrape
from tests.processes import Running, eventually, free_port, running


def _rows(rows: int, seed: int, correlation: float) -> list[dict[str, float]]:
    """Two features that each look the same at any correlation."""
    covariance = [[1, correlation], [correlation, 1]]
    points = np.random.default_rng(seed).multivariate_normal([0, 0], covariance, rows)
    return [{"a": float(a), "b": float(b)} for a, b in points]


def _models(folder: Path, target: str, **sidecar: object) -> Path:
    reference = _rows(3000, 1, 0.9)
    columns = {name: [row[name] for row in reference] for name in ("a", "b")}
    lines = ["a,b", *(f"{row['a']!r},{row['b']!r}" for row in reference)]
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    write_profile(build_profile(columns, model_name="m"), folder / "m.json")
    model = {"name": "m", "version": "1", "task": "regression", "profile": "m.json"}
    drift = {"multivariate": {"data": "train.csv", "rows": 500, "window": "10s"}}
    bare = {"name": "bare", "version": "1", "task": "regression"}
    spec = {"models": [{**model, "drift": drift}, bare], "sidecar": sidecar}
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({**spec, "stack": {"sidecar": target}}))
    return path


@dataclass(frozen=True)
class Both:
    """A sidecar and a collector that asks it, without a Prometheus."""

    sidecar: str
    collector: str
    process: Running

    def send(self, rows: list[dict[str, float]], **headers: str) -> None:
        events = [{"model_name": "m", "features": row} for row in rows]
        with httpx.Client(trust_env=False, timeout=20, headers=headers) as client:
            url = f"http://{self.sidecar}/v1/predictions"
            assert client.post(url, content=json.dumps(events)).json()["rejected"] == 0

    def scrape(self) -> Scrape:
        return scrape(self.collector)


@contextmanager
def _both(folder: Path, **sidecar: object) -> Iterator[Both]:
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    models = _models(folder, addresses[0], **sidecar)
    common = ["--models", str(models), "--log-format", "json"]
    python = [sys.executable, "-m"]
    with ExitStack() as stack:
        one = [*python, "exporters.sidecar", "serve", *common, "--listen", addresses[0]]
        one += ["--data-dir", str(folder / "data")]
        stack.enter_context(running(one, ready_url=f"http://{addresses[0]}/healthz"))
        other = [*python, "exporters.drift", "serve", *common, "--listen", addresses[1]]
        other += ["--interval", "1s", "--prometheus", f"http://127.0.0.1:{free_port()}"]
        ready = f"http://{addresses[1]}/healthz"
        process = stack.enter_context(running(other, ready_url=ready, exits_with=0))
        yield Both(addresses[0], addresses[1], process)


def test_features_that_no_longer_belong_together_are_found(tmp_path: Path) -> None:
    with _both(tmp_path) as both:

        def failing() -> bool:
            name = "ml_drift_errors_total"
            return bool(both.scrape().get(name, model_name="m", reason="rows"))

        eventually(failing, seconds=30, says=both.process.tail)
        assert "has 0 rows, fewer than 30" in both.process.output
        assert both.scrape().all("ml_multivariate_drift_detected") == []

        def verdicts(*wanted: float) -> bool:
            both.send(_rows(100, 5, 0.9 if wanted[0] == 0 else -0.9))
            return both.scrape().all("ml_multivariate_drift_detected") == list(wanted)

        eventually(lambda: verdicts(0, 0), seconds=30, says=both.process.tail)
        eventually(lambda: verdicts(1, 1), seconds=40, says=both.process.tail)
        found = both.scrape()
        auc = found.get("ml_multivariate_drift_score", model_name="m", method="auc")
        assert auc is not None
        assert auc > 0.75
        assert found.get("ml_multivariate_drift_p_value", model_name="m", method="auc") == 0.002
        assert found.all("ml_multivariate_drift_score", model_name="bare") == []


def test_rows_are_read_by_who_has_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with _both(tmp_path, token_file="token") as both:
        with httpx.Client(trust_env=False) as client:
            url = f"http://{both.sidecar}/v1/rows/m/1"
            assert client.get(url).status_code == 401
            own = {"Authorization": "Bearer secret"}
            assert client.get(url, headers=own).json()["columns"] == {"a": [], "b": []}
            other = f"http://{both.sidecar}/v1/rows/bare/1"
            assert client.get(other, headers=own).status_code == 404
        both.send(_rows(200, 5, 0.9), authorization="Bearer secret")
        eventually(
            lambda: both.scrape().get("ml_multivariate_drift_rows", model_name="m"),
            seconds=30,
            says=both.process.tail,
        )


def test_a_sidecar_that_is_not_there_is_a_failure_of_its_model(tmp_path: Path) -> None:
    together = Together(read_spec(_models(tmp_path, f"127.0.0.1:{free_port()}")))
    assert together.evaluate(deadline=float("inf")) == {("m", "1")}
    assert not any([*family.samples] for family in together.families())
    # What failed is asked for again after a tenth of its window.
    assert together.evaluate(deadline=float("inf")) == set()


WRONG = {
    "no table": ("x,y\n1\n", "train.csv:2: has 1 columns, the header has 2"),
    "no feature": ("x,y\n1,2\n", "train.csv: has no column that is a feature of m"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_reference_that_cannot_be_read_is_bad_input(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from exporters.drift.__main__ import main

    models = _models(tmp_path, "127.0.0.1:1")
    (tmp_path / "train.csv").write_text(text)
    assert main(["serve", "--models", str(models)]) == 2
    assert message in capsys.readouterr().err
