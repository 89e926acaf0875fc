"""Evidently's and NannyML's verdicts on windows of rows; runs in an environment of theirs.

`python false_alarms_peers.py evidently|nannyml FOLDER` reads FOLDER/SIZE-NUMBER.npz and prints the
shares of features and of data sets flagged, by size, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections import defaultdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def evidently(reference: Any, current: Any) -> tuple[float, bool]:
    """The share of drifted columns of the data drift preset, and its verdict on the data set."""
    preset = import_module("evidently.presets").DataDriftPreset()
    report = import_module("evidently").Report([preset])
    answer = report.run(current_data=current, reference_data=reference).dict()
    for metric in answer["metrics"]:
        if "DriftedColumnsCount" in metric.get("metric_name", metric.get("metric_id", "")):
            share = float(metric["value"]["share"])
            return share, share >= 0.5
    raise SystemExit("Evidently's answer holds no share of drifted columns")


def nannyml(reference: Any, current: Any) -> tuple[float, bool]:
    """The share of columns with an alert of the univariate calculator; any makes the data set."""
    names = list(reference.columns)
    made = import_module("nannyml").UnivariateDriftCalculator
    calculator = made(column_names=names, chunk_size=len(current))
    calculator.fit(reference)
    found = calculator.calculate(current).to_df()
    alerts = [column for column in found.columns if column[-1] == "alert"]
    flagged = [bool(found[column].iloc[-1]) for column in alerts if column[0] in names]
    return sum(flagged) / len(names), any(flagged)


def main() -> None:
    """Read, judge, print."""
    frame = import_module("pandas").DataFrame
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    peer, folder = sys.argv[1], Path(sys.argv[2])
    judge = {"evidently": evidently, "nannyml": nannyml}[peer]
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for path in sorted(folder.glob("*.npz")):
        arrays = np.load(path)
        sides = [
            frame({name.split("/", 1)[1]: arrays[name] for name in arrays if name.startswith(side)})
            for side in ("reference", "current")
        ]
        found[path.stem.split("-")[0]].append(judge(*sides))
    answer: dict[str, Any] = {
        size: {
            "features": float(np.mean([share for share, _ in own])),
            "data sets": float(np.mean([flagged for _, flagged in own])),
        }
        for size, own in found.items()
    }
    print(json.dumps({**answer, "version": version(peer)}))


if __name__ == "__main__":
    main()
