"""Every name that a report asks for is one that something exposes or records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from contract.catalog import METRICS, Type
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import report as queries
from generator.queries.recorded_serving import LLM_RECORDED
from generator.queries.runtimes.rules import filled
from generator.report.ask import matchers_of
from generator.rules.recording import RULES

WHO: Final = 'model_name="m"'
OVER: Final = Duration.parse("1d")


def expressions(spec: Spec) -> Iterator[str]:
    """Everything that queries/report.py can ask."""
    yield from (queries.events(WHO, OVER), queries.bad_events(WHO, OVER), queries.counts(WHO, OVER))
    yield from queries.count_moments(WHO, OVER, spec)
    yield from queries.first_and_last_request(WHO, OVER, spec)
    yield from (queries.promised(WHO, OVER), queries.left_of_period(WHO))
    yield from (queries.owners(WHO, OVER), queries.up_share(WHO, OVER))
    yield from (
        ask(WHO, OVER, spec)
        for ask in (
            queries.buckets,
            queries.latency_total,
            queries.latency_weight,
            queries.energy,
            queries.evaluated_seconds,
            queries.decayed_seconds,
        )
    )
    yield queries.decayed_seconds(WHO, OVER, spec, estimated=True)
    yield from (queries.gauge(name, WHO, OVER, spec) for name in queries.AGGREGATIONS)
    for kind in ("feature", "prediction"):
        yield from (queries.score(kind, name, WHO, OVER) for name in ("avg", "max", "last"))
        yield from (queries.drift_seconds(kind, WHO, OVER, spec), queries.drifted_now(kind, WHO))
        yield from queries.drift_moments(kind, WHO, OVER, spec)
    yield from queries.drift_limits(WHO, OVER)
    yield from (queries.timed_verdict(name, WHO, OVER, spec) for name in queries.TIMED_VERDICTS)
    yield from (queries.quality(what, "last", WHO, OVER) for what in queries.QUALITY)
    yield from (queries.actual_outcomes(WHO, OVER), queries.error_samples(WHO, OVER))
    yield from queries.errors_total(WHO, OVER)


def test_every_name_is_known(everything: Spec) -> None:
    known = {rule.name for rule in (*RULES, *LLM_RECORDED)}
    for metric in METRICS:
        known.add(metric.name)
        if metric.type is Type.HISTOGRAM:
            known |= {metric.bucket, metric.sum, metric.count}
    asked = list(expressions(everything))
    names = {name for text in asked for name in re.findall(r"\b(?:[a-z]+:)?ml_[a-z0-9_:]+", text)}
    assert names - known == set()
    assert len(names) > 40
    assert all(WHO in text for text in asked)


def test_what_runtimes_fill_is_read_and_not_what_a_sidecar_alone_exposes(everything: Spec) -> None:
    served = {
        rule.name
        for signal in ("requests", "errors", "latency_buckets", "latency_mean", "queue_depth")
        for rule in filled(signal)
    }
    text = "\n".join(queries.gauge("mean", WHO, OVER, everything) for _ in "x")
    text += queries.buckets(WHO, OVER, everything)
    assert "ml_inference_requests_total" not in text
    assert "ml_inference_latency_seconds_bucket{" not in text
    assert {name for name in served if f"{name}{{" in text} >= {
        "model:ml_inference_requests:rate5m",
        "model:ml_inference_latency_seconds_bucket:rate5m",
        "model:ml_queue_depth:sum",
    }


def test_models_are_chosen_by_their_whole_names() -> None:
    assert matchers_of(["a.b"]) == 'model_name="a.b"'
    assert matchers_of(["a.b", "c-d"]) == r'model_name=~"a\\.b|c\\-d"'
