"""Servers from PyPI for tests, each in an environment of its own that is made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from tests.processes import ROOT

__all__ = ["installed"]


def installed(name: str, requirements: Path) -> Path:
    """The folder of the programs that a file of hashed requirements brings, below .cache.

    It is installed at first, which takes a minute or two, and again when the file or Python change.
    Such a file comes from `uv pip compile --universal --generate-hashes`.
    """
    cache = ROOT / ".cache" / name
    cache.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = cache / "installed"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            venv.create(cache / "venv", with_pip=True, clear=True)
            pip: list[str | Path] = [cache / "venv/bin/python", "-m", "pip", "install", "--quiet"]
            options: list[str | Path] = [
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                requirements,
            ]
            subprocess.run([*pip, *options], check=True)
            stamp.write_text(wanted)
    return cache / "venv/bin"
