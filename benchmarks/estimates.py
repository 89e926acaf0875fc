"""How near estimates without labels come to what labels say: `make bench-estimates`.

A reference of 5,000 labelled rows, and 20 windows of 2,000 rows for each of four situations: inputs
as they were, of which more are positive, easier and harder ones; and confidences that are right, or
too sure by half. Ours sees confidences in bins of 0.05; beside it NannyML's CBPE at its defaults
sees every row. Both are held against the metric that the window's labels give, by the mean absolute
difference.

NannyML lives in an environment of its own, whose Python NANNYML_PYTHON names; without it, ours
alone is measured.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from benchmarks import harness
from contract.profile import CALIBRATION_EDGES, build_profile
from exporters.drift.performance.estimate import Chances, estimate

REFERENCE_ROWS: Final = 5_000
ROWS: Final = 2_000
WINDOWS: Final = 20
PEER: Final = Path(__file__).parent / "estimates_peer.py"
METRICS: Final = ("accuracy", "precision", "recall", "f1", "auc")
SITUATIONS: Final = {
    "as it was": (-0.5, 1.5),
    "more positives": (0.7, 1.5),
    "easier": (-0.5, 3.0),
    "harder": (-0.5, 0.7),
}
"""Mean and deviation of the log-odds."""

SURENESS: Final = {"right": 1.0, "too sure": 1.5}

Column = NDArray[Any]


def draw(random: np.random.Generator, size: int, situation: str, sureness: float) -> list[Column]:
    """What was true (0, 1), and the score that the model gives to 1."""
    odds = random.normal(*SITUATIONS[situation], size)
    actual = random.random(size) < 1 / (1 + np.exp(-odds))
    return [actual.astype(int), 1 / (1 + np.exp(-odds * sureness))]


def chances(actual: Column, score: Column) -> Chances:
    """What the profile of labelled rows says of confidences."""
    predicted = score > 0.5
    columns = {
        "x": score.tolist(),
        "predicted": predicted.astype(str).tolist(),
        "sure": np.where(predicted, score, 1 - score).tolist(),
        "actual": actual.astype(bool).astype(str).tolist(),
    }
    profile = build_profile(
        columns, model_name="m", prediction="predicted", confidence="sure", label="actual"
    )
    assert profile.calibration is not None
    return Chances.of(profile.calibration)


def ours(known: Chances, score: Column) -> dict[str, float]:
    """Estimates from counts of confidences by predicted class."""
    predicted = (score > 0.5).astype(int)
    counts = np.zeros((2, len(CALIBRATION_EDGES) + 1))
    bins = np.searchsorted(CALIBRATION_EDGES, np.maximum(score, 1 - score))
    np.add.at(counts, (predicted, bins), 1)
    found = estimate(counts, known)
    return {name: float(found[name].value) for name in METRICS}


def truth(actual: Column, score: Column) -> dict[str, float]:
    """What the labels say, of the raw scores."""
    predicted = (score > 0.5).astype(int)
    return {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "precision": metrics.precision_score(actual, predicted),
        "recall": metrics.recall_score(actual, predicted),
        "f1": metrics.f1_score(actual, predicted),
        "auc": metrics.roc_auc_score(actual, score),
    }


def main() -> None:
    """Measure, print a table, keep the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=WINDOWS, metavar="N")
    parser.add_argument("--no-result", action="store_true", help="print only")
    options = parser.parse_args()
    python = os.environ.get("NANNYML_PYTHON")
    if python is None:
        print("without NannyML: NANNYML_PYTHON names no Python that has it")
    random = np.random.default_rng(1)
    load = os.getloadavg()[0]
    cases: dict[str, Any] = {}
    version = None
    for said, sureness in SURENESS.items():
        reference = draw(random, REFERENCE_ROWS, "as it was", sureness)
        known = chances(*reference)
        for situation in SITUATIONS:
            windows = [draw(random, ROWS, situation, sureness) for _ in range(options.windows)]
            true = [truth(*window) for window in windows]
            case = {"ours": apart([ours(known, score) for _, score in windows], true)}
            if python is not None:
                found = beside(python, reference, windows)
                version = found["version"]
                case["NannyML"] = apart(found["estimates"], true)
            cases[f"{situation}, confidences {said}"] = case
    print(table(cases))
    if not options.no_result:
        result = {
            "name": "estimates",
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": harness.machine(),
            "load": {"before": round(load, 2), "after": round(os.getloadavg()[0], 2)},
            "versions": {"nannyml": version},
            "notes": {"windows": options.windows, "rows": ROWS, "reference": REFERENCE_ROWS},
            "cases": cases,
        }
        path = harness.RESULTS / "estimates.json"
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    mean = {side: overall(cases, side) for side in ("ours", "NannyML")}
    ratio = None if mean["NannyML"] is None or not mean["ours"] else mean["NannyML"] / mean["ours"]
    line = {"name": "estimates", "ours": mean["ours"], "beside": mean["NannyML"]}
    print(json.dumps({**line, "unit": "absolute error", "ratio": ratio}))


def apart(estimates: list[dict[str, float]], true: list[dict[str, float]]) -> dict[str, float]:
    """The mean absolute difference, by metric."""
    return {
        name: float(
            np.mean(
                [abs(own[name] - real[name]) for own, real in zip(estimates, true, strict=True)]
            )
        )
        for name in METRICS
    }


def beside(python: str, reference: list[Column], windows: list[list[Column]]) -> dict[str, Any]:
    """NannyML's estimates of the same windows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        np.savez(path, reference=np.array(reference), windows=np.array(windows))
        done = subprocess.run(
            [python, str(PEER), str(path)], capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def overall(cases: dict[str, Any], side: str) -> float | None:
    """The mean of all cases and metrics."""
    found = [value for case in cases.values() if side in case for value in case[side].values()]
    return round(float(np.mean(found)), 5) if found else None


def table(cases: dict[str, Any]) -> str:
    """Mean absolute differences, a line for each case and side."""
    lines = [f"{'':38} {'side':8} " + " ".join(f"{name:>9}" for name in METRICS)]
    for what, case in cases.items():
        for side, own in case.items():
            numbers = " ".join(f"{own[name]:9.4f}" for name in METRICS)
            lines.append(f"{what:38} {side:8} {numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
