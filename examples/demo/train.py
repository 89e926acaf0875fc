"""Train the demo's two models: artifacts, training data for the profiles, and how good they are.

python -m examples.demo.train --out data/demo --profiles profiles
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

from examples.demo.command_line import DATA_FOLDER
from examples.demo.data import DATASETS, Dataset, read_dataset
from examples.demo.model import (
    Model,
    Outcome,
    artifact_path,
    fit_model,
    make_estimator,
    write_model,
)

__all__ = ["main", "predict_out_of_fold", "score_held_out", "write_training_data"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    for name in DATASETS:
        dataset = read_dataset(name)
        model = fit_model(dataset)
        artifact = artifact_path(options.out, dataset)
        write_model(model, artifact)
        training = options.out / f"{name}.csv"
        write_training_data(dataset, training)
        quality = score_held_out(model, dataset)
        numbers = " ".join(f"{metric}={value:.3f}" for metric, value in quality.items())
        print(f"{name}: {artifact} {training} held-out: {numbers}")
        if options.profiles is not None:
            status = _write_profile(dataset, training, options.profiles)
            if status != 0:
                return status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.train",
        description="Train the demo's models and write what their profiles are made from.",
        epilog="example: python -m examples.demo.train --profiles profiles",
    )
    parser.add_argument(
        "--out", type=Path, default=DATA_FOLDER / "demo", metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument(
        "--profiles",
        type=Path,
        metavar="DIR",
        help="also write each model's reference profile there, with `python -m exporters.drift`",
    )
    return parser


def predict_out_of_fold(dataset: Dataset) -> list[Outcome]:
    """What the model says of each training row when that row was not in its training.

    Predictions on rows that a model was fitted to are surer than it will ever be in service;
    these are out of fold, five folds, as a reference for live predictions should be.
    """
    regression = dataset.task == "regression"
    folds = (KFold if regression else StratifiedKFold)(n_splits=5, shuffle=True, random_state=0)
    raw = cross_val_predict(
        make_estimator(dataset),
        dataset.training.features,
        np.array(dataset.training.labels),
        cv=folds,
        method="predict" if regression else "predict_proba",
    )
    return fit_model(dataset).interpret(raw)


def write_training_data(dataset: Dataset, path: Path) -> None:
    """Write the training rows as CSV: features, prediction, confidence (classifiers), label."""
    outcomes = predict_out_of_fold(dataset)
    columns = [*dataset.feature_names, "prediction", "confidence", "label"]
    if dataset.task == "regression":
        columns.remove("confidence")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        rows = zip(
            dataset.training.features.tolist(), outcomes, dataset.training.labels, strict=True
        )
        for features, outcome, label in rows:
            confidence = [] if outcome.confidence is None else [outcome.confidence]
            named = dataset.named(features).values()
            writer.writerow([*named, outcome.prediction, *confidence, label])


def score_held_out(model: Model, dataset: Dataset) -> dict[str, float]:
    """How good the model is on the rows that the traffic replays."""
    rows = dataset.held_out
    raw = model.infer(rows.features)
    predicted = [outcome.prediction for outcome in model.interpret(raw)]
    if dataset.task == "regression":
        return {
            "mae": float(mean_absolute_error(rows.labels, predicted)),
            "r2": float(r2_score(rows.labels, predicted)),
        }
    # The classes are in the order of the alphabet; scores are of the last one.
    last = max(rows.labels)
    positive = [label == last for label in rows.labels]
    return {
        "accuracy": float(accuracy_score(rows.labels, predicted)),
        "auc": float(roc_auc_score(positive, raw[:, 1])),
    }


def _write_profile(dataset: Dataset, training: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    data = str(training.resolve())
    command = [sys.executable, "-m", "exporters.drift", "profile", "--data", data]
    command += ["--model", dataset.name, "--version", dataset.version]
    command += ["--prediction", "prediction", "--label", "label"]
    if dataset.task != "regression":
        command += ["--confidence", "confidence"]
    command += ["--out", str(folder.resolve() / f"{dataset.name}.json")]
    # From a folder without a models.yaml, which need not have all of these models.
    return subprocess.run(command, cwd=training.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
