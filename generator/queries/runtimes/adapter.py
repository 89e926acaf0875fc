"""What an adapter is: for each figure, the PromQL that makes it of a runtime's own series.

The text of an expression has `$window` for the window of rates. What Prometheus scrapes from a
runtime carries the model_name and model_version of models.yaml (see generator.scrape), unless it is
of a model that models.yaml does not know; such series are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.catalog import MODEL
from contract.runtimes import RuntimeName, Signal

__all__ = ["BY_MODEL", "Adapter", "Fill", "Series", "job_name", "or_zero"]

BY_MODEL: Final = f"by ({', '.join(MODEL)})"


def job_name(runtime: str) -> str:
    """The scrape job of a runtime."""
    return f"ml-runtime-{runtime.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Fill:
    """How one figure is made: PromQL `by (model_name, model_version)`.

    `note` says where it is a substitute for what the name promises, or not all of it.
    """

    expression: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one runtime fills the normalised series.

    `fingerprint` are names of series that only it exposes; `traps` are what its figures do not
    say, or say wrongly, for people who rely on them. `missing` says why a figure is not there
    where that is not plain. Series matching `dropped` are not kept; labels matching
    `dropped_labels` are taken off, which must leave the series different.
    """

    runtime: RuntimeName
    version: str
    """The version whose names these are, and how they were read."""
    fills: Mapping[Signal, Fill]
    fingerprint: tuple[str, ...]
    enabled_by: str
    traps: tuple[str, ...] = ()
    missing: Mapping[Signal, str] | None = None
    dropped: str = ""
    dropped_labels: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Writes the selectors of a runtime's series, and what is summed of them for each model."""

    runtime: RuntimeName

    def select(self, name: str, matchers: str = "") -> str:
        """The series of models of models.yaml, in this runtime's scrape job alone."""
        own = f'job="{job_name(self.runtime)}", model_name!=""'
        return f"{name}{{{', '.join(filter(None, (own, matchers)))}}}"

    def rate(self, name: str, matchers: str = "") -> str:
        """Per second, of a counter."""
        return f"sum {BY_MODEL} (rate({self.select(name, matchers)}[$window]))"

    def buckets(self, histogram: str, matchers: str = "") -> str:
        """Per second and bucket, of a histogram in seconds."""
        labels = ", ".join((*MODEL, "le"))
        return f"sum by ({labels}) (rate({self.select(f'{histogram}_bucket', matchers)}[$window]))"

    def buckets_of(self, histogram: str, matchers: str = "", *, digits: int) -> str:
        """The same of a histogram in a unit of 10^-digits seconds: 3 for ms, 6 for us.

        PromQL does not calculate with labels; but to divide `le` by a power of ten is to move its
        decimal point.
        """
        moved = self.buckets(histogram, matchers)
        # From one digit before the point upwards: what was moved has one, 0, and is left alone.
        for width in range(1, digits + 1):
            zeros = "0" * (digits - width)
            moved = _relabelled(moved, f"0.{zeros}$1$2", rf"(\\d{{{width}}})(?:\\.(\\d*))?")
        moved = _relabelled(moved, "$1.$2$3", rf"(\\d+)(\\d{{{digits}}})(?:\\.(\\d*))?")
        # Prometheus 3 writes a million as 1e+06.
        for exponent in range(6, 10):
            moved = _without_exponent(moved, exponent, exponent - digits)
        # As others write it: 0.1 and not 0.100000; 1.0 and not 1.000000.
        moved = _relabelled(moved, "$1", r"(\\d+\\.\\d*[1-9])0+")
        return _relabelled(moved, "$1.0", r"(\\d+)\\.0*")

    def mean(self, name: str, matchers: str = "", *, divided_by: float = 1) -> str:
        """Sum over count, of a histogram or summary."""
        total, count = self.rate(f"{name}_sum", matchers), self.rate(f"{name}_count", matchers)
        unit = f" / {divided_by:g}" if divided_by != 1 else ""
        return f"{total}{unit}\n/\n({count} > 0)"

    def quantile(self, quantile: float, histogram: str, matchers: str = "") -> str:
        """A quantile of a histogram; empty rather than NaN without traffic."""
        return f"histogram_quantile({quantile:g}, {self.buckets(histogram, matchers)}) >= 0"

    def sum(self, gauge: str, matchers: str = "") -> str:
        """Over all replicas."""
        return f"sum {BY_MODEL} ({self.select(gauge, matchers)})"

    def max(self, gauge: str, matchers: str = "") -> str:
        """Of the worst replica."""
        return f"max {BY_MODEL} ({self.select(gauge, matchers)})"

    def min(self, gauge: str, matchers: str = "") -> str:
        """Of the replica that has the least."""
        return f"min {BY_MODEL} ({self.select(gauge, matchers)})"


def or_zero(part: str, whole: str) -> str:
    """A part that has no series before it first happens: 0 as soon as there is a whole."""
    return f"({part}\n  or 0 * {whole})"


def _without_exponent(expression: str, exponent: int, width: int) -> str:
    """`le` of that exponent as a plain number that keeps only `width` of its zeros."""
    written = rf"e\\+0{exponent}"
    if width <= 0:
        return _relabelled(expression, "$1.$2", rf"(\\d)(?:\\.(\\d*))?{written}")
    zeros = "0" * width
    padded = _relabelled(expression, f"$1.${{2}}{zeros}e", rf"(\\d)(?:\\.(\\d*))?{written}")
    return _relabelled(padded, "$1$2.$3", rf"(\\d)\\.(\\d{{{width}}})(\\d*)e")


def _relabelled(expression: str, replacement: str, pattern: str) -> str:
    return f'label_replace({expression}, "le", "{replacement}", "le", "{pattern}")'
