"""Business: do the ratios hold that a model is there for, and does the model move with them?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards import traffic
from generator.dashboards.field import Steps, Unit, by_name, dashed
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, time_series
from generator.dashboards.shell import model_variables, render
from generator.dashboards.tables import Column, Link, table
from generator.queries import business, marks, model, quality

__all__ = ["render_business"]

NO_RATIOS: Final = "No data: models.yaml declares no ratio (business), or no events came in an hour"
NO_EVENTS: Final = "No data: nothing sends business events of this model (POST /v1/business)"
OF_MODEL: Final = Link(
    "Show this model's business",
    "/d/ml-business?${datasource:queryparam}&${team:queryparam}&${__url_time_range}"
    '&var-model=${__data.fields["Model"]}&var-version=${__data.fields["Version"]}',
)


def render_business(_: Spec) -> str:
    """The text of business.json."""
    return render(
        uid="ml-business",
        title="ML business",
        description="Do the ratios hold that a model is there for, and does it move with them?",
        variables=model_variables(),
        marks=marks.of_model(),
        time="now-24h",
        rows=[
            Row(1, "Do the ratios hold?", (*_numbers(), _ratios())),
            Row(2, "$model: how do people answer?", _events()),
            Row(3, "$model: is it the model?", _reasons()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Ratios below what is expected",
            "Ratios of business events of the chosen teams' models that are below `min` of "
            "models.yaml, and all that had events in the last hour.",
            Query(business.below(), "below"),
            Query(business.ratios_in_all(), "ratios"),
            unit=Unit.COUNT,
            no_data="No ratio, or no events",
            overrides=[by_name("below", thresholds=Steps(at=((1, "red"),)).to_json())],
            width=5,
            height=6,
        ),
    )


def _ratios() -> Tile:
    return table(
        "Every ratio: click on one for its model",
        "Of the last hour. What is expected is `min` of models.yaml, empty where it says none.",
        Query(business.ratio_by_model()),
        Query(business.limit_by_model()),
        Query(business.requests_by_model()),
        columns=[
            Column(source="objective", title="Ratio", link=OF_MODEL),
            Column(source="model_name", title="Model"),
            Column(source="model_version", title="Version", width=90),
            Column(source="team", title="Team"),
            Column(source="A", title="Now", unit=Unit.RATIO, decimals=2),
            Column(source="B", title="Expected", unit=Unit.RATIO, decimals=2),
            Column(source="C", title="Requests", unit=Unit.PER_SECOND, decimals=1),
        ],
        sort="Requests",
        no_data=NO_RATIOS,
        width=19,
        height=6,
    )


def _events() -> tuple[Tile, ...]:
    return (
        time_series(
            "How have the ratios gone?",
            "Each ratio that models.yaml declares, over an hour; dashed: the least that it expects "
            "of it.",
            Query(business.ratios(), "{{objective}}"),
            Query(business.limits(), "{{objective}}, expected"),
            unit=Unit.RATIO,
            no_data=NO_RATIOS,
            overrides=[dashed(", expected$", "red")],
            width=8,
        ),
        time_series(
            "Which events come?",
            "Business events a second, for the 6 most frequent. Names that no ratio has are other.",
            Query(business.events_by_name(), "{{event}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_EVENTS,
            width=8,
        ),
        time_series(
            "How many events for each prediction?",
            "The same by prediction: whether there is less business, or only less traffic.",
            Query(business.per_prediction(), "{{event}}"),
            unit=Unit.NONE,
            no_data=NO_EVENTS,
            width=8,
        ),
    )


def _reasons() -> tuple[Tile, ...]:
    return (
        traffic.by_status(width=8),
        time_series(
            "Does it predict something else?",
            "Share of each predicted class over 5 minutes.",
            Query(model.classes(), "{{predicted_class}}"),
            unit=Unit.PER_SECOND,
            no_data="No data: a regressor predicts no classes",
            share=True,
            width=8,
        ),
        time_series(
            "Has anything drifted?",
            "Distance of its predictions from the reference, and of the features that moved "
            "furthest; dashed: from where on it counts as drift.",
            Query(quality.prediction_score(), "predictions"),
            Query(model.top_drift_scores(3), "{{feature_name}}"),
            Query(model.drift_threshold("warning"), "warning"),
            unit=Unit.NONE,
            no_data="No data: the model has no reference profile, or drift is not evaluated yet",
            overrides=[dashed("^warning$", "yellow")],
            width=8,
        ),
    )
