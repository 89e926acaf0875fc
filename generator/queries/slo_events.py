"""Events and bad events of each objective: as rates, and counted to the last one.

What a sidecar counts is counted exactly, however spiky (see `_count`); of other runtimes, and of
time, a count is what the rates add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from contract import catalog
from contract.catalog import MODEL, Unit
from contract.quantity import Duration
from contract.slo import Kind, objectives
from contract.spec import Spec
from generator.queries import recorded
from generator.queries.recorded import OBJECTIVES_NAME, PROMISES, Group, Recorded, remembered
from generator.queries.windows import FIVE_MINUTES, HOUR, ONE_MINUTE, window

__all__ = [
    "BAD",
    "BAD_COUNTED",
    "BAD_OF_HOURS",
    "BAD_SINCE_HOUR",
    "BUDGET",
    "EVENTS",
    "EVENTS_COUNTED",
    "EVENTS_OF_HOURS",
    "EVENTS_SINCE_HOUR",
    "LAST_PREDICTION",
    "OBJECTIVE",
    "OBJECTIVES",
    "ON_OBJECTIVE",
    "RATES",
    "counted_over",
    "counts_step",
    "rates_step",
    "short_of",
]

OBJECTIVE: Final = (*MODEL, "objective")
ON_OBJECTIVE: Final = f"on ({', '.join(OBJECTIVE)})"
_BY_OBJECTIVE: Final = f"by ({', '.join(OBJECTIVE)})"
_ON_MODEL: Final = f"on ({', '.join(MODEL)})"
_BY_MODEL: Final = f"by ({', '.join(MODEL)})"

RATES: Final = Group("slo-rates", slowly=ONE_MINUTE)
"""With them the windows of the fastest tier, so that both are of the same evaluation."""
_COUNTS: Final = Group("slo-counts", slowly=FIVE_MINUTES)

# What is promised

OBJECTIVES: Final = Recorded(
    name=OBJECTIVES_NAME,
    labels=catalog.SLO_OBJECTIVE.labels,
    help="The share of events that must be good, of each objective of each model.",
    group=PROMISES,
    expression=remembered(OBJECTIVES_NAME, catalog.SLO_OBJECTIVE.labels, catalog.SLO_OBJECTIVE),
    unit=Unit.RATIO,
)
BUDGET: Final = Recorded(
    name="model:ml_slo_error_budget:ratio",
    labels=OBJECTIVE,
    help="The share of events that may be bad: 1 less the objective.",
    group=PROMISES,
    expression=lambda _: f"1 - max {_BY_OBJECTIVE} ({OBJECTIVES})",
    unit=Unit.RATIO,
)


def _promised(kind: Kind, *, exact: bool = False, labels: tuple[str, ...] = OBJECTIVE) -> str:
    """The objectives of a kind, each with value 1; `exact`: those the sidecar's counters tell."""
    source = ', source="counters"' if exact else ""
    return f'group by ({", ".join(labels)}) ({OBJECTIVES}{{kind="{kind}"{source}}})'


def _of_objective(measured: str, kind: Kind, *, exact: bool = False) -> str:
    """A series of models as one of the objective of that kind, where the model has it."""
    return f"{measured}\n* {_ON_MODEL} group_right ()\n{_promised(kind, exact=exact)}"


def _of_bucket(measured: str, *, exact: bool = False) -> str:
    """Series of models and le as those of the objectives of latency that have the le as limit.

    Some write le="1" where others write le="1.0".
    """
    source = ', source="counters"' if exact else ""
    promised = f'{OBJECTIVES}{{kind="latency"{source}}}'
    variants = (
        f'label_replace({promised}, "le", "$1", "limit", "{pattern}")'
        for pattern in ("(.*)", r"(\\d+)\\.0")
    )
    return (
        f"sum {_BY_OBJECTIVE} (\n{measured}\n* on ({', '.join((*MODEL, 'le'))}) group_right ()\n"
        f"group by ({', '.join((*OBJECTIVE, 'le'))}) (\n{' or '.join(variants)}\n)\n)"
    )


def _edges(spec: Spec) -> str:
    """The buckets of all promises on latency, to leave the others where they are."""
    limits = {o.limit for m in spec.models for o in objectives(m) if o.kind == "latency"}
    either = "|".join(limit.replace(".", r"\\.").replace("+", r"\\+") for limit in sorted(limits))
    either = either.replace(r"\\.0|", r"(\\.0)?|")
    if either.endswith(r"\\.0"):
        either = either.removesuffix(r"\\.0") + r"(\\.0)?"
    return f'{{le=~"{either}"}}'


def _kinds(spec: Spec, *, source: str = "") -> set[Kind]:
    """What any model promises, of that source: the rest need not be evaluated."""
    return {
        objective.kind
        for model in spec.models
        for objective in objectives(model)
        if source in {"", objective.source}
    }


def _joined(parts: Iterable[tuple[Kind, str]], kinds: Collection[Kind]) -> str:
    return "\nor\n".join(f"(\n{part}\n)" for kind, part in parts if kind in kinds)


# What the sidecar counts, exactly


def rates_step(spec: Spec) -> Duration:
    """How long it is from one rate to the next: a sum of rates times that is a count."""
    return RATES.interval(spec) or spec.clock(spec.stack.evaluation_interval)


def counts_step(spec: Spec) -> Duration:
    """How long one count is: as long as from one to the next, so that each event is in one."""
    return _COUNTS.interval(spec) or spec.clock(spec.stack.evaluation_interval)


def _since(series: str, step: Duration, most: Duration) -> str:
    """By how much counters grew within a step: what one step leaves out, the next has.

    `increase` would leave out what falls between two windows, scale up what does not, and tell too
    few of the first errors ever. Where a scrape failed, a step reaches back to the one before.
    """
    return f"last_over_time({series}[{step}]) - last_over_time({series}[{most}] offset {step}) >= 0"


def _rate(series: str, spec: Spec) -> str:
    """Per second since the last rate. A counter that is new or was reset waits for the next."""
    step = rates_step(spec)
    return f"({_since(series, step, window(spec, FIVE_MINUTES))}) / {step.seconds:g}"


def _count(series: str, spec: Spec) -> str:
    """Since the last count. Of counters that are new, were reset or are gone the rate says it."""
    step = counts_step(spec)
    reach = Duration(step.milliseconds + spec.clock(spec.stack.scrape_interval).milliseconds)
    return (
        f"({_since(series, step, window(spec, HOUR))}\n"
        f"  or rate({series}[{reach}]) * {step.seconds:g})"
    )


_ALL: Final = '{le="+Inf"}'
_KNOWN: Final = '{predicted_class!="other"}'

_Measure = Callable[[str, Spec], str]
"""A counter → how much of it there was, as a rate or a count."""


def _events_exact(measure: _Measure, spec: Spec) -> Iterator[tuple[Kind, str]]:
    requests = f"sum {_BY_MODEL} ({measure(str(catalog.INFERENCE_REQUESTS), spec)})"
    yield "availability", _of_objective(requests, "availability", exact=True)
    timed = f"sum {_BY_MODEL} ({measure(f'{catalog.INFERENCE_LATENCY.bucket}{_ALL}', spec)})"
    yield "latency", _of_objective(timed, "latency", exact=True)
    labelled = f"sum {_BY_MODEL} ({measure(f'{catalog.OUTCOMES}{_KNOWN}', spec)})"
    yield "accuracy", _of_objective(labelled, "accuracy", exact=True)


def _bad_exact(measure: _Measure, events: Recorded, spec: Spec) -> Iterator[tuple[Kind, str]]:
    failed = f'{catalog.INFERENCE_REQUESTS}{{status="error"}}'
    errors = f"sum {_BY_MODEL} ({measure(failed, spec)})"
    known = f"0 * {events} * {ON_OBJECTIVE} {_promised('availability', exact=True)}"
    yield "availability", (f"({_of_objective(errors, 'availability', exact=True)})\nor {known}")
    in_time = (
        f"sum by ({', '.join((*MODEL, 'le'))}) "
        f"({measure(f'{catalog.INFERENCE_LATENCY.bucket}{_edges(spec)}', spec)})"
    )
    total = f"{events} * {ON_OBJECTIVE} {_promised('latency', exact=True)}"
    fast = _of_bucket(in_time, exact=True)
    yield "latency", f"clamp_min({total}\n- {ON_OBJECTIVE}\n{fast}, 0)"
    labelled = _outcomes(measure(f"{catalog.OUTCOMES}{_KNOWN}", spec))
    yield "accuracy", _of_objective(_wrong(labelled), "accuracy", exact=True)


# As others tell: serving runtimes, and time

_STALE: Final = 900


def _events(spec: Spec) -> Iterator[tuple[Kind, str]]:
    yield "availability", _of_objective(str(recorded.REQUESTS), "availability")
    total = f"sum {_BY_MODEL} ({recorded.LATENCY_BUCKETS}{_ALL})"
    yield "latency", _of_objective(total, "latency")
    # Time counts while it is known: one event a second.
    evaluated = f"group {_BY_MODEL} (time() - {recorded.DRIFT_EVALUATED} < {_stale(spec)})"
    yield "drift_free", _of_objective(evaluated, "drift_free")
    yield "freshness", _promised("freshness")


def _stale(spec: Spec) -> str:
    return f"{spec.clock(Duration(_STALE * 1000)).seconds:g}"


def _bad(spec: Spec) -> Iterator[tuple[Kind, str]]:
    failed = f"{recorded.ERRORS} or 0 * {recorded.REQUESTS}"
    yield "availability", _of_objective(f"({failed})", "availability")
    fast = _of_bucket(f"{recorded.LATENCY_BUCKETS}{_edges(spec)}")
    total = f"{EVENTS} * on ({', '.join(OBJECTIVE)}) {_promised('latency')}"
    yield "latency", f"clamp_min({total}\n- {ON_OBJECTIVE}\n{fast}, 0)"
    # Verdicts on features are recorded; those on predictions are few.
    drifted = (
        f'{recorded.DRIFT_DETECTED}{{severity="critical"}} '
        f'or ({catalog.DRIFT_DETECTED}{{kind!="feature", severity="critical"}} == 1)'
    )
    known = f"{EVENTS} * on ({', '.join(OBJECTIVE)}) {_promised('drift_free')}"
    yield (
        "drift_free",
        (
            f"({known})\n* {_ON_MODEL} group_left ()\n"
            f"(group {_BY_MODEL} ({drifted}) or 0 * group {_BY_MODEL} ({known}))"
        ),
    )
    yield "freshness", _not_fresh(spec)


def _outcomes(rates: str) -> str:
    return f"sum by ({', '.join(catalog.OUTCOMES.labels)}) ({rates})"


def _wrong(labelled: str) -> str:
    """Of outcomes by predicted and actual class, those where the two differ, by model."""
    labels = ", ".join(catalog.OUTCOMES.labels)
    same = (
        f"label_replace(group by ({', '.join((*MODEL, 'predicted_class'))}) "
        f'({catalog.OUTCOMES}{_KNOWN}), "actual_class", "$1", "predicted_class", "(.*)")'
    )
    return f"sum {_BY_MODEL} (\n({labelled} unless on ({labels}) {same})\nor 0 * {labelled}\n)"


def _not_fresh(spec: Spec) -> str:
    """1 where the last prediction is too old, or there was none; else 0."""
    promised = _promised("freshness")
    recent = []
    limits = {
        model.slo.freshness.within for model in spec.models if model.slo.freshness is not None
    }
    for within in sorted(limits):
        # A rate ends five minutes after the last prediction.
        rest = spec.clock(within).seconds - window(spec, FIVE_MINUTES).seconds
        labels = f'{OBJECTIVES}{{kind="freshness", limit="{within}"}}'
        age = f"time() - {LAST_PREDICTION} <= {max(rest, 0):g}"
        recent.append(f"({age})\n* {_ON_MODEL} group_right () {labels}")
    fresh = "\nor\n".join(f"group {_BY_OBJECTIVE} ({one})" for one in recent) or "vector(0)"
    return f"{promised}\nunless {ON_OBJECTIVE}\n({fresh})\nor 0 * {promised}"


def _rates(
    exact: Iterator[tuple[Kind, str]], others: Iterator[tuple[Kind, str]], spec: Spec
) -> str:
    """Exact where a sidecar counts; of other runtimes what they say of five minutes."""
    counted, told = _kinds(spec, source="counters"), _kinds(spec, source="rates")
    return "\nor\n".join(filter(None, (_joined(exact, counted), _joined(others, told))))


LAST_PREDICTION: Final = Recorded(
    name="model:ml_last_prediction_timestamp_seconds",
    labels=MODEL,
    help="When the model last had a rate of predictions that did not fail (Unix time), where "
    "models.yaml promises that they keep coming.",
    group=RATES,
    expression=lambda spec: (
        f"(\n  0 * ({recorded.REQUESTS} > {_ON_MODEL} "
        f"({recorded.ERRORS} or 0 * {recorded.REQUESTS})) + time()\n"
        "  or last_over_time(model:ml_last_prediction_timestamp_seconds"
        f"[{window(spec, HOUR)}])\n)\n"
        f'and {_ON_MODEL} {OBJECTIVES}{{kind="freshness"}}'
    ),
    unit=Unit.SECONDS,
    needed=lambda spec: "freshness" in _kinds(spec),
)
EVENTS: Final = Recorded(
    name="model:ml_slo_events:rate1m",
    labels=OBJECTIVE,
    help="Events per second that an objective is about: requests, labels, or the second itself.",
    group=RATES,
    expression=lambda spec: _rates(_events_exact(_rate, spec), _events(spec), spec),
)
BAD: Final = Recorded(
    name="model:ml_slo_bad_events:rate1m",
    labels=OBJECTIVE,
    help="Those of them that break the promise; absent where nobody can know.",
    group=RATES,
    expression=lambda spec: _rates(_bad_exact(_rate, EVENTS, spec), _bad(spec), spec),
)

# Events, counted


def short_of(length: Duration, spec: Spec) -> Duration:
    """A little less than a window, so that it has as many samples in Prometheus 2 as in 3.

    Prometheus 2 takes the sample at its very start, too.
    """
    interval = spec.clock(spec.stack.evaluation_interval).milliseconds
    return Duration(length.milliseconds - interval // 30)


def _counted(source: Recorded, exact: Iterator[tuple[Kind, str]], spec: Spec) -> str:
    """Exact where a sidecar counts, otherwise what the rates add up to."""
    added = f"sum_over_time({source}[{short_of(counts_step(spec), spec)}])"
    return f"{_joined(exact, _kinds(spec))}\nor\n{added} * {rates_step(spec).seconds:g}"


EVENTS_COUNTED: Final = Recorded(
    name="model:ml_slo_events:count5m",
    labels=OBJECTIVE,
    help="Events since the count before, five minutes earlier; every event is in one count.",
    group=_COUNTS,
    expression=lambda spec: _counted(EVENTS, _events_exact(_count, spec), spec),
)
BAD_COUNTED: Final = Recorded(
    name="model:ml_slo_bad_events:count5m",
    labels=OBJECTIVE,
    help="Those of them that break the promise.",
    group=_COUNTS,
    expression=lambda spec: _counted(BAD, _bad_exact(_count, EVENTS_COUNTED, spec), spec),
)


# Counts of an hour: a month of them is a twelfth of what there is of five minutes


def _begins_an_hour(spec: Spec) -> str:
    """Whether this is the first count of an hour."""
    return f"time() % {window(spec, HOUR).seconds:g} < bool {counts_step(spec).seconds:g}"


def _since_hour(counted: Recorded, since: str, spec: Spec) -> str:
    """What was counted since the last full hour, with the count of this evaluation.

    What is left over of a model that is not there is kept, and so is what was not closed because
    Prometheus was not there at the full hour.
    """
    left = f"(last_over_time({since}[{window(spec, _KEPT)}]) > 0)"
    return f"({counted} + {left} or {counted} or {left})"


_KEPT: Final = Duration.parse("2h")
_RENEWED: Final = Duration.parse("15m")


def _of_hour(counted: Recorded, name: str, since: str, what: str) -> Recorded:
    return Recorded(
        name=name,
        labels=OBJECTIVE,
        help=f"{what} of an hour, counted once it is over; periods of weeks are sums of them.",
        group=_COUNTS,
        expression=lambda spec: (
            f"{_since_hour(counted, since, spec)}\nand on () (vector({_begins_an_hour(spec)}) == 1)"
        ),
    )


def _of_rest(counted: Recorded, name: str, what: str) -> Recorded:
    return Recorded(
        name=name,
        labels=OBJECTIVE,
        help=f"{what} that are in no such hour yet.",
        group=_COUNTS,
        # Evaluated after the hour's: at a full hour it begins anew.
        expression=lambda spec: (
            f"{_since_hour(counted, name, spec)}\n* (1 - ({_begins_an_hour(spec)}))"
        ),
    )


_EVENTS_SINCE: Final = "model:ml_slo_events:count_since_hour"
_BAD_SINCE: Final = "model:ml_slo_bad_events:count_since_hour"

EVENTS_OF_HOURS: Final = _of_hour(
    EVENTS_COUNTED, "model:ml_slo_events:count_hour", _EVENTS_SINCE, "Events"
)
BAD_OF_HOURS: Final = _of_hour(
    BAD_COUNTED, "model:ml_slo_bad_events:count_hour", _BAD_SINCE, "Bad events"
)
EVENTS_SINCE_HOUR: Final = _of_rest(EVENTS_COUNTED, _EVENTS_SINCE, "Events")
BAD_SINCE_HOUR: Final = _of_rest(BAD_COUNTED, _BAD_SINCE, "Bad events")


def counted_over(period: Duration, hours: Recorded, rest: Recorded, spec: Spec) -> str:
    """All that was counted within a period; that reaches up to an hour further back."""
    # A rest is recorded every five minutes, which is too seldom to look up what it is now.
    last = f"last_over_time({rest}[{window(spec, _RENEWED)}])"
    since = f'label_replace({last}, "part", "rest", "", "")'
    over = short_of(window(spec, period), spec)
    return f"sum {_BY_OBJECTIVE} (sum_over_time({hours}[{over}]) or {since})"
