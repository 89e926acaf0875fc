"""`evaluate` and `baseline` against a real Prometheus that holds a past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.profile import read_profile
from exporters.drift.__main__ import main
from exporters.drift.statistics import Sides, psi
from tests.exporters.drift.counting import Bins, numeric, write_models
from tests.exporters.drift.history import AFTER, PROFILES, TRAINED, exposition, remembering
from tests.processes import free_port


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with remembering(tmp_path_factory.mktemp("past"), exposition()) as address:
        yield f"http://{address}"


def _run(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return int(exit_.code or 0)


def _evaluate(models: Path, url: str, at: str, *more: str) -> int:
    return _run("evaluate", "--models", models, "--prometheus", url, "--at", at, *more)


def _reports(
    models: Path, url: str, at: str, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    assert _evaluate(models, url, at, "--format", "json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_past_is_evaluated_as_it_was(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path, PROFILES)
    [before] = _reports(models, past, "2026-10-01T11:55Z", capsys)
    [after] = _reports(models, past, "2026-10-01T16:00+03:00", capsys)
    assert (before["drift_detected"], after["drift_detected"]) == (False, True)
    assert (after["evaluated_at"], after["window"]) == ("2026-10-01T13:00:00Z", "1h")
    assert (after["severity"], after["drift_types"]) == ("critical", ["feature"])
    age, city = after["columns"]
    expected = psi(Sides(np.array([0.0, *TRAINED]), np.array([0.0, *AFTER]) * 60))
    assert age["score"] == pytest.approx(float(expected), rel=0.01)
    assert (age["verdict"], age["confirmed"]) == ("critical", True)
    assert city["score"] == pytest.approx(0, abs=1e-9)
    assert (city["verdict"], city["confirmed"]) == ("none", False)
    assert city["samples"] == pytest.approx(6000, rel=0.02)


def test_a_terminal_shows_what_is_worst_first(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path, PROFILES)
    assert _evaluate(models, past, "2026-10-01T13:00Z") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "m 1, 1h up to 2026-10-01T13:00:00Z, against its profile"
    assert lines[1] == "  critical: drift in 1 of 2 columns (feature)"
    assert lines[2].split() == ["method", "score", "floor", "samples", "verdict"]
    assert lines[3].split()[0] == "age"
    assert lines[3].endswith("critical")
    assert lines[4].split()[:3] == ["city", "psi", "0.0000"]
    assert len(lines) == 5


def test_a_fixed_past_is_compared_with_whatever_the_profile_counts(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = {"from": "2026-10-01T13:00:00Z", "to": "2026-10-01T14:30:00Z"}
    models = write_models(tmp_path, PROFILES, drift={"m": {"reference": reference}})
    [found] = _reports(models, past, "2026-10-01T14:50Z", capsys)
    assert found["drift_detected"] is False
    assert found["reference"] == "2026-10-01T13:00:00Z to 2026-10-01T14:30:00Z"
    assert found["columns"][0]["score"] == pytest.approx(0, abs=1e-6)
    assert _evaluate(models, past, "2026-10-01T14:20Z") == 1
    assert (
        "not evaluated (reference): the reference is collected until 2026-10-01T14:30:00Z"
        in capsys.readouterr().out
    )


def test_a_moving_past_is_compared_with(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drift: dict[str, object] = {"window": "30m", "reference": {"window": "2h", "offset": "1h"}}
    models = write_models(tmp_path, PROFILES, drift={"m": drift})
    [before] = _reports(models, past, "2026-10-01T11:55Z", capsys)
    [after] = _reports(models, past, "2026-10-01T12:50Z", capsys)
    assert (before["drift_detected"], after["drift_detected"]) == (False, True)
    assert after["reference"] == "2h up to 1h before"


def test_a_baseline_is_frozen_as_a_profile(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path, PROFILES)
    arguments = ["--models", models, "--prometheus", past, "--model", "m", "--window", "1h"]
    assert _run("baseline", *arguments, "--at", "2026-10-01T14:00Z") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"wrote {tmp_path / 'm.json'}: 2 features, ")
    assert said.endswith(" rows, 1h up to 2026-10-01T14:00:00Z\n")
    frozen = read_profile(tmp_path / "m.json")
    age = np.array(frozen.features["age"].counts)
    assert age / age.sum() == pytest.approx(np.array(AFTER) / sum(AFTER), abs=1e-3)
    assert age.sum() == pytest.approx(6000, rel=0.02)
    # What was drift before is what is usual now.
    [found] = _reports(models, past, "2026-10-01T13:00Z", capsys)
    assert found["drift_detected"] is False
    [found] = _reports(models, past, "2026-10-01T11:55Z", capsys)
    assert found["drift_detected"] is True


def test_a_baseline_of_nothing_is_refused_and_leaves_the_profile(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path, PROFILES)
    before = (tmp_path / "m.json").read_bytes()
    arguments = ["--models", models, "--prometheus", past, "--model", "m", "--window", "1h"]
    assert _run("baseline", *arguments, "--at", "2026-10-02") == 1
    assert capsys.readouterr().err == (
        "m: nothing was counted of age, city from 2026-10-01T23:00:00Z to 2026-10-02T00:00:00Z\n"
    )
    assert (tmp_path / "m.json").read_bytes() == before


def test_other_bins_are_said_to_be_other_bins(
    past: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins: dict[str, Bins] = {"age": numeric(*TRAINED, edges=(0.0, 1.0, 2.0, 10.0))}
    models = write_models(tmp_path, {"m": bins})
    assert _evaluate(models, past, "2026-10-01T13:00Z") == 1
    assert (
        "  not evaluated (bins): feature age is counted with le="
        '"2.5", which its profile does not have\n'
    ) in capsys.readouterr().out


def test_without_prometheus_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = write_models(tmp_path, PROFILES)
    assert _evaluate(models, f"http://127.0.0.1:{free_port()}", "2026-10-01") == 1
    assert "  not evaluated (prometheus): http://127.0.0.1:" in capsys.readouterr().out


REFUSED = {
    "no moment": (["evaluate", "--at", "noon"], "is not a moment: 'noon'; write 2026-10-01"),
    "a model that is not there": (
        ["evaluate", "--model", "n"],
        "models.yaml: no model is called n; models are: m, bare",
    ),
    "a model without a profile": (
        ["evaluate", "--model", "bare"],
        "models.yaml: bare 1 has no profile to compare with",
    ),
    "a baseline without bins": (
        ["baseline", "--model", "bare", "--window", "1d"],
        "models.yaml: bare 1 has no profile, so no bins",
    ),
    "a window without a unit": (
        ["baseline", "--model", "m", "--window", "7"],
        "argument --window: is not a duration: '7'",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_models(tmp_path, PROFILES, without_profile=["bare"])
    assert _run(*arguments, "--models", models, "--prometheus", "http://127.0.0.1:1") == 2
    assert message in capsys.readouterr().err
