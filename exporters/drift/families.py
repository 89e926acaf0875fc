"""An evaluation as metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from contract import catalog
from contract.catalog import Metric
from exporters.drift.evaluate import Evaluation
from exporters.drift.layout import Layout
from exporters.drift.shapes import Shapes
from exporters.expose import Family, many_series, series

__all__ = ["Labels"]


class Labels:
    """The series of a layout, whose text is made once and filled with each evaluation's numbers.

    Of what has a series for each row, only the text is kept: a few hundred thousand objects would
    take gigabytes.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._shapes = Shapes(layout)
        self._score = self._all(catalog.FEATURE_DRIFT_SCORE, method=True, window=True)
        self._prediction_score = self._all(
            catalog.PREDICTION_DRIFT_SCORE, name=False, method=True, window=True
        )
        self._floor = self._all(catalog.DRIFT_NOISE_FLOOR, kind=True, method=True, window=True)
        self._samples = self._all(catalog.DRIFT_WINDOW_SAMPLES, kind=True, window=True)
        self._drifted = [
            series(
                catalog.DRIFTED_FEATURES,
                model_name=model.name,
                model_version=model.version,
                window=str(model.drift.window),
            )
            for model in layout.models
        ]
        self._detected = {
            severity: self._all(catalog.DRIFT_DETECTED, kind=True, severity=severity)
            for severity in ("warning", "critical")
        }
        self._concept = [
            series(
                catalog.DRIFT_DETECTED,
                model_name=model.name,
                model_version=model.version,
                kind="concept",
                feature_name="",
                severity="warning",
            )
            for model in layout.models
        ]

    def _all(
        self,
        metric: Metric,
        *,
        name: bool = True,
        kind: bool = False,
        method: bool = False,
        window: bool = False,
        severity: str | None = None,
    ) -> list[str]:
        """The text of the metric's series of each row."""
        rows = self._layout.rows
        models = [self._layout.models[row.model] for row in rows]
        labels: dict[str, Sequence[str]] = {
            "model_name": [model.name for model in models],
            "model_version": [model.version for model in models],
        }
        if name:
            labels["feature_name"] = [row.name for row in rows]
        if kind:
            labels["kind"] = [row.kind for row in rows]
        if method:
            labels["method"] = self._layout.methods.tolist()
        if window:
            # As models.yaml has it, whatever the time scale: the name of a promise.
            windows = [str(model.drift.window) for model in self._layout.models]
            labels["window"] = [windows[row.model] for row in rows]
        if severity is not None:
            labels["severity"] = [severity] * len(rows)
        return [own.text for own in many_series(metric, **labels)]

    def families(
        self, evaluation: Evaluation, concept: Mapping[int, bool] | None = None
    ) -> Iterator[Family]:
        """Scores and floors where there are samples; samples and verdicts of every row evaluated.

        A model that could not be evaluated has none of them. `concept` says of models, by their
        numbers, whether their concept has drifted.
        """
        evaluated = evaluation.evaluated()
        rows = np.flatnonzero(evaluated).tolist()
        scored = np.flatnonzero(evaluated & ~np.isnan(evaluation.score)).tolist()
        score, floor = evaluation.score.tolist(), evaluation.floor.tolist()
        samples = evaluation.samples.tolist()
        is_feature = self._layout.is_feature.tolist()
        yield Family(
            catalog.FEATURE_DRIFT_SCORE,
            text=_lines((self._score[row], score[row]) for row in scored if is_feature[row]),
        )
        yield Family(
            catalog.PREDICTION_DRIFT_SCORE,
            text=_lines(
                (self._prediction_score[row], score[row]) for row in scored if not is_feature[row]
            ),
        )
        yield Family(
            catalog.DRIFT_NOISE_FLOOR, text=_lines((self._floor[row], floor[row]) for row in scored)
        )
        yield Family(
            catalog.DRIFT_WINDOW_SAMPLES,
            text=_lines((self._samples[row], samples[row]) for row in rows),
        )
        verdicts = []
        for severity, texts in self._detected.items():
            detected = evaluation.detected[severity].astype(np.int64).tolist()
            verdicts.append(_lines((texts[row], detected[row]) for row in rows))
        yield Family(
            catalog.DRIFT_DETECTED,
            [(self._concept[number], int(drifted)) for number, drifted in (concept or {}).items()],
            text="\n".join(filter(None, verdicts)),
        )
        yield self._shapes.family(evaluation)
        share = evaluation.share.tolist()
        yield Family(
            catalog.DRIFTED_FEATURES,
            [
                (labelled, share[model])
                for model, labelled in enumerate(self._drifted)
                if model not in evaluation.failures and not math.isnan(share[model])
            ],
        )


def _lines(pairs: Iterable[tuple[str, float]]) -> str:
    """The lines of series with their numbers, which are finite."""
    return "\n".join([f"{text}{number!r}" for text, number in pairs])
