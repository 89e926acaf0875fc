"""What an evaluation says of one model, for people and programs that ask instead of scraping."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from contract.spec import Model
from contract.spec.promises import Reference
from exporters.drift.evaluate import SEVERITIES, Evaluation
from exporters.drift.quality import Judged

__all__ = [
    "ColumnReport",
    "MetricReport",
    "ModelReport",
    "moment_text",
    "not_evaluated",
    "read_moment",
    "render_text",
    "report",
]

Verdict = Literal["none", "warning", "critical", "too_few_samples", "no_samples"]


class ColumnReport(msgspec.Struct, frozen=True, kw_only=True):
    """One column: how far it is from the reference, and what is concluded from that.

    `score` and `noise_floor` are in the units of `method`, and null without samples. `confirmed`
    says whether the column counts as drifted among all of its model's, the false discovery rate
    held.
    """

    kind: str
    feature_name: str
    method: str
    samples: int
    score: float | None
    noise_floor: float | None
    verdict: Verdict
    confirmed: bool


class MetricReport(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the model's predictions over one window.

    `value` is what labels say, with its 95% interval, and `estimated` what confidences do; each is
    null where it is not known. `drop` is from the baseline, and `decayed` the verdict on what is
    promised; null where there is none.
    """

    metric: str
    window: str
    value: float | None
    lower: float | None
    upper: float | None
    drop: float | None
    decayed: bool | None
    estimated: float | None


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one model at `evaluated_at` (RFC 3339).

    `drift_detected` means a confirmed column, or a concept that drifted; `severity` is the worst of
    those. With an `error`
    the model was not evaluated, and nothing else says anything.
    """

    model_name: str
    model_version: str
    evaluated_at: str | None
    window: str | None
    reference: str
    warning: float
    critical: float
    min_samples: int
    drift_detected: bool
    drift_types: tuple[str, ...]
    severity: Literal["none", "warning", "critical"]
    drifted_features_ratio: float | None
    columns: tuple[ColumnReport, ...]
    performance: tuple[MetricReport, ...] = ()
    reason: str | None = None
    error: str | None = None

    def summary(self) -> dict[str, object]:
        """The same without columns."""
        whole: dict[str, object] = msgspec.structs.asdict(self)
        return {name: value for name, value in whole.items() if name != "columns"}


def report(evaluation: Evaluation, model: int, judged: Judged | None = None) -> ModelReport:
    """What the evaluation, and what goes with it, says of its model of that number."""
    owner = evaluation.layout.models[model]
    failure = evaluation.failures.get(model)
    rows = np.flatnonzero(evaluation.layout.model_of == model).tolist()
    columns = () if failure else tuple(_column(evaluation, row) for row in rows)
    confirmed = [column for column in columns if column.confirmed]
    concept = judged is not None and judged.concept.get(model, False)
    kinds = (*(column.kind for column in confirmed), *(["concept"] if concept else []))
    worst = _worst([*(column.verdict for column in confirmed), *(["warning"] if concept else [])])
    share = float(evaluation.share[model])
    return ModelReport(
        model_name=owner.name,
        model_version=owner.version,
        evaluated_at=moment_text(evaluation.time),
        window=str(owner.drift.window),
        reference=_reference_text(owner.drift.reference),
        warning=owner.drift.warning,
        critical=owner.drift.critical,
        min_samples=owner.drift.min_samples,
        drift_detected=bool(kinds),
        drift_types=tuple(dict.fromkeys(kinds)),
        severity=worst,
        drifted_features_ratio=None if failure or math.isnan(share) else share,
        columns=columns,
        performance=() if judged is None else tuple(_metrics(judged, owner)),
        reason=failure.reason if failure else None,
        error=failure.text if failure else None,
    )


def not_evaluated(model: Model, reason: str, error: str) -> ModelReport:
    """The report of a model of which nothing is known."""
    return ModelReport(
        model_name=model.name,
        model_version=model.version,
        evaluated_at=None,
        window=str(model.drift.window),
        reference=_reference_text(model.drift.reference),
        warning=model.drift.warning,
        critical=model.drift.critical,
        min_samples=model.drift.min_samples,
        drift_detected=False,
        drift_types=(),
        severity="none",
        drifted_features_ratio=None,
        columns=(),
        reason=reason,
        error=error,
    )


def _metrics(judged: Judged, model: Model) -> Iterator[MetricReport]:
    for window, own in judged.report.found.get(model.key, {}).items():
        for metric in dict.fromkeys((*own.metrics, *own.estimated)):
            known, verdict = own.metrics.get(metric), own.verdicts.get(metric)
            guess = own.estimated.get(metric)
            yield MetricReport(
                metric=metric,
                window=window,
                value=known.value if known else None,
                lower=known.lower if known else None,
                upper=known.upper if known else None,
                drop=verdict.drop if verdict else None,
                decayed=verdict.decayed if verdict else None,
                estimated=guess.value if guess else None,
            )


def _column(evaluation: Evaluation, row: int) -> ColumnReport:
    place = evaluation.layout.rows[row]
    score, floor = float(evaluation.score[row]), float(evaluation.floor[row])
    # Only features are many, so that chance finds one; others are confirmed where they drifted.
    alone = place.kind != "feature"
    confirmed = evaluation.detected["warning"][row] if alone else evaluation.confirmed[row]
    return ColumnReport(
        kind=place.kind,
        feature_name=place.name,
        method=str(evaluation.layout.methods[row]),
        samples=int(evaluation.samples[row]),
        score=None if math.isnan(score) else score,
        noise_floor=None if math.isnan(floor) else floor,
        verdict=_verdict(evaluation, row),
        confirmed=bool(confirmed),
    )


def _verdict(evaluation: Evaluation, row: int) -> Verdict:
    model = evaluation.layout.models[evaluation.layout.rows[row].model]
    if math.isnan(evaluation.score[row]):
        return "no_samples"
    if evaluation.samples[row] < model.drift.min_samples:
        return "too_few_samples"
    return _worst([name for name in SEVERITIES if evaluation.detected[name][row]])


def _worst(verdicts: Sequence[str]) -> Literal["none", "warning", "critical"]:
    if "critical" in verdicts:
        return "critical"
    return "warning" if "warning" in verdicts else "none"


def _reference_text(reference: Reference | None) -> str:
    if reference is None:
        return "profile"
    if reference.start is not None and reference.to is not None:
        start, end = reference.start.timestamp(), reference.to.timestamp()
        return f"{moment_text(start)} to {moment_text(end)}"
    return f"{reference.window} up to {reference.offset} before"


def moment_text(time: float) -> str:
    """A Unix time as RFC 3339, in whole seconds."""
    text = dt.datetime.fromtimestamp(time, dt.UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def read_moment(text: str) -> float:
    """A moment as people write it, as Unix time: 2026-10-01, 2026-10-01T12:00Z. Raises ValueError.

    Without an offset it is UTC.
    """
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


_ORDER: Final = {"critical": 0, "warning": 1, "none": 2, "too_few_samples": 3, "no_samples": 4}


def render_text(reports: Sequence[ModelReport]) -> str:
    """The reports for a terminal, what is worst first."""
    return "\n\n".join("\n".join(_lines(own)) for own in reports) + "\n"


def _lines(own: ModelReport) -> Iterator[str]:
    over = "" if own.window is None else f"{own.window} up to "
    yield (
        f"{own.model_name} {own.model_version}, {over}{own.evaluated_at}, "
        f"against {'its profile' if own.reference == 'profile' else own.reference}"
    )
    if own.error is not None:
        yield f"  not evaluated ({own.reason}): {own.error}"
        return
    yield f"  {_conclusion(own)}"
    table = [("", "method", "score", "floor", "samples", "verdict")]
    table += [
        (
            column.feature_name if column.kind == "feature" else f"({column.kind})",
            column.method,
            "-" if column.score is None else f"{column.score:.4f}",
            "-" if column.noise_floor is None else f"{column.noise_floor:.4f}",
            f"{column.samples:,}",
            column.verdict.replace("_", " ") + _doubt(column),
        )
        for column in sorted(own.columns, key=lambda c: (_ORDER[c.verdict], -(c.score or 0)))
    ]
    widths = [max(map(len, texts)) for texts in zip(*table, strict=True)]
    for name, method, *numbers, verdict in table:
        parts = [name.ljust(widths[0]), method.ljust(widths[1])]
        parts += [text.rjust(width) for text, width in zip(numbers, widths[2:5], strict=True)]
        yield f"  {'  '.join([*parts, verdict])}"
    yield from _performance_lines(own)


def _performance_lines(own: ModelReport) -> Iterator[str]:
    if not own.performance:
        return
    yield ""
    table = [("", "window", "value", "95% interval", "estimated", "verdict")]
    table += [
        (
            found.metric,
            found.window,
            _number(found.value),
            "-" if found.lower is None else f"{_number(found.lower)} to {_number(found.upper)}",
            _number(found.estimated),
            {None: "", True: "decayed", False: "as promised"}[found.decayed],
        )
        for found in own.performance
    ]
    widths = [max(map(len, texts)) for texts in zip(*table, strict=True)]
    for name, *cells in table:
        parts = [name.ljust(widths[0])]
        parts += [text.rjust(width) for text, width in zip(cells[:-1], widths[1:-1], strict=True)]
        yield f"  {'  '.join([*parts, cells[-1]])}".rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _conclusion(own: ModelReport) -> str:
    judged = sum(column.verdict in ("none", *SEVERITIES) for column in own.columns)
    drifted = sum(column.confirmed for column in own.columns)
    if not judged:
        return f"nothing to judge: no column has {own.min_samples:,} samples"
    if not own.drift_detected:
        return f"no drift in {judged} columns"
    if not drifted:
        return f"{own.severity}: the concept has drifted, and none of {judged} columns"
    return f"{own.severity}: drift in {drifted} of {judged} columns ({', '.join(own.drift_types)})"


def _doubt(column: ColumnReport) -> str:
    alone = column.verdict in SEVERITIES and not column.confirmed
    return ", alone (1 of 100 does so by chance)" if alone else ""
