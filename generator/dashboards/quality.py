"""Quality and drift: is the model still right, which metric says so, and what moved?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards import drift
from generator.dashboards.field import WORSE, Steps, Unit, by_name, dashed, of_limit
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, bar_gauge, stat, state_timeline, time_series
from generator.dashboards.shell import link_here, model_variables, render, variable
from generator.dashboards.tables import Column, table
from generator.queries import marks, model, quality

__all__ = ["render_quality"]

METRIC: Final = 'metric="$metric"'
FEW_LABELS: Final = "No data: fewer labels than performance.min_samples came within the window"
NO_ESTIMATE: Final = "No data: the profile does not say how right confidences were (drift profile)"
NO_VALUES: Final = "No data: no values in the time range, or the feature has no reference"


def render_quality(_: Spec) -> str:
    """The text of quality.json."""
    return render(
        uid="ml-quality",
        title="ML quality and drift",
        description="One version of one model: is it still right, and what moved?",
        variables=[
            *model_variables(),
            variable("metric", "Metric", quality.metric_variable()),
            variable("window", "Labels of", quality.window_variable(), newest_first=True),
            variable("feature", "Feature", quality.feature_variable()),
        ],
        marks=marks.of_model(),
        time="now-6h",
        rows=[
            Row(1, "Is it still right?", _numbers()),
            Row(2, "Since when, and how sure is that?", _performance()),
            Row(3, "What does it get wrong?", _errors()),
            Row(4, "What moved, and since when?", _drift()),
            Row(5, "How has $feature changed?", _feature()),
            Row(6, "Have its predictions changed?", _predictions()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    any_bad = Steps(at=((1, "red"),))
    return (
        stat(
            "Worse than promised",
            "Metrics that are worse than models.yaml promises by more than chance: as labels tell, "
            "and as estimated without them.",
            Query(quality.decayed_metrics(), "measured"),
            Query(quality.estimated_decayed_metrics(), "estimated"),
            unit=Unit.COUNT,
            no_data="Nothing is promised, or too few labels",
            steps=any_bad,
            width=5,
        ),
        stat(
            "Labels",
            "Of the predictions of the window, the share whose truth is known, and how long that "
            "took: the median from prediction to label.",
            Query(quality.label_coverage(), "have one"),
            Query(quality.label_delay(), "after"),
            unit=Unit.RATIO,
            decimals=0,
            no_data="No predictions, or no labels",
            overrides=[by_name("after", unit=Unit.SECONDS.value, decimals=None)],
            width=5,
        ),
        stat(
            "Labelled predictions",
            "Predictions of the window whose labels came: what the metrics below are made of.",
            Query(quality.samples(), "labelled"),
            unit=Unit.COUNT,
            no_data="No labels",
            width=3,
        ),
        stat(
            "Drifted features",
            "Features whose score is above the threshold and above what sampling alone gives.",
            Query(model.drifted_features(), "drifted"),
            unit=Unit.COUNT,
            no_data="Not judged",
            steps=Steps(at=((1, "orange"),)),
            width=3,
        ),
        stat(
            "Predictions, of limit",
            "Distance of the predictions from the reference, as a share of what counts as drift.",
            Query(quality.prediction_of_limit(), "of limit"),
            unit=Unit.RATIO,
            decimals=0,
            no_data="Not compared",
            steps=drift.DRIFTED,
            width=4,
        ),
        stat(
            "Drift evaluated",
            "Time since the drift collector last looked at this model, and what part of the "
            "threshold of DriftEvaluationStale that is. Above it, what this page says is old.",
            Query(model.drift_age(), "ago"),
            Query(model.drift_age_of_limit(), "of limit"),
            unit=Unit.SECONDS,
            decimals=0,
            no_data="Never",
            overrides=[of_limit("of limit")],
            width=4,
        ),
    )


def _performance() -> tuple[Tile, ...]:
    return (
        time_series(
            "$metric: what do labels say?",
            "The metric over the window, the ends of its 95% interval (dashed), and what it was "
            "when the model went into service. Chance alone seldom leaves the interval.",
            Query(quality.measured(METRIC), "measured"),
            Query(quality.limit("lower", METRIC), "95% interval, lower"),
            Query(quality.limit("upper", METRIC), "95% interval, upper"),
            Query(quality.baseline(METRIC), "baseline"),
            unit=Unit.NONE,
            no_data=FEW_LABELS,
            overrides=[dashed("^95%", "text"), dashed("^baseline$", "blue")],
            whole_axis=False,
        ),
        time_series(
            "$metric: do estimates agree?",
            "What the model's own confidences say of the metric before labels come, with its 95% "
            "interval, beside what labels said. Where they part, the confidences are not as right "
            "as they were: the concept has drifted.",
            Query(quality.estimated(METRIC), "estimated"),
            Query(quality.estimated_limit("lower"), "95% interval, lower"),
            Query(quality.estimated_limit("upper"), "95% interval, upper"),
            Query(quality.measured(METRIC), "measured"),
            unit=Unit.NONE,
            no_data=NO_ESTIMATE,
            overrides=[dashed("^95%", "text")],
            whole_axis=False,
        ),
        table(
            "Every metric: click on one to see its history",
            "Of the window of labels. Drop is how much worse than the baseline; error is the "
            "estimate less what was measured. A cell is empty where models.yaml says nothing of "
            "the metric, or there is no estimate.",
            Query(quality.decayed()),
            Query(quality.measured()),
            Query(quality.limit("lower")),
            Query(quality.limit("upper")),
            Query(quality.baseline()),
            Query(quality.drop()),
            Query(quality.estimated()),
            Query(quality.estimation_error()),
            columns=[
                Column(
                    source="metric",
                    title="Metric",
                    link=link_here("ml-quality", "Show its history", "metric", "Metric"),
                ),
                Column(source="A", title="Worse", states=WORSE, width=80),
                Column(source="B", title="Measured", decimals=3),
                Column(source="C", title="95% from", decimals=3),
                Column(source="D", title="to", decimals=3),
                Column(source="E", title="Baseline", decimals=3),
                Column(source="F", title="Drop", decimals=3),
                Column(source="G", title="Estimated", decimals=3),
                Column(source="H", title="Error", decimals=3),
            ],
            sort="Worse",
            no_data=FEW_LABELS,
            height=10,
        ),
    )


def _errors() -> tuple[Tile, ...]:
    return (
        drift.confusion(width=8, height=9),
        bar_gauge(
            "Do its scores mean what they say?",
            "Of the labelled predictions of the time range with a score within a tenth, the share "
            "that was positive; a tenth with fewer than 10 is left out. A calibrated model's bars "
            "are as long as their names say. Positive is the class whose scores are higher.",
            Query(quality.calibration(), "{{score}}", instant=True),
            unit=Unit.RATIO,
            no_data="No data: only a binary classifier with labels has scores to hold against them",
            steps=Steps(at=((0, "blue"),), base="blue"),
            top=1,
            width=8,
            height=9,
        ),
        state_timeline(
            "When was a metric worse than promised?",
            "One band for each metric that models.yaml promises, as labels told and as estimated.",
            Query(quality.when_decayed(), "{{metric}}"),
            no_data="No data: models.yaml promises no metric, or there are too few labels",
            states={"0": ("as promised", "green"), "1": ("worse", "red")},
            width=8,
            height=9,
        ),
    )


def _drift() -> tuple[Tile, ...]:
    return (drift.scores(), drift.nearness(), drift.feature_table(), drift.drifted_features())


def _feature() -> tuple[Tile, ...]:
    return (
        drift.distribution(
            "$feature: which values come now, and which came in training?",
            "Share of the values in each bin of the profile: of the reference that drift is "
            "compared with, and of the time range. The first and the last bin hold what lies "
            "beyond the training data.",
            reference=quality.feature_reference(),
            now=quality.feature_now(),
            difference=quality.feature_difference(),
            no_data=NO_VALUES,
        ),
        time_series(
            "$feature: since when?",
            "Its score, and what the score is held against. It has drifted above both the warning "
            "threshold and the noise floor, the score that sampling alone rarely exceeds.",
            Query(quality.feature_score(), "score"),
            Query(quality.feature_limit("warning"), "warning"),
            Query(quality.feature_limit("critical"), "critical"),
            Query(quality.feature_limit(None), "noise floor"),
            unit=Unit.NONE,
            no_data=drift.NO_PROFILE,
            overrides=drift.LIMITS,
            width=6,
            height=11,
        ),
        time_series(
            "$feature: where do its values lie?",
            "A tenth, half and nine tenths of the values lie below these lines, as far as the bins "
            "of the profile tell.",
            Query(quality.feature_quantile(0.9), "nine tenths"),
            Query(quality.feature_quantile(0.5), "half"),
            Query(quality.feature_quantile(0.1), "a tenth"),
            unit=Unit.NONE,
            no_data="No data: a category has no order, or no values came",
            whole_axis=False,
            width=6,
            height=11,
        ),
    )


def _predictions() -> tuple[Tile, ...]:
    return (
        drift.distribution(
            "Which predictions come now, and which came in training?",
            "Share of the predictions by class, or in each bin: of the reference, and of the time "
            "range. Predictions that move while no feature does are a changed model.",
            reference=quality.prediction_reference(),
            now=quality.prediction_now(),
            difference=quality.prediction_difference(),
            no_data="No data: no predictions in the time range, or none in the profile",
            height=9,
        ),
        time_series(
            "Since when have they moved?",
            "Distance of the predictions over the drift window from the reference, and what it is "
            "held against.",
            Query(quality.prediction_score(), "score"),
            Query(quality.prediction_limit("warning"), "warning"),
            Query(quality.prediction_limit("critical"), "critical"),
            Query(quality.prediction_limit(None), "noise floor"),
            unit=Unit.NONE,
            no_data="No data: the profile has no predictions, or drift is not evaluated yet",
            overrides=drift.LIMITS,
            height=9,
        ),
    )
