"""Versions of the chosen model that serve at once, beside each other."""

from __future__ import annotations

from generator.dashboards.field import WORSE, Unit
from generator.dashboards.panel import Query, Tile, time_series
from generator.dashboards.tables import Column, Link, table
from generator.queries import recorded, versions

__all__ = ["panels"]

ALONE = "No data: only one version serves, or they have not been compared yet"
NO_REQUESTS = "No requests in the last 5 minutes"
TO_VERSION = Link(
    "Show this version",
    "/d/ml-model?${datasource:queryparam}&${team:queryparam}&${model:queryparam}"
    '&${__url_time_range}&var-version=${__data.fields["Version"]}',
)


def panels() -> tuple[Tile, ...]:
    """Who serves, the comparison with its significance, and the same over time."""
    return (
        time_series(
            "Which versions serve?",
            "Share of the model's requests that each version gets.",
            Query(versions.requests(), "{{model_version}}"),
            unit=Unit.PER_SECOND,
            no_data=NO_REQUESTS,
            share=True,
            width=8,
        ),
        _table(),
        time_series(
            "Which version fails more?",
            "Share of each version's requests that failed over 5 minutes.",
            Query(versions.by_version(recorded.ERROR_RATIO), "{{model_version}}"),
            unit=Unit.RATIO,
            no_data=NO_REQUESTS,
            width=6,
        ),
        time_series(
            "Which version is slower?",
            "99% of each version's requests over 5 minutes took at most this long.",
            Query(versions.by_version(recorded.LATENCY_QUANTILES["p99"]), "{{model_version}}"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            width=6,
        ),
        _both(
            "Which version is right, and sure?",
            "Accuracy by the labels that came, or the mean absolute error, and the mean "
            "confidence, over comparison.window and at the same times.",
            "accuracy|mae|confidence",
        ),
        _both(
            "Which version does its business?",
            "Ratios of models[].business over comparison.window, of both versions at the same "
            "times.",
            "business_.*",
        ),
    )


def _both(title: str, description: str, objectives: str) -> Tile:
    return time_series(
        title,
        description,
        Query(versions.compared("newer", objectives), "{{objective}} {{model_version}}"),
        Query(versions.compared("older", objectives), "{{objective}} {{baseline_version}}"),
        unit=Unit.NONE,
        no_data=ALONE,
        whole_axis=False,
        width=6,
    )


def _table() -> Tile:
    return table(
        "How do they compare?",
        "Every aspect of a version and of the next older one that serves as well, counted at the "
        "same times over comparison.window. By chance: how often equal versions would differ as "
        "much, to the newer one's disadvantage. Worse: by more than chance and by more than "
        "comparison of models.yaml allows, which is when VersionWorse fires.",
        Query(versions.compared("newer"), instant=True),
        Query(versions.compared("older"), instant=True),
        Query(versions.p_values(), instant=True),
        Query(versions.samples("newer"), instant=True),
        Query(versions.samples("older"), instant=True),
        Query(versions.worse(), instant=True),
        columns=[
            Column(source="objective", title="Aspect"),
            Column(source="model_version", title="Version", link=TO_VERSION),
            Column(source="A", title="Newer", decimals=4),
            Column(source="baseline_version", title="Beside"),
            Column(source="B", title="Older", decimals=4),
            Column(source="C", title="By chance", unit=Unit.RATIO, decimals=2),
            Column(source="D", title="Counted of newer", unit=Unit.COUNT, decimals=0),
            Column(source="E", title="Counted of older", unit=Unit.COUNT, decimals=0),
            Column(source="F", title="Worse", states=WORSE),
        ],
        no_data=ALONE,
        sort="Worse",
        width=16,
    )
