"""Atheris on the decoders: `python -m tests.exporters.sidecar.fuzz_bodies [-max_total_time=60]`.

The first byte of an input chooses path and Content-Type, the rest is the body. Every body must get
an answer in JSON that says what became of it; what is refused must change no other counter.
Options are libFuzzer's; a failing input is written into the folder of -artifact_prefix.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["exporters.sidecar"]):
    from exporters.sidecar import arrow, body, columnar, counts, declared, intake, tally, web
    from exporters.sidecar.wire import Answer

import numpy as np
import pyarrow as pa

from contract.profile import read_profile
from contract.read import read_spec
from exporters.sidecar.layout import Layout
from tests.exporters.sidecar.serving import write_spec

_INSTRUMENTED = (body, columnar, counts, declared, tally)

WAYS: Final = (
    ("/v1/predictions", "application/json"),
    ("/v1/predictions", "application/x-ndjson"),
    ("/v1/predictions", arrow.ARROW),
    ("/v1/labels", "application/json"),
    ("/v1/business", "application/json"),
    ("/v1/metrics", "application/json"),
)

SEEDS: Final = (
    b'\x00{"model_name":"mail","features":{"length":1.5,"sender":"de"},"prediction":"ham"}',
    b'\x00[{"model_name":"mail","model_version":"1","confidence":0.5},{"model_name":"price"}]',
    b'\x00{"model_name":"mail","columns":{"features":{"length":[1,null]},"prediction":["ham",1]}}',
    b'\x01{"model_name":"mail"}\n{"model_name":"plain","latency_seconds":NaN}\n',
    b'\x03{"model_name":"mail","prediction_id":"a","actual":"ham"}',
    b'\x04{"model_name":"mail","model_version":"1","event":"click","count":2}',
    b'\x05{"model_name":"mail","model_version":"1","metric":"cache_entries","value":3}',
)


def _stream() -> bytes:
    table = pa.table({"prediction": ["ham", None], "features.length": [1.0, None]})
    table = table.replace_schema_metadata({"model_name": "mail"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _sidecar(folder: Path) -> tuple[intake.Intake, dict[str, Any]]:
    spec = read_spec(write_spec(folder))
    layouts = [
        Layout.of(model, read_profile(spec.path(model.profile)) if model.profile else None)
        for model in spec.models
    ]
    made = intake.Intake(layouts)
    return made, {path: direct.answer for path, direct in web.Web(made).directs().items()}


def _total(made: intake.Intake) -> dict[str, Any]:
    """Everything that only accepted events change."""
    found: dict[str, Any] = {"accepted": made.accepted}
    for own in made.tallies:
        counts_of = own.counts
        found[str(own.layout.model.key)] = (
            counts_of.statuses.tolist(),
            counts_of.numbers.tolist(),
            counts_of.labels.tolist(),
            [values.tolist() for values in counts_of.categories],
        )
    return found


def main() -> None:
    """Fuzz until the time is over or something fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, answers = _sidecar(folder)
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, seed in enumerate((*SEEDS, b"\x02" + _stream())):
            (corpus / str(number)).write_bytes(seed)

        def one(data: bytes) -> None:
            path, kind = WAYS[data[0] % len(WAYS)] if data else WAYS[0]
            before = _total(made)
            answer = answers[path](data[1:], {b"content-type": kind.encode()})
            assert isinstance(answer, Answer)
            assert answer.status in {200, 400, 404, 413, 415}, answer
            said = json.loads(answer.body)
            after = _total(made)
            assert after["accepted"] == before["accepted"] + said["accepted"]
            assert (answer.status == 200) == (said["accepted"] > 0), answer
            if not said["accepted"]:
                assert after == before, "what is refused changed a counter"
            assert all(np.isfinite(own.counts.number_totals).all() for own in made.tallies)

        atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
