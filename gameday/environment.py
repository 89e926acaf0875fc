"""The stack of the game day: real processes on free ports, and what can be done to them.

It is the stack of `make up` with the same Procfile, and instead of one model server two sites with
a model server, traffic and a sidecar each.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from contract.read import read_spec
from contract.spec import Spec
from examples.demo.data import Dataset, read_dataset
from examples.demo.gpu.state import change_state, parse_state, render_state
from gameday.history import write_history
from stack.plan import Process, environment, find_programs, plan
from stack.probe import answers
from stack.settings import PORT_VARIABLES, Settings, read_settings
from stack.supervisor import Supervisor
from stack.up import render

__all__ = ["GPUS", "SITES", "Environment", "Site"]

ROOT: Final = Path(__file__).parent.parent
MODELS: Final = Path(__file__).parent / "models.yaml"
SIMULATED: Final = ROOT / "examples/demo/gpu/simulated.txt"

RATE: Final = 12.0
"""Requests a second of each model."""
LABEL_DELAY: Final = 2.0

MEMORY_USED: Final = 66e9
"""Bytes of each GPU: a little less than where growth begins to matter."""
MEMORY_TOTAL: Final = 85.52e9
UTILIZED: Final = 60

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Site:
    """A model server with its traffic and sidecar: `models` are the data of each by its name.

    The addresses are those of models.yaml, in whose place this run has others.
    """

    name: str
    models: Mapping[str, str]
    sidecar: str
    server: str


SITES: Final = (
    Site(
        "north",
        {"screening": "breast-cancer", "risk": "diabetes-risk", "progression": "diabetes"},
        "127.0.0.1:9111",
        "127.0.0.1:8011",
    ),
    Site(
        "south",
        {
            "screening-trial": "breast-cancer",
            "risk-trial": "diabetes-risk",
            "progression-trial": "diabetes",
        },
        "127.0.0.1:9112",
        "127.0.0.1:8012",
    ),
)
RECEIVER: Final = "127.0.0.1:9109"

GPUS: Final = tuple(name for site in SITES for name in site.models)
"""Whose process is on each simulated GPU; another one after them is nobody's."""

_STACK: Final = ("prometheus", "alertmanager", "drift", "gpu", "responder")


class Environment:
    """Everything that runs during the game day."""

    def __init__(self, data: Path, *, time_scale: float, say: Say) -> None:
        """Prepare in the folder `data`, which is the game day's own; nothing is started."""
        self.data = data
        self._say = say
        data.mkdir(parents=True, exist_ok=True)
        ports = _free_ports(len(PORT_VARIABLES) + 2 * len(SITES) + 1)
        self._moved = {
            address: f"127.0.0.1:{next(ports)}"
            for address in (RECEIVER, *(a for site in SITES for a in (site.sidecar, site.server)))
        }
        self.models = data / "models.yaml"
        self.models.write_text(self._localized(MODELS.read_text(encoding="utf-8")))
        environ = {name: str(next(ports)) for name in PORT_VARIABLES.values()}
        environ |= {"MODELS": str(self.models), "DATA_DIR": str(data), "DEMO": "0"}
        self.settings: Settings = read_settings({**environ, "TIME_SCALE": f"{time_scale:g}"})
        self.spec: Spec = read_spec(
            self.models, time_scale=time_scale, addresses=self.settings.overrides
        )
        self.gpu_state = data / "gpu" / "state.txt"
        self._gpu_template = data / "gpus.txt"
        self._changing_gpus = threading.Lock()
        self._supervisor: Supervisor | None = None
        self._client = httpx.Client(trust_env=False, timeout=5)
        self.started = 0.0
        self.outage = 0.0
        """Seconds that the last restart took."""

    def _localized(self, text: str) -> str:
        for address, own in self._moved.items():
            text = text.replace(address, own)
        return text.replace("../profiles/", f"{ROOT}/profiles/")

    @property
    def receiver(self) -> str:
        """Where Alertmanager posts to, host:port."""
        return self._moved[RECEIVER]

    @property
    def tree(self) -> Path:
        """What was generated for this run."""
        return self.settings.generated

    @property
    def rate(self) -> float:
        """Requests a second of each model, when nothing is wrong."""
        return RATE

    @property
    def label_delay(self) -> float:
        """Seconds from a prediction to its label, when nothing is wrong."""
        return LABEL_DELAY

    @property
    def uptime(self) -> float:
        """Seconds since everything answered."""
        return time.monotonic() - self.started

    def dataset(self, model: str) -> Dataset:
        """What a model is asked about."""
        return read_dataset(_site_of(model).models[model])

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything, and stop it at the end of the block, whatever happened.

        Only for the main thread: interrupts are ignored while it stops.
        """
        render(self.settings)
        programs = find_programs()
        write_history(self.data / "prometheus", self.spec, rate=RATE)
        supervisor = Supervisor(
            self._processes(plan(self.settings, programs, ROOT / "Procfile")),
            env=self._variables(environment(self.settings, programs, os.environ)),
            logs=self.data / "logs",
            show={},
        )
        self._supervisor = supervisor
        watcher = threading.Thread(target=self._watch, args=(supervisor,), daemon=True)
        try:
            for _ in supervisor.start():
                pass
            self.started = time.monotonic()
            watcher.start()
            yield
        finally:
            # A second Ctrl-C must not cut the stopping short: it has a limit of its own.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            supervisor.stopping.set()
            if watcher.is_alive():
                watcher.join(2)
            for child in supervisor.children:
                child.signal(signal.SIGCONT)  # what hangs would not hear that it should end
            supervisor.stop()
            self.close()

    def close(self) -> None:
        """Close the connections to what ran."""
        self._client.close()

    def _watch(self, supervisor: Supervisor) -> None:
        for news in supervisor.watch():
            self._say(news.splitlines()[0])

    # What runs

    def _variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        self._gpu_template.write_text(render_state(self._gpus()), encoding="utf-8")
        return {**variables, "SIMULATE_GPU": "always", "GPU_STATE": str(self._gpu_template)}

    def _processes(self, planned: Sequence[Process]) -> list[Process]:
        found = [process for process in planned if process.name in _STACK]
        for site in SITES:
            found += self._site(site)
        for model in GPUS:
            # What holds memory of a GPU is a process, whatever it does.
            file = shlex.quote(str(self.data / f"{model}.pid"))
            found.append(Process(name=f"worker-{model}", command=f"echo $$ >{file}; exec sleep 1d"))
        return found

    def _gpus(self) -> dict[str, str]:
        """As the demo has it, with steady readings and a GPU for every model, and one for none."""
        state = parse_state(SIMULATED.read_text(encoding="utf-8"))
        kept = {
            key: value for key, value in state.items() if not key.startswith(("gpu.0", "gpu.1"))
        }
        number = len(GPUS) + 1
        steady = {
            "gpus": str(number),
            "gpu.*.utilization": str(UTILIZED),
            "gpu.*.temperature": "55",
            "gpu.*.temperature_margin": "37",
            "gpu.*.power": "400000",
            "gpu.*.memory_used": f"{MEMORY_USED:.0f}",
        }
        own = {}
        for index in range(number):
            own[f"gpu.{index}.uuid"] = f"GPU-51111111-0000-0000-0000-{index:012d}"
            holder = f"@{self.data / GPUS[index]}.pid:20000000000:60" if index < len(GPUS) else ""
            own[f"gpu.{index}.processes"] = holder or "none"
        return {**kept, **steady, **own}

    def _site(self, site: Site) -> list[Process]:
        sidecar, server = self._moved[site.sidecar], self._moved[site.server]
        models = [f"--model={name}={data}" for name, data in site.models.items()]
        folder = self.data / site.name
        argv = [sys.executable, "-m", "exporters.sidecar", "serve", "--models", str(self.models)]
        argv += [*self.settings.spec_options, "--listen", sidecar, "--data-dir", str(folder)]
        argv += [option for name in site.models for option in ("--model", name)]
        demo = [sys.executable, "-m", "examples.demo.server", "--listen", server, *models]
        demo += ["--data-dir", str(folder), "--sidecar", f"http://{sidecar}"]
        traffic = [sys.executable, "-m", "examples.demo.traffic", *models]
        traffic += ["--server", f"http://{server}", "--sidecar", f"http://{sidecar}"]
        traffic += ["--rate", f"{RATE * len(site.models):g}", "--label-delay", f"{LABEL_DELAY:g}s"]
        return [
            _process(f"sidecar-{site.name}", argv, sidecar),
            _process(f"server-{site.name}", demo, server),
            _process(f"traffic-{site.name}", traffic, last=True),
        ]

    # What can be done to it

    def change_faults(self, model: str, change: Mapping[str, Any]) -> None:
        """Switch faults of one model of the demo on."""
        url = f"http://{self._moved[_site_of(model).server]}/faults"
        self._client.post(url, json={"model": model, **change}).raise_for_status()

    def clear_faults(self, model: str) -> None:
        """Switch all faults of one model off."""
        url = f"http://{self._moved[_site_of(model).server]}/faults"
        self._client.delete(url, params={"model": model}).raise_for_status()

    def change_gpus(self, change: Mapping[str, str | None]) -> dict[str, str | None]:
        """Let the simulated GPUs be different; returns what takes it back."""
        # Scenarios that go on together change them at once, and each writes all of a file.
        with self._changing_gpus:
            # Also what their driver begins with, should the exporter be started again.
            change_state(self._gpu_template, change)
            return change_state(self.gpu_state, change)

    def signal(self, process: str, number: signal.Signals) -> None:
        """Send a signal to a process and what it started."""
        assert self._supervisor is not None
        self._supervisor.child(process).signal(number)

    def hold(self, process: str) -> None:
        """Kill a process and keep it dead until `release`."""
        assert self._supervisor is not None
        self._supervisor.hold(process)

    def release(self, process: str) -> None:
        """Let a process that was killed start again, and wait until it answers."""
        assert self._supervisor is not None
        self._supervisor.release(process)
        self.await_process(process)

    def limit_files(self, process: str, size: int | None) -> None:
        """Let a process write no file beyond a size, or any size again."""
        assert self._supervisor is not None
        limit = psutil.RLIM_INFINITY if size is None else size
        own = psutil.Process(self._supervisor.child(process).entry.pid)
        own.rlimit(psutil.RLIMIT_FSIZE, (limit, psutil.RLIM_INFINITY))

    def await_process(self, process: str, seconds: float = 60) -> None:
        """Wait until a process answers again. Raises TimeoutError."""
        assert self._supervisor is not None
        end = time.monotonic() + seconds
        health = self._supervisor.child(process).process.health
        while health and not answers(health):
            if time.monotonic() > end:
                raise TimeoutError(f"{process} did not answer {health} within {seconds:g} s")
            time.sleep(0.1)

    # What it says

    def firing(self) -> list[dict[str, str]]:
        """The labels of every alert that fires in Prometheus; none while that is down."""
        return self._alerts("firing")

    def pending(self) -> list[dict[str, str]]:
        """The labels of every alert that has become true and waits for its `for`."""
        return self._alerts("pending")

    def _alerts(self, state: str) -> list[dict[str, str]]:
        try:
            answer = self._client.get(
                f"http://{self.settings.addresses['prometheus']}/api/v1/alerts"
            )
            alerts = answer.raise_for_status().json()["data"]["alerts"]
        except httpx.HTTPError:
            return []
        return [alert["labels"] for alert in alerts if alert["state"] == state]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression; empty while Prometheus is down."""
        url = f"http://{self.settings.addresses['prometheus']}/api/v1/query"
        try:
            answer = self._client.get(url, params={"query": expression}).raise_for_status()
        except httpx.HTTPError:
            return []
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


def _process(name: str, argv: Sequence[str], address: str = "", *, last: bool = False) -> Process:
    health = f"http://{address}/healthz" if address else ""
    command = f"exec {shlex.join(argv)}"
    return Process(name=name, command=command, address=address, health=health, last=last)


def _site_of(model: str) -> Site:
    return next(site for site in SITES if model in site.models)


def _free_ports(number: int) -> Iterator[int]:
    """Ports of loopback that nobody listens on, below those that outgoing connections take."""
    for port in random.sample(range(20_000, 32_000), 4_000):
        if number == 0:
            return
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        number -= 1
        yield port
