"""Made-up models: rows of what they were asked, what they said and what was true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.profile import Profile, build_profile

__all__ = ["Rows", "classifier", "kinds", "profile_of", "regressor"]


@dataclass(frozen=True)
class Rows:
    """Columns of one length. `confidence` is of the predicted class, `score` of the last one."""

    features: dict[str, list[Any]]
    prediction: list[Any]
    actual: list[Any]
    confidence: list[float] | None = None
    score: list[float] | None = None

    def events(self, model: str, round_: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Prediction events and their labels, with ids of their own in every round."""
        predictions, labels = [], []
        for place, (prediction, actual) in enumerate(
            zip(self.prediction, self.actual, strict=True)
        ):
            key = {"model_name": model, "prediction_id": f"{model}-{round_}-{place}"}
            values = {name: column[place] for name, column in self.features.items()}
            event = {**key, "features": values, "prediction": prediction}
            if self.confidence is not None:
                event["confidence"] = self.confidence[place]
            predictions.append(event)
            labels.append({**key, "actual": actual})
        return predictions, labels


def _features(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
    return {"age": rng.normal(50, 10, n).tolist(), "plan": rng.choice(["free", "paid"], n).tolist()}


def classifier(seed: int, n: int, *, flipped: float = 0.0) -> Rows:
    """Classes no and yes, with scores that are right; `flipped` of what was true turned round."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(-0.5, 2, n)))
    actual = (rng.random(n) < score) ^ (rng.random(n) < flipped)
    predicted = score > 0.5
    names = np.array(["no", "yes"])
    return Rows(
        _features(rng, n),
        names[predicted.astype(int)].tolist(),
        names[actual.astype(int)].tolist(),
        np.where(predicted, score, 1 - score).tolist(),
        score.tolist(),
    )


def kinds(seed: int, n: int) -> Rows:
    """Three classes, 70% of them right."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < 0.7, actual, rng.integers(0, 3, n))
    names = np.array(["a", "b", "c"])
    return Rows(_features(rng, n), names[predicted].tolist(), names[actual].tolist())


def regressor(seed: int, n: int) -> Rows:
    """Numbers, guessed 3 too high on average."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(100, 30, n)
    return Rows(_features(rng, n), (actual + rng.normal(3, 10, n)).tolist(), actual.tolist())


def profile_of(name: str, rows: Rows) -> Profile:
    """The profile that those rows as training data make."""
    columns: dict[str, list[Any]] = {**rows.features, "said": rows.prediction, "true": rows.actual}
    sure = None
    if rows.confidence is not None:
        columns["sure"], sure = rows.confidence, "sure"
    label = "true" if sure else None
    left_out = () if sure else ("true",)
    return build_profile(
        columns, model_name=name, prediction="said", confidence=sure, label=label, exclude=left_out
    )
