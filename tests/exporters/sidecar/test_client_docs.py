"""docs/client.md says what is true: its snippets run, in their order, against a real sidecar."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import httpx

from contract.catalog import METRICS
from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.recorder import PATIENCE
from tests.exporters.sidecar.serving import MODELS, running_sidecar, write_spec
from tests.processes import ROOT

PAGE = (ROOT / "docs/client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FRAUD = 'model_name="fraud",model_version="2.3"'

MODEL = """\
  - name: fraud
    version: "2.3"
    task: binary_classification
"""


async def posted(app: Any) -> Any:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return (await client.post("/predict/fraud", json={"amount": 1.0})).json()


def test_the_snippets_run_and_their_events_arrive(tmp_path: Path) -> None:
    assert len(SNIPPETS) == 6
    with running_sidecar(write_spec(tmp_path, MODELS + MODEL)) as sidecar:
        names: dict[str, Any] = {}
        for snippet in SNIPPETS:
            code = snippet.replace("http://127.0.0.1:9101", sidecar.url)
            exec(compile(code, "docs/client.md", "exec"), names)
        assert asyncio.run(posted(names["app"])) == {"prediction": 1}
        names["requests"].put(1)
        assert names["monitor"].close(PATIENCE)
        assert (names["monitor"].sent, names["monitor"].rejected) == (4, 0)
        found = sidecar.samples()
    assert found[f'ml_inference_requests_total{{{FRAUD},status="success"}}'] == 3
    labels = (found[name] for name in found if name.startswith(f"ml_labels_total{{{FRAUD}"))
    assert sum(labels) == 1


def test_every_metric_it_names_is_in_the_catalog() -> None:
    known = {metric.name for metric in METRICS}
    assert set(re.findall(r"`(ml_[a-z_]+)`", PAGE)) <= known


def test_every_number_of_the_page_is_the_one_in_the_code() -> None:
    options = inspect.signature(Monitor).parameters
    for name, text in (
        ("queue_size", "`queue_size` events (10,000)"),
        ("flush_interval", "`flush_interval` (0.2 s)"),
        ("batch_size", "`batch_size` (100)"),
        ("report_interval", "`report_interval` seconds (5)"),
    ):
        assert text in " ".join(PAGE.split())
        assert float(re.findall(r"\(([\d.,]+)", text)[0].replace(",", "")) == options[name].default
