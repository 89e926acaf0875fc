"""What is usual for a model, by its own past, and how far it is from that now.

The past is read from recorded series and not from raw ones, rarely, and at few points, so that a
day of a thousand models costs little; what only alerts read that nobody asked for is not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import EXPECTED_FOR, NEAR_BREACH
from contract.catalog import MODEL, Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import recorded, recorded_serving
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import (
    DAY,
    FIVE_MINUTES,
    FOUR_MINUTES,
    HALF_HOUR,
    HOUR,
    TWO_MINUTES,
    window,
)

__all__ = [
    "ARTIFACT",
    "EXPECTED",
    "HISTORY",
    "LATENCY_PAST_DEVIATION",
    "LATENCY_PAST_MEAN",
    "LATENCY_SCORE",
    "OF_EXPECTED",
    "PAST_RECORDED",
    "QUEUE_GROWTH",
    "RECENTLY",
    "REQUESTS_1H",
    "TIME_TO_BREACH",
    "TRAINED",
]

_HOURS: Final = Group("model-hours", slowly=TWO_MINUTES)
_PAST: Final = Group("model-past", slowly=FOUR_MINUTES)
_NOW: Final = Group("model-of-past", slowly=TWO_MINUTES)

_BY_MODEL: Final = f"by ({', '.join(MODEL)})"
_ON_MODEL: Final = f"on ({', '.join(MODEL)})"

HISTORY: Final = Duration.parse("6h")
"""Of its last day, what must be known of a model before anything about it is unusual."""
RECENTLY: Final = EXPECTED_FOR
"""How long traffic that stopped is still expected."""
_QUEUE_WINDOW: Final = Duration.parse("15m")
_LEAST_DEVIATION: Final = 0.1
"""A latency that hardly varies would be unusual at once: at least this share of the mean counts as
its standard deviation."""


_WHERE_ASKED: Final = {
    name: f"Recorded where a model asks for {name}."
    for name in ("LatencyAnomaly", "ThroughputDrop", "PredictedSloBreach", "QueueGrowing")
}


def _asked(alert: str) -> Callable[[Spec], bool]:
    """Whether any model has an alert that models have only where they ask for it."""

    def needed(spec: Spec) -> bool:
        return any(alert in model.alerts and model.alerts[alert].enabled for model in spec.models)

    return needed


def _past(function: str, spec: Spec) -> str:
    """Over the day that ended an hour ago: what goes on now is no part of what is usual."""
    day = f"{window(spec, DAY)}:{window(spec, FIVE_MINUTES)}"
    return f"{function}({recorded.LATENCY_MEAN}[{day}] offset {spec.clock(HOUR)})"


def _latency_mean(spec: Spec) -> str:
    points = HISTORY.milliseconds // FIVE_MINUTES.milliseconds
    return f"{_past('avg_over_time', spec)}\nand\n{_past('count_over_time', spec)} >= {points}"


LATENCY_PAST_MEAN: Final = Recorded(
    name="model:ml_inference_latency_seconds:mean5m_avg1d",
    labels=MODEL,
    help="What the mean latency usually is: its mean over the day that ended an hour ago; absent "
    f"before {HISTORY} of it are known. {_WHERE_ASKED['LatencyAnomaly']}",
    group=_PAST,
    expression=_latency_mean,
    unit=Unit.SECONDS,
    needed=_asked("LatencyAnomaly"),
)
LATENCY_PAST_DEVIATION: Final = Recorded(
    name="model:ml_inference_latency_seconds:mean5m_stddev1d",
    labels=MODEL,
    help="By how much the mean latency usually varies: its standard deviation over that day, and "
    f"at least {_LEAST_DEVIATION:.0%} of the mean. {_WHERE_ASKED['LatencyAnomaly']}",
    group=_PAST,
    expression=lambda spec: (
        f"{_past('stddev_over_time', spec)} > {_LEAST_DEVIATION:g} * {LATENCY_PAST_MEAN}\n"
        f"or {_LEAST_DEVIATION:g} * {LATENCY_PAST_MEAN}"
    ),
    unit=Unit.SECONDS,
    needed=_asked("LatencyAnomaly"),
)
REQUESTS_1H: Final = Recorded(
    name="model:ml_inference_requests:rate1h",
    labels=MODEL,
    help="Requests per second over the last hour.",
    group=_HOURS,
    expression=lambda spec: f"avg_over_time({recorded.REQUESTS}[{window(spec, HOUR)}])",
)


def _expected(spec: Spec) -> str:
    # Half of the hour lies before this time of yesterday, half after it.
    before = spec.clock(Duration(DAY.milliseconds - HALF_HOUR.milliseconds))
    yesterday = f"{REQUESTS_1H} offset {before}"
    lately = f"max_over_time({REQUESTS_1H}[{window(spec, RECENTLY)}])"
    seconds = window(spec, FIVE_MINUTES).seconds
    # The lower of the two: what only happens at other hours, or on other days, is not expected.
    return f"{seconds:g} * (\n  ({yesterday} < {lately})\n  or ({lately} and {yesterday})\n)"


EXPECTED: Final = Recorded(
    name="model:ml_inference_requests:expected5m",
    labels=MODEL,
    help="Requests in five minutes that are usual now: as many as at this time yesterday, but "
    f"no more than in any hour of the last {RECENTLY}.",
    group=_PAST,
    expression=_expected,
)
LATENCY_SCORE: Final = Recorded(
    name="model:ml_inference_latency_seconds:zscore5m",
    labels=MODEL,
    help="By how many standard deviations the mean latency is above what it usually is. "
    f"{_WHERE_ASKED['LatencyAnomaly']}",
    group=_NOW,
    expression=lambda _: (
        f"({recorded.LATENCY_MEAN} - {LATENCY_PAST_MEAN}) / {LATENCY_PAST_DEVIATION}"
    ),
    needed=_asked("LatencyAnomaly"),
)
OF_EXPECTED: Final = Recorded(
    name="model:ml_inference_requests:of_expected5m",
    labels=MODEL,
    help="Requests of the last five minutes as a share of what is usual now; 1 is as always. "
    f"{_WHERE_ASKED['ThroughputDrop']}",
    group=_NOW,
    expression=lambda _: f"{recorded.REQUESTS_INCREASE} / ({EXPECTED} > 0)",
    unit=Unit.RATIO,
    needed=_asked("ThroughputDrop"),
)


def _time_to_breach(spec: Spec) -> str:
    hour = window(spec, HOUR)
    seconds = hour.seconds
    later = f"predict_linear({recorded.LATENCY_OF_LIMIT}[{hour}], {seconds:g})"
    now = f"predict_linear({recorded.LATENCY_OF_LIMIT}[{hour}], 0)"
    # Only while it is not broken yet, and has come near: what grows from little is not in a hurry.
    near = f"({recorded.LATENCY_OF_LIMIT} > {NEAR_BREACH:g} < 1)"
    return f"{seconds:g} * (1 - {near}) / ({later} - {now} > 0)\n<= {_furthest(spec):g}"


def _furthest(spec: Spec) -> float:
    """Seconds beyond which nobody wants to know: a day, unless a model asks to hear earlier."""
    asked = (model.alerts.get("PredictedSloBreach") for model in spec.models)
    return max([DAY.seconds, *(one.threshold for one in asked if one and one.threshold)])


TIME_TO_BREACH: Final = Recorded(
    name="model:ml_inference_latency:breach_seconds",
    labels=MODEL,
    help="Time until a promise of slo.latency is broken, at the pace of the last hour; absent "
    "where it is broken, far away, or latency does not grow. "
    f"{_WHERE_ASKED['PredictedSloBreach']}",
    group=_HOURS,
    expression=_time_to_breach,
    unit=Unit.SECONDS,
    needed=_asked("PredictedSloBreach"),
)
QUEUE_GROWTH: Final = Recorded(
    name="model:ml_queue_depth:deriv15m",
    labels=(*MODEL, "queue_name"),
    help="By how much a queue grows, in requests per second over the last 15 minutes. "
    f"{_WHERE_ASKED['QueueGrowing']}",
    group=_NOW,
    expression=lambda spec: f"deriv({recorded_serving.QUEUE_DEPTH}[{window(spec, _QUEUE_WINDOW)}])",
    needed=_asked("QueueGrowing"),
)
TRAINED: Final = Recorded(
    name="model:ml_model_trained_timestamp_seconds",
    labels=MODEL,
    help="When the model was trained (Unix time).",
    group=_HOURS,
    expression=lambda _: f"max {_BY_MODEL} ({catalog.MODEL_TRAINED_TIMESTAMP})",
    unit=Unit.SECONDS,
)
ARTIFACT: Final = Recorded(
    name="model:ml_model_artifact_matches",
    labels=MODEL,
    help="1 where every sidecar finds the file that models.yaml declares and every process loaded "
    "it, 0 where one does not.",
    group=_HOURS,
    expression=lambda _: f"min {_BY_MODEL} ({catalog.MODEL_ARTIFACT_MATCHES})",
)

PAST_RECORDED: Final = (
    REQUESTS_1H,
    TIME_TO_BREACH,
    TRAINED,
    ARTIFACT,
    LATENCY_PAST_MEAN,
    LATENCY_PAST_DEVIATION,
    EXPECTED,
    LATENCY_SCORE,
    OF_EXPECTED,
    QUEUE_GROWTH,
)
"""All of them, in the order in which they are evaluated."""
