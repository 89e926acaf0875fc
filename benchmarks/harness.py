"""Two sides of a comparison, run in turn in one run: table, kept result, last line of JSON.

    harness.run(
        "scrape",
        [
            Case(
                "100,000 series",
                unit="seconds",
                better="less",
                ours=Side("prepared text", render_ours),
                beside=Side("prometheus_client", render_theirs),
            ),
        ],
        packages=["prometheus_client"],
    )

A side's function makes one measurement and gives its number: a rate or a duration. What takes time
but is not to be measured (starting a server, making input) happens before.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["RESULTS", "Case", "Side", "Started", "machine", "require", "run", "started", "stay_on"]

RESULTS: Final = Path(__file__).parent / "results"
ROOT: Final = Path(__file__).resolve().parent.parent

REPEATS: Final = 7


@dataclass(frozen=True, slots=True)
class Side:
    """One side: what it is, and a function that makes one measurement, in the unit of its case."""

    name: str
    measure: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison. `target` is what ours should reach at least, or at most; None: no promise."""

    what: str
    unit: str
    ours: Side
    beside: Side
    better: Literal["more", "less"] = "more"
    target: float | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    """The numbers of one side in the order they were measured."""

    name: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": self.median,
            "least": min(self.runs),
            "most": max(self.runs),
            "runs": list(self.runs),
        }


def run(
    name: str,
    cases: Sequence[Case],
    *,
    packages: Sequence[str] = (),
    notes: Mapping[str, Any] | None = None,
    arguments: Sequence[str] | None = None,
    warm: bool = True,
    repeats: int = REPEATS,
) -> None:
    """Measure all cases, print a table, keep the result under benchmarks/results/NAME.json.

    The sides of a case run in turn, `--repeats` times (`repeats` where that is not given), after
    one run of each that does not count; without `warm`, where a run warms up itself, without it.
    The last line is the first case as JSON; `ratio` says how many times better ours is. `packages`
    are distributions whose versions matter; `notes` are kept with the result.
    """
    parser = argparse.ArgumentParser(prog=f"make bench-{name}")
    parser.add_argument(
        "--repeats", type=int, default=repeats, metavar="N", help="default: %(default)s"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains it")
    parser.add_argument("--no-result", action="store_true", help="keep no result")
    options = parser.parse_args(arguments)
    chosen = [case for case in cases if options.only in case.what]
    if not chosen:
        parser.error(f"no case contains {options.only!r}: {', '.join(case.what for case in cases)}")
    before = os.getloadavg()[0]
    measured = [(case, *_measure(case, options.repeats, warm=warm)) for case in chosen]
    load = {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)}
    _print_table(measured, load)
    if not options.no_result and not options.only:
        _keep(name, measured, load=load, packages=packages, notes=notes or {})
    case, ours, beside = measured[0]
    line = {
        "name": name,
        "ours": ours.median,
        "beside": beside.median,
        "unit": case.unit,
        "ratio": round(_ratio(case, ours, beside), 2),
    }
    print(json.dumps(line))


def _measure(case: Case, repeats: int, *, warm: bool) -> tuple[_Measured, _Measured]:
    sides = (case.ours, case.beside)
    runs: tuple[list[float], list[float]] = ([], [])
    for side in sides if warm else ():
        side.measure()
    for _ in range(repeats):
        for side, own in zip(sides, runs, strict=True):
            own.append(side.measure())
    ours, beside = (_Measured(side.name, tuple(own)) for side, own in zip(sides, runs, strict=True))
    return ours, beside


def _ratio(case: Case, ours: _Measured, beside: _Measured) -> float:
    better, worse = (ours, beside) if case.better == "more" else (beside, ours)
    return better.median / worse.median


def _print_table(
    measured: Sequence[tuple[Case, _Measured, _Measured]], load: Mapping[str, float]
) -> None:
    rows = [("case", "side", "median", "least", "most", "unit", "")]
    for case, ours, beside in measured:
        reached = ""
        if case.target is not None:
            good = ours.median >= case.target
            if case.better == "less":
                good = ours.median <= case.target
            reached = f"{'reaches' if good else 'MISSES'} {_shown(case.target)}"
        rows += [
            (case.what, ours.name, *_numbers(ours), case.unit, reached),
            ("", beside.name, *_numbers(beside), "", f"×{_ratio(case, ours, beside):.2f}"),
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
    print(f"load average {load['before']} before, {load['after']} after, {os.cpu_count()} cores")


def _numbers(side: _Measured) -> tuple[str, str, str]:
    return _shown(side.median), _shown(min(side.runs)), _shown(max(side.runs))


def _shown(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.4g}"


def _keep(
    name: str,
    measured: Sequence[tuple[Case, _Measured, _Measured]],
    *,
    load: Mapping[str, float],
    packages: Sequence[str],
    notes: Mapping[str, Any],
) -> None:
    result = {
        "name": name,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": load,
        "versions": {package: _version(package) for package in sorted(packages)},
        "notes": dict(notes),
        "cases": [
            {
                "case": case.what,
                "unit": case.unit,
                "better": case.better,
                "target": case.target,
                "ours": ours.as_json(),
                "beside": beside.as_json(),
                "ratio": _ratio(case, ours, beside),
            }
            for case, ours, beside in measured
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"kept {path.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def require(*modules: str) -> None:
    """End with one line that says what to install unless all `modules` can be imported."""
    missing = []
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(module)
    if missing:
        sys.exit(f"this benchmark needs {', '.join(missing)}: pip install '.[bench]'")


def stay_on(core: int) -> None:
    """Run this process on one core, away from the server that it measures, where there are more."""
    if hasattr(os, "sched_setaffinity") and core < (os.cpu_count() or 1):
        os.sched_setaffinity(0, {core})


@dataclass(frozen=True, slots=True)
class Started:
    """A process that `started` runs."""

    pid: int
    core: int | None

    def exact_cpu_seconds(self) -> float:
        """The same as the scheduler counts it, to the nanosecond, of the threads that live."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(own.read_text().split()[0]) for own in threads) / 1e9

    def cpu_seconds(self) -> float:
        """The CPU time that the process has used up to now, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    until: Callable[[], bool],
    core: int | None = None,
    seconds: float = 20,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """A process in the checkout, from when `until` is true; on one `core` where that is given.

    `until` may raise OSError while the process does not answer yet. Its output goes to stderr.
    """
    if core is not None and hasattr(os, "sched_setaffinity"):
        command = ["taskset", "--cpu-list", str(core), *command]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=sys.stderr, env={**os.environ, **(environment or {})}
    )
    try:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if until():
                    break
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield Started(process.pid, core)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
