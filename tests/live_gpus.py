"""Two simulated GPUs that models hold: the real GPU exporter on the project's own driver."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.processes import ROOT

__all__ = ["simulate_gpus"]

DRIVER: Final = ROOT / "examples" / "demo" / "gpu" / "fake_nvml.c"
NODE: Final = ROOT / "tests" / "captures" / "gpu" / "h100x8.txt"


def simulate_gpus(folder: Path, pids: Mapping[str, int]) -> dict[str, str]:
    """The environment of an exporter that sees two GPUs, each with a process of every model.

    Their memory fills up, and one of them is hot. `pids` are by model, and NAME.pid in `folder`
    says them.
    """
    for model, pid in pids.items():
        (folder / f"{model}.pid").write_text(f"{pid}\n")
    held = " ".join(f"{pid}:2147483648:30" for pid in pids.values())
    # What grows does so from the start of the machine's clock.
    lines = {
        "gpus": "2",
        "gpu.*.memory_used": f"+ {40e9 / time.monotonic():.0f}",
        "gpu.*.energy": "+ 600000",
        "gpu.*.processes": held,
    }
    text = NODE.read_text()
    for key, value in lines.items():
        text, found = re.subn(rf"(?m)^{re.escape(key)} .*$", f"{key} {value}", text)
        assert found == 1, key
    state = folder / "gpus.txt"
    state.write_text(f"{text}gpu.1.temperature_margin 3\n")
    return {"LD_LIBRARY_PATH": str(_build_driver(folder)), "FAKE_NVML_STATE": str(state)}


def _build_driver(folder: Path) -> Path:
    """The folder with the fake libnvidia-ml.so.1."""
    library = folder / "nvml" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    argv = ["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([*argv, "-o", library, DRIVER, "-lpthread", "-lm"], check=True)
    return library.parent
