"""Tiles about drift that several dashboards have: which features moved, since when, how far."""

from __future__ import annotations

from typing import Final

from generator.dashboards.field import Steps, Unit, dashed
from generator.dashboards.panel import Query, Tile, bar_gauge, state_timeline, time_series
from generator.dashboards.shell import link_to_feature
from generator.dashboards.tables import Column, matrix, table
from generator.queries import model, quality

__all__ = [
    "DRIFTED",
    "LIMITS",
    "NO_PROFILE",
    "confusion",
    "distribution",
    "drifted_features",
    "feature_table",
    "nearness",
    "scores",
]

NO_PROFILE: Final = "No data: the model has no reference profile, or drift is not evaluated yet"
DRIFTED: Final = Steps(at=((0.8, "yellow"), (1, "orange")))
"""Of a score as a share of what counts as drift."""
LIMITS: Final = (
    dashed("^warning$", "yellow"),
    dashed("^critical$", "red"),
    dashed("^noise floor", "text"),
)


def scores(*, width: int = 12) -> Tile:
    """The features that moved furthest, over time, and what they are held against."""
    return time_series(
        "Which features moved, and since when?",
        "Distance of the values over the drift window from those of training, for the 5 "
        "features that moved furthest. A feature has drifted above both the threshold and "
        "its noise floor, the score that sampling alone rarely exceeds.",
        Query(model.top_drift_scores(), "{{feature_name}}"),
        Query(model.drift_threshold("warning"), "warning"),
        Query(model.drift_threshold("critical"), "critical"),
        Query(model.worst_noise_floor(), "noise floor (highest)"),
        unit=Unit.NONE,
        no_data=NO_PROFILE,
        overrides=LIMITS,
        width=width,
    )


def nearness(*, width: int = 12) -> Tile:
    """How near each feature is to what counts as drift."""
    return bar_gauge(
        "How near to drift is each feature?",
        "The score as a share of what counts as drift: the warning threshold, or the noise "
        "floor where that is higher. Above 100% the feature has drifted.",
        Query(model.top_drift_of_limit(), "{{feature_name}}", instant=True),
        unit=Unit.RATIO,
        no_data=NO_PROFILE,
        steps=DRIFTED,
        top=2,
        width=width,
    )


def drifted_features(*, width: int = 12, height: int = 9) -> Tile:
    """When each feature was drifted."""
    return state_timeline(
        "When was each feature drifted?",
        "One band for each of the 10 features that were drifted for the longest: above the "
        "warning threshold and the noise floor.",
        Query(quality.when_drifted(), "{{feature_name}}"),
        no_data="No feature was drifted in this time, or none is compared",
        states={"0": ("as in training", "green"), "1": ("drifted", "orange")},
        width=width,
        height=height,
    )


def feature_table(*, width: int = 12, height: int = 9) -> Tile:
    """Every feature with all that is known of it; a click compares its values."""
    return table(
        "Every feature: click on one to compare its values",
        "Score, noise floor and values counted are of the drift window; missing and invalid "
        "are shares of the requests of the last minutes.",
        Query(model.drift_of_limit()),
        Query(model.drift_score()),
        Query(model.noise_floor()),
        Query(model.feature_samples()),
        Query(model.feature_missing()),
        Query(model.feature_invalid()),
        columns=[
            Column(source="feature_name", title="Feature", link=link_to_feature("Feature")),
            Column(
                source="A",
                title="Score, of limit",
                unit=Unit.RATIO,
                decimals=0,
                steps=DRIFTED,
            ),
            Column(source="B", title="Score", decimals=3),
            Column(source="C", title="Noise floor", decimals=3),
            Column(source="D", title="Values", unit=Unit.COUNT),
            Column(source="E", title="Missing", unit=Unit.RATIO, decimals=1),
            Column(source="F", title="Invalid", unit=Unit.RATIO, decimals=1),
        ],
        sort="Score, of limit",
        no_data=NO_PROFILE,
        width=width,
        height=height,
    )


def distribution(
    title: str,
    description: str,
    *,
    reference: str,
    now: str,
    difference: str,
    no_data: str,
    width: int = 12,
    height: int = 11,
) -> Tile:
    """A row for each bin, with a bar for the reference and one for the time range."""
    return table(
        title,
        description,
        Query(reference),
        Query(now),
        Query(difference),
        columns=[
            Column(source="bin", title="#", width=50),
            Column(source="values", title="Values", width=150),
            Column(source="A", title="Reference", unit=Unit.RATIO, decimals=1, bar="blue"),
            Column(source="B", title="Now", unit=Unit.RATIO, decimals=1, bar="orange"),
            Column(
                source="C",
                title="Difference",
                unit=Unit.RATIO,
                decimals=1,
                steps=Steps(
                    at=((-0.1, "light-blue"), (-0.05, "transparent"), (0.05, "light-orange")),
                    base="blue",
                ),
                width=110,
            ),
        ],
        sort="#",
        ascending=True,
        no_data=no_data,
        width=width,
        height=height,
    )


def confusion(*, width: int = 6, height: int = 8) -> Tile:
    """Predicted against actual classes."""
    return matrix(
        "Which classes does it confuse?",
        "Labelled predictions of the time range: a row for each predicted class, a column "
        "for each actual one.",
        Query(model.confusion()),
        rows="predicted_class",
        columns="actual_class",
        corner="predicted ↓ actual →",
        unit=Unit.COUNT,
        no_data="No data: a regressor, or no labels in the time range",
        width=width,
        height=height,
    )
