"""How long it takes to compare the features of 1,000 models: `make bench-drift`.

50,000 features of 15 bins, a reference of 5,000 rows and a window of 1,000. Ours compares counts,
so rows do not matter. Beside it what one would use on raw rows: scipy's ks_2samp, one test a
feature, and Evidently's data drift report. Both are measured on fewer features, and their time
multiplied; they need no more a feature with 50,000 of them. Times are CPU times of one thread, so
that what else the machine does matters little.

Evidently has many dependencies, so it is not in the `bench` extra: make an environment for it and
name its Python in EVIDENTLY_PYTHON.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import numpy as np

from benchmarks import harness
from exporters.drift.statistics import STATISTICS, measure

FEATURES: Final = 50_000
BINS: Final = 15
REFERENCE_ROWS: Final = 5_000
ROWS: Final = 1_000
FIVE: Final = ("psi", "kl", "jensen_shannon_distance", "hellinger", "total_variation")

SCIPY_FEATURES: Final = 25
EVIDENTLY_FEATURES: Final = 10

_EVIDENTLY: Final = """
    import sys, time, warnings
    warnings.simplefilter("ignore")
    import numpy as np, pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    features, reference_rows, rows = map(int, sys.argv[1:])
    random = np.random.default_rng(1)
    names = [f"f{number}" for number in range(features)]
    reference = pd.DataFrame(random.normal(size=(reference_rows, features)), columns=names)
    current = pd.DataFrame(random.normal(size=(rows, features)), columns=names)
    report = Report([DataDriftPreset(method="psi")])
    began = time.process_time()
    report.run(current_data=current, reference_data=reference).dict()
    print(time.process_time() - began)
"""


def ours(names: Sequence[str]) -> harness.Side:
    """Statistics of all features by their counts."""
    random = np.random.default_rng(1)
    shares = np.full(BINS, 1 / BINS)
    # Columns as a layout has them: what is missing first, padding last.
    reference, current = np.zeros((FEATURES, BINS + 2)), np.zeros((FEATURES, BINS + 2))
    reference[:, 1:-1] = random.multinomial(REFERENCE_ROWS, shares, FEATURES)
    current[:, 1:-1] = random.multinomial(ROWS, shares, FEATURES)
    places = np.tile(np.arange(BINS + 2.0), (FEATURES, 1))

    def seconds() -> float:
        began = time.process_time()
        measure(names, reference, current, places)
        return time.process_time() - began

    return harness.Side(f"{len(names)} statistics on counts", seconds)


def scipy() -> harness.Side:
    """One two-sample Kolmogorov–Smirnov test a feature, on raw rows."""
    harness.require("scipy")
    ks_2samp = import_module("scipy.stats").ks_2samp

    random = np.random.default_rng(1)
    reference = random.normal(size=(SCIPY_FEATURES, REFERENCE_ROWS))
    current = random.normal(size=(SCIPY_FEATURES, ROWS))

    def seconds() -> float:
        began = time.process_time()
        for pair in zip(reference, current, strict=True):
            ks_2samp(*pair)
        return (time.process_time() - began) * FEATURES / SCIPY_FEATURES

    return harness.Side(f"scipy ks_2samp on rows, ×{FEATURES // SCIPY_FEATURES}", seconds)


def evidently(python: str) -> harness.Side:
    """Evidently's report with PSI; its start and imports are not counted."""
    sizes = [str(size) for size in (EVIDENTLY_FEATURES, REFERENCE_ROWS, ROWS)]

    def seconds() -> float:
        done = subprocess.run(
            [python, "-c", textwrap.dedent(_EVIDENTLY), *sizes],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return float(done.stdout.split()[-1]) * FEATURES / EVIDENTLY_FEATURES

    return harness.Side(f"Evidently, PSI, on rows, ×{FEATURES // EVIDENTLY_FEATURES}", seconds)


def main() -> None:
    """Run it."""
    python = os.environ.get("EVIDENTLY_PYTHON", "")
    if not python:
        print("without Evidently: EVIDENTLY_PYTHON names no Python that has it", file=sys.stderr)
    beside = {"scipy": scipy(), **({"Evidently": evidently(python)} if python else {})}
    cases = [
        harness.Case(
            f"{what}, beside {name}",
            unit="CPU seconds",
            better="less",
            ours=ours(names),
            beside=side,
            target=target,
        )
        for name, side in beside.items()
        for what, names, target in (
            ("five statistics", FIVE, 0.1),
            ("all statistics", tuple(STATISTICS), 0.3),
        )
        # Evidently takes long to start: once is enough.
        if name == "scipy" or names == FIVE
    ]
    harness.run("drift", cases, packages=["numpy", "scipy"], notes=_notes(python))


def _notes(python: str) -> dict[str, str]:
    if not python:
        return {}
    command = "from importlib.metadata import version; print(version('evidently'))"
    done = subprocess.run([python, "-c", command], check=True, stdout=subprocess.PIPE, text=True)
    return {"evidently": done.stdout.strip()}


if __name__ == "__main__":
    main()
