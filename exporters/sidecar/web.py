"""The sidecar's routes: events and labels in, status out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from exporters.sidecar.body import BodyError, Decoded, Reader
from exporters.sidecar.event import Event, Label, Reason, Refusal
from exporters.sidecar.intake import Intake, Outcome
from exporters.sidecar.process import read_report
from exporters.sidecar.status import prefers_html, read_status, render_html

__all__ = ["MAX_BODY", "MAX_ERRORS", "routes"]

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes of one request."""

DROPPED: Final = 8 * MAX_BODY
"""Bytes of a refused body that are still received and dropped, so that a client that sends all of
it before it looks at the answer gets to see it. Beyond that the connection is closed."""

MAX_ERRORS: Final = 100
"""Errors told in one answer; `rejected` counts the others too."""

NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

T = TypeVar("T", Event, Label)


def routes(intake: Intake) -> list[BaseRoute]:
    """The routes of one sidecar."""

    async def status(request: Request) -> Response:
        found = read_status(intake)
        headers = {"Vary": "Accept"}
        if prefers_html(request.headers.get("accept", "")):
            return HTMLResponse(render_html(found), headers=headers)
        return Response(msgspec.json.encode(found), media_type="application/json", headers=headers)

    return [
        _posted("/v1/predictions", intake, Reader(Event, intake.shapes), intake.take_predictions),
        _posted("/v1/labels", intake, Reader(Label), intake.take_labels),
        _reported("/v1/process", intake),
        Route("/v1/status", status),
    ]


def _posted(
    path: str, intake: Intake, reader: Reader[T], take: Callable[[Decoded[T], str], Outcome]
) -> Route:
    async def post(request: Request) -> Response:
        try:
            body = await _read_body(request)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            decoded = reader.read(body, lines=kind in NDJSON)
        except BodyError as error:
            reason: Reason = "size" if error.too_large else "decode"
            refusal = Refusal(None, reason, (("", f"the body {error}"),))
            intake.refuse(refusal, path)
            answer = _answer(413 if error.too_large else 400, None, [refusal])
            if error.too_large and _announced(request) not in range(DROPPED):
                answer.headers["Connection"] = "close"
            return answer
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        outcome = take(decoded, path)
        return _answer(_status(outcome), outcome.accepted, outcome.refusals)

    return Route(path, post, methods=["POST"])


def _reported(path: str, intake: Intake) -> Route:
    """Where the processes of a model server tell of themselves; see process.py."""

    async def post(request: Request) -> Response:
        try:
            report = read_report(await _read_body(request))
        except (BodyError, ValueError) as error:
            refusal = Refusal(None, "field", (("", str(error)),))
            intake.refuse(refusal, path)
            return _answer(400, None, [refusal])
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        unknown = intake.processes.take(report, [layout.model for layout in intake.layouts])
        refusals = [
            Refusal(place, "model", (("models", "no such model in models.yaml"),))
            for place in unknown
        ]
        return _answer(200, len(report.models) - len(unknown), refusals)

    return Route(path, post, methods=["POST"])


async def _read_body(request: Request) -> bytes:
    """The body, read no further than MAX_BODY. Raises BodyError when it is longer."""
    too_large = BodyError(f"is larger than {MAX_BODY} bytes; send smaller batches", too_large=True)
    if _announced(request) > MAX_BODY:
        raise too_large
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise too_large
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _announced(request: Request) -> int:
    """The length that a request says its body has; -1 where it says none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdigit() else -1


def _status(outcome: Outcome) -> int:
    if outcome.accepted:
        return 200
    unknown_model = outcome.refusals[0].reason == "model"
    return 404 if outcome.single and unknown_model else 400


def _answer(status: int, accepted: int | None, refusals: Sequence[Refusal]) -> Response:
    """`accepted` is None where the body could not be read, so that its events have no number."""
    errors = [
        {"index": refusal.index, "field": name, "message": message}
        for refusal in refusals[:MAX_ERRORS]
        for name, message in refusal.problems
    ][:MAX_ERRORS]
    rejected = None if accepted is None else len(refusals)
    answer = {"accepted": accepted or 0, "rejected": rejected, "errors": errors}
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
