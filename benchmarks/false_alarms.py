"""How often drift is seen where none is, and where some is: `make bench-false-alarms`.

1,000 windows for each size, each held against a reference of 5,000 rows of the same 20 features:
13 numeric ones of unlike shapes and 7 categorical ones. Ours is the collector's own evaluation at
the defaults of models.yaml, but with min_samples 1, so that small windows are judged at all; the
references are 250, each for four windows of every size. For power the numeric features are moved
by 0.2, 0.5 and 1 of their standard deviations. The floors of the other methods are held against the
same windows.

Beside it Evidently and NannyML at their defaults, on the first windows of the same data. Each
lives in an environment of its own, whose Python EVIDENTLY_PYTHON and NANNYML_PYTHON name.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from contract.profile import NumericBins, Profile, build_profile, count_numeric
from contract.quantity import Duration
from contract.spec import Drift, Model
from exporters.drift.evaluate import Evaluation, evaluate
from exporters.drift.layout import layout
from exporters.drift.window import Counts

SIZES: Final = (100, 300, 1_000, 10_000)
SHIFTS: Final = (0.2, 0.5, 1.0)
REFERENCE_ROWS: Final = 5_000
WINDOWS_EACH: Final = 4
PEERS: Final = Path(__file__).parent / "false_alarms_peers.py"

DEFAULTS: Final = Drift(min_samples=1)
METHODS: Final[tuple[str, ...]] = get_args(Drift.model_fields["method"].annotation)
BY_METHOD: Final = {
    method: Drift.model_validate({"method": method, "min_samples": 1}) for method in METHODS
}

Column = NDArray[Any]
Draw = Callable[[np.random.Generator, int], Column]

_ZIPF: Final = np.arange(1, 41) ** -1.2 / (np.arange(1, 41) ** -1.2).sum()

NUMERIC: Final[dict[str, Draw]] = {
    "normal": lambda random, size: random.normal(size=size),
    "uniform": lambda random, size: random.uniform(size=size),
    "exponential": lambda random, size: random.exponential(size=size),
    "lognormal": lambda random, size: random.lognormal(size=size),
    "gamma": lambda random, size: random.gamma(0.5, size=size),
    "beta": lambda random, size: random.beta(0.5, 0.5, size=size),
    "student": lambda random, size: random.standard_t(3, size=size),
    "bimodal": lambda random, size: random.normal(size=size) + 5 * random.integers(0, 2, size),
    "poisson 2": lambda random, size: random.poisson(2, size).astype(float),
    "poisson 0.2": lambda random, size: random.poisson(0.2, size).astype(float),
    "four values": lambda random, size: random.integers(0, 4, size).astype(float),
    "mostly zero": lambda random, size: (
        random.normal(2, 1, size) * (random.uniform(size=size) > 0.8)
    ),
    "rounded": lambda random, size: random.normal(0, 3, size).round(),
}
CATEGORIES: Final[dict[str, Sequence[float]]] = {
    "two alike": [0.5, 0.5],
    "one in ten": [0.9, 0.1],
    "one in a thousand": [0.999, 0.001],
    "three": [0.6, 0.3, 0.1],
    "five": [0.5, 0.3, 0.15, 0.04, 0.01],
    "ten alike": [0.1] * 10,
    "forty": _ZIPF.tolist(),
}


def draw(random: np.random.Generator, size: int, shift: float = 0.0) -> dict[str, Column]:
    """Rows of all features; numeric ones moved by `shift` of their deviations in these rows."""
    columns: dict[str, Column] = {}
    for name, numbers in NUMERIC.items():
        values = numbers(random, size)
        columns[name] = values + shift * values.std() if shift else values
    for name, shares in CATEGORIES.items():
        columns[name] = np.array([f"c{n}" for n in range(len(shares))])[
            random.choice(len(shares), size, p=shares)
        ]
    return columns


def profile(columns: Mapping[str, Column]) -> Profile:
    """The reference profile of rows."""
    lists = {name: values.tolist() for name, values in columns.items()}
    return build_profile(lists, model_name="m")


def judge(
    profiles: Sequence[Profile], windows: Sequence[Mapping[str, Column]], drift: Drift = DEFAULTS
) -> Evaluation:
    """Evaluate each window against its profile, as if each were a model of its own."""
    models = [
        Model(name=f"m{number}", version="1", task="regression", drift=drift)
        for number in range(len(windows))
    ]
    laid = layout(models, profiles, [Duration.parse("1h")] * len(windows))
    values = np.zeros((len(laid.rows), laid.width))
    for number, row in enumerate(laid.rows):
        column = windows[row.model][row.name]
        if isinstance(row.bins, NumericBins):
            counts = count_numeric(row.bins.edges, column)
        else:
            index = {name: place for place, name in enumerate(row.bins.categories)}
            places = [index.get(value, len(index)) for value in column.tolist()]
            counts = np.bincount(places, minlength=len(index) + 1)
        values[number, 1 : len(counts) + 1] = counts
    return evaluate(laid, Counts(values), time=0.0)


def shares(found: Evaluation) -> dict[str, float]:
    """What was flagged, as shares of features and of windows."""
    return {
        "features": float(found.detected["warning"].mean()),
        "features above the floor alone": float((found.score > found.floor).mean()),
        "data sets with any drifted feature": float((found.share > 0).mean()),
        "data sets above drift.share": float((found.share > Drift().share).mean()),
    }


def power(found: Evaluation) -> dict[str, float]:
    """Of the numeric features, which all moved, the shares found; and of the data sets."""
    numeric = np.array([row.name in NUMERIC for row in found.layout.rows])
    return {
        "features": float(found.detected["warning"][numeric].mean()),
        "features above the floor alone": float((found.score > found.floor)[numeric].mean()),
        "data sets above drift.share": float((found.share > Drift().share).mean()),
    }


def beside(
    python: str, peer: str, references: Sequence[Mapping[str, Column]], windows: int, seed: int
) -> dict[str, dict[str, float]]:
    """The shares that a peer flags, by size; it runs in its own Python."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            for number in range(windows):
                arrays = {f"reference/{k}": v for k, v in references[number].items()}
                arrays |= {f"current/{k}": v for k, v in draw(random, size).items()}
                np.savez(Path(folder) / f"{size}-{number}.npz", **arrays)  # type: ignore[arg-type]
        command = [python, str(PEERS), peer, folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def table(result: Mapping[str, Any]) -> str:
    """The result as tables in Markdown: without drift, with it, and each method's floor."""
    peers = result["beside"]
    head = ["window", "features", "floor alone", "data sets, any", "data sets, share"]
    for peer in peers:
        head += [f"{peer}: features", f"{peer}: data sets"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for size in SIZES:
        cells = [f"{value:.2%}" for value in result["without drift"][str(size)].values()]
        for peer in peers.values():
            cells += [f"{value:.1%}" for value in peer["flagged"][str(size)].values()]
        rows.append([f"{size:,}", *cells])
    moved = [["window", "shift", "features", "floor alone", "data sets, share"]]
    moved.append(["---", *["---:"] * 4])
    for size in SIZES:
        for shift in SHIFTS:
            found = result["power"][str(size)][str(shift)].values()
            moved.append([f"{size:,}", f"{shift} σ", *(f"{value:.0%}" for value in found)])
    floors = [["window", *METHODS], ["---", *["---:"] * len(METHODS)]]
    for size in SIZES:
        own = result["floors"][str(size)]
        floors.append([f"{size:,}", *(f"{own[method]:.2%}" for method in METHODS)])
    return "\n\n".join(
        "\n".join(f"| {' | '.join(row)} |" for row in lines) for lines in (rows, moved, floors)
    )


def main() -> None:
    """Run it, print the tables, keep the result."""
    parser = argparse.ArgumentParser(prog="make bench-false-alarms")
    parser.add_argument("--windows", type=int, default=1_000, metavar="N")
    parser.add_argument("--peer-windows", type=int, default=100, metavar="N")
    parser.add_argument("--no-result", action="store_true", help="keep no result")
    options = parser.parse_args()
    random = np.random.default_rng(2026)
    references = [draw(random, REFERENCE_ROWS) for _ in range(-(-options.windows // WINDOWS_EACH))]
    profiles = [profile(columns) for columns in references]
    repeated = [own for own in profiles for _ in range(WINDOWS_EACH)][: options.windows]
    result: dict[str, Any] = {
        "name": "false-alarms",
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "windows": options.windows,
        "without drift": {},
        "floors": {},
        "power": {},
        "beside": {},
    }
    for size in SIZES:
        windows = [draw(random, size) for _ in repeated]
        found = judge(repeated, windows)
        result["without drift"][str(size)] = shares(found)
        result["floors"][str(size)] = {
            method: float((of_method.score > of_method.floor).mean())
            for method, drift in BY_METHOD.items()
            for of_method in [judge(repeated, windows, drift)]
        }
        few = repeated[:: 2 * WINDOWS_EACH]
        result["power"][str(size)] = {
            str(shift): power(judge(few, [draw(random, size, shift) for _ in few]))
            for shift in SHIFTS
        }
    for peer, variable in (("Evidently", "EVIDENTLY_PYTHON"), ("NannyML", "NANNYML_PYTHON")):
        if python := os.environ.get(variable):
            few_windows = min(options.peer_windows, len(references))
            flagged = beside(python, peer.lower(), references, few_windows, 7)
            result["beside"][peer] = {"version": flagged.pop("version"), "flagged": flagged}
        else:
            print(f"without {peer}: {variable} names no Python that has it")
    print(table(result))
    if not options.no_result:
        harness.RESULTS.mkdir(exist_ok=True)
        path = harness.RESULTS / "false-alarms.json"
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    ours = max(own["features"] for own in result["without drift"].values())
    theirs = [
        max(sizes["features"] for sizes in peer["flagged"].values())
        for peer in result["beside"].values()
    ]
    worst = max(theirs, default=None)
    ratio = None if worst is None else worst / max(ours, 1e-6)
    line = {"name": "false-alarms", "ours": ours, "beside": worst, "unit": "ratio", "ratio": ratio}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
