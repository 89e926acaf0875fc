"""Whole scrapes of machines that nobody here owns, replayed through the real nvidia-ml-py."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract import catalog
from tests.exporters.gpu.conftest import Start, capture
from tests.golden_files import Golden
from tests.processes import eventually

REPLAYED = {
    "eight H100": ("h100x8", "ml_gpu_fp16_active_ratio{"),
    "an A100 split by MIG": ("a100_mig", "ml_gpu_model_processes{"),
    "an old card without energy": ("old_card", "ml_gpu_model_processes{"),
    "a GeForce under WSL": ("wsl", "ml_gpu_model_processes{"),
}
"""The capture, and what is in a scrape as soon as everything was read."""


@pytest.mark.parametrize(("name", "last"), REPLAYED.values(), ids=REPLAYED)
def test_a_machine_is_shown_as_its_driver_tells_it(
    name: str, last: str, library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, capture(name))
    eventually(lambda: last in exporter.scrape())
    text = exporter.scrape()
    golden(f"gpu/{name}.txt", text)
    plain = text.replace("} …", "} 0").replace(">0", "1")
    assert list(text_string_to_metric_families(plain))
    assert "NaN" not in text


def test_a_driver_that_dies_half_way_leaves_what_there_was_as_down(
    library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, capture("dies"), "--retry", "50ms")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1"))
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0"))
    # Which calls still failed one by one depends on where the death fell.
    lines = exporter.scrape().splitlines(keepends=True)
    golden("gpu/dies.txt", "".join(line for line in lines if "gpu_read_errors" not in line))
    assert exporter.process.process.poll() is None


def test_everything_in_the_catalog_is_shown_by_one_machine_or_another(
    library: Path, start: Start
) -> None:
    """Except for what only an event, a spec, or a source that fails brings."""
    shown: set[str] = set()
    for name, last in REPLAYED.values():
        exporter = start(library, capture(name), "--expected", "8")
        eventually(lambda exporter=exporter, last=last: last in exporter.scrape())  # type: ignore[misc]
        shown |= {
            line.split()[2] for line in exporter.scrape().splitlines() if line[:6] == "# TYPE"
        }
    wanted = {m for m in catalog.METRICS if m.exporter is catalog.Exporter.GPU}
    assert wanted - {m for m in wanted if m.name in shown} == {
        catalog.GPU_XID_LAST,
        catalog.GPU_PROCESS_SOURCE_ERRORS,
    }
