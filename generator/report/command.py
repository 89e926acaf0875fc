"""python -m generator report KIND: its options, whom it asks, and where the report goes."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

from pydantic_core import PydanticCustomError

from contract.options import add_spec_arguments, read_spec_by
from contract.quantity import Duration
from contract.spec import Spec
from generator.doctor.ask import AskError, Prometheus
from generator.queries.slo_events import counts_step
from generator.report.ask import Progress
from generator.report.figures import Kind, Report, serializer
from generator.report.gather import gather, known_name
from generator.report.pages import page_of
from generator.report.period import Period, PeriodError, local_zone, read_period, read_zone
from generator.report.text import render_text

__all__ = ["add_report_arguments", "report_command"]

_PIPED: Final = 100
"""Characters of a line where there is no terminal to ask."""
_MONTH: Final = Duration.parse("30d")
TIMEOUT: Final = 120.0
"""Seconds that one question may take."""

_EPILOG: Final = """\
examples:
  python -m generator report sla                                      the SLO window that ends now
  python -m generator report sla --from 2026-10 --to 2026-10 --format html --out october.html
  python -m generator report performance --model fraud --from 7d --step 6h
  python -m generator report drift --model fraud --from 2026-11-01 --to 2026-11-15 --format json

Times are ISO 8601 (2026-11-01T12:00, with an offset or in --zone), a date, a month, a duration
before the end (7d), or now. A date or a month as --to means its end. Figures are counted every
five minutes: ends between two counts belong to the later one.

Exit status 0 whatever the report says; 1 where Prometheus does not answer; 2 for bad input."""


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("kind", choices=get_args(Kind), help="what it is about")
    add_spec_arguments(parser)
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="all versions of this model; may be repeated; default: all of models.yaml",
    )
    parser.add_argument(
        "--from", dest="since", metavar="TIME", help="default: the SLO window, or 30d, before --to"
    )
    parser.add_argument("--to", dest="until", metavar="TIME", help="default: now")
    parser.add_argument(
        "--step",
        type=_duration,
        metavar="DURATION",
        help="how long the intervals of series are; default: by the length of the period",
    )
    parser.add_argument(
        "--zone", metavar="NAME", help="where days begin: Europe/Oslo; default: this machine's"
    )
    parser.add_argument(
        "--format", choices=("text", "json", "html"), default="text", help="default: %(default)s"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write there at once; default: standard output"
    )


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except PydanticCustomError as error:
        raise argparse.ArgumentTypeError(error.message()) from None


def report_command(options: argparse.Namespace) -> int:
    """Ask, render, write. Raises ProblemsError for a bad models.yaml, OSError for a bad --out."""
    spec = read_spec_by(options)
    now = time.time()
    progress = Progress(shown=sys.stderr.isatty())
    try:
        zone = read_zone(options.zone) if options.zone else local_zone()
        period = read_period(
            options.since,
            options.until,
            now=now,
            zone=zone,
            usual=_usual(spec, options.model),
            step=options.step,
            shortest=counts_step(spec),
        )
        with Prometheus(spec, timeout=TIMEOUT) as prometheus:
            known = [model.name for model in (*spec.models, *spec.versions)]
            names = list(dict.fromkeys(options.model or known))
            if unknown := _unknown(spec, names, prometheus, period):
                print(unknown, file=sys.stderr)
                return 2
            report = gather(
                spec, options.kind, names, period, prometheus, now=now, progress=progress
            )
    except PeriodError as error:
        print(error, file=sys.stderr)
        return 2
    except AskError as error:
        progress.done()
        print(_refused(error, spec, options), file=sys.stderr)
        return 1
    progress.done()
    return _write(report, options)


def _usual(spec: Spec, names: Sequence[str]) -> Duration:
    """The SLO window, where all models that are asked about have the same."""
    windows = {
        spec.clock(model.slo.window) for model in spec.models if not names or model.name in names
    }
    return windows.pop() if len(windows) == 1 else spec.clock(_MONTH)


def _unknown(spec: Spec, names: Sequence[str], prometheus: Prometheus, period: Period) -> str:
    """What to say of a name that neither models.yaml nor Prometheus has; empty where all are."""
    known = list(dict.fromkeys(model.name for model in spec.versions))
    for name in names:
        if name not in known and not known_name(prometheus, period, name):
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:8])}"
            if not near and len(known) > 8:
                advice += f" and {len(known) - 8} more"
            return f"--model {name}: neither in models.yaml nor counted in this period; {advice}"
    return ""


def _refused(error: AskError, spec: Spec, options: argparse.Namespace) -> str:
    text = str(error)
    if "does not answer:" in text:
        advice = (
            "Start it (make up), correct stack.prometheus in models.yaml, or say where it is for "
            "this run: --address prometheus=HOST:PORT"
        )
    elif "prometheus_access" in text:
        return text
    else:
        many = len(spec.models) > 1 and not options.model
        advice = "Ask for less: a later --from" + (", or one --model" if many else "")
    return f"{text}\n{advice}."


def _write(report: Report, options: argparse.Namespace) -> int:
    try:
        text = _rendered(report, options)
    except ModuleNotFoundError as error:
        print(
            f"HTML needs {error.name} to draw charts: pip install 'ml-observability[preview]', "
            "or ask for --format text or json",
            file=sys.stderr,
        )
        return 1
    if options.out is not None:
        _replace(options.out, text)
        print(f"{options.out}: {len(text):,} characters", file=sys.stderr)
        return 0
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough: head, less.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _rendered(report: Report, options: argparse.Namespace) -> str:
    if options.format == "json":
        return serializer().dump_json(report, indent=2).decode() + "\n"
    page = page_of(report)
    if options.format == "html":
        # Imported here: templates, and what draws, are for this format alone.
        from generator.report.html import render_html

        return render_html(page, report)
    terminal = options.out is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _PIPED
    return render_text(page, width=width, colour=terminal and not os.environ.get("NO_COLOR"))


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(f"--out {path}: {path.parent}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
