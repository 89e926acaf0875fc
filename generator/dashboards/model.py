"""Model: from "is it broken" to "why", for one version of one model."""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.spec import Spec
from generator.dashboards import drift, traffic, versions
from generator.dashboards.alerting import alert_table
from generator.dashboards.field import Steps, Unit, dashed, of_limit
from generator.dashboards.layout import Row
from generator.dashboards.panel import (
    Query,
    Tile,
    heatmap,
    stat,
    state_timeline,
    time_series,
)
from generator.dashboards.shell import model_variables, render
from generator.queries import marks, model

__all__ = ["render_model"]

NO_REQUESTS: Final = "No requests in the last 5 minutes"
UP: Final = {"0": ("down", "red"), "1": ("up", "green")}


def render_model(spec: Spec) -> str:
    """The text of model.json."""
    return render(
        uid="ml-model",
        title="ML model",
        description="One version of one model: is it broken, and why?",
        variables=model_variables(),
        marks=marks.of_model(),
        rows=[
            Row(1, "Is it broken?", (*_numbers(), *_alerts(spec))),
            Row(2, "Does it answer?", _traffic()),
            Row(3, "Where does the time go?", _latency()),
            Row(4, "Has its input changed?", _features()),
            Row(5, "What does it predict?", _predictions()),
            Row(6, "Was it right?", _outcomes()),
            Row(7, "Is the newer version better?", versions.panels()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Alerts that fire",
            "Alerts of this version that fire now; the list below says which.",
            Query(model.firing(), "firing"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            steps=Steps(at=((1, "red"),)),
        ),
        stat(
            "Requests",
            "Requests per second of every status, over 5 minutes.",
            Query(model.requests(), "requests"),
            unit=Unit.PER_SECOND,
            no_data="No data: no sidecar knows this version",
            history=True,
        ),
        stat(
            "Requests that fail",
            "Share of requests that failed over 5 minutes, and what part of the threshold of "
            "HighErrorRatio that is.",
            Query(model.error_ratio(), "failed"),
            Query(model.errors_of_limit(), "of limit"),
            unit=Unit.RATIO,
            decimals=2,
            no_data=NO_REQUESTS,
            overrides=[of_limit("of limit")],
        ),
        stat(
            "Latency",
            "99% of the requests of the last 5 minutes took at most this long; and the worst of "
            "the promised quantiles as a part of its threshold.",
            Query(model.latency("p99"), "p99"),
            Query(model.worst_latency_of_limit(), "of limit"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            overrides=[of_limit("of limit")],
        ),
        stat(
            "Drifted features",
            "Features whose score is above the threshold and above what sampling alone gives.",
            Query(model.drifted_features(), "drifted"),
            unit=Unit.COUNT,
            no_data="Not judged",
            steps=Steps(at=((1, "orange"),)),
        ),
        stat(
            "Since drift was evaluated",
            "Time since the drift collector last looked at this model, and what part of the "
            "threshold of DriftEvaluationStale that is. Above it, what this page says of drift is "
            "old.",
            Query(model.drift_age(), "ago"),
            Query(model.drift_age_of_limit(), "of limit"),
            unit=Unit.SECONDS,
            decimals=0,
            no_data="Never",
            overrides=[of_limit("of limit")],
        ),
    )


def _alerts(spec: Spec) -> tuple[Tile, ...]:
    return (
        alert_table(
            "Which alerts fire, and since when?",
            "Alerts of this version that fire, and pending ones, whose reason does not yet hold "
            "for long enough.",
            model.alerts(),
            runbooks=spec.stack.responder,
            of_one_model=True,
            width=16,
            height=6,
        ),
        state_timeline(
            "Were its targets up?",
            "One band for each target of models.yaml that serves this version, red while "
            "Prometheus could not scrape it.",
            Query(model.targets_up(), "{{target}}"),
            no_data="No data: the drift collector has not said which targets serve it",
            states=UP,
            width=8,
        ),
    )


def _traffic() -> tuple[Tile, ...]:
    return (
        traffic.by_status(),
        time_series(
            "Are too many failing?",
            "Share of requests that failed over 5 minutes, and the threshold of HighErrorRatio.",
            Query(model.error_ratio(), "failed"),
            Query(model.error_limit(), "limit"),
            unit=Unit.RATIO,
            no_data=NO_REQUESTS,
            overrides=[dashed("^limit", "red")],
        ),
    )


def _latency() -> tuple[Tile, ...]:
    return (
        time_series(
            "Is it slow?",
            "Latency over 5 minutes: that share of the requests took at most this long. Dashed: "
            "what models.yaml promises of a quantile; p95 and p999 are drawn where it promises "
            "something of them.",
            Query(model.latency("p50"), "p50"),
            Query(model.latency("p90"), "p90"),
            Query(model.promised_latency("p95"), "p95"),
            Query(model.latency("p99"), "p99"),
            Query(model.promised_latency("p999"), "p999"),
            Query(model.latency_limits(), "limit of p{{quantile}}"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            overrides=[dashed("^limit", "red")],
        ),
        time_series(
            "In which stage?",
            "Mean time a request spent in each stage. Stages are those that the model server "
            "sends with its predictions.",
            Query(model.stage_latency(), "{{stage}}"),
            unit=Unit.SECONDS,
            no_data="No data: the model server sends no stages",
            stacked=True,
        ),
        heatmap(
            "All requests, or a few?",
            "Requests per second by how long they took: a second band above the first is a part "
            "of the requests that takes another way. Points are single requests with their trace, "
            "where the model server sends trace_id and Prometheus keeps exemplars.",
            Query(model.latency_buckets(), exemplars=True),
            unit=Unit.SECONDS,
            no_data="No data: no sidecar knows this version",
            width=24,
        ),
    )


def _features() -> tuple[Tile, ...]:
    return (
        drift.scores(),
        drift.nearness(),
        drift.feature_table(),
        time_series(
            "Are features missing or invalid?",
            "Share of requests in which a feature was absent, null or NaN, and in which it had a "
            "wrong type or a category unknown in training; the 3 worst features of each.",
            Query(model.top_missing(), "{{feature_name}} missing"),
            Query(model.top_invalid(), "{{feature_name}} invalid"),
            unit=Unit.RATIO,
            no_data="No data: no requests, or the model has no reference profile",
            height=9,
        ),
    )


def _predictions() -> tuple[Tile, ...]:
    return (
        time_series(
            "Which classes does it predict?",
            "Share of each predicted class over 5 minutes. A share that moves while the input "
            "does not is a changed model.",
            Query(model.classes(), "{{predicted_class}}"),
            unit=Unit.PER_SECOND,
            no_data="No data: a regressor predicts no classes",
            share=True,
            width=8,
        ),
        time_series(
            "How sure is it?",
            "The model's own probability of what it predicted: the mean, and what the least sure "
            "tenth stays below.",
            Query(model.confidence(), "mean"),
            Query(model.confidence_quantile(0.1), "least sure tenth"),
            unit=Unit.RATIO,
            no_data="No data: the model server sends no confidence",
            top=1,
            width=8,
        ),
        heatmap(
            "Which values does it predict?",
            "Predictions per second by value, on the bins of the reference profile.",
            Query(model.buckets(catalog.PREDICTION_VALUE)),
            unit=Unit.NONE,
            no_data="No data: a classifier predicts classes, not values",
            width=8,
        ),
    )


def _outcomes() -> tuple[Tile, ...]:
    return (
        time_series(
            "Do labels arrive?",
            "True labels per second, by whether the prediction they belong to was found.",
            Query(model.labels(), "{{result}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: no sidecar knows this version",
            stacked=True,
            width=6,
        ),
        time_series(
            "How often is it right?",
            "Share of labelled predictions of the last hour whose class was the actual one.",
            Query(model.accuracy(), "accuracy"),
            unit=Unit.RATIO,
            no_data="No data: a regressor, or no labels in the last hour",
            top=1,
            width=6,
        ),
        drift.confusion(),
        time_series(
            "How far off is it?",
            "Error of labelled predictions of the last hour, in the unit of the prediction. A "
            "root mean square far above the mean: a few large errors.",
            Query(model.absolute_error(), "mean absolute error"),
            Query(model.root_mean_squared_error(), "root mean squared error"),
            unit=Unit.NONE,
            no_data="No data: a classifier, or no labels in the last hour",
            width=6,
        ),
    )
