"""The GPU exporter as a process: the real pynvml on a driver of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.exporters.gpu.conftest import Exporter, Start
from tests.golden_files import Golden
from tests.processes import eventually

DRIVER = "driver 580.95.05\n"
FIRST = """\
gpu.0.name NVIDIA H100 80GB HBM3
gpu.0.uuid GPU-11111111-2222-3333-4444-555555555555
gpu.0.utilization 87
gpu.0.memory_total 85520809984
gpu.0.memory_used 20780679168
gpu.0.memory_reserved 502267904
gpu.0.temperature 59
gpu.0.power 631950
gpu.0.energy 123456789
"""
SECOND = (
    FIRST.replace("gpu.0", "gpu.1")
    .replace("GPU-1111", "GPU-9999")
    .replace("utilization 87", "utilization 0")
    .replace("power 631950", "power 71500")
)
TWO = DRIVER + "gpus 2\n" + FIRST + SECOND

OLD = """\
driver 390.157
gpus 1
gpu.0.name Tesla K80
gpu.0.uuid GPU-33333333-2222-3333-4444-555555555555
gpu.0.utilization 12
gpu.0.memory_total 11996954624
gpu.0.memory_used 67108864
gpu.0.temperature 41
gpu.0.power 60250
"""
SHORT_OF_TEMPERATURE = (
    DRIVER
    + "gpus 1\n"
    + FIRST.replace("gpu.0.temperature 59", "gpu.0.temperature !13\ngpu.0.temperature_v 61")
)

STEADY = {
    "two healthy GPUs": ("gpu_two.txt", TWO),
    "an old card without energy": ("gpu_old.txt", OLD),
    "a driver with the newer call for temperature": ("gpu_newer.txt", SHORT_OF_TEMPERATURE),
    "a driver without GPUs": ("gpu_none.txt", DRIVER + "gpus 0\n"),
    "a driver that is not loaded": ("gpu_not_loaded.txt", "init !9\n"),
    "a driver of another version than its library": ("gpu_mismatch.txt", "init !18\n"),
    "a GPU that may not be looked at": (
        "gpu_forbidden.txt",
        DRIVER + "gpus 2\ngpu.0 !4\n" + SECOND,
    ),
}


@pytest.mark.parametrize(("name", "state"), STEADY.values(), ids=STEADY.keys())
def test_the_scrape_says_what_the_driver_says(
    name: str, state: str, library: Path, start: Start, golden: Golden
) -> None:
    text = start(library, state).scrape()
    golden(f"gpu/{name}", text)
    assert list(text_string_to_metric_families(text.replace("} …", "} 0").replace(">0", "1")))


def test_without_the_library_it_says_so_once_and_serves(
    no_library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(no_library, "", "--retry", "50ms")
    _read_again(exporter, 3)
    golden("gpu/gpu_no_library.txt", exporter.scrape())
    assert exporter.events() == ["listening", "nvml_unavailable"]


def _read_again(exporter: Exporter, times: int) -> None:
    """Wait until NVML was tried so many times more; every try has a time of its own."""
    for _ in range(times):
        before = exporter.read_at()
        eventually(lambda seen=before: exporter.read_at() != seen)  # type: ignore[misc]


def test_a_lost_gpu_stays_as_down_and_the_other_goes_on(
    library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, TWO)
    exporter.set_state(TWO.replace("power 71500", "power !15"))
    eventually(lambda: exporter.says(_up(1, 0)))
    golden("gpu/gpu_lost.txt", exporter.scrape())
    assert exporter.says(_up(0, 1))

    exporter.set_state(TWO)
    eventually(lambda: exporter.says(_up(1, 1)))
    assert exporter.events() == ["listening", "nvml_answers", "gpu_lost", "gpu_answers_again"]


def test_a_gpu_that_is_no_longer_listed_is_lost(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    exporter.set_state(DRIVER + "gpus 1\n" + FIRST)
    eventually(lambda: exporter.says("ml_gpu_devices 1", _up(0, 1), _up(1, 0)))


def test_a_driver_that_dies_takes_all_gpus_down_until_it_is_back(
    library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, TWO)
    exporter.set_state("gpus !999\ninit !9\n")
    failed = 'ml_exporter_collection_success{exporter="gpu"} 0.0'
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0", failed))
    golden("gpu/gpu_died.txt", exporter.scrape())
    exporter.set_state(TWO)
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1", _up(0, 1), _up(1, 1)))


def test_a_driver_that_hangs_is_not_taken_for_one_that_stands_still(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO)
    exporter.set_state(TWO + "hang 1\n")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0", _up(0, 0), _up(1, 0)))
    assert "ml_gpu_power_watts{" not in exporter.scrape()
    exporter.set_state(TWO)
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1", _up(0, 1), _up(1, 1)))


def _up(gpu: int, value: int) -> str:
    uuid = ("GPU-11111111", "GPU-99991111")[gpu] + "-2222-3333-4444-555555555555"
    return f'ml_gpu_up{{gpu_id="{gpu}",gpu_uuid="{uuid}"}} {value}'
