"""What the simulated GPUs are like: the text that their driver reads, and changing it.

fake_nvml.c describes its lines. The driver looks at the file at every call, so that whatever is
changed here is what GPUs are like from then on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["change_state", "leaking", "parse_state", "render_state"]


def parse_state(text: str) -> dict[str, str]:
    """What each key of a state's text says."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split(" ", 1) for line in lines)


def render_state(state: Mapping[str, str]) -> str:
    """The text of a state."""
    return "".join(f"{key} {value}\n" for key, value in state.items())


def change_state(path: Path, change: Mapping[str, str | None]) -> dict[str, str | None]:
    """Set keys in a state file, or take out those that become None; what takes it back."""
    state = parse_state(path.read_text(encoding="utf-8"))
    before = {key: state.get(key) for key in change}
    merged = {**state, **change}
    kept = {key: value for key, value in merged.items() if value is not None}
    # In one step, since the driver may look at any moment.
    staged = path.with_suffix(".part")
    staged.write_text(render_state(kept), encoding="utf-8")
    staged.replace(path)
    return before


def leaking(start: float, per_second: float, most: float) -> str:
    """A number that grows from now on, up to a limit."""
    return f"/ {start:.0f} {per_second:.0f} {most:.0f} {time.monotonic():.3f}"
