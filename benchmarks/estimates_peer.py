"""NannyML's side of `make bench-estimates`, run by a Python that has it: CBPE at its defaults."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np


def main(path: str) -> None:
    """Read the rows, estimate each window, print estimates as JSON."""
    warnings.simplefilter("ignore")
    import nannyml  # type: ignore[import-not-found]
    import pandas as pd  # type: ignore[import-untyped]

    def frame(columns: Any) -> Any:
        actual, score = columns
        return pd.DataFrame(
            {"score": score, "predicted": (score > 0.5).astype(int), "actual": actual.astype(int)}
        )

    names = {
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "auc": "roc_auc",
    }
    rows = np.load(path)
    windows = rows["windows"]
    estimator = nannyml.CBPE(
        y_pred_proba="score",
        y_pred="predicted",
        y_true="actual",
        metrics=list(names.values()),
        chunk_size=windows.shape[2],
        problem_type="classification_binary",
    )
    estimator.fit(frame(rows["reference"]))
    found = estimator.estimate(pd.concat([frame(own) for own in windows], ignore_index=True))
    table = found.filter(period="analysis").to_df()
    estimates = [
        {name: float(table[(theirs, "value")].iloc[place]) for name, theirs in names.items()}
        for place in range(len(windows))
    ]
    print(json.dumps({"version": nannyml.__version__, "estimates": estimates}))


if __name__ == "__main__":
    main(sys.argv[1])
