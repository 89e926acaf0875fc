"""How long it takes until what is measured breaks a promise: the arithmetic of windows.

A failure that begins now is a growing part of a window: what is measured over the window is what
it was before, in the rest of it, and what is wrong, in that part. So a share of the window has to
pass until the threshold of models.yaml is reached, and no alert can be faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.alerts import gpu_thresholds, thresholds
from contract.profile import CategoryBins, NumericBins, count_numeric, read_profile
from contract.quantity import Duration
from contract.spec import Spec
from examples.demo.data import Dataset
from exporters.drift.statistics import Sides, psi
from gameday.environment import Environment
from gameday.scenario import Reach
from generator.queries.windows import window

__all__ = [
    "after",
    "at_once",
    "gpu_threshold",
    "longest",
    "of_window",
    "plus",
    "promised",
    "until",
    "until_certain",
    "until_drift",
]

Array = NDArray[np.float64]
Counted = tuple[str, Sequence[float] | None]
"""A column ("" is the prediction) and its values: none are missing ones, None another category."""

Z: Final = 1.96
"""Of a 95% interval."""


def at_once(_: Environment) -> float:
    """What is broken is seen as it is, without a window."""
    return 0.0


def after(seconds: float) -> Reach:
    """After so many seconds of the clock on the wall."""
    return lambda _: seconds


def longest(*reaches: Reach) -> Reach:
    """When all of the conditions hold."""
    return lambda environment: max(reach(environment) for reach in reaches)


def promised(spec: Spec, alert: str, model: str, objective: str = "") -> float:
    """The threshold of a model's alert. Raises LookupError where it has none."""
    for one in thresholds(spec):
        if (one.alert, one.model_name) == (alert, model) and objective in ("", one.objective):
            return one.value
    raise LookupError(f"{model} has no {alert} {objective}".rstrip())


def gpu_threshold(spec: Spec, alert: str) -> float:
    """The threshold of an alert of GPUs."""
    return next(one.value for one in gpu_thresholds(spec) if one.alert == alert)


def of_window(length: Duration, share: float = 1.0) -> Reach:
    """When a share of a window has passed; a stack that is younger has a shorter one."""

    def reach(environment: Environment) -> float:
        whole = window(environment.spec, length).seconds
        known = min(whole, environment.uptime)
        # While the window still fills, it grows by what goes wrong as well.
        return min(known * share / (1 - share) if share < 1 else math.inf, whole * share)

    return reach


def until(
    length: Duration,
    alert: str,
    model: str,
    *,
    becomes: float,
    usually: float = 0.0,
    objective: str = "",
) -> Reach:
    """When a mean over a window crosses the threshold, on its way from what it usually is."""

    def reach(environment: Environment) -> float:
        threshold = promised(environment.spec, alert, model, objective)
        share = (threshold - usually) / (becomes - usually)
        return of_window(length, min(max(share, 0.0), 1.0))(environment)

    return reach


def until_certain(
    length: Duration, limit: Reach, *, becomes: float, usually: float, events: float, z: float = Z
) -> Reach:
    """The same, where it has to be beyond the limit by more than chance.

    `limit` gives the limit; `events` is how many of a second's requests count; z is how many
    standard deviations of a share chance is.
    """

    def reach(environment: Environment) -> float:
        bound = limit(environment)
        whole = window(environment.spec, length).seconds
        n = whole * events
        for step in range(1, 201):
            share = usually + (becomes - usually) * step / 200
            margin = z * math.sqrt(max(share * (1 - share), 1e-6) / n)
            beyond = bound - share if becomes < usually else share - bound
            if beyond > margin:
                return of_window(length, step / 200)(environment)
        return math.inf

    return reach


def plus(seconds: float, reach: Reach) -> Reach:
    """So many seconds later."""
    return lambda environment: seconds + reach(environment)


def until_drift(
    length: Duration, model: str, severity: str, disturbed: Callable[[Dataset], Counted]
) -> Reach:
    """When the part of a window that `disturbed` gives makes its score cross the threshold.

    What is disturbed is a column of the model's profile with the values that it then has; the rest
    of the window is taken to be as the profile.
    """

    def reach(environment: Environment) -> float:
        own = environment.spec.model(model)
        assert own is not None
        assert own.profile is not None
        column, wrong = disturbed(environment.dataset(model))
        profile = read_profile(environment.spec.path(own.profile))
        bins = profile.features[column] if column else profile.prediction
        assert bins is not None
        reference = np.array([bins.missing, *bins.counts], dtype=np.float64)
        usual, shifted = reference / reference.sum(), _shares(bins, wrong)
        n = window(environment.spec, length).seconds * environment.rate
        limit = own.drift.critical if severity == "critical" else own.drift.warning
        for step in range(1, 201):
            counts = n * (usual + (shifted - usual) * step / 200)
            if float(psi(Sides(reference, counts))) > limit:
                return of_window(length, step / 200)(environment)
        return math.inf

    return reach


def _shares(bins: NumericBins | CategoryBins, values: Sequence[float] | None) -> Array:
    """The share of values in each bin, the missing ones first; None: all are in the last bin."""
    counts = np.zeros(len(bins.counts) + 1)
    if values is None:
        counts[-1] = 1.0
    elif isinstance(bins, CategoryBins) or not len(values):
        counts[0] = 1.0
    else:
        counts[1:] = count_numeric(bins.edges, np.asarray(values))
    shares: Array = counts / counts.sum()
    return shares
