"""How many series does each model cost, and does Prometheus keep them for long enough?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from contract.quantity import Duration
from contract.spec import Spec
from generator.doctor.ask import Prometheus
from generator.doctor.finding import Finding, broken, fine, note, warning

__all__ = ["check_cost", "check_retention", "longest"]

_DAY: Final = 86_400
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY, "y": 365 * _DAY}


def check_cost(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """The series of each model, and of all."""
    found = prometheus.query('count by (model_name, model_version) ({model_name!=""})')
    counts = {sample.model: round(sample.value) for sample in found}
    for model in spec.models:
        yield note(
            "cost",
            f"{model.name} {model.version}",
            f"{counts.get(model.key, 0):,} series",
        )
    head = prometheus.number("max(prometheus_tsdb_head_series)")
    if head is None:
        return
    limit = spec.limits.series
    subject = f"Prometheus {prometheus.address}"
    if head > limit:
        yield warning(
            "cost",
            subject,
            f"holds {head:,.0f} series, above limits.series of {limit:,}",
            "drop what nobody asks for, or raise limits.series and its memory: about 4 kB each",
        )
    else:
        yield fine("cost", subject, f"holds {head:,.0f} series of {limit:,} (limits.series)")


def check_retention(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """How far back Prometheus remembers, against the longest window of models.yaml."""
    kept = prometheus.retention()
    subject = f"Prometheus {prometheus.address}"
    seconds = longest(kept)
    # Windows are those of models.yaml, whatever the time scale of a test.
    window, whose = max(
        (
            (spec.clock(window).seconds, f"{model.name} {model.version}")
            for model in spec.models
            for window in (model.slo.window, model.drift.window)
        ),
    )
    if seconds is None:
        yield note("retention", subject, f"keeps data for {kept or 'nobody knows how long'}")
    elif seconds < window:
        needed = Duration(round(window * 1000))
        yield broken(
            "retention",
            subject,
            f"keeps data for {kept}, and {whose} has a window of {needed}",
            f"start it with --storage.tsdb.retention.time={spec.stack.retention}, or more",
        )
    else:
        yield fine("retention", subject, f"keeps data for {kept}; the longest window fits in it")
    if "B" in kept:
        yield warning(
            "retention",
            subject,
            "forgets sooner when its disk quota is full",
            "watch prometheus_tsdb_size_retentions_total, or set a retention time alone",
        )


def longest(text: str) -> float | None:
    """The seconds of a retention, `35d` or `2w or 10GiB`; None without a time."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text.partition(" or ")[0])
    return sum(int(number) * _UNITS[unit] for number, unit in parts) if parts else None
