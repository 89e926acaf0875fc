"""Do the clocks agree: this machine's, Prometheus's, and those of what it scrapes?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from contract import catalog
from contract.spec import Spec
from generator.doctor.ask import Prometheus
from generator.doctor.finding import Finding, broken, fine

__all__ = ["check_clocks"]

TOLERANCE: Final = 5.0
"""Seconds: more than a slow answer explains, less than any window notices."""


def check_clocks(_: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """Each clock that is more than a few seconds away."""
    subject = f"Prometheus {prometheus.address}"
    before = time.time()
    theirs = prometheus.number("time()")
    after = time.time()
    if theirs is not None:
        away = theirs - min(max(theirs, before), after)
        if abs(away) > TOLERANCE:
            yield _wrong(subject, away, "this machine's")
        else:
            yield fine("clocks", subject, "has the time of this machine")
    yield from _exporters(prometheus)


def _exporters(prometheus: Prometheus) -> Iterator[Finding]:
    """What is exposed as the time of a collection lies before its scrape, and not far before."""
    # The first is when it was scraped, by Prometheus's clock. A process that started in the future
    # tells of servers that say no other time.
    ahead = {
        "collected": f"{catalog.EXPORTER_COLLECTION_TIMESTAMP}"
        f" - timestamp({catalog.EXPORTER_COLLECTION_TIMESTAMP})",
        "started": "process_start_time_seconds - timestamp(process_start_time_seconds)",
    }
    worst: dict[str, float] = {}
    for expression in ahead.values():
        for sample in prometheus.query(f"max by (job, instance) ({expression}) > {TOLERANCE:g}"):
            who = f"{sample.labels.get('job', '')} {sample.labels.get('instance', '')}"
            worst[who] = max(worst.get(who, 0), sample.value)
    for who, seconds in worst.items():
        yield _wrong(who, seconds, "Prometheus's")
    if not worst:
        yield fine("clocks", "what is scraped", "no clock is ahead of Prometheus's")


def _wrong(subject: str, away: float, whose: str) -> Finding:
    where = "ahead of" if away > 0 else "behind"
    return broken(
        "clocks",
        subject,
        f"its clock is {abs(away):.0f}s {where} {whose}",
        "let NTP set both clocks (timedatectl): until then windows and ages are wrong",
    )
