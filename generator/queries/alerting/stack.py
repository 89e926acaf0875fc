"""When the alerts of the stack itself fire."""

from __future__ import annotations

from typing import Final

from generator.queries import recorded

__all__ = ["STACK_EXPRESSIONS", "STACK_JOBS"]

STACK_JOBS: Final = ("ml-drift", "ml-gpu", "ml-responder", "alertmanager")
"""The scrape jobs of the stack itself; the targets of models have an alert of their own."""

STACK_EXPRESSIONS: Final[dict[str, str]] = {
    "ExporterDown": f'up{{job=~"{"|".join(STACK_JOBS)}"}} == 0',
    "PromisesMissing": f"absent({recorded.THRESHOLD})",
    "Watchdog": "vector(1)",
}
"""The alerts of the stack itself, by name."""
