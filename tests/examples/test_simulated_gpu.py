"""The demo's GPUs: simulated where there are none, and never where there are real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.gpu.__main__ import build
from examples.demo.gpu.state import change_state, leaking, parse_state
from tests.processes import ROOT, eventually, free_port, http, running

LAUNCH = [sys.executable, "-m", "examples.demo.gpu", "--data-dir"]


def test_the_exporter_shows_gpus_that_say_that_they_are_simulated(tmp_path: Path) -> None:
    (tmp_path / "web.pid").write_text(f"{os.getpid()}\n")
    address = f"127.0.0.1:{free_port()}"
    argv = [*LAUNCH, str(tmp_path), "--", sys.executable, "-m", "exporters.gpu", "serve"]
    argv += ["--listen", address, "--slow-interval", "200ms"]
    with running(argv, ready_url=f"http://{address}/readyz", exits_with=0) as process:
        eventually(lambda: "ml_gpu_sm_active_ratio" in _scrape(address))
        families = {f.name: f.samples for f in text_string_to_metric_families(_scrape(address))}
        assert families["ml_gpu_simulated"][0].value == 1
        assert [s.value for s in families["ml_gpu_model_processes"]] == [1, 0], "no traffic.pid"
        assert {s.value for s in families["ml_gpu_up"]} == {1}
        assert "no number about them is real" in process.output


def _scrape(address: str) -> str:
    with http() as client:
        return client.get(f"http://{address}/metrics").raise_for_status().text


def test_what_is_changed_in_the_state_is_what_gpus_are_like_and_can_be_taken_back(
    tmp_path: Path,
) -> None:
    state = tmp_path / "mine.txt"
    own = (ROOT / "examples/demo/gpu/simulated.txt").read_text()
    state.write_text(f"{own}gpu.0.temperature 41\n")
    address = f"127.0.0.1:{free_port()}"
    argv = [*LAUNCH, str(tmp_path), "--always", "--state", str(state), "--"]
    argv += [sys.executable, "-m", "exporters.gpu", "serve", "--listen", address]

    def temperature() -> float | None:
        families = {f.name: f.samples for f in text_string_to_metric_families(_scrape(address))}
        samples = families.get("ml_gpu_temperature_celsius", [])
        return samples[0].value if samples else None

    with running(argv, ready_url=f"http://{address}/readyz", exits_with=0):
        live = tmp_path / "gpu" / "state.txt"
        back = change_state(live, {"gpu.0.temperature": leaking(90, 1000, 95), "xid": "1 0 79"})
        assert back == {"gpu.0.temperature": "41", "xid": None}
        eventually(lambda: temperature() == 95)
        change_state(live, back)
        eventually(lambda: temperature() == 41)
        assert set(parse_state(live.read_text())) == set(parse_state(state.read_text()))


def test_a_machine_with_nvidias_library_keeps_it(tmp_path: Path) -> None:
    real = build(tmp_path / "real").parent
    done = _launch(tmp_path, env={"LD_LIBRARY_PATH": str(real)})
    assert "libnvidia-ml.so.1 is installed here" in done.stderr
    assert done.stdout == "None\n", "the command runs as it is"


def test_without_a_compiler_nothing_is_simulated(tmp_path: Path) -> None:
    done = _launch(tmp_path, env={"PATH": str(tmp_path)})
    assert "no C compiler" in done.stderr
    assert done.stdout == "None\n"


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    argv = [*LAUNCH, str(tmp_path), "--", "no-such-command"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 127
    assert "no-such-command: No such file" in done.stderr


def _launch(data: Path, *, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Let the launcher run a command that prints the state it was given."""
    show = "import os; print(os.environ.get('FAKE_NVML_STATE'))"
    argv = [*LAUNCH, str(data), "--", sys.executable, "-c", show]
    return subprocess.run(
        argv, capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, **env}
    )


@pytest.mark.parametrize("process", ["web", "traffic"])
def test_the_procfile_writes_the_pids_that_the_simulated_driver_lists(process: str) -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{process}:"))
    assert f'echo $$ > "$DATA_DIR/{process}.pid"; exec ' in line
    state = (ROOT / "examples" / "demo" / "gpu" / "simulated.txt").read_text()
    assert f"@{{data}}/{process}.pid:" in state
