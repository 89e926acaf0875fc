"""Runs a command with GPUs that do not exist, where the machine has none.

    python -m examples.demo.gpu --data-dir data -- python -m exporters.gpu serve

Where NVIDIA's own library is there, or a C compiler is not, the command runs as it is.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["build", "main"]

HERE: Final = Path(__file__).parent
LIBRARY: Final = "libnvidia-ml.so.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, and become the command. Returns only where that fails: 127."""
    options = _parser().parse_args(arguments)
    environment = dict(os.environ)
    reason = _unwanted(always=options.always)
    if reason:
        print(f"no simulated GPU: {reason}", file=sys.stderr)
    else:
        folder = options.data_dir.resolve() / "gpu"
        build(folder)
        state = folder / "state.txt"
        text = options.state.read_text().replace("{data}", str(folder.parent))
        state.write_text(text)
        paths = [str(folder), *filter(None, [environment.get("LD_LIBRARY_PATH")])]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(paths)
        environment["FAKE_NVML_STATE"] = str(state)
        print("These GPUs are simulated: no number about them is real.", file=sys.stderr)
    try:
        os.execvpe(options.command[0], options.command, environment)  # noqa: S606  (as asked)
    except OSError as error:
        print(f"{options.command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def build(folder: Path) -> Path:
    """Compile the driver into a folder, unless it is there already; its path."""
    source, library = HERE / "fake_nvml.c", folder / LIBRARY
    if library.exists() and library.stat().st_mtime > source.stat().st_mtime:
        return library
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / "building.so"
    argv = ["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    argv += [f"-Wl,-soname,{LIBRARY}", "-o", str(staged), str(source), "-lm", "-lpthread"]
    subprocess.run(argv, check=True)
    staged.replace(library)
    return library


def _unwanted(*, always: bool) -> str:
    """Why nothing is to be simulated, or an empty text."""
    if not always and _is_installed():
        return f"{LIBRARY} is installed here"
    return "" if shutil.which("cc") else "no C compiler (cc) to build its driver with"


def _is_installed() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.gpu",
        description="Run a command with simulated GPUs, where the machine has none.",
        epilog="example: python -m examples.demo.gpu -- python -m exporters.gpu serve",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="where the driver is built: %(default)s"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("GPU_STATE") or HERE / "simulated.txt"),
        metavar="FILE",
        help="what the GPUs are like, as fake_nvml.c describes it; default: GPU_STATE, or two "
        "that are well",
    )
    parser.add_argument(
        "--always",
        action="store_true",
        default=os.environ.get("SIMULATE_GPU") == "always",
        help="simulate even where there are real ones; default: where SIMULATE_GPU is always",
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
