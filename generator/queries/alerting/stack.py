"""When the alerts of the stack itself fire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from generator.queries import recorded_stack, slo

__all__ = ["STACK_EXPRESSIONS", "STACK_JOBS", "WATCHDOG"]

STACK_JOBS: Final = ("ml-drift", "ml-gpu", "ml-responder", "alertmanager")
"""The scrape jobs of the stack itself; the targets of models have an alert of their own."""

WATCHDOG: Final = "Watchdog"
"""The alert that always fires."""


def _always(expression: object) -> Callable[[float], str]:
    return lambda _: str(expression)


STACK_EXPRESSIONS: Final[dict[str, Callable[[float], str]]] = {
    "ExporterDown": _always(f'up{{job=~"{"|".join(STACK_JOBS)}"}} == 0'),
    "PromisesMissing": _always(f"absent({slo.OBJECTIVES})"),
    "ExporterStale": lambda age: (
        f"time() - {recorded_stack.COLLECTED} > {age:.12g}\nor {recorded_stack.COLLECTION_FAILED}"
    ),
    "SpecRefused": _always(recorded_stack.SPEC_REFUSED),
    "RuleFailures": _always(recorded_stack.RULES_FAILED),
    "NotificationsFailing": _always(recorded_stack.NOTIFICATIONS_FAILED),
    "ConfigReloadFailed": _always(recorded_stack.CONFIG_REFUSED),
    "NotificationsNotWritten": _always(recorded_stack.NOTIFICATIONS_UNWRITTEN),
    "RemediationFailing": _always(recorded_stack.REMEDIATION_STOPPED),
    WATCHDOG: _always("vector(1)"),
}
"""The alerts of the stack itself, by name; of a threshold as Prometheus sees it."""
