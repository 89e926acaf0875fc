"""Where nothing is counted yet: since when Prometheus has data, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass

from generator.doctor.ask import Prometheus
from generator.queries import report as queries
from generator.report.period import Period

__all__ = ["Beginning", "first_figures", "read_beginning"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """Why a report has no figure at all, where that is because of when Prometheus began.

    `figures_from` is when the first ones are there (Unix time); None where they never will be, for
    a period before that.
    """

    note: str
    figures_from: float | None = None


def read_beginning(
    prometheus: Prometheus, period: Period, *, now: float, step: float
) -> Beginning | None:
    """Of a period of which nothing is counted; None where Prometheus's age is no reason for it.

    `step` is how often is counted, in seconds. Prometheus says how old it is where it scrapes
    itself, as ours does. Raises AskError.
    """
    oldest = prometheus.number(queries.oldest_sample())
    if oldest is None:
        return None
    since = f"Prometheus's data begin at {period.moment(oldest):%Y-%m-%d %H:%M}"
    if period.end <= oldest and now - period.end > step:
        return Beginning(f"{since}, after this period.")
    first = first_figures(oldest, now, step)
    if first is None:
        return None
    again = period.moment(first)
    return Beginning(
        f"{since}: requests are counted every {step / 60:g} minutes, and the first figures are "
        f"there at {again:%H:%M}. Ask again then.",
        first,
    )


def first_figures(oldest: float, now: float, step: float) -> float | None:
    """When a Prometheus whose data are so young will have counted; None where it should have.

    The first count comes within a step. Reports end at whole steps, and one more is given to
    processes that took their time.
    """
    if now >= oldest + 3 * step:
        return None
    return -(-max(now, oldest + step) // step) * step
