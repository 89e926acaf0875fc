"""The performance report: how fast, for how much, with what."""

from __future__ import annotations

from typing import Final

from generator.report.counting import QUANTILES
from generator.report.figures import Latency, Measure, ModelReport, Performance, Report, Traffic
from generator.report.page import Cell, Chart, Column, Section, Table
from generator.report.pages.head import (
    alert_table,
    alerts_cell,
    facts,
    intervals_table,
    labelled,
    plain,
)
from generator.report.wording import UNKNOWN, count, number, percent, seconds

__all__ = ["performance_section", "performance_summary"]

_NAMES: Final = {
    "throughput_requests_per_second": ("Requests per second", "reqps"),
    "error_ratio": ("Share of errors", "percentunit"),
    "latency_mean_seconds": ("Latency, mean", "s"),
    "latency_p50_seconds": ("Latency, median of 5 minutes", "s"),
    "latency_p99_seconds": ("Latency, p99 of 5 minutes", "s"),
    "in_progress_requests": ("Requests in progress", "short"),
    "queue_depth_requests": ("Requests in queues", "short"),
    "batch_size_rows": ("Rows in a batch", "short"),
    "memory_bytes": ("Memory of its processes", "bytes"),
    "gpu_memory_bytes": ("GPU memory", "bytes"),
    "gpu_utilization_gpus": ("GPUs busy", "short"),
    "gpu_power_watts": ("GPU power", "watt"),
    "gpu_energy_joules_per_1000_requests": ("GPU energy for 1000 requests", "joule"),
    "time_to_first_token_p99_seconds": ("Time to first token, p99 of 5 minutes", "s"),
    "inter_token_latency_mean_seconds": ("Time between tokens, mean of 5 minutes", "s"),
    "prompt_tokens_per_second": ("Prompt tokens per second", "short"),
    "generated_tokens_per_second": ("Generated tokens per second", "short"),
    "kv_cache_usage_ratio": ("KV cache in use", "percentunit"),
}
"""How measures are called, and the units that preview.units knows."""
_CHARTED: Final = ("memory_bytes", "gpu_memory_bytes", "queue_depth_requests")


def _performance(model: ModelReport) -> Performance:
    if model.performance is None:
        raise AssertionError("the report is of another kind")
    return model.performance


def performance_summary(report: Report) -> tuple[list[Cell], Table, list[ModelReport]]:
    """Requests in all; all models, those with the most errors first; the same as a list."""
    requests = sum(model.traffic.requests or 0 for model in report.models)
    errors = sum(model.traffic.errors or 0 for model in report.models)
    if requests:
        text = f"{count(requests)} requests, of which {percent(errors / requests)} failed."
        lines = [Cell(text)]
    else:
        lines = [Cell("No requests in this period, or no data.", "warn")]
    ordered = sorted(
        report.models,
        key=lambda model: (-(model.traffic.error_ratio or 0), model.name, model.version),
    )
    columns = (
        Column("Model", right=False),
        Column("Version", right=False),
        Column("Requests"),
        Column("Per second"),
        Column("Peak", optional=True),
        Column("Errors"),
        Column("Mean"),
        Column("p50", optional=True),
        Column("p99"),
        Column("Alerts"),
    )
    rows = [_row(model) for model in ordered]
    return lines, Table(title="Most errors first", columns=columns, rows=rows), ordered


def _row(model: ModelReport) -> list[Cell]:
    told = _performance(model)
    latency = told.latency
    return [
        *plain(model.name, model.version, count(model.traffic.requests)),
        *plain(number(told.requests_per_second_mean), number(told.requests_per_second_peak)),
        *plain(percent(model.traffic.error_ratio), seconds(latency.mean_seconds)),
        *plain(_quantile(latency, "p50_seconds"), _quantile(latency, "p99_seconds")),
        alerts_cell(model),
    ]


def performance_section(model: ModelReport, report: Report) -> Section:
    """The section of one version."""
    told = _performance(model)
    lines = facts(model, report)
    if told.requests_per_second_mean is not None:
        peak = number(told.requests_per_second_peak, "reqps")
        text = (
            f"{number(told.requests_per_second_mean, 'reqps')} on average, {peak} in the busiest "
            f"five minutes; {count(model.traffic.errors)} errors "
            f"({percent(model.traffic.error_ratio)})."
        )
        lines.append(Cell(text))
    if told.energy_joules is not None:
        kilowatt_hours = told.energy_joules / 3.6e6
        lines.append(Cell(f"GPU energy: {number(kilowatt_hours * 1000, 'watth')}."))
    blocks: list[Table | Chart] = []
    if told.latency.timed_requests:
        blocks.append(_latency_table(told.latency))
    if told.measures:
        blocks.append(_measures(told.measures))
    blocks += [*_charts(told), alert_table(model)]
    if model.traffic.requests:
        blocks.append(_series(model, told))
    return Section(title=labelled(model), facts=lines, blocks=blocks)


def _quantile(latency: Latency, name: str) -> str:
    value: float | None = getattr(latency, name)
    text = seconds(value)
    return f"> {text}" if name in latency.beyond_buckets else text


def _latency_table(latency: Latency) -> Table:
    names = {"p50_seconds": "median"}
    columns = [Column("Mean")]
    columns += [Column(names.get(name, name.removesuffix("_seconds"))) for name in QUANTILES]
    columns[-1] = Column("p99.9")
    row = [seconds(latency.mean_seconds), *(_quantile(latency, name) for name in QUANTILES)]
    note = "> is beyond the last bucket: slower than that." if latency.beyond_buckets else ""
    return Table(title="Latency", columns=columns, rows=[plain(*row)], note=note)


def _measures(measures: list[Measure]) -> Table:
    columns = (
        Column("What", right=False),
        Column("Mean"),
        Column("Min"),
        Column("Median"),
        Column("Max"),
    )
    rows = []
    for measure in measures:
        name, unit = _NAMES[measure.name]
        whole = measure.whole
        told = (whole.mean, whole.min, whole.median, whole.max)
        rows.append(plain(name, *(number(value, unit) for value in told)))
    note = (
        f"{UNKNOWN} stands where a mean of five minutes' figures would not be that of all requests."
    )
    shown = note if any(measure.whole.mean is None for measure in measures) else ""
    return Table(title="Over the period", columns=columns, rows=rows, note=shown)


def _charts(told: Performance) -> list[Chart]:
    latency = told.latency_series
    measures = {measure.name: measure for measure in told.measures}
    charts = []
    if throughput := measures.get("throughput_requests_per_second"):
        values = [one.mean for one in throughput.series]
        charts.append(Chart(title="Requests per second", unit="reqps", values=values))
    if any(one.p50_seconds is not None for one in latency):
        charts += [
            Chart(title=title, unit="s", values=[getattr(one, name) for one in latency])
            for title, name in (
                ("Latency, median", "p50_seconds"),
                ("Latency, p99", "p99_seconds"),
            )
        ]
    if errors := measures.get("error_ratio"):
        values = [one.mean for one in errors.series]
        charts.append(Chart(title="Share of errors", unit="percentunit", values=values))
    for name in _CHARTED:
        if measure := measures.get(name):
            title, unit = _NAMES[name]
            charts.append(
                Chart(title=title, unit=unit, values=[one.mean for one in measure.series])
            )
    return charts


def _series(model: ModelReport, told: Performance) -> Table:
    throughput = {measure.name: measure for measure in told.measures}.get(
        "throughput_requests_per_second"
    )
    columns = (
        Column("Errors"),
        Column("Peak/s"),
        Column("Mean"),
        Column("Median"),
        Column("p99"),
        Column("p99.9", optional=True),
    )

    def cells(index: int, traffic: Traffic) -> list[Cell]:
        latency = told.latency_series[index]
        peak = throughput.series[index].max if throughput else None
        return plain(
            percent(traffic.error_ratio),
            number(peak),
            seconds(latency.mean_seconds),
            *(_quantile(latency, name) for name in ("p50_seconds", "p99_seconds", "p999_seconds")),
        )

    return intervals_table("Over time", columns, model, cells)
