"""`evaluate` and `baseline`: asking once, about now or about the past."""

from __future__ import annotations

import argparse
import math
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError

from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.profile import (
    CategoryBins,
    NumericBins,
    Profile,
    ProfileError,
    read_profile,
    write_profile,
)
from contract.quantity import Duration
from contract.spec import Model, Spec
from exporters.drift.cycle import Cycle
from exporters.drift.layout import Layout, Row, layout, read_layout
from exporters.drift.prometheus import Prometheus, PrometheusError, prometheus_of
from exporters.drift.quality import Quality
from exporters.drift.reference import UnknownModelError, resolve_model
from exporters.drift.report import moment_text, read_moment, render_text, report
from exporters.drift.window import Counts, Span, read_counts

__all__ = [
    "UnansweredError",
    "add_baseline",
    "add_evaluate",
    "add_prometheus_argument",
    "duration",
    "url",
]


class UnansweredError(Exception):
    """What was asked for is not to be had, and why."""


def url(text: str) -> str:
    """An option that is a URL."""
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"is not a URL: {text!r}; write http://127.0.0.1:9090")
    return text


def duration(text: str) -> Duration:
    """An option that is a duration."""
    try:
        return Duration.parse(text)
    except PydanticCustomError as error:
        raise argparse.ArgumentTypeError(f"{error.message()}; write 30s, 1m or 1h") from None


def _moment(text: str) -> float:
    try:
        return read_moment(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"is not a moment: {text!r}; write 2026-10-01 or 2026-10-01T12:00Z"
        ) from None


def add_prometheus_argument(parser: argparse.ArgumentParser) -> None:
    """Where Prometheus is."""
    parser.add_argument(
        "--prometheus",
        type=url,
        metavar="URL",
        help="where Prometheus answers (default: stack.prometheus of models.yaml)",
    )


def add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command that evaluates once."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate once, now or as of a time in the past, and print what is found",
        description="Ask Prometheus what was counted up to a moment, compare as `serve` does, and "
        "print it. Ends with 0, with 1 where a model could not be evaluated, and with 2 for bad "
        "input.",
        epilog="example: python -m exporters.drift evaluate --at 2026-10-01T12:00Z --model fraud",
    )
    add_spec_arguments(parser)
    add_prometheus_argument(parser)
    add = parser.add_argument
    add("--at", type=_moment, metavar="TIME", help="the end of the windows (default: now)")
    add("--model", metavar="NAME", help="only this model (default: all that have a profile)")
    add("--version", metavar="V", help="only this version of it (default: its last)")
    add("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    try:
        spec = read_spec_by(options)
        if options.model is not None:
            spec = _only(spec, resolve_model(spec, options.model, options.version))
        whole = read_layout(spec)
        with closing(prometheus_of(spec, options.prometheus)) as prometheus:
            at = time.time() if options.at is None else options.at
            evaluation = Cycle(spec, whole).evaluate(prometheus.query_raw, at)
            judged = Quality(spec, whole).evaluate(evaluation, prometheus.query_raw)
    except UnknownModelError as error:
        return _bad(f"{options.models}: {error}")
    except (ProblemsError, ProfileError, PrometheusError) as error:
        return _bad(str(error))
    reports = [report(evaluation, number, judged) for number in range(len(whole.models))]
    if options.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reports)).decode() + "\n")
    else:
        sys.stdout.write(render_text(reports))
    for (name, version), failure in judged.failures.items():
        said = f"{name} {version}: its performance or data cannot be judged: {failure.text}\n"
        sys.stderr.write(said)
    return 1 if evaluation.failures or judged.failures else 0


def _only(spec: Spec, model: Model) -> Spec:
    if model.profile is None:
        raise UnknownModelError(f"{model.name} {model.version} has no profile to compare with")
    kept = spec.model_copy(update={"models": (model,)})
    # A copy leaves out what is no field: where paths start, and the time scale.
    kept.__pydantic_private__ = spec.__pydantic_private__
    return kept


def add_baseline(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command that freezes a past as a profile."""
    parser = commands.add_parser(
        "baseline",
        help="freeze what a model counted in a window of the past as its reference profile",
        description="Take the counts of a window from Prometheus and write them as the model's "
        "reference profile, on the bins that it has. From then on they are the reference, for "
        "longer than Prometheus keeps counts. Without --at the window ends now.",
        epilog="example: python -m exporters.drift baseline --model fraud --window 7d "
        "--at 2026-10-08",
    )
    add_spec_arguments(parser)
    add_prometheus_argument(parser)
    add = parser.add_argument
    add("--model", required=True, metavar="NAME", help="the model's name in models.yaml")
    add("--version", metavar="V", help="the model's version (default: its last in models.yaml)")
    add("--window", type=duration, required=True, metavar="DURATION", help="how much of the past")
    add("--at", type=_moment, metavar="TIME", help="the end of the window (default: now)")
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write (default: the model's profile in models.yaml)",
    )
    parser.set_defaults(run=_baseline)


def _baseline(options: argparse.Namespace) -> int:
    try:
        spec = read_spec_by(options)
        model = resolve_model(spec, options.model, options.version)
        if model.profile is None:
            raise UnknownModelError(f"{model.name} {model.version} has no profile, so no bins")
        path = spec.path(model.profile)
        profile = read_profile(path)
        end = time.time() if options.at is None else options.at
        with closing(prometheus_of(spec, options.prometheus)) as prometheus:
            frozen = freeze(model, profile, prometheus, Span(options.window, end))
        out: Path = options.out or path
        write_profile(frozen, out)
    except UnknownModelError as error:
        return _bad(f"{options.models}: {error}")
    except (ProblemsError, ProfileError, PrometheusError) as error:
        return _bad(str(error))
    except UnansweredError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        return _bad(f"{error.filename}: cannot be written: {error.strerror}")
    sys.stdout.write(
        f"wrote {out}: {len(frozen.features)} features, {frozen.rows} rows, "
        f"{options.window} up to {moment_text(end)}\n"
    )
    return 0


def freeze(model: Model, profile: Profile, prometheus: Prometheus, span: Span) -> Profile:
    """The profile with the counts of a window in place of its own. Raises UnansweredError.

    What is no count stays as it is: names, edges, calibration. Means and deviations are those of
    the middles of the bins.
    """
    own = layout([model], [profile], [span.window])
    counts = read_counts(own, prometheus.query_raw, [span])
    if counts.failures:
        raise UnansweredError(f"{model.name}: {counts.failures[0].text}")
    silent = [row.name or row.kind for row in own.rows if not _counted(own, counts, row)[1:].any()]
    if silent:
        start, end = moment_text(span.end - span.window.seconds), moment_text(span.end)
        named = ", ".join(silent[:5]) + (", …" if len(silent) > 5 else "")
        raise UnansweredError(f"{model.name}: nothing was counted of {named} from {start} to {end}")
    frozen = {
        (row.kind, row.name): _with_counts(row, _counted(own, counts, row)) for row in own.rows
    }
    update: dict[str, object] = {
        "features": {name: bins for (kind, name), bins in frozen.items() if kind == "feature"},
        "rows": max(sum(bins.counts) + bins.missing for bins in frozen.values()),
    }
    update |= {kind: bins for (kind, _), bins in frozen.items() if kind != "feature"}
    return profile.model_copy(update=update)


def _counted(own: Layout, counts: Counts, row: Row) -> NDArray[np.int64]:
    number = own.index[(*own.models[row.model].key, row.kind, row.name)]
    return np.rint(counts.values[number, : len(row.bins.counts) + 1]).astype(np.int64)


def _with_counts(row: Row, counted: NDArray[np.int64]) -> NumericBins | CategoryBins:
    missing, *counts = counted.tolist()
    update: dict[str, object] = {"counts": tuple(counts), "missing": missing}
    if isinstance(row.bins, NumericBins):
        lines = np.array(row.bins.edges)
        middles = np.concatenate([lines[:1], (lines[1:] + lines[:-1]) / 2, lines[-1:]])
        mean = np.average(middles, weights=counts)
        update["mean"] = float(mean)
        update["std"] = math.sqrt(np.average((middles - mean) ** 2, weights=counts))
    return row.bins.model_copy(update=update)


def _bad(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2
