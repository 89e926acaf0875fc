"""What a sidecar knows of itself and its models, for programs and for people."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from exporters.sidecar.counts import RESULTS
from exporters.sidecar.event import STATUSES
from exporters.sidecar.intake import Intake, Refused
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.process import Processes
from exporters.sidecar.tally import Tally

__all__ = ["Upstreams", "prefers_html", "read_status", "render_html"]


Upstreams = Mapping[tuple[str, str], Mapping[str, object]]
"""What probes found, by model name and version; see health."""


def read_status(intake: Intake, upstreams: Upstreams = MappingProxyType({})) -> dict[str, Any]:
    """The status as JSON data."""
    return {
        "events": {"accepted": intake.accepted, "rejected": sum(intake.rejected.values())},
        "rejected": dict(intake.rejected),
        "models": [
            {
                **_read_model(tally, intake.processes),
                "upstream": upstreams.get(tally.layout.model.key),
            }
            for tally in intake.tallies
        ],
        "log": _read_log(intake.commits),
        "unregistered_versions": [
            {
                "model_name": name,
                "model_version": version,
                "events": seen.events,
                "first_event": _moment(seen.first),
                "last_event": _moment(seen.last),
            }
            for (name, version), seen in intake.unregistered.seen.items()
        ],
        "ignored_fields": dict(intake.ignored_fields),
        "last_refused": [_read_refused(refused) for refused in reversed(intake.last_refused)],
    }


def _read_log(commits: Commits) -> dict[str, Any]:
    return {
        "bytes": commits.size,
        "oldest": _moment(commits.oldest),
        "events_waiting": commits.pending,
        "labels_waiting": commits.waiting,
        "duplicates": commits.duplicates,
        "sampled_out": commits.sampled_out,
        "failing": commits.failing or None,
    }


def _read_model(tally: Tally, processes: Processes) -> dict[str, Any]:
    counts, model = tally.counts, tally.layout.model
    return {
        "model_name": model.name,
        "model_version": model.version,
        "task": model.task,
        "state": model.state,
        "events": dict(zip(STATUSES, counts.statuses.tolist(), strict=True)),
        "labels": dict(zip(RESULTS, counts.labels.tolist(), strict=True)),
        "last_event": _moment(tally.last_event),
        "pids": processes.pids(model.key),
        "artifacts": {
            "declared": model.artifact.sha256 if model.artifact else None,
            "loaded": processes.artifacts(model.key),
        },
        "ignored_features": dict(tally.ignored),
        "notes": list(tally.layout.notes),
    }


def _read_refused(refused: Refused) -> dict[str, Any]:
    refusal = refused.refusal
    return {
        "time": _moment(refused.time),
        "path": refused.path,
        "reason": refusal.reason,
        "index": refusal.index,
        "problems": [{"field": name, "message": message} for name, message in refusal.problems[:5]],
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names text/html before JSON, as browsers do."""
    ranks: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranks[kind] = float(quality)
        except ValueError:
            continue
    return 0 < ranks.get("text/html", 0.0) > ranks.get("application/json", 0.0)


_STYLE = (
    "body{font:15px system-ui;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;margin-bottom:2em}"
    "th,td{border-bottom:1px solid #ccc;padding:.3em .8em;text-align:left;vertical-align:top}"
)


def render_html(status: dict[str, Any]) -> str:
    """The status as a page."""
    models = (
        (
            f"{model['model_name']} {model['model_version']}",
            _pairs(model["events"]),
            _pairs(model["labels"]),
            model["last_event"] or "none yet",
            _health(model["upstream"]),
            _pairs(model["ignored_features"]) or "none",
            "; ".join(model["notes"]),
        )
        for model in status["models"]
    )
    unregistered = (
        (own["model_name"], own["model_version"], own["events"], own["last_event"])
        for own in status["unregistered_versions"]
    )
    refused = (
        (
            entry["time"],
            entry["path"],
            "whole request" if entry["index"] is None else f"event {entry['index']}",
            "; ".join(f"{p['field']} {p['message']}".strip() for p in entry["problems"]),
        )
        for entry in status["last_refused"]
    )
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>sidecar</title>',
            f"<style>{_STYLE}</style><h1>Sidecar</h1>",
            _summary(status),
            _table(
                (
                    *("model", "events", "labels", "last event", "upstream"),
                    *("ignored features", "notes"),
                ),
                models,
            ),
            "<h2>Versions that models.yaml does not have</h2>",
            _table(("model", "version", "events refused", "last event"), unregistered),
            "<h2>Last refused</h2>",
            _table(("time", "path", "what", "why"), refused),
            "</html>",
        )
    )


def _summary(status: dict[str, Any]) -> str:
    events = status["events"]
    return (
        f"<p>{events['accepted']} events accepted, {events['rejected']} rejected "
        f"({_text(_pairs(status['rejected']))}). The log holds {status['log']['bytes']} bytes"
        f"{_text(': it fails, ' + status['log']['failing']) if status['log']['failing'] else ''}"
        ".</p>"
    )


def _health(upstream: Mapping[str, Any] | None) -> str:
    if upstream is None:
        return "none"
    if upstream["ready"] is None:
        return f"{upstream['upstream']}: not probed yet"
    if upstream["ready"]:
        return f"{upstream['upstream']} is ready"
    return f"{upstream['upstream']} is not ready: {upstream['why']}"


def _pairs(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    rows = list(rows)
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    lines = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _text(value: object) -> str:
    return html.escape(str(value))
