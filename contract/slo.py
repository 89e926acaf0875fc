"""What models.yaml promises over a period, and how fast a promise may be broken before who is told.

A promise becomes objectives: each counts events, of which a share, the target, must be good; the
rest is the error budget of the period. How many times faster than evenly the budget goes is the
burn rate. Each tier is one alert on it over two windows: the long one says that it matters, the
short one that it still goes on. Source: Google's Site Reliability Workbook, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from contract.document import Document
from contract.quantity import Duration
from contract.spec import Model, Severity, Spec

__all__ = [
    "MIN_BAD_EVENTS",
    "TIERS",
    "Kind",
    "Objective",
    "Tier",
    "bucket",
    "check_slo",
    "objectives",
    "unreachable",
]

Kind = Literal["availability", "latency", "accuracy", "drift_free", "freshness"]

MIN_BAD_EVENTS: Final = 5
"""Bad events in a tier's long window below which it is silent: with little traffic, a failure or
two are a large share and no incident."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One pair of windows, and the share of the period's budget that may go within the long one."""

    name: str
    long: Duration
    short: Duration
    share: float
    severity: Severity

    @property
    def alert(self) -> str:
        """The name of the tier's alert."""
        return f"ErrorBudgetBurn{self.name}"

    def factor(self, period: Duration) -> float:
        """The burn rate above which the tier fires: 14.4 for 2% of 30 days' budget in an hour.

        At least 1: below it the promise is being kept.
        """
        rate = self.share * period.milliseconds / self.long.milliseconds
        return max(1.0, round(rate, 9))


def _tier(long: str, short: str, share: float, severity: Severity) -> Tier:
    return Tier(long, Duration.parse(long), Duration.parse(short), share, severity)


TIERS: Final = (
    _tier("1h", "5m", 0.02, "critical"),
    _tier("6h", "30m", 0.05, "critical"),
    _tier("1d", "2h", 0.10, "error"),
    _tier("3d", "6h", 0.10, "warning"),
)
"""From the fastest on: where several fire, the first one says it all."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing that is promised of a model: `target` of its events over `period` are good."""

    name: str
    """The label objective: availability, latency_250ms."""
    kind: Kind
    target: float
    period: Duration
    limit: str = ""
    """What tells a good event: of latency the bucket's le, of freshness the age."""
    exact: bool = False
    """Whether its events are the sidecar's counters, which can be counted to the last one."""

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        # Subtracting leaves 0.0010000000000000009 here and there.
        return round(1 - self.target, 12)

    @property
    def source(self) -> str:
        """What its events are counted from, as a label."""
        return "counters" if self.exact else "rates"


def bucket(threshold: Duration) -> str:
    """The le of the histogram bucket that a promise on latency needs, as our sidecar writes it."""
    return repr(threshold.seconds)


def objectives(model: Model) -> Iterator[Objective]:
    """All that is promised of a model, as far as there is something to count.

    Only classifiers have an accuracy, drift needs a reference profile, and predictions have to
    keep coming only where the version is live.
    """
    slo = model.slo
    exact = model.serving.runtime == "sidecar"
    yield Objective("availability", "availability", slo.availability, slo.window, exact=exact)
    targets: dict[Duration, float] = {}
    for pair in slo.latency:
        # Of two targets for one threshold, the higher one says it all.
        targets[pair.threshold] = max(pair.target, targets.get(pair.threshold, 0))
    for threshold, target in targets.items():
        name = f"latency_{threshold}"
        yield Objective(name, "latency", target, slo.window, bucket(threshold), exact=exact)
    if slo.accuracy is not None and model.task != "regression" and model.profile is not None:
        yield Objective("accuracy", "accuracy", slo.accuracy, slo.window, exact=True)
    if slo.drift_free is not None and model.profile is not None:
        yield Objective("drift_free", "drift_free", slo.drift_free, slo.window)
    if slo.freshness is not None and model.state == "live":
        fresh = slo.freshness
        yield Objective("freshness", "freshness", fresh.target, slo.window, str(fresh.within))


def unreachable(spec: Spec) -> Iterator[str]:
    """The alerts that are left out, because not even nothing but bad events could fire them."""
    for model in spec.models:
        for tier in TIERS:
            settings = model.alerts.get(tier.alert)
            if settings is not None and not settings.enabled:
                continue
            for objective in objectives(model):
                factor = tier.factor(objective.period)
                if factor * objective.budget >= 1:
                    yield (
                        f"{model.name} {model.version}: no {tier.alert} for {objective.name}: "
                        f"{factor:g} times its budget of {objective.budget * 100:g}% is more than "
                        "everything; the slower tiers watch it"
                    )


def check_slo(spec: Spec, document: Document) -> None:
    """Note promises of a model that nothing counts; those of `defaults:` need not be everyone's."""
    for index, model in enumerate(spec.models):
        for key in ("accuracy", "drift_free"):
            path = ("models", index, "slo", key)
            if getattr(model.slo, key) is None:
                continue
            if key == "accuracy" and model.task == "regression":
                hint = "promise its errors: performance: {mae: {max: 10}}"
                document.problem(path, f"is nothing that a {model.task} has", hint)
            elif model.profile is None:
                hint = f"add profile: profiles/{model.name}.json"
                document.problem(path, "needs a profile", hint)
