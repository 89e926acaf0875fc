"""How often equal versions are called worse, and how soon worse ones are: `make bench-versions`.

Days of a classifier of which a newer version gets a tenth of the traffic, in stretches of five
minutes: traffic has its hours, errors and slow requests have incidents that meet both versions, and
in half of the days the newer one's share grows from 1% to 50%. Every stretch the two are compared
over the last hour, with the collector's own comparison at the defaults of models.yaml; VersionWorse
fires where an aspect is worse for ten minutes on end. For power the newer version is made worse in
one aspect. Beside it what is usual: the counts of the hour as a whole, each aspect by itself at 5%,
with the same least differences.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks import harness
from contract import catalog
from contract.profile import CONFIDENCE_EDGES
from contract.spec import BusinessRatio, Model
from exporters.drift.versions.aspects import compare
from exporters.drift.versions.strata import PARTS, Counted

STRETCHES: Final = 24 * PARTS
HOLD: Final = 3
"""Comparisons on end: now, and until ten minutes later."""
REQUESTS: Final = (500, 5_000, 50_000)
"""An hour, of both versions."""
EDGES: Final = (*map(float, CONFIDENCE_EDGES), math.inf)

OLDER, NEWER = (
    Model(
        name="m",
        version=version,
        task="binary_classification",
        business=(BusinessRatio(name="ctr", numerator="click", denominator="view"),),
    )
    for version in ("1", "2")
)
# At this rate for all of them, each is believed at 5% at most.
USUAL: Final = NEWER.model_copy(
    update={"comparison": NEWER.comparison.model_copy(update={"significance": 0.05})}
)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a version really is like; shares."""

    errors: float = 0.01
    slow: float = 0.005
    unsure: float = 2.0
    """The second parameter of the beta distribution of confidence, whose first is 8."""
    positive: float = 0.3
    wrong: float = 0.08
    clicks: float = 0.2


WORSE: Final = {
    "errors 1% to 4%": Truth(errors=0.04),
    "slow requests 0.5% to 10%": Truth(slow=0.10),
    "accuracy 92% to 85%": Truth(wrong=0.15),
    "clicks 20% to 15%": Truth(clicks=0.15),
    "confidence 80% to 70%": Truth(unsure=3.4),
}


def stretch(random: np.random.Generator, n: int, truth: Truth, incident: float) -> Counted:
    """What is counted of `n` requests; of an incident, that share of them fails and is slow."""
    counted = Counted()
    failed = int(random.binomial(n, truth.errors + (1 - truth.errors) * incident))
    fast = int(random.binomial(n, (1 - truth.slow) * (1 - incident)))
    counted.of[catalog.INFERENCE_REQUESTS.name] = {
        ("success",): float(n - failed),
        ("error",): float(failed),
    }
    counted.of[catalog.INFERENCE_LATENCY.bucket] = {("0.25",): float(fast), ("+Inf",): float(n)}
    sure = random.beta(8, truth.unsure, n - failed)
    upto = np.searchsorted(np.sort(sure), EDGES, side="right")
    counted.of[catalog.PREDICTION_CONFIDENCE.bucket] = {
        (str(edge),): float(number) for edge, number in zip(EDGES, upto, strict=True)
    }
    counted.of[catalog.PREDICTION_CONFIDENCE.sum] = {(): float(sure.sum())}
    positive = int(random.binomial(n - failed, truth.positive))
    counted.of[catalog.PREDICTION_CLASS.name] = {
        ("yes",): float(positive),
        ("no",): float(n - failed - positive),
    }
    labelled = int(random.binomial(n - failed, 0.3))
    wrong = int(random.binomial(labelled, truth.wrong))
    counted.of[catalog.OUTCOMES.name] = {
        ("yes", "yes"): float(labelled - wrong),
        ("yes", "no"): float(wrong),
    }
    views = int(random.binomial(n - failed, 0.5))
    counted.of[catalog.BUSINESS_EVENTS.name] = {
        ("view",): float(views),
        ("click",): float(random.binomial(views, truth.clicks)),
    }
    return counted


def day(
    random: np.random.Generator, requests: int, newer: Truth, *, ramp: bool
) -> Iterator[tuple[Counted, Counted]]:
    """A day of both versions, newer first."""
    incidents = np.zeros(STRETCHES)
    for _ in range(random.poisson(2)):
        start = random.integers(0, STRETCHES)
        incidents[start : start + random.integers(1, 9)] = random.uniform(0.05, 0.5)
    for place in range(STRETCHES):
        rate = requests / PARTS * (1 + 0.6 * math.sin(2 * math.pi * place / STRETCHES))
        share = 0.01 * 50 ** (place / STRETCHES) if ramp else 0.1
        yield (
            stretch(random, int(random.poisson(rate * share)), newer, incidents[place]),
            stretch(random, int(random.poisson(rate * (1 - share))), Truth(), incidents[place]),
        )


def together(side: Sequence[Counted]) -> list[Counted]:
    """The stretches as one."""
    whole = Counted()
    for own in side:
        for name, counts in own.of.items():
            into = whole.of.setdefault(name, {})
            for labels, count in counts.items():
                into[labels] = into.get(labels, 0.0) + count
    return [whole]


@dataclass(frozen=True, slots=True)
class Seen:
    """When VersionWorse fired within a day, by stretches; None where it did not."""

    ours: int | None
    usual: int | None


def watch(stretches: Iterator[tuple[Counted, Counted]], *, usual: bool) -> Seen:
    """Compare after every stretch."""
    held: deque[tuple[Counted, Counted]] = deque(maxlen=PARTS)
    ours: int | None = None
    beside: int | None = None
    since: dict[str, int] = {}
    for place, both in enumerate(stretches):
        held.append(both)
        newer, older = ([one[side] for one in held] for side in (0, 1))
        if ours is None:
            worse = {one.name for one in compare(NEWER, OLDER, (newer, older)) if one.worse}
            since = {name: since.get(name, 0) + 1 for name in worse}
            if max(since.values(), default=0) >= HOLD:
                ours = place
        if usual and beside is None:
            found = compare(USUAL, OLDER, (together(newer), together(older)))
            if any(one.worse for one in found):
                beside = place
        if ours is not None and (beside is not None or not usual):
            break
    return Seen(ours, beside)


def shares(random: np.random.Generator, requests: int, days: int) -> dict[str, float]:
    """The share of days with a false alarm."""
    seen = [
        watch(day(random, requests, Truth(), ramp=bool(number % 2)), usual=True)
        for number in range(days)
    ]
    return {
        "ours": sum(one.ours is not None for one in seen) / days,
        "usual": sum(one.usual is not None for one in seen) / days,
    }


def power(
    random: np.random.Generator, requests: int, truth: Truth, days: int
) -> dict[str, float | None]:
    """How often a version that is worse from the start is found, and after how many minutes."""
    seen = [watch(day(random, requests, truth, ramp=False), usual=False) for _ in range(days)]
    minutes = sorted((one.ours + 1) * 5 for one in seen if one.ours is not None)
    return {
        "found": len(minutes) / days,
        "median minutes": minutes[len(minutes) // 2] if minutes else None,
    }


def table(result: dict[str, Any]) -> str:
    """Both halves as Markdown."""
    rows = [["requests an hour", "days with a false alarm", "usual"], ["---:"] * 3]
    rows += [
        [f"{int(requests):,}", f"{own['ours']:.1%}", f"{own['usual']:.0%}"]
        for requests, own in result["equal"].items()
    ]
    found = [["worse by", *(f"{requests:,} an hour" for requests in REQUESTS)], ["---"] * 4]
    for what, by_requests in result["worse"].items():
        cells = [
            f"{own['found']:.0%}, {own['median minutes']:g} min" if own["found"] else "never"
            for own in by_requests.values()
        ]
        found.append([what, *cells])
    return "\n\n".join(
        "\n".join(f"| {' | '.join(row)} |" for row in lines) for lines in (rows, found)
    )


def main() -> None:
    """Run it, print the tables, keep the result."""
    parser = argparse.ArgumentParser(prog="make bench-versions")
    parser.add_argument("--days", type=int, default=200, metavar="N")
    parser.add_argument("--worse-days", type=int, default=20, metavar="N")
    parser.add_argument("--no-result", action="store_true", help="keep no result")
    options = parser.parse_args()
    random = np.random.default_rng(2026)
    result: dict[str, Any] = {
        "name": "versions",
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": harness.machine(),
        "days": options.days,
        "worse days": options.worse_days,
        "equal": {str(number): shares(random, number, options.days) for number in REQUESTS},
        "worse": {
            what: {
                str(number): power(random, number, truth, options.worse_days) for number in REQUESTS
            }
            for what, truth in WORSE.items()
        },
    }
    print(table(result))
    if not options.no_result:
        harness.RESULTS.mkdir(exist_ok=True)
        path = harness.RESULTS / "versions.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(f"kept {path.relative_to(harness.ROOT)}")
    ours, usual = (max(own[side] for own in result["equal"].values()) for side in ("ours", "usual"))
    line = {
        "name": "versions",
        "ours": ours,
        "beside": usual,
        "unit": "ratio",
        "ratio": round(usual / max(ours, 1 / options.days), 2),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
