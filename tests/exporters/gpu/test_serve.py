"""The GPU exporter as a process: the real pynvml on a driver of our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contract import catalog
from tests.exporters.gpu.conftest import Exporter, Start
from tests.golden_files import Golden
from tests.processes import ROOT, eventually

DRIVER = "driver 580.95.05\nnvml 13.580.95.05\ncuda 13000\n"
FIRST = """\
gpu.0.name NVIDIA H100 80GB HBM3
gpu.0.uuid GPU-11111111-2222-3333-4444-555555555555
gpu.0.utilization 87
gpu.0.memory_utilization 40
gpu.0.memory_total 85520809984
gpu.0.memory_used 20780679168
gpu.0.memory_reserved 502267904
gpu.0.temperature 59
gpu.0.power 631950
gpu.0.energy 123456789
gpu.0.events 8
"""
SECOND = (
    FIRST.replace("gpu.0", "gpu.1")
    .replace("GPU-1111", "GPU-9999")
    .replace("utilization 87", "utilization 0")
    .replace("power 631950", "power 71500")
)
TWO = DRIVER + "gpus 2\n" + FIRST + SECOND

STEADY = {
    "a driver without GPUs": ("no_gpus", DRIVER + "gpus 0\n"),
    "a driver that is not loaded": ("not_loaded", "init !9\n"),
    "a driver of another version than its library": ("mismatch", "init !18\n"),
}


@pytest.mark.parametrize(("name", "state"), STEADY.values(), ids=STEADY)
def test_a_machine_without_gpus_says_what_is_missing(
    name: str, state: str, library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, state)
    golden(f"gpu/{name}.txt", _without_zeros(exporter.scrape()))


def test_no_gpu_where_nvml_works_is_a_failure(library: Path, start: Start) -> None:
    exporter = start(library, DRIVER + "gpus 0\n")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1", "ml_gpu_devices 0", FAILED))
    assert exporter.series(catalog.EXPORTER_ERRORS)["gpu", "no_devices"] > 0


def test_no_gpu_is_no_failure_where_none_is_expected(library: Path, start: Start) -> None:
    exporter = start(library, DRIVER + "gpus 0\n", "--expected", "0")
    eventually(lambda: exporter.says("ml_gpu_devices 0", "ml_gpu_expected_devices 0", SUCCEEDED))


def test_no_driver_is_a_failure_where_gpus_are_expected(no_library: Path, start: Start) -> None:
    exporter = start(no_library, "", "--expected", "8")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0", "ml_gpu_expected_devices 8", FAILED))


def test_what_models_yaml_expects_stands_beside_what_there_is(
    library: Path, start: Start, tmp_path: Path
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text('gpu: {expected: 8}\nmodels: [{name: a, version: "1", task: regression}]\n')
    exporter = start(library, TWO, "--models", str(models))
    eventually(lambda: exporter.says("ml_gpu_devices 2", "ml_gpu_expected_devices 8"))


def test_a_gpu_that_may_not_be_looked_at_is_down_without_a_name(
    library: Path, start: Start
) -> None:
    exporter = start(library, DRIVER + "gpus 2\ngpu.0 !4\n" + SECOND)
    eventually(lambda: exporter.says('ml_gpu_up{gpu_id="0",gpu_uuid="unknown"} 0', _up(1, 1)))
    assert exporter.series(catalog.GPU_READ_ERRORS)["ml_gpu_info", "no_permission"] > 0


def test_the_newer_call_for_temperature_takes_the_place_of_the_older(
    library: Path, start: Start
) -> None:
    state = FIRST.replace("gpu.0.temperature 59", "gpu.0.temperature !13\ngpu.0.temperature_v 61")
    exporter = start(library, DRIVER + "gpus 1\n" + state)
    eventually(lambda: exporter.series(catalog.GPU_TEMPERATURE) == {("0",): 61})


def test_without_the_library_it_says_so_once_and_serves(no_library: Path, start: Start) -> None:
    exporter = start(no_library, "", "--retry", "50ms")
    _read_again(exporter, 3)
    assert exporter.says("ml_gpu_nvml_up 0", SUCCEEDED)
    assert exporter.events() == ["listening", "nvml_unavailable"]


def _read_again(exporter: Exporter, times: int) -> None:
    """Wait until NVML was tried so many times more; every try has a time of its own."""
    for _ in range(times):
        before = exporter.read_at()
        eventually(lambda seen=before: exporter.read_at() != seen)  # type: ignore[misc]


def test_a_lost_gpu_stays_as_down_and_the_other_goes_on(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    exporter.set_state(TWO.replace("power 71500", "power !15"))
    eventually(lambda: exporter.says(_up(1, 0)))
    assert exporter.says(_up(0, 1))
    for metric in (catalog.GPU_POWER, catalog.GPU_UTILIZATION, catalog.GPU_MODEL_MEMORY):
        assert {gpu for gpu, *_ in exporter.series(metric)} <= {"0"}, "as old as the loss"

    exporter.set_state(TWO)
    eventually(lambda: exporter.says(_up(1, 1)))
    assert exporter.events() == ["listening", "nvml_answers", "gpu_lost", "gpu_answers_again"]


def test_a_gpu_that_is_no_longer_listed_is_lost(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    exporter.set_state(DRIVER + "gpus 1\n" + FIRST)
    eventually(lambda: exporter.says("ml_gpu_devices 1", _up(0, 1), _up(1, 0)))


def test_a_driver_that_dies_takes_all_gpus_down_until_it_is_back(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO)
    exporter.set_state("gpus !999\ninit !9\n")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0", FAILED, _up(0, 0), _up(1, 0)))
    assert not exporter.series(catalog.GPU_POWER)
    exporter.set_state(TWO)
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1", SUCCEEDED, _up(0, 1), _up(1, 1)))


def test_a_driver_of_another_version_ends_the_process_for_its_supervisor(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO, exits=1)
    exporter.set_state("gpus !18\ninit !18\n")
    assert exporter.process.process.wait(20) == 1
    assert "giving_up" in exporter.events()


def test_a_driver_that_hangs_is_not_taken_for_one_that_stands_still(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO)
    exporter.set_state(TWO + "hang 1\n")
    eventually(lambda: exporter.says("ml_gpu_nvml_up 0", _up(0, 0), _up(1, 0)))
    assert not exporter.series(catalog.GPU_POWER)
    assert exporter.series(catalog.GPU_READING_AGE)[("fast",)] > 5
    exporter.set_state(TWO)
    eventually(lambda: exporter.says("ml_gpu_nvml_up 1", _up(0, 1), _up(1, 1)))


def test_a_driver_that_hangs_for_good_ends_the_process_for_its_supervisor(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO, "--hang", "6s", exits=1)
    exporter.set_state(TWO + "hang 1\n")
    assert exporter.process.process.wait(30) == 1


def test_a_scrape_makes_no_call_of_nvml(library: Path, start: Start) -> None:
    exporter = start(library, TWO, "--interval", "1h", "--slow-interval", "1h")
    eventually(lambda: exporter.series(catalog.GPU_READING_AGE).keys() == {("fast",), ("slow",)})
    before = exporter.series(catalog.GPU_NVML_CALLS)
    for _ in range(5):
        exporter.scrape()
    assert exporter.series(catalog.GPU_NVML_CALLS) == before
    spent = exporter.series(catalog.GPU_NVML_CALL_SECONDS)
    assert spent.keys() == before.keys()
    assert min(spent.values()) > 0


def test_xid_errors_are_counted_by_code_as_they_come(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    eventually(lambda: exporter.series(catalog.GPU_XID_ERRORS))
    assert {("0", "79"), ("1", "79"), ("1", "95")} <= exporter.series(catalog.GPU_XID_ERRORS).keys()
    assert set(exporter.series(catalog.GPU_XID_ERRORS).values()) == {0}
    assert not exporter.series(catalog.GPU_XID_LAST)
    for number, code in enumerate(("79", "31", "4711"), start=1):
        exporter.set_state(f"{TWO}xid {number} 1 {code}\n")
        name = "other" if code == "4711" else code
        eventually(lambda name=name: exporter.series(catalog.GPU_XID_ERRORS).get(("1", name)) == 1)  # type: ignore[misc]
    assert exporter.series(catalog.GPU_XID_LAST).keys() == {
        ("1", "79"),
        ("1", "31"),
        ("1", "other"),
    }
    assert exporter.series(catalog.GPU_XID_ERRORS)["0", "79"] == 0


def test_xid_errors_are_not_shown_at_0_where_nobody_announces_them(
    library: Path, start: Start
) -> None:
    exporter = start(library, TWO.replace("gpu.1.events 8\n", ""))
    eventually(lambda: exporter.series(catalog.GPU_METRIC_SUPPORTED))
    supported = exporter.series(catalog.GPU_METRIC_SUPPORTED)
    assert supported["0", catalog.GPU_XID_ERRORS.name] == 1
    assert supported["1", catalog.GPU_XID_ERRORS.name] == 0
    assert {gpu for gpu, _ in exporter.series(catalog.GPU_XID_ERRORS)} == {"0"}


def test_a_lost_gpu_keeps_the_xid_error_that_it_was_lost_by(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    eventually(lambda: exporter.series(catalog.GPU_XID_ERRORS))
    exporter.set_state(TWO.replace("power 71500", "power !15") + "xid 1 1 79\n")
    eventually(lambda: exporter.series(catalog.GPU_XID_ERRORS).get(("1", "79")) == 1)
    eventually(lambda: exporter.says(_up(1, 0)))
    assert exporter.series(catalog.GPU_XID_ERRORS)["1", "79"] == 1


def test_the_time_of_a_clock_event_is_summed_up_from_readings(library: Path, start: Start) -> None:
    exporter = start(library, TWO + "gpu.0.clock_events 4\ngpu.0.clock_events_supported 5\n")
    eventually(lambda: exporter.series(catalog.GPU_CLOCK_EVENT_SECONDS)["0", "sw_power_cap"] > 0.3)
    seconds = exporter.series(catalog.GPU_CLOCK_EVENT_SECONDS)
    assert seconds["0", "gpu_idle"] == 0
    assert ("0", "hw_slowdown") not in seconds, "the driver does not know it"
    assert set(exporter.series(catalog.GPU_CLOCK_EVENT_EXACT).values()) == {0}


def test_a_driver_that_cannot_be_the_demos_is_not_simulated(library: Path, start: Start) -> None:
    exporter = start(library, TWO)
    eventually(lambda: exporter.says("ml_gpu_simulated 0"))


BAD = {
    "an interval without a unit": (["--interval", "5"], "write 1s, 30s or 1m"),
    "a number of GPUs below 0": (["--expected", "-1"], "write a number such as 8"),
    "a models.yaml that is not there": (["--models", "nowhere.yaml"], "nowhere.yaml"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_ends_it_with_2(arguments: list[str], message: str) -> None:
    argv = [sys.executable, "-m", "exporters.gpu", "serve", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    assert message in done.stderr


FAILED = 'ml_exporter_collection_success{exporter="gpu"} 0.0'
SUCCEEDED = 'ml_exporter_collection_success{exporter="gpu"} 1.0'


def _without_zeros(text: str) -> str:
    """A scrape without the errors that did not happen."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "ml_gpu_read_errors_total{" not in line)


def _up(gpu: int, value: int) -> str:
    uuid = ("GPU-11111111", "GPU-99991111")[gpu] + "-2222-3333-4444-555555555555"
    return f'ml_gpu_up{{gpu_id="{gpu}",gpu_uuid="{uuid}"}} {value}'
