"""What remediation shows of itself: GET /v1/remediation, and its metrics."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from html import escape
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contract import catalog
from contract.catalog import Metric
from contract.spec import Action, Model, Spec
from exporters import expose
from responder import pages
from responder.asked import TooLongError, prefers_html, read_body
from responder.notification import Notification
from responder.remediation.audit import OUTCOMES, VERIFIED, Record
from responder.remediation.engine import Engine, UnwritableError
from responder.remediation.plan import Planned
from responder.remediation.reset import choose, read_reset
from responder.remediation.verdict import breaker_until
from responder.webhook import PayloadError

__all__ = ["Remediation"]

_MAX_BODY: Final = 2**16


class Remediation:
    """Remediation as a part of the responder."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> Sequence[BaseRoute]:
        """Where it shows what was done and is planned, and is told that something is mended."""
        return [
            Route("/v1/remediation", self._show),
            Route("/v1/remediation/reset", self._reset, methods=["POST"]),
        ]

    def unready(self) -> str:
        """Why nothing may be done, or an empty text."""
        return self._engine.unwritable

    def offer(self, notifications: Sequence[Notification]) -> None:
        """Plan what should be done about them."""
        self._engine.offer(notifications)

    def follow(self, spec: Spec) -> None:
        """Take over another models.yaml."""
        self._engine.follow(spec)

    def running(self, before: Sequence[Notification]) -> AbstractAsyncContextManager[None]:
        """Act while the block runs."""
        return self._engine.running(before)

    # What people say

    async def _reset(self, request: Request) -> Response:
        try:
            asked = read_reset(await read_body(request, _MAX_BODY))
            actions = choose(asked, self._engine.plan.spec)
        except TooLongError as error:
            return JSONResponse({"error": str(error)}, 413)
        except PayloadError as error:
            return JSONResponse({"error": str(error), "field": error.field}, 400)
        done = []
        try:
            for action in actions:
                by, why = asked.by, asked.reason
                if record := await self._engine.reset(asked.model, action, by=by, why=why):
                    done.append(record)
        except UnwritableError as error:
            return JSONResponse(
                {"error": f"{error}; not reset, send it again"}, 503, {"Retry-After": "10"}
            )
        return Response(msgspec.json.encode({"reset": done}), media_type="application/json")

    # What is shown

    async def _show(self, request: Request) -> Response:
        found = self._status()
        if prefers_html(request):
            return _page(found)
        return Response(msgspec.json.encode(found), media_type="application/json")

    def _status(self) -> dict[str, Any]:
        engine, rules = self._engine, self._engine.plan.spec.remediation
        return {
            "dry_run": rules.dry_run,
            "max_per_hour": rules.max_per_hour,
            "max_per_hour_per_model": rules.max_per_hour_per_model,
            "unwritable": engine.unwritable or None,
            "actions": [self._action(model, action) for model, action in self._actions()],
            "under_way": [_planned(planned) for planned in engine.under_way()],
            "waiting": [{**_planned(one.planned), "why": one.why} for one in engine.waiting()],
            "last": list(reversed(engine.history.shown)),
        }

    def _actions(self) -> Iterator[tuple[Model, Action]]:
        for model in self._engine.plan.spec.models:
            for action in model.remediation:
                yield model, action

    def _action(self, model: Model, action: Action) -> dict[str, Any]:
        spec, history = self._engine.plan.spec, self._engine.history
        dry_run = spec.remediation.dry_run or action.dry_run
        cooldown = spec.clock(action.cooldown or spec.remediation.cooldown)
        span = dt.timedelta(milliseconds=cooldown.milliseconds)
        now = dt.datetime.now(dt.UTC)
        until = history.cooling_until(model.name, action.label, span, dry_run=dry_run)
        opened = breaker_until(history, model.name, action.label, spec)
        streak = history.streak(model.name, action.label)
        reset = history.last_reset(model.name, action.label)
        return {
            "model": model.name,
            "version": model.version,
            "on": action.on,
            "severity": action.severity,
            "action": action.label,
            "what": action.what(),
            "after": str(action.after) if action.after else None,
            "dry_run": dry_run,
            "cooling_until": until if until and until > now else None,
            "failures": streak.failures if streak else 0,
            "breaker_open_until": opened if opened and opened > now else None,
            "reset": {"time": reset.time, "by": reset.by} if reset else None,
        }

    # Metrics

    def families(self) -> Iterable[expose.Family]:
        """What became of actions; every series of models.yaml is there from the start."""
        engine, spec = self._engine, self._engine.plan.spec
        known = {(m.name, m.version, a.label): m.team for m, a in self._actions()}
        steps = {key[:3] for key in engine.ledger.counted} | set(known)
        for metric, label, names in (
            (catalog.REMEDIATION_ACTIONS, "outcome", OUTCOMES),
            (catalog.REMEDIATION_VERIFIED, "result", VERIFIED),
        ):
            yield expose.Family(
                metric,
                [
                    (
                        expose.series(metric, **_labels(key), **{label: name}),
                        engine.ledger.counted[(*key, name)],
                    )
                    for key in sorted(steps)
                    for name in names
                ],
            )
        breaker, now = catalog.REMEDIATION_BREAKER, dt.datetime.now(dt.UTC)
        yield expose.Family(
            breaker,
            [
                (
                    expose.series(breaker, **_labels(key), team=team),
                    int((breaker_until(engine.history, key[0], key[2], spec) or now) > now),
                )
                for key, team in known.items()
            ],
        )
        yield _one(catalog.REMEDIATION_PENDING, len(engine.waiting()))
        yield _one(catalog.REMEDIATION_DRY_RUN, int(spec.remediation.dry_run))


def _one(metric: Metric, value: float) -> expose.Family:
    return expose.Family(metric, [(expose.series(metric), value)])


def _labels(key: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("model_name", "model_version", "action"), key, strict=True))


def _planned(planned: Planned) -> dict[str, Any]:
    about = planned.notification
    return {
        "id": planned.id,
        "action": planned.label,
        "what": planned.action.what(),
        "dry_run": planned.dry_run,
        "model": about.model,
        "version": about.version,
        "alertname": about.alertname,
        "severity": about.severity,
        "starts_at": about.starts_at,
        "due": planned.due,
    }


# For people


def _page(found: dict[str, Any]) -> Response:
    mode = (
        "<p><b>dry run</b>: actions are written down and nothing is done, until models.yaml says "
        "<code>remediation: {dry_run: false}</code>.</p>"
        if found["dry_run"]
        else "<p>Actions are done.</p>"
    )
    broken = f'<p class="error">{escape(found["unwritable"])}</p>' if found["unwritable"] else ""
    return pages.page(
        "Remediation",
        f"{mode}{broken}<h2>Waiting or under way</h2>{_waiting(found)}"
        f"<h2>Last</h2>{_last(found['last'])}<h2>Actions</h2>{_actions(found['actions'])}",
    )


def _waiting(found: dict[str, Any]) -> str:
    rows = [{**one, "why": "under way"} for one in found["under_way"]] + found["waiting"]
    if not rows:
        return "<p>Nothing.</p>"
    return pages.table(
        ("alert since", "alert", "model", "action", "what", "why not yet"),
        (
            (
                _time(row["starts_at"]),
                escape(row["alertname"]),
                escape(f"{row['model']} {row['version']}"),
                escape(row["action"]),
                escape(row["what"]),
                escape(row["why"]),
            )
            for row in rows
        ),
    )


def _last(records: Sequence[Record]) -> str:
    if not records:
        return "<p>Nothing was done yet.</p>"
    return pages.table(
        ("time", "step", "alert", "model", "action", "detail"),
        (
            (
                _time(record.time),
                escape(record.step),
                escape(record.alertname),
                escape(f"{record.model} {record.version}"),
                escape(record.action),
                escape(f"by {record.by}: {record.detail}" if record.by else record.detail),
            )
            for record in records
        ),
    )


def _actions(actions: Sequence[dict[str, Any]]) -> str:
    if not actions:
        return "<p>models.yaml names none: docs/remediation.md says how.</p>"
    return pages.table(
        ("model", "alert", "action", "what", "after", "state"),
        (
            (
                escape(f"{one['model']} {one['version']}"),
                escape(f"{one['on']} {one['severity'] or ''}"),
                escape(one["action"]),
                escape(one["what"]),
                escape(one["after"] or "at once"),
                escape(_state(one)),
            )
            for one in actions
        ),
    )


def _state(one: dict[str, Any]) -> str:
    if one["breaker_open_until"]:
        return f"fails, not tried until {_time(one['breaker_open_until'])}"
    if one["cooling_until"]:
        return f"cooling down until {_time(one['cooling_until'])}"
    return "dry run" if one["dry_run"] else "ready"


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
