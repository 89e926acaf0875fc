"""What the drift collector answers besides /metrics: reports of its models, and questions."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contract.spec import Spec
from exporters.drift.answers import LastAnswers
from exporters.drift.ask import AskedError, read_question
from exporters.drift.reference import UnknownModelError
from exporters.drift.report import ModelReport

__all__ = ["MAX_QUESTIONS", "routes"]

MAX_QUESTIONS: Final = 2
"""Questions that are worked on at a time; more wait."""


class _RefusedError(Exception):
    def __init__(self, status: int, where: str, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.problems = ((where, what),)


def routes(answers: LastAnswers) -> list[Route]:
    """/v1/models, /v1/models/{model} and /v1/drift/{model}."""
    turns = asyncio.Semaphore(MAX_QUESTIONS)

    async def models(_: Request) -> Response:
        found = await asyncio.to_thread(answers.reports)
        return _response(200, {"models": [report.summary() for report in found]})

    async def model(request: Request) -> Response:
        name, version = request.path_params["model"], request.query_params.get("version")
        return await _said(lambda: answers.reports(name, version)[-1])

    async def drift(request: Request) -> Response:
        try:
            body = await _read_body(request, answers.spec)
        except _RefusedError as error:
            refusal = _refused(error.status, error.problems)
            if error.status == 401:
                # The body is not read, so nothing else can come on this connection.
                refusal.headers.update({"WWW-Authenticate": "Bearer", "Connection": "close"})
            return refusal
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        name = request.path_params["model"]
        async with turns:
            return await _said(lambda: answers.answer(name, read_question(body)))

    return [
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{model}", model, methods=["GET"]),
        Route("/v1/drift/{model}", drift, methods=["POST"]),
    ]


async def _said(work: Callable[[], ModelReport]) -> Response:
    """The answer, or why there is none; worked out beside the loop."""
    try:
        return _response(200, await asyncio.to_thread(work))
    except UnknownModelError as error:
        return _refused(404, (("model", str(error)),))
    except AskedError as error:
        return _refused(400, error.problems)


async def _read_body(request: Request, spec: Spec) -> bytes:
    """The body of somebody who may ask, no longer than may be. Raises _RefusedError."""
    if spec.sidecar.token_file is not None:
        _check_token(request, spec.path(spec.sidecar.token_file))
    limit = spec.sidecar.limits.body
    too_large = _RefusedError(413, "the body", f"is larger than {limit} bytes; send fewer rows")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _check_token(request: Request, path: Path) -> None:
    try:
        token = path.read_bytes().strip()
    except OSError:
        token = b""
    if not token:
        raise _RefusedError(503, "authorization", "the sidecar's token cannot be read here")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token):
        what = "needs the token of the sidecar: Authorization: Bearer TOKEN"
        raise _RefusedError(401, "authorization", what)


def _refused(status: int, problems: tuple[tuple[str, str], ...]) -> Response:
    return _response(
        status, {"errors": [{"where": where, "message": what} for where, what in problems]}
    )


def _response(status: int, content: object) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
