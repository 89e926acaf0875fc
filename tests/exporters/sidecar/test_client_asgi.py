"""The ASGI middleware, under a real uvicorn."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from exporters.sidecar.client import Monitor, MonitorMiddleware
from tests.exporters.sidecar.recorder import PATIENCE, Recorder, recording
from tests.processes import free_port, http

MODELS: dict[str, str | tuple[str, str]] = {
    "/score": ("fraud", "2.3"),
    "/boom": "fraud",
    "/nothing": "fraud",
    "/stream": "fraud",
    "/echo": "fraud",
    **{f"/status/{code}": "fraud" for code in (204, 302, 422, 429, 503)},
}


async def score(request: Request) -> Response:
    body = await request.json()
    call = request.scope["ml.call"]
    call.record(features=body, prediction=body["amount"] / 2)
    return PlainTextResponse(call.prediction_id)


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def boom(request: Request) -> Response:
    raise RuntimeError("no such row")


async def status(request: Request) -> Response:
    return Response(status_code=request.path_params["code"])


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.to_thread(GATE.wait, PATIENCE)
        yield b"last"

    return StreamingResponse(parts())


async def other(request: Request) -> Response:
    return PlainTextResponse(str("ml.call" in request.scope))


async def websocket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


GATE = threading.Event()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as kept:
        yield kept


@pytest.fixture
def monitor(recorder: Recorder) -> Iterator[Monitor]:
    made = Monitor(recorder.url, report_interval=0.01)
    yield made
    made.close()


@contextmanager
def served(monitor: Monitor) -> Iterator[str]:
    app = Starlette(
        routes=[
            Route("/score", score, methods=["POST"]),
            Route("/echo", echo, methods=["POST"]),
            Route("/boom", boom, methods=["POST"]),
            Route("/stream", stream, methods=["POST"]),
            Route("/status/{code:int}", status, methods=["GET", "POST"]),
            Route("/other", other, methods=["POST"]),
            WebSocketRoute("/socket", websocket),
        ],
        middleware=[Middleware(MonitorMiddleware, monitor=monitor, models=MODELS)],
    )
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def server(monitor: Monitor) -> Iterator[str]:
    with served(monitor) as url:
        yield url


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with http() as made:
        yield made


def test_a_request_is_one_event_that_the_handler_may_add_to(
    server: str, client: httpx.Client, monitor: Monitor, recorder: Recorder
) -> None:
    identity = client.post(f"{server}/score", json={"amount": 3.0}).text
    assert monitor.flush(PATIENCE)
    (event,) = recorder.predictions
    assert 0 < event.pop("latency_seconds") < PATIENCE
    assert event.pop("timestamp") > 1.7e9
    assert event == {
        "model_name": "fraud",
        "model_version": "2.3",
        "prediction_id": identity,
        "features": {"amount": 3.0},
        "prediction": 1.5,
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/status/204", None),
        ("/status/302", None),
        ("/status/422", "rejected"),
        ("/status/429", "rejected"),
        ("/status/503", "error"),
        ("/boom", "error"),
        ("/nothing", "rejected"),
    ],
)
def test_the_status_of_the_response_is_that_of_the_call(
    server: str, client: httpx.Client, monitor: Monitor, recorder: Recorder,
    path: str, status: str | None,
) -> None:  # fmt: skip
    client.post(server + path)
    assert monitor.flush(PATIENCE)
    assert [event.get("status") for event in recorder.predictions] == [status]


def test_other_paths_methods_and_protocols_pass_by(
    server: str, client: httpx.Client, monitor: Monitor, recorder: Recorder
) -> None:
    assert client.post(f"{server}/other").text == "False"
    assert client.get(f"{server}/status/204").status_code == 204
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    client.get(f"{server}/socket", headers=upgrade)
    assert monitor.flush(PATIENCE)
    assert recorder.predictions == []


def test_a_stream_is_in_progress_until_its_last_byte(
    server: str, client: httpx.Client, monitor: Monitor, recorder: Recorder
) -> None:
    GATE.clear()
    with client.stream("POST", f"{server}/stream") as response:
        parts = response.iter_raw()
        assert next(parts) == b"first", "it is not held back"
        recorder.wait(
            lambda it: bool(it.reports) and it.reports[-1]["models"][0]["in_progress"] == 1
        )
        assert recorder.predictions == []
        GATE.set()
        assert b"".join(parts) == b"last"
    recorder.wait(lambda it: it.reports[-1]["models"][0]["in_progress"] == 0)
    assert monitor.flush(PATIENCE)
    assert len(recorder.predictions) == 1


def test_bodies_pass_untouched(server: str, client: httpx.Client) -> None:
    body = hashlib.shake_256(b"body").digest(3_000_000)
    assert client.post(f"{server}/echo", content=body).content == body


def test_an_application_that_returns_without_an_answer_is_an_error(
    monitor: Monitor, recorder: Recorder
) -> None:
    async def silent(scope: object, receive: object, send: object) -> None:
        pass

    async def never(*_: object) -> dict[str, object]:
        raise AssertionError

    async def sink(_: object) -> None:
        raise AssertionError

    wrapped = MonitorMiddleware(silent, monitor=monitor, models={"/score": "fraud"})
    asyncio.run(wrapped({"type": "http", "path": "/score", "method": "POST"}, never, sink))
    assert monitor.flush(PATIENCE)
    assert recorder.predictions[0]["status"] == "error"
