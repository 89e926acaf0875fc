"""Do the edges of latency buckets exist at which models.yaml makes a promise?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from contract.runtimes import RUNTIMES, SIDECAR
from contract.spec import Model, Spec
from generator.doctor.ask import Prometheus
from generator.doctor.finding import Finding, fine, note, warning
from generator.queries.recorded import LATENCY_BUCKETS
from generator.queries.runtimes import ADAPTERS

__all__ = ["check_edges"]


def check_edges(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """For each model: its latency thresholds against the edges of its buckets."""
    edges: dict[tuple[str, str], set[float]] = {}
    found = prometheus.query(f"group by (model_name, model_version, le) ({LATENCY_BUCKETS})")
    for sample in found:
        edges.setdefault(sample.model, set()).add(float(sample.labels["le"]))
    for model in spec.models:
        yield from _edges_of(model, sorted(edges.get(model.key, ())))


def _edges_of(model: Model, edges: list[float]) -> Iterator[Finding]:
    who = f"{model.name} {model.version}"
    promised = sorted({pair.threshold.seconds for pair in model.slo.latency})
    if not promised:
        return
    if not edges:
        yield _without_buckets(model, who)
        return
    between = [limit for limit in promised if not any(math.isclose(limit, e) for e in edges)]
    for limit in between:
        below = max((edge for edge in edges if edge < limit), default=0.0)
        above = min((edge for edge in edges if edge > limit), default=math.inf)
        yield warning(
            "edges",
            who,
            f"its promise of {limit:g}s lies between the edges {below:g}s and {above:g}s",
            f"promise {_nearest(below, above, limit):g}s, or add the edge where the buckets are "
            "made; between two edges a quantile is a guess",
        )
    if not between:
        yield fine("edges", who, f"{len(promised)} promised latencies are edges of its buckets")


def _without_buckets(model: Model, who: str) -> Finding:
    runtime = model.serving.runtime
    if runtime == SIDECAR or model.serving.sidecars:
        return note("edges", who, "no latency has been counted yet")
    reason = (ADAPTERS[runtime].missing or {}).get("latency_buckets", "it has none now")
    return warning(
        "edges",
        who,
        f"no latency buckets from {RUNTIMES[runtime].title}: {reason}",
        "send its events to a sidecar as well (serving.sidecars), or promise no latency",
    )


def _nearest(below: float, above: float, limit: float) -> float:
    if math.isinf(above) or (below and limit - below < above - limit):
        return below
    return above
