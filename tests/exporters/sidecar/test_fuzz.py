"""Whatever is sent, the sidecar answers, and what it refuses changes nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exporters.sidecar.serving import Sidecar
from tests.processes import ROOT


def test_atheris_finds_no_body_that_breaks_a_decoder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.exporters.sidecar.fuzz_bodies"]
    ended = subprocess.run(
        [*command, "-runs=20000", "-seed=1", f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "DONE" in ended.stderr


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["mail", "price", "plain", "1", "2", "7", "ham", "spam", "success", "error"]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)
names = st.sampled_from(
    ["model_version", "prediction_id", "timestamp", "features", "prediction", "confidence",
     "latency_seconds", "status", "stages", "batch_size", "actual", "trace_id", "metadata",
     "score", "surprise"]
)  # fmt: skip
features = st.dictionaries(
    st.sampled_from(["length", "links", "sender", "reply", "area", "new"]), scalars
)
plausible = st.fixed_dictionaries(
    {"model_name": st.sampled_from(["mail", "price", "plain", "plain-number"])},
    optional={
        "prediction_id": st.sampled_from(["a", "b", "c"]),
        "features": features,
        "prediction": st.one_of(
            st.floats(), st.sampled_from(["ham", "spam"]), st.lists(st.floats(0, 1), max_size=3)
        ),
        "confidence": st.floats(-0.1, 1.1),
        "latency_seconds": st.floats(-1, 1e200),
        "stages": st.dictionaries(st.text(max_size=5), st.floats(0, 10), max_size=3),
        "actual": scalars,
        "status": st.sampled_from(["success", "error", "rejected"]),
    },
)
garbled = st.builds(
    lambda event, more: {**event, **more},
    plausible,
    st.dictionaries(names, anything, max_size=3),
)
events = st.one_of(plausible, garbled, anything)
bodies = st.one_of(
    events.map(json.dumps),
    st.lists(events, max_size=5).map(json.dumps),
    st.lists(events, max_size=5).map(lambda found: "\n".join(map(json.dumps, found))),
    st.binary(max_size=50),
    st.tuples(events.map(json.dumps), st.integers(0, 60)).map(lambda cut: cut[0][: cut[1]]),
)
paths = st.sampled_from(["/v1/predictions", "/v1/labels"])
kinds = st.sampled_from(["application/json", "application/x-ndjson"])

fuzzing = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@fuzzing
@given(paths, bodies, kinds)
def test_any_body_is_answered(sidecar: Sidecar, path: str, body: bytes | str, kind: str) -> None:
    before = sidecar.samples()
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    response = sidecar.post(path, body, kind)
    after = sidecar.samples()
    answer = response.json()
    assert response.status_code in {200, 400, 404}
    assert (response.status_code == 200) == (answer["accepted"] > 0)
    changed = {line.partition("{")[0] for line, value in after.items() if before.get(line) != value}
    if not answer["accepted"]:
        assert changed == {"ml_sidecar_events_total", "ml_sidecar_rejected_total"}
    refused = 1 if answer["rejected"] is None else answer["rejected"]
    assert _total(after, "ml_sidecar_rejected_total") == (
        _total(before, "ml_sidecar_rejected_total") + refused
    )
    assert _total(after, "ml_sidecar_events_total") == (
        _total(before, "ml_sidecar_events_total") + refused + answer["accepted"]
    )
    if path == "/v1/predictions":
        assert _total(after, "ml_inference_requests_total") == (
            _total(before, "ml_inference_requests_total")
            + answer["accepted"]
            - (after[DUPLICATES] - before[DUPLICATES])
        )
    sidecar.status()


DUPLICATES = "ml_sidecar_duplicates_total"


def _total(samples: dict[str, float], name: str) -> float:
    return sum(value for line, value in samples.items() if line.startswith(name + "{"))


@fuzzing
@given(st.lists(st.tuples(plausible, st.booleans()), min_size=1, max_size=6))
def test_a_refused_event_leaves_its_neighbours_as_they_are(
    sidecar: Sidecar, found: list[tuple[dict[str, Any], bool]]
) -> None:
    """The good events of a batch count as they do without the bad ones."""
    batch = [{**event, "confidence": "high"} if broken else event for event, broken in found]
    for event in batch:
        event.pop("prediction_id", None)  # a second label of one prediction counts otherwise
    with sidecar.changes() as together:
        answer = sidecar.predict(json.dumps(batch)).json()
    refused = {error["index"] for error in answer["errors"]}
    good = [event for index, event in enumerate(batch) if index not in refused]
    with sidecar.changes() as alone:
        if good:
            sidecar.predict(json.dumps(good))
    assert _counts(together) == _counts(alone)


def _counts(changed: dict[str, float]) -> dict[str, float]:
    """Whole numbers alone: sums of floats depend on what stood there before."""
    refusals = ("ml_sidecar_rejected", 'ml_sidecar_events_total{result="rejected"}')
    return {
        name: value
        for name, value in changed.items()
        if not name.startswith(refusals)
        and not any(part in name for part in ("_sum", "_error_total", "_actual_total"))
    }
