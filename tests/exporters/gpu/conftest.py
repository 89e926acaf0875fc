"""A driver without a GPU: built from fake_nvml.c, loaded by the real pynvml."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract import catalog
from contract.catalog import Metric
from tests.processes import ROOT, Running, free_port, http, running

CAPTURES = ROOT / "tests" / "captures" / "gpu"
SOURCE = ROOT / "examples" / "demo" / "gpu" / "fake_nvml.c"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the fake libnvidia-ml.so.1."""
    compiler = shutil.which("cc")
    assert compiler, "no C compiler to build the fake NVML driver with: apt-get install gcc"
    folder = tmp_path_factory.mktemp("nvml")
    argv = [compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    argv += ["-Wl,-soname,libnvidia-ml.so.1", "-o", str(folder / "libnvidia-ml.so.1")]
    subprocess.run([*argv, SOURCE, "-lm", "-lpthread"], check=True)
    return folder


@pytest.fixture(scope="session")
def no_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose libnvidia-ml.so.1 cannot be loaded, even where a real one is installed."""
    folder = tmp_path_factory.mktemp("no-nvml")
    (folder / "libnvidia-ml.so.1").write_text("not a library\n")
    return folder


@dataclass(frozen=True)
class Exporter:
    """A running GPU exporter and the state of the driver that it reads."""

    address: str
    process: Running
    state: Path

    def set_state(self, text: str) -> None:
        """Let the driver answer otherwise from now on, all at once."""
        _write(self.state, text)

    def scrape(self) -> str:
        """What /metrics says, without what differs from run to run."""
        return settled(self._text())

    def read_at(self) -> str:
        """The line that says when NVML was last read."""
        metric = f"{catalog.EXPORTER_COLLECTION_TIMESTAMP}{{"
        return next(line for line in self._text().splitlines() if line.startswith(metric))

    def _text(self) -> str:
        with http() as client:
            return client.get(f"http://{self.address}/metrics").raise_for_status().text

    def says(self, *lines: str) -> bool:
        """Whether every one of the lines stands in a scrape."""
        return set(lines) <= set(self.scrape().splitlines())

    def series(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """The series of a metric, by the values of its labels besides the GPU's uuid."""
        found = {}
        for family in text_string_to_metric_families(self._text()):
            for sample in family.samples:
                if sample.name == metric.name:
                    labels = [name for name in metric.labels if name != "gpu_uuid"]
                    found[tuple(sample.labels[name] for name in labels)] = sample.value
        return found

    def events(self) -> list[str]:
        """Our events logged so far; the server's own are sentences."""
        lines = self.process.stderr.read_text().splitlines()
        events = [json.loads(line)["event"] for line in lines]
        return [event for event in events if " " not in event]


def _write(path: Path, text: str) -> None:
    staged = path.with_suffix(".new")
    staged.write_text(text)
    staged.replace(path)


_MOVING = "gpu_nvml_call|gpu_reading_age|gpu_xid_last"
_OWN = re.compile(r"(?:# \w+ )?ml_exporter_(?!collection_success|errors)")


def settled(text: str) -> str:
    """A scrape without what every exporter tells of itself, save for its success and its errors.

    Placeholders stand for times and for counts that grow while a test waits.
    """
    lines = text.splitlines(keepends=True)
    text = "".join(line for line in lines if not _OWN.match(line))
    text = re.sub(rf"(?m)^(ml_(?:{_MOVING})\w*{{.*}} ).*", r"\1…", text)
    return re.sub(r"(?m)^(ml_(?:exporter|gpu_read)_errors_total.*} )[1-9]\d*$", r"\1>0", text)


def capture(name: str) -> str:
    """The state of a driver as a capture holds it."""
    return (CAPTURES / f"{name}.txt").read_text()


Start = Callable[..., Exporter]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(library, "gpus 1\\n...")` runs the exporter on that library in that state."""
    with ExitStack() as stack:

        def begin(
            library: Path,
            state: str = "",
            *arguments: str,
            env: Mapping[str, str] | None = None,
            exits: int = 0,
        ) -> Exporter:
            path = tmp_path / "state"
            _write(path, state)
            address = f"127.0.0.1:{free_port()}"
            argv = [sys.executable, "-m", "exporters.gpu", "serve", "--listen", address]
            argv += ["--interval", "50ms", "--slow-interval", "100ms", "--retry", "200ms"]
            argv += ["--log-format", "json", *arguments]
            environment = {"LD_LIBRARY_PATH": str(library), "FAKE_NVML_STATE": str(path)}
            environment |= env or {}
            process = stack.enter_context(
                running(
                    argv, ready_url=f"http://{address}/readyz", env=environment, exits_with=exits
                )
            )
            return Exporter(address, process, path)

        yield begin
