"""Whose memory is it: real processes, which the fake driver lists, folded into models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from contract import catalog
from exporters.gpu.proc import Process, read_lineage, read_process
from tests.exporters.gpu.conftest import Exporter, Start
from tests.processes import eventually, free_port

GIB = 1024**3
STATE = """\
driver 580.95.05
gpus 1
gpu.0.name NVIDIA H100 80GB HBM3
gpu.0.uuid GPU-11111111-2222-3333-4444-555555555555
gpu.0.power 631950
"""
SLEEP = "import time; time.sleep(300)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}, 'worker'])"


@contextmanager
def process(*arguments: str, code: str = SLEEP) -> Iterator[subprocess.Popen[bytes]]:
    """A real process that waits, with these arguments in its command line."""
    popen = subprocess.Popen([sys.executable, "-c", code, *arguments], start_new_session=True)
    try:
        yield popen
    finally:
        os.killpg(popen.pid, 9)
        popen.wait()


def child_of(pid: int) -> int:
    """The pid of the only child of a process, once it has one."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(eventually(lambda: children.read_text().split())[0])


def models(folder: Path, **gpu: str) -> str:
    """A models.yaml with a model for each name, whose `gpu:` is the text given for it."""
    lines = ["models:"]
    lines += [
        f"  - {{name: {name}, version: '1', task: regression, gpu: {text}}}"
        for name, text in gpu.items()
    ]
    path = folder / "models.yaml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def memory(exporter: Exporter) -> dict[str, float]:
    """Bytes by model, of the models that hold any."""
    series = exporter.series(catalog.GPU_MODEL_MEMORY)
    return {name: size for (_, name, _), size in series.items() if size}


def test_a_process_is_found_by_its_command_line_and_the_rest_is_other(
    library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{command: serve-fraud}", churn="{command: serve-churn}")
    with process("serve-fraud") as fraud, process("something-else") as rest:
        state = f"gpu.0.processes {fraud.pid}:{3 * GIB}:40 {rest.pid}:{GIB}:7\n"
        exporter = start(library, STATE + state, "--models", path)
        eventually(lambda: memory(exporter) == {"fraud": 3 * GIB, "other": GIB})
        assert exporter.series(catalog.GPU_MODEL_SM_UTILIZATION) == {
            ("0", "fraud", "1"): 0.4,
            ("0", "churn", "1"): 0,
            ("0", "shared", ""): 0,
            ("0", "other", ""): 0.07,
        }
        assert exporter.series(catalog.GPU_MODEL_PROCESSES)["0", "churn", "1"] == 0
        assert str(fraud.pid) not in exporter.scrape()


def test_a_worker_belongs_to_the_model_of_the_process_that_started_it(
    library: Path, start: Start, tmp_path: Path
) -> None:
    with process("server", code=PARENT) as server:
        (tmp_path / "server.pid").write_text(f"{server.pid}\n")
        worker = child_of(server.pid)
        path = models(tmp_path, fraud="{pid_file: server.pid}")
        state = f"gpu.0.processes {worker}:{GIB} {server.pid}:{GIB}\n"
        exporter = start(library, STATE + state, "--models", path)
        eventually(lambda: memory(exporter) == {"fraud": 2 * GIB})
        assert exporter.series(catalog.GPU_MODEL_PROCESSES)["0", "fraud", "1"] == 2


def test_the_nearest_parent_that_a_model_names_wins(
    library: Path, start: Start, tmp_path: Path
) -> None:
    with process("server", code=PARENT) as server:
        (tmp_path / "server.pid").write_text(str(server.pid))
        worker = child_of(server.pid)
        path = models(tmp_path, outer="{pid_file: server.pid}", inner="{command: ' worker$'}")
        exporter = start(library, f"{STATE}gpu.0.processes {worker}:{GIB}\n", "--models", path)
        eventually(lambda: memory(exporter) == {"inner": GIB})


def test_a_process_that_several_models_claim_is_shared(
    library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{command: big-server}", churn="{command: big-server}")
    with process("big-server") as server:
        state = f"gpu.0.processes {server.pid}:{GIB}\n"
        exporter = start(library, STATE + state, "--models", path)
        eventually(lambda: memory(exporter) == {"shared": GIB})


def test_a_pid_file_older_than_the_process_names_another_process(
    library: Path, start: Start, tmp_path: Path
) -> None:
    with process("unrelated") as unrelated:
        file = tmp_path / "stale.pid"
        file.write_text(str(unrelated.pid))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        path = models(tmp_path, fraud="{pid_file: stale.pid}")
        state = f"gpu.0.processes {unrelated.pid}:{GIB}\n"
        exporter = start(library, STATE + state, "--models", path)
        eventually(lambda: memory(exporter) == {"other": GIB})
        assert exporter.series(catalog.GPU_PROCESS_SOURCE_ERRORS)["fraud", "1", "pid_file"] > 0


def test_a_pid_file_that_is_not_there_is_counted(
    library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{pid_file: nowhere.pid}")
    exporter = start(library, STATE + "gpu.0.processes none\n", "--models", path)
    errors = catalog.GPU_PROCESS_SOURCE_ERRORS
    eventually(lambda: exporter.series(errors)["fraud", "1", "pid_file"] > 0)
    assert exporter.events().count("pid_file_unusable") == 1


@contextmanager
def sidecar(status: object) -> Iterator[str]:
    """A server whose GET /v1/status answers this; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(status).encode() if self.path == "/v1/status" else b""
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_target(path: str, target: str) -> None:
    """Let every model of this models.yaml be served behind `target`."""
    file = Path(path)
    text = file.read_text()
    file.write_text(text.replace("task:", f"serving: {{targets: ['{target}']}}, task:"))


def test_a_sidecar_says_which_processes_are_a_models(
    library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{sidecar: true}", churn="{sidecar: true}")
    with process("server") as server:
        status = {
            "models": [
                {"model_name": "fraud", "model_version": "1", "pids": [server.pid], "else": 1},
                {"model_name": "churn", "model_version": "2", "pids": [server.pid]},
            ]
        }
        with sidecar(status) as target:
            with_target(path, target)
            state = f"gpu.0.processes {server.pid}:{GIB}\n"
            exporter = start(library, STATE + state, "--models", path)
            eventually(lambda: memory(exporter) == {"fraud": GIB})


ODD = {
    "no models": {},
    "a list": [],
    "a model without pids": {"models": [{"model_name": "fraud", "model_version": "1"}]},
    "pids that are none": {
        "models": [{"model_name": "fraud", "model_version": "1", "pids": ["1", -1, True]}]
    },
    "models that are none": {"models": ["fraud", None]},
}


@pytest.mark.parametrize("status", ODD.values(), ids=ODD)
def test_a_sidecar_that_knows_no_pids_harms_nothing(
    status: object, library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{sidecar: true}")
    with process("server") as server, sidecar(status) as target:
        with_target(path, target)
        state = f"gpu.0.processes {server.pid}:{GIB}\n"
        exporter = start(library, STATE + state, "--models", path)
        eventually(lambda: memory(exporter) == {"other": GIB})
        assert exporter.series(catalog.GPU_PROCESS_SOURCE_ERRORS)["fraud", "1", "sidecar"] == 0


@pytest.mark.parametrize("target", ["127.0.0.1:1", "192.0.2.1:9101"])
def test_a_sidecar_that_cannot_be_asked_is_counted(
    target: str, library: Path, start: Start, tmp_path: Path
) -> None:
    path = models(tmp_path, fraud="{sidecar: true}")
    with_target(path, target)
    exporter = start(library, STATE + "gpu.0.processes none\n", "--models", path)
    errors = catalog.GPU_PROCESS_SOURCE_ERRORS
    eventually(lambda: exporter.series(errors)["fraud", "1", "sidecar"] > 0)
    assert "sidecar_gives_no_pids" in exporter.events()


def test_a_process_whose_size_is_unknown_makes_the_sum_absent_and_not_smaller(
    library: Path, start: Start
) -> None:
    with process("a") as one, process("b") as two:
        state = f"gpu.0.processes {one.pid}:{GIB} {two.pid}:-\n"
        exporter = start(library, STATE + state)
        eventually(lambda: exporter.series(catalog.GPU_MODEL_PROCESSES) == {("0", "other", ""): 2})
        assert not exporter.series(catalog.GPU_MODEL_MEMORY)


def test_a_process_that_computes_and_draws_counts_once(library: Path, start: Start) -> None:
    with process("a") as one:
        state = f"gpu.0.processes {one.pid}:{GIB}\ngpu.0.graphics {one.pid}:{GIB}\n"
        exporter = start(library, STATE + state)
        eventually(lambda: memory(exporter) == {"other": GIB})


ID = "0123456789abcdef" * 4
POD = "01234567-89ab-cdef-0123-456789abcdef"
CGROUPS = {
    "Docker with systemd": (f"0::/system.slice/docker-{ID}.scope\n", {ID}, ""),
    "Docker without": (f"12:memory:/docker/{ID}\n0::/docker/{ID}\n", {ID}, ""),
    "Podman": (f"0::/machine.slice/libpod-{ID}.scope/container\n", {ID}, ""),
    "a pod with systemd": (
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
            f"{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope\n"
        ),
        {ID},
        POD,
    ),
    "a pod without": (f"0::/kubepods/besteffort/pod{POD}/{ID}\n", {ID}, POD),
    "a service": ("0::/system.slice/model.service\n", set(), ""),
    "nothing": ("0::/\n", set(), ""),
}


@pytest.mark.parametrize(("cgroup", "containers", "pod"), CGROUPS.values(), ids=CGROUPS)
def test_containers_and_pods_are_read_from_the_control_group(
    cgroup: str, containers: set[str], pod: str
) -> None:
    found = Process(1, 0, 0.0, "", cgroup)
    assert (set(found.containers), found.pod) == (containers, pod)


def test_proc_tells_a_processs_parent_start_and_command() -> None:
    with process("an argument") as child:
        # Between its exec and its start a process has no command line yet.
        eventually(lambda: (now := read_process(child.pid)) and now.command)
        found = read_process(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        assert found.command.endswith("an argument")
        own = read_process(os.getpid())
        assert own is not None
        assert own.started <= found.started
        assert [p.pid for p in read_lineage(child.pid)][:2] == [child.pid, os.getpid()]
    assert read_process(child.pid) is None
