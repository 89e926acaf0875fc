"""What the proxy is measured between and beside: a model server, and a proxy written the plain way.

python -m benchmarks.proxy_sides server --listen 127.0.0.1:8001
python -m benchmarks.proxy_sides plain --listen 127.0.0.1:8002 --upstream http://127.0.0.1:8001
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

ANSWER = json.dumps(
    {
        "model_name": "bench",
        "model_version": "1",
        "id": "0",
        "outputs": [
            {"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]},
            {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64", "data": [0.2, 0.8]},
        ],
    }
).encode()


async def serve_model(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A model server that needs no time for its model."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def plain_proxy(upstream: str) -> Starlette:
    """Starlette and httpx, as tutorials have it: the body streamed, the headers copied."""
    client = httpx.AsyncClient(trust_env=False, timeout=60)

    async def forward(request: Request) -> StreamingResponse:
        sent = client.build_request(
            request.method,
            upstream + request.url.path,
            headers=request.headers.raw,
            content=request.stream(),
        )
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for chunk in answer.aiter_raw():
                yield chunk
            await answer.aclose()

        return StreamingResponse(body(), answer.status_code, dict(answer.headers))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        routes=[Route("/{path:path}", forward, methods=["GET", "POST"])], lifespan=lifespan
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy_sides")
    parser.add_argument("side", choices=("server", "plain"))
    parser.add_argument("--listen", required=True)
    parser.add_argument("--upstream", default="")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    application: Any = serve_model if options.side == "server" else plain_proxy(options.upstream)
    uvicorn.run(application, host=host, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
