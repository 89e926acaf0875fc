"""Data quality: can the model's input be trusted, which features can't, and since when?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards import traffic
from generator.dashboards.field import Steps, Unit, by_name
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, state_timeline, time_series
from generator.dashboards.shell import link_to_feature, model_variables, render
from generator.dashboards.tables import Column, table
from generator.queries import data_quality, marks, model

__all__ = ["render_data_quality"]

NO_CHECKS: Final = "No data: the model has no reference profile, or no requests came"
BAD: Final = Steps(at=((0.01, "yellow"), (0.05, "orange")))
"""The limits that models.yaml has where nobody wrote others."""


def render_data_quality(_: Spec) -> str:
    """The text of data_quality.json."""
    return render(
        uid="ml-data-quality",
        title="ML data quality",
        description="The input of one version of one model: can it be trusted, and what can't?",
        variables=model_variables(),
        marks=marks.of_model(),
        time="now-6h",
        rows=[
            Row(1, "Can the input be trusted?", _numbers()),
            Row(2, "Which features can't, and since when?", _features()),
            Row(3, "What is wrong with them?", _shares()),
            Row(4, "Do requests get as far as the model?", _requests()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Features with a failed check",
            "Features that fail a check of data_quality in models.yaml by more than chance, or "
            "that had no value at all while there was traffic (freshness).",
            Query(data_quality.failed_features(), "failed"),
            Query(data_quality.features(), "checked"),
            unit=Unit.COUNT,
            no_data="No checks",
            overrides=[by_name("failed", thresholds=Steps(at=((1, "orange"),)).to_json())],
            width=5,
        ),
        stat(
            "Failed checks",
            "Over all features: missing, type, range, category, freshness.",
            Query(data_quality.failed_checks(), "failed"),
            unit=Unit.COUNT,
            no_data="No checks",
            steps=Steps(at=((1, "orange"),)),
            width=4,
        ),
        stat(
            "Worst share missing",
            "Of the values of the feature that is missing most often.",
            Query(data_quality.worst_share("missing"), "missing"),
            unit=Unit.RATIO,
            decimals=1,
            no_data="No checks",
            steps=BAD,
            width=4,
        ),
        stat(
            "Worst share out of range",
            "Of the values of the feature that is most often beyond its range: that of "
            "models.yaml, or thrice as wide as its training data.",
            Query(data_quality.worst_share("range"), "out of range"),
            unit=Unit.RATIO,
            decimals=1,
            no_data="No numbers",
            steps=BAD,
            width=4,
        ),
        stat(
            "Worst share new",
            "Of the values of the categorical feature with the most categories that the profile "
            "does not know.",
            Query(data_quality.worst_share("category"), "new"),
            unit=Unit.RATIO,
            decimals=1,
            no_data="No categories",
            steps=BAD,
            width=4,
        ),
        stat(
            "Requests",
            "Requests per second of every status, over 5 minutes.",
            Query(model.requests(), "requests"),
            unit=Unit.PER_SECOND,
            no_data="No sidecar knows it",
            history=True,
            width=3,
        ),
    )


def _features() -> tuple[Tile, ...]:
    return (
        table(
            "Every feature: click on one to compare its values",
            "Shares of the values over the drift window that are absent, null or NaN (missing), no "
            "number where the profile has numbers (type), beyond the range, or of a category that "
            "the profile does not know. A cell is empty where the check makes no sense.",
            Query(data_quality.failed_by_feature()),
            Query(data_quality.share("missing")),
            Query(data_quality.share("type")),
            Query(data_quality.share("range")),
            Query(data_quality.share("category")),
            Query(data_quality.values()),
            columns=[
                Column(source="feature_name", title="Feature", link=link_to_feature("Feature")),
                Column(
                    source="A", title="Failed checks", steps=Steps(at=((1, "orange"),)), width=110
                ),
                Column(source="B", title="Missing", unit=Unit.RATIO, decimals=1, steps=BAD),
                Column(source="C", title="Wrong type", unit=Unit.RATIO, decimals=1, steps=BAD),
                Column(source="D", title="Out of range", unit=Unit.RATIO, decimals=1, steps=BAD),
                Column(source="E", title="New category", unit=Unit.RATIO, decimals=1, steps=BAD),
                Column(source="F", title="Values", unit=Unit.COUNT),
            ],
            sort="Failed checks",
            no_data=NO_CHECKS,
            width=14,
            height=11,
        ),
        state_timeline(
            "When did which check fail?",
            "One band for each of the 12 checks that failed for the longest.",
            Query(data_quality.when_failed(), "{{feature_name}}: {{check}}"),
            no_data="No check failed in this time, or there are none",
            states={"0": ("passes", "green"), "1": ("fails", "orange")},
            width=10,
            height=11,
        ),
    )


def _shares() -> tuple[Tile, ...]:
    return (
        _share("Which features are missing?", "absent, null or NaN", "missing"),
        _share("Which have the wrong type?", "no number where the profile has numbers", "type"),
        _share("Which are out of range?", "beyond the range of models.yaml", "range"),
        _share("Which have new categories?", "of a category that training never saw", "category"),
    )


def _share(title: str, what: str, check: str) -> Tile:
    return time_series(
        title,
        f"Share of a feature's values over the drift window that are {what}, for the 5 features "
        "with the highest peak.",
        Query(data_quality.top_share(check), "{{feature_name}}"),
        unit=Unit.RATIO,
        no_data=NO_CHECKS if check != "category" else "No data: no feature has categories",
        width=6,
    )


def _requests() -> tuple[Tile, ...]:
    return (
        time_series(
            "How many requests does the model server refuse?",
            "Share of all requests that the model server rejected before the model saw them.",
            Query(data_quality.rejected(), "rejected"),
            unit=Unit.RATIO,
            no_data="No data: no requests",
        ),
        traffic.by_status(),
    )
