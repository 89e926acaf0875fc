"""What this machine can do at all: decode and bin, nothing else, as a raw ASGI application.

Nothing is checked, refused, logged or exposed. Features of 20 numbers are decoded by msgspec into a
struct made for them, or read from columns by simdjson and Arrow, and binned as the sidecar does it
once there are a thousand values of each.
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import uvicorn
from msgspec.structs import astuple
from starlette.types import Receive, Scope, Send

from contract.profile import NumericBins, read_profile
from exporters.sidecar.binning import count_upto

FOLD: Final = 1_000
OK: Final = b'{"accepted":true}'


class Bins:
    """The counts of all features."""

    def __init__(self, profile: Path) -> None:
        features = read_profile(profile).features
        edges = [own.edges for own in features.values() if isinstance(own, NumericBins)]
        self.names = list(features)
        self.edges = np.full((len(edges), max(map(len, edges))), np.inf)
        for row, own in zip(self.edges, edges, strict=True):
            row[: len(own)] = own
        self.upto = np.zeros(self.edges.shape, np.int64)
        self.count = 0
        self.waiting: list[Any] = []
        self.waits = 0

    def add(self, values: Any) -> None:
        """Count values of shape [features, rows], at the latest with a thousand others."""
        self.waiting.append(values)
        self.waits += values.shape[1]
        if self.waits < FOLD:
            return
        columns = self.waiting[0]
        if len(self.waiting) > 1:
            columns = np.concatenate(self.waiting, axis=1)
        self.upto += count_upto(np.ascontiguousarray(columns), self.edges)
        self.count += self.waits
        self.waiting, self.waits = [], 0


def application(profile: Path) -> Any:
    """The application; it takes a JSON list, JSON by column, or an Arrow stream."""
    import pyarrow as pa
    import simdjson

    bins = Bins(profile)
    parser: Any = simdjson.Parser()
    features = msgspec.defstruct("Features", [(name, float) for name in bins.names], gc=False)
    event: Any = msgspec.defstruct("Event", [("model_name", str), ("features", features)], gc=False)
    many: Any = msgspec.json.Decoder(list[event])

    def take(body: bytes, kind: bytes) -> None:
        if kind.endswith(b"stream"):
            [batch] = pa.ipc.open_stream(body).read_all().combine_chunks().to_batches()
            parts = batch.column("features").flatten()
            bins.add(np.array([part.to_numpy() for part in parts]))
        elif body[:1] == b"{" and b'"columns"' in body:
            columns = parser.parse(body)["columns"]["features"]
            found = [np.frombuffer(columns[name].as_buffer(of_type="d")) for name in bins.names]
            bins.add(np.array(found))
        else:
            rows = many.decode(body if body[:1] == b"[" else b"[%b]" % body)
            flat = chain.from_iterable([astuple(row.features) for row in rows])
            values = np.fromiter(flat, np.float64, len(rows) * len(bins.names))
            bins.add(values.reshape(len(rows), -1).T)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["method"] == "POST":
            take(b"".join(pieces), dict(scope["headers"]).get(b"content-type", b""))
        headers = [(b"content-length", b"%d" % len(OK))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": OK})

    return answer


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--profile", type=Path, required=True)
    options = arguments.parse_args()
    uvicorn.run(
        application(options.profile),
        port=options.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
