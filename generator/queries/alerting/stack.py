"""When the alerts of the stack itself fire."""

from __future__ import annotations

from typing import Final

from contract.quantity import Duration
from generator.queries import recorded_stack, slo

__all__ = ["STACK_EXPRESSIONS", "STACK_JOBS", "STALE", "WATCHDOG"]

STACK_JOBS: Final = ("ml-drift", "ml-gpu", "ml-responder", "alertmanager")
"""The scrape jobs of the stack itself; the targets of models have an alert of their own."""

STALE: Final = Duration.parse("10m")
"""An exporter whose data are older has stopped collecting."""

WATCHDOG: Final = "Watchdog"
"""The alert that always fires."""

STACK_EXPRESSIONS: Final[dict[str, str]] = {
    "ExporterDown": f'up{{job=~"{"|".join(STACK_JOBS)}"}} == 0',
    "PromisesMissing": f"absent({slo.OBJECTIVES})",
    "ExporterStale": (
        f"time() - {recorded_stack.COLLECTED} > {STALE.seconds:g}\n"
        f"or {recorded_stack.COLLECTION_FAILED}"
    ),
    "SpecRefused": str(recorded_stack.SPEC_REFUSED),
    "RuleFailures": str(recorded_stack.RULES_FAILED),
    "NotificationsFailing": str(recorded_stack.NOTIFICATIONS_FAILED),
    "ConfigReloadFailed": str(recorded_stack.CONFIG_REFUSED),
    "NotificationsNotWritten": str(recorded_stack.NOTIFICATIONS_UNWRITTEN),
    "RemediationFailing": str(recorded_stack.REMEDIATION_STOPPED),
    WATCHDOG: "vector(1)",
}
"""The alerts of the stack itself, by name."""
