"""The demo's models: fitted scikit-learn pipelines, kept as plain JSON.

A pickle runs code when it is loaded; these files only hold numbers, which a pipeline is built
from again. That is enough for the two linear models here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.demo.data import Dataset, Label, Value

__all__ = [
    "Model",
    "Outcome",
    "artifact_path",
    "fit_model",
    "make_estimator",
    "read_model",
    "write_model",
]

FORMAT: Final = 1


@dataclass(frozen=True)
class Outcome:
    """A prediction; `confidence` is the predicted class's probability, None in a regression."""

    prediction: Label
    confidence: float | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted pipeline with the names of its inputs, in their order."""

    name: str
    version: str
    feature_names: tuple[str, ...]
    pipeline: Pipeline
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the categories, of each feature that has some."""

    def row(self, features: Mapping[str, Value | None]) -> NDArray[np.float64]:
        """The features as (1, features), in the model's order.

        What is missing, and a category that it was not trained on, it takes for the mean of the
        training data.

        Raises:
            ValueError: features are left out, unknown, or no finite number.
        """
        problems = [f"missing {name!r}" for name in self.feature_names if name not in features]
        problems += [f"unknown {name!r}" for name in features if name not in self.feature_names]
        if problems:
            raise ValueError(", ".join(problems))
        means = self.pipeline[0].mean_.tolist()
        pairs = zip(self.feature_names, means, strict=True)
        return np.array([[self._number(name, features[name], mean) for name, mean in pairs]])

    def _number(self, name: str, value: Value | None, mean: float) -> float:
        if value is None:
            return mean
        if name in self.categories:
            known = self.categories[name]
            return float(known.index(str(value))) if value in known else mean
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{name!r} is no number: {value!r}") from None
        if not math.isfinite(number):
            raise ValueError(f"{name!r} is not finite")
        return number

    def infer(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw output for (rows, features): (rows, classes) probabilities, or (rows,) values."""
        if self._classes is None:
            return np.asarray(self.pipeline.predict(rows), dtype=np.float64)
        return np.asarray(self.pipeline.predict_proba(rows), dtype=np.float64)

    def interpret(self, raw: NDArray[np.float64]) -> list[Outcome]:
        """What `infer` returned, as predictions."""
        classes = self._classes
        if classes is None:
            return [Outcome(float(value), None) for value in raw]
        return [Outcome(classes[row.argmax()], float(row.max())) for row in raw]

    @property
    def _classes(self) -> list[str] | None:
        classes = getattr(self.pipeline[-1], "classes_", None)
        return None if classes is None else [str(name) for name in classes]


def artifact_path(folder: Path, dataset: Dataset) -> Path:
    """Where a model's artifact lies in a folder of artifacts."""
    return folder / f"{dataset.name}-{dataset.version}.json"


def make_estimator(dataset: Dataset) -> Pipeline:
    """The unfitted pipeline for a dataset's task."""
    regression = dataset.task == "regression"
    return make_pipeline(
        StandardScaler(), Ridge(alpha=10.0) if regression else LogisticRegression(C=0.3)
    )


def fit_model(dataset: Dataset) -> Model:
    """Fit on the training rows; the same data give the same model."""
    pipeline = make_estimator(dataset)
    pipeline.fit(dataset.training.features, np.array(dataset.training.labels))
    return Model(
        name=dataset.name,
        version=dataset.version,
        feature_names=dataset.feature_names,
        pipeline=pipeline,
        categories=dataset.categories,
    )


def write_model(model: Model, path: Path) -> None:
    """Write the artifact in one step, so that a server starting meanwhile reads it whole or not."""
    scaler, estimator = model.pipeline[0], model.pipeline[-1]
    content = {
        "format": FORMAT,
        "model": model.name,
        "version": model.version,
        "features": model.feature_names,
        "categories": dict(model.categories),
        "estimator": type(estimator).__name__,
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": estimator.coef_.tolist(),
        "intercept": np.asarray(estimator.intercept_).tolist(),
        "classes": getattr(estimator, "classes_", np.array([])).tolist(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def read_model(path: Path) -> Model:
    """Build a model from its artifact.

    Raises:
        ValueError: the file is no artifact of this format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        return Model(
            name=content["model"],
            version=content["version"],
            feature_names=tuple(content["features"]),
            pipeline=_pipeline(content),
            # Artifacts of before there were any do not have the key.
            categories={k: tuple(v) for k, v in content.get("categories", {}).items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no artifact of the demo ({error}); delete it") from error


def _pipeline(content: dict[str, Any]) -> Pipeline:
    scaler = StandardScaler()
    scaler.mean_ = np.array(content["mean"])
    scaler.scale_ = np.array(content["scale"])
    scaler.var_ = scaler.scale_**2
    regression = content["estimator"] == "Ridge"
    estimator = Ridge() if regression else LogisticRegression()
    estimator.coef_ = np.array(content["coefficients"])
    estimator.intercept_ = np.array(content["intercept"])
    if not regression:
        estimator.classes_ = np.array(content["classes"])
    for part in (scaler, estimator):
        part.n_features_in_ = len(content["features"])
    return make_pipeline(scaler, estimator)
