"""The doctor: does what models.yaml promises really work on the stack that runs?

It only asks, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from contract.spec import Spec
from generator.doctor.ask import AskError, Prometheus
from generator.doctor.clocks import check_clocks
from generator.doctor.configured import check_configuration, check_targets
from generator.doctor.cost import check_cost, check_retention
from generator.doctor.delivery import check_alertmanager, check_sending
from generator.doctor.edges import check_edges
from generator.doctor.finding import Finding, broken, fine
from generator.doctor.series import check_alerts, check_panels
from generator.doctor.servers import check_runtimes

__all__ = ["CHECKS", "diagnose"]

_Check = Callable[[Spec, Prometheus], Iterator[Finding]]

_CHECKS: Final[dict[str, _Check]] = {
    "rules": check_configuration,
    "targets": check_targets,
    "runtimes": check_runtimes,
    "series": check_alerts,
    "edges": check_edges,
    "panels": check_panels,
    "cost": check_cost,
    "retention": check_retention,
    "clocks": check_clocks,
    "delivery": check_sending,
}


CHECKS: Final = tuple(_CHECKS)
"""The names of the checks, in their order."""


def diagnose(spec: Spec, out: Path, *, only: Collection[str] = CHECKS) -> list[Finding]:
    """Everything that can be asked of a running stack, or `only` some checks of it.

    `out` is the folder that its files were rendered into.
    """
    found = [*_prometheus(spec, only)]
    if "delivery" not in only:
        return found
    try:
        found.extend(check_alertmanager(spec, out))
    except AskError as error:
        advice = "start Alertmanager (make up), or correct stack.alertmanager"
        subject = f"Alertmanager {spec.stack.alertmanager}"
        found.append(broken("delivery", subject, f"nobody is notified: {error}", advice))
    return found


def _prometheus(spec: Spec, only: Collection[str]) -> Iterator[Finding]:
    subject = f"Prometheus {spec.stack.prometheus}"
    try:
        with Prometheus(spec) as prometheus:
            version = prometheus.api("status/buildinfo")["version"]
            yield fine("prometheus", subject, f"answers, version {version}")
            yield from _asked(spec, prometheus, subject, only)
    except AskError as error:
        advice = "start Prometheus (make up), or correct stack.prometheus"
        yield broken("prometheus", subject, f"nothing can be asked: {error}", advice)


def _asked(
    spec: Spec, prometheus: Prometheus, subject: str, only: Collection[str]
) -> Iterator[Finding]:
    for name, check in _CHECKS.items():
        if name not in only:
            continue
        try:
            yield from check(spec, prometheus)
        except AskError as error:
            yield broken(name, subject, f"could not be asked: {error}", "its log may say more")
