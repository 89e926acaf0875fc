"""What models.yaml says of versions, for people and for programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contract.alerts import thresholds
from contract.quantity import Duration
from contract.slo import objectives
from contract.spec import Model, Spec
from contract.spec.performance import LOWER_IS_BETTER
from contract.version import version_key

__all__ = ["described", "ordered", "promises", "render_one", "render_table"]

DAY: Final = 86_400
SHOWN: Final = 3
"""Metrics and promises of a version in the table."""


def ordered(spec: Spec) -> list[Model]:
    """All versions: models by name, the newest version of each first."""
    found = sorted(spec.versions, key=lambda model: version_key(model.version), reverse=True)
    return sorted(found, key=lambda model: model.name)


def promises(spec: Spec) -> dict[tuple[str, str], dict[str, str]]:
    """What is promised of each version that is watched: by what of it, in words."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for model in spec.models:
        own = found.setdefault(model.key, {})
        for one in objectives(model):
            own[one.name] = f"{one.target * 100:.10g}% over {one.period}"
    for threshold in thresholds(spec):
        if threshold.alert in ("AccuracyDecay", "BusinessRatioLow"):
            sign = "≤" if threshold.objective in LOWER_IS_BETTER else "≥"
            key = (threshold.model_name, threshold.model_version)
            found[key][threshold.objective] = f"{sign} {_number(threshold.value)}"
    return found


def described(spec: Spec, model: Model, now: dt.datetime) -> dict[str, Any]:
    """One version as JSON data."""
    age = None if model.trained_at is None else round((now - model.trained_at).total_seconds())
    limit = None if model.max_age is None else model.max_age.seconds
    return {
        "name": model.name,
        "version": model.version,
        "state": model.state,
        "task": model.task,
        "framework": model.framework,
        "team": model.team,
        "trained_at": _moment(model.trained_at),
        "deployed_at": _moment(model.deployed_at),
        "age_seconds": age,
        "max_age_seconds": limit,
        "too_old": age is not None and limit is not None and age > limit,
        "metrics": dict(model.training.metrics),
        "source": model.training.source,
        "artifact": None if model.artifact is None else model.artifact.model_dump(),
        "profile": model.profile,
        "promised": promises(spec).get(model.key, {}),
    }


def _moment(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


_HEADS: Final = ("MODEL", "VERSION", "STATE", "TRAINED", "AGE", "TEAM", "MEASURED", "PROMISED")


def render_table(spec: Spec, models: Iterable[Model], now: dt.datetime) -> str:
    """One line for each version; the name of a model stands at its first one."""
    promised = promises(spec)
    rows = [_HEADS]
    before = ""
    for model in models:
        rows.append(
            (
                "" if model.name == before else model.name,
                model.version,
                model.state,
                "" if model.trained_at is None else f"{model.trained_at:%Y-%m-%d}",
                _age(model, now),
                model.team,
                _some(f"{name} {_number(v)}" for name, v in model.training.metrics.items()),
                _some(_brief(promised.get(model.key, {}))),
            )
        )
        before = model.name
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _brief(promised: Mapping[str, str]) -> Iterator[str]:
    """Promises on the metrics first: every model has those on availability and latency."""
    for name, words in sorted(promised.items(), key=lambda item: item[1][0] not in "≤≥"):
        yield f"{name} {words.partition(' over ')[0]}"


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    return ", ".join(every[:SHOWN]) + (f", +{len(every) - SHOWN}" if len(every) > SHOWN else "")


def _age(model: Model, now: dt.datetime) -> str:
    if model.trained_at is None:
        return ""
    seconds = (now - model.trained_at).total_seconds()
    days = f"{seconds // DAY:.0f}d" if seconds >= DAY else f"{max(seconds, 0) // 3600:.0f}h"
    late = model.max_age is not None and seconds > model.max_age.seconds
    return f"{days} (max {model.max_age})" if late else days


def render_one(spec: Spec, model: Model, now: dt.datetime) -> str:
    """All of one version, a line for each thing that is known of it."""
    serving, limit = model.serving, f", replace after {model.max_age}" if model.max_age else ""
    targets = ", ".join(serving.targets) or "no targets of its own"
    lines: list[tuple[str, str | Sequence[str]]] = [
        ("state", model.state + _since(model.deployed_at)),
        ("task", model.task),
        ("framework", model.framework),
        ("team", model.team),
        ("trained", _since(model.trained_at, now).removeprefix(" since ") + limit),
        ("source", model.training.source),
        ("artifact", _artifact(model)),
        ("profile", model.profile or ""),
        ("served by", f"{serving.runtime} at {targets}" if model.state != "retired" else ""),
        ("measured", [f"{name} {_number(v)}" for name, v in model.training.metrics.items()]),
        ("promised", [f"{name} {v}" for name, v in promises(spec).get(model.key, {}).items()]),
    ]
    told = [f"{model.name} {model.version}"]
    for name, value in lines:
        each = [value] if isinstance(value, str) else value
        for place, one in enumerate(text for text in each if text):
            told.append(f"  {name if not place else '':<10} {one}")
    return "\n".join(told)


def _artifact(model: Model) -> str:
    own = model.artifact
    return "" if own is None else f"{own.path}, SHA-256 {own.sha256}"


def _since(at: dt.datetime | None, now: dt.datetime | None = None) -> str:
    if at is None:
        return ""
    age = "" if now is None else f", {_span((now - at).total_seconds())} ago"
    return f" since {at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC{age}"


def _span(seconds: float) -> str:
    whole = int(max(seconds, 0))
    unit = 60 if whole < 7200 else 3600 if whole < 2 * DAY else DAY
    return str(Duration(max(whole // unit, 1) * unit * 1000))


def _number(value: float) -> str:
    return f"{value:.6g}"
