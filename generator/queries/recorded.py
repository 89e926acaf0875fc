"""The normalised series that dashboards and alerts read, and the expressions that record them.

One rule serves all models. A ratio is count-weighted, empty without traffic and 0 without errors;
a quantile or mean is empty without traffic, never NaN. `str(recorded)` is its name in a query:

    f"sum({recorded.REQUESTS})"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric, Unit
from contract.quantity import Duration
from contract.slo import objectives
from contract.spec import QUANTILES, Spec
from generator.queries.runtimes.jobs import runtime_jobs
from generator.queries.windows import (
    FIVE_MINUTES,
    FOUR_MINUTES,
    ONE_MINUTE,
    PROMISE_MEMORY,
    TWO_MINUTES,
    window,
)

__all__ = [
    "CLASS_RATE",
    "CONFIDENCE_MEAN",
    "DRIFTED_FEATURES",
    "DRIFT_DETECTED",
    "DRIFT_EVALUATED",
    "DRIFT_SCORE",
    "ERRORS",
    "ERROR_RATIO",
    "ESCALATION",
    "LATENCY_BUCKETS",
    "LATENCY_MEAN",
    "LATENCY_OF_LIMIT",
    "LATENCY_QUANTILES",
    "MODEL_JOBS",
    "OBJECTIVES_NAME",
    "OWNER",
    "PROMISED_AT",
    "PROMISES",
    "QUANTILE_OF_ALL",
    "RECORDED",
    "REQUESTS",
    "REQUESTS_INCREASE",
    "TARGET_INFO",
    "TARGET_UP",
    "THRESHOLD",
    "Group",
    "Recorded",
    "quantile_of",
    "remembered",
]

MODEL_JOBS: Final = ("ml-sidecar",)
"""The scrape jobs whose targets serve models, besides those of the runtimes in use."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order, as often as what they read moves.

    That is every evaluation interval of models.yaml, unless `slowly` is longer.
    """

    name: str
    slowly: Duration | None = None

    def interval(self, spec: Spec) -> Duration | None:
        """The interval as Prometheus sees it; None where it is that of models.yaml."""
        usual = spec.stack.evaluation_interval
        return spec.clock(self.slowly) if self.slowly and self.slowly > usual else None


OBJECTIVES_NAME: Final = "model:ml_slo_objective:ratio"
"""What the targets of objectives are recorded as, by generator.queries.slo_events."""

PROMISES: Final = Group("model-promises", slowly=TWO_MINUTES)
_TARGETS: Final = Group("model-targets")
_TRAFFIC: Final = Group("model-traffic-5m")
_LATENCY: Final = Group("model-latency-5m", slowly=ONE_MINUTE)
"""Every bucket of every model is a series: of what is recorded of traffic, by far the most."""
_PREDICTIONS: Final = Group("model-predictions-5m", slowly=TWO_MINUTES)
_DRIFT: Final = Group("model-drift", slowly=FOUR_MINUTES)


def _always(_: Spec) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recording rule. `labels` are those of its series; `expression` is its PromQL.

    Where nothing of models.yaml needs it, it is not recorded.
    """

    name: str
    labels: tuple[str, ...]
    help: str
    group: Group
    expression: Callable[[Spec], str]
    unit: Unit = Unit.NONE
    needed: Callable[[Spec], bool] = _always

    def __str__(self) -> str:
        return self.name


def _by(labels: tuple[str, ...]) -> str:
    return f"by ({', '.join(labels)})"


_BY_MODEL: Final = _by(MODEL)


def _rate(series: Metric | str, matchers: str = "") -> Callable[[Spec], str]:
    """Per second over five minutes, summed over a model's replicas."""

    def expression(spec: Spec) -> str:
        return f"sum {_BY_MODEL} (rate({series}{matchers}[{window(spec, FIVE_MINUTES)}]))"

    return expression


def _mean(histogram: Metric) -> Callable[[Spec], str]:
    total, count = _rate(histogram.sum), _rate(histogram.count)
    return lambda spec: f"{total(spec)}\n/\n({count(spec)} > 0)"


_PROMISING: Final = f'{catalog.SLO_OBJECTIVE}{{kind="availability"}}'
"""There as long as anything is promised: every model has it, and there are few of it to look up."""


def remembered(name: str, labels: tuple[str, ...], series: Metric) -> Callable[[Spec], str]:
    """What is exposed now; while nothing at all is, what was recorded last as `name`.

    What models.yaml no longer says is thus forgotten at once, and a collector that is down does
    not take the promises with it. To look for them in the raw series of fifteen minutes would cost
    more than all else that is recorded of promises.
    """

    def expression(spec: Spec) -> str:
        memory = window(spec, PROMISE_MEMORY).seconds
        return (
            f"max {_by(labels)} ({series})\n"
            f"or ({name} unless on () {_PROMISING} and on () time() - {PROMISED_AT} <= {memory:g})"
        )

    return expression


# Promises

PROMISED_AT: Final = Recorded(
    name="model:ml_promises_seen_timestamp_seconds",
    labels=(),
    help="When promises were last exposed (Unix time): for a while they outlive who exposes them.",
    group=PROMISES,
    expression=lambda spec: (
        f"max(timestamp({_PROMISING}))\n"
        "or last_over_time(model:ml_promises_seen_timestamp_seconds"
        f"[{window(spec, PROMISE_MEMORY)}])"
    ),
    unit=Unit.SECONDS,
)


def _promise(
    name: str, labels: tuple[str, ...], series: Metric, text: str, unit: Unit = Unit.NONE
) -> Recorded:
    return Recorded(
        name=name,
        labels=labels,
        help=text,
        group=PROMISES,
        expression=remembered(name, labels, series),
        unit=unit,
    )


THRESHOLD: Final = _promise(
    "model:ml_alert_threshold",
    catalog.ALERT_THRESHOLD.labels,
    catalog.ALERT_THRESHOLD,
    "The threshold of each alert of each model, as models.yaml has it.",
)
ESCALATION: Final = _promise(
    "model:ml_alert_escalation_seconds",
    catalog.ALERT_ESCALATION.labels,
    catalog.ALERT_ESCALATION,
    "After how long an alert of a severity becomes the next severity, where models.yaml says so.",
    Unit.SECONDS,
)
TARGET_INFO: Final = _promise(
    "model:ml_model_target_info",
    (*MODEL, "target"),
    catalog.MODEL_TARGET_INFO,
    "Always 1; a target that should serve the model.",
)
OWNER: Final = _promise(
    "model:ml_model_owner_info",
    (*MODEL, "team"),
    catalog.MODEL_TARGET_INFO,
    "Always 1; the team that owns the model.",
)


def _target_up(spec: Spec) -> str:
    jobs = "|".join((*MODEL_JOBS, *runtime_jobs(spec)))
    up = f'label_replace(up{{job=~"{jobs}"}}, "target", "$1", "instance", "(.+)")'
    # A target that Prometheus does not even try to scrape has no `up`: that is down, too.
    return (
        f"(\n  {TARGET_INFO} * on (target) group_left () max by (target) ({up})\n"
        f"  or 0 * {TARGET_INFO}\n)\n"
        "* on (model_name, model_version) group_left (targets)\n"
        f'count_values {_BY_MODEL} ("targets", count {_BY_MODEL} ({TARGET_INFO}))'
    )


TARGET_UP: Final = Recorded(
    name="model:ml_model_target_up",
    labels=(*MODEL, "target", "targets"),
    help="1 where Prometheus scrapes a target of the model, 0 where not; targets says how many "
    "the model has.",
    group=_TARGETS,
    expression=_target_up,
)

# Traffic

REQUESTS: Final = Recorded(
    name="model:ml_inference_requests:rate5m",
    labels=MODEL,
    help="Requests per second, of every status.",
    group=_TRAFFIC,
    expression=_rate(catalog.INFERENCE_REQUESTS),
)
ERRORS: Final = Recorded(
    name="model:ml_inference_errors:rate5m",
    labels=MODEL,
    help="Failed requests per second; what the model server rejected is no failure of the model.",
    group=_TRAFFIC,
    expression=_rate(catalog.INFERENCE_REQUESTS, '{status="error"}'),
)
ERROR_RATIO: Final = Recorded(
    name="model:ml_inference_errors:ratio_rate5m",
    labels=MODEL,
    help="Share of all requests that failed.",
    group=_TRAFFIC,
    # Prometheus evaluates a group's rules in order, so both parts are of this very evaluation.
    expression=lambda _: f"({ERRORS} or 0 * {REQUESTS})\n/\n({REQUESTS} > 0)",
    unit=Unit.RATIO,
)
REQUESTS_INCREASE: Final = Recorded(
    name="model:ml_inference_requests:increase5m",
    labels=MODEL,
    help="Requests in the last five minutes: ratios and quantiles of a few say little.",
    group=_TRAFFIC,
    # What increase() would say, at a fraction of its cost.
    expression=lambda spec: f"{REQUESTS} * {window(spec, FIVE_MINUTES).seconds:g}",
)

LATENCY_BUCKETS: Final = Recorded(
    name="model:ml_inference_latency_seconds_bucket:rate5m",
    labels=(*MODEL, "le"),
    help="Requests per second that took at most le; every latency quantile is read from it.",
    group=_LATENCY,
    expression=lambda spec: (
        f"sum {_by((*MODEL, 'le'))} "
        f"(rate({catalog.INFERENCE_LATENCY.bucket}[{window(spec, FIVE_MINUTES)}]))"
    ),
)


QUANTILE_OF_ALL: Final = "p99"
"""The quantile that is recorded of every model, for dashboards of all of them."""


def quantile_of(buckets: str, quantile: float) -> str:
    """A quantile of buckets by le; of no requests it is NaN, which no comparison holds for."""
    return f"histogram_quantile({quantile:g}, {buckets}) >= 0"


def _quantile(quantile: float) -> Recorded:
    name = QUANTILES[quantile]

    def promised(spec: Spec) -> bool:
        pairs = (pair for model in spec.models for pair in model.slo.latency)
        return name == QUANTILE_OF_ALL or any(pair.target == quantile for pair in pairs)

    only = "" if name == QUANTILE_OF_ALL else ", where models.yaml promises it of a model"
    return Recorded(
        name=f"model:ml_inference_latency_seconds:{name}_5m",
        labels=MODEL,
        help=f"{quantile * 100:g}% of the requests took at most this long{only}.",
        group=_LATENCY,
        expression=lambda _: quantile_of(str(LATENCY_BUCKETS), quantile),
        unit=Unit.SECONDS,
        needed=promised,
    )


LATENCY_QUANTILES: Final = {name: _quantile(quantile) for quantile, name in QUANTILES.items()}
"""By the name of the quantile: LATENCY_QUANTILES["p99"]."""


def _otherwise_promised(spec: Spec) -> list[tuple[float, str]]:
    """Targets and limits of the promises on latency that no HighLatency alert knows about.

    It watches five quantiles, and may be off.
    """
    found = set()
    for model in spec.models:
        for one in objectives(model):
            if one.kind != "latency":
                continue
            settings = model.alerts.get(f"HighLatency{QUANTILES.get(one.target, '').upper()}")
            if one.target not in QUANTILES or (settings is not None and not settings.enabled):
                found.add((one.target, one.limit))
    return sorted(found)


def _latency_of_limit(spec: Spec) -> str:
    on = f"on ({', '.join(MODEL)})"
    shares = [
        f"label_replace({quantile} / {on} max {_BY_MODEL} "
        f'({THRESHOLD}{{alert="HighLatency{name.upper()}"}}), '
        f'"quantile", "{name}", "", "")'
        for name, quantile in LATENCY_QUANTILES.items()
        if quantile.needed(spec)
    ]
    for target, limit in _otherwise_promised(spec):
        promised = f'{OBJECTIVES_NAME}{{kind="latency", limit="{limit}"}} == {target!r}'
        reached = quantile_of(f"{LATENCY_BUCKETS} and {on} ({promised})", target)
        shares.append(
            f'label_replace(({reached}) / {limit}, "quantile", "{target!r} {limit}", "", "")'
        )
    return f"max {_BY_MODEL} ({' or '.join(shares)})"


LATENCY_OF_LIMIT: Final = Recorded(
    name="model:ml_inference_latency:of_limit",
    labels=MODEL,
    help="The worst of the promised latency quantiles as a share of its threshold: 1 is the limit.",
    group=_LATENCY,
    expression=_latency_of_limit,
    unit=Unit.RATIO,
)
LATENCY_MEAN: Final = Recorded(
    name="model:ml_inference_latency_seconds:mean5m",
    labels=MODEL,
    help="Mean time a request took.",
    group=_LATENCY,
    expression=_mean(catalog.INFERENCE_LATENCY),
    unit=Unit.SECONDS,
)
CLASS_RATE: Final = Recorded(
    name="model:ml_prediction_class:rate5m",
    labels=(*MODEL, "predicted_class"),
    help="Predictions per second of each class.",
    group=_PREDICTIONS,
    expression=lambda spec: (
        f"sum {_by((*MODEL, 'predicted_class'))} "
        f"(rate({catalog.PREDICTION_CLASS}[{window(spec, FIVE_MINUTES)}]))"
    ),
)
CONFIDENCE_MEAN: Final = Recorded(
    name="model:ml_prediction_confidence:mean5m",
    labels=MODEL,
    help="Mean of the model's own probability of what it predicted.",
    group=_PREDICTIONS,
    expression=_mean(catalog.PREDICTION_CONFIDENCE),
    unit=Unit.RATIO,
)

# Drift


def _latest(metric: Metric, labels: tuple[str, ...]) -> Callable[[Spec], str]:
    return lambda _: f"max {_by(labels)} ({metric})"


DRIFT_SCORE: Final = Recorded(
    name="model:ml_feature_drift_score",
    labels=catalog.FEATURE_DRIFT_SCORE.labels,
    help="How far a feature's values over the window are from those of training.",
    group=_DRIFT,
    expression=_latest(catalog.FEATURE_DRIFT_SCORE, catalog.FEATURE_DRIFT_SCORE.labels),
)
DRIFT_DETECTED: Final = Recorded(
    name="model:ml_feature_drift_detected",
    labels=(*MODEL, "feature_name", "severity"),
    help="1 where the score is above its threshold and above what sampling alone would give, and "
    "absent where not.",
    group=_DRIFT,
    # Without the zeros: with many features they are most of what there is to record.
    expression=lambda _: (
        f"max {_by((*MODEL, 'feature_name', 'severity'))} "
        f'({catalog.DRIFT_DETECTED}{{kind="feature"}} == 1)'
    ),
)
DRIFTED_FEATURES: Final = Recorded(
    name="model:ml_drifted_features_ratio",
    labels=MODEL,
    help="The share of features that have drifted, the false discovery rate controlled.",
    group=_DRIFT,
    expression=_latest(catalog.DRIFTED_FEATURES, MODEL),
    unit=Unit.RATIO,
)
DRIFT_EVALUATED: Final = Recorded(
    name="model:ml_drift_evaluation_timestamp_seconds",
    labels=MODEL,
    help="When the model's drift was last evaluated (Unix time).",
    group=_DRIFT,
    expression=_latest(catalog.DRIFT_EVALUATION_TIMESTAMP, MODEL),
    unit=Unit.SECONDS,
)

RECORDED: Final = (
    PROMISED_AT,
    THRESHOLD,
    ESCALATION,
    TARGET_INFO,
    OWNER,
    TARGET_UP,
    REQUESTS,
    ERRORS,
    ERROR_RATIO,
    REQUESTS_INCREASE,
    LATENCY_BUCKETS,
    *LATENCY_QUANTILES.values(),
    LATENCY_OF_LIMIT,
    LATENCY_MEAN,
    CLASS_RATE,
    CONFIDENCE_MEAN,
    DRIFT_SCORE,
    DRIFT_DETECTED,
    DRIFTED_FEATURES,
    DRIFT_EVALUATED,
)
"""Those of models, in the order in which they are evaluated."""
