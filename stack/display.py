"""What a person sees of the stack in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

__all__ = ["render_line", "render_table"]

_LEADING: Final = ("time", "level", "component", "event")


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def render_line(name: str, line: str) -> str:
    """A log line for reading: the JSON lines of our processes lose their braces, others stay."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "event" not in fields:
        return f"{name:<12} {line}"
    clock = str(fields.get("time", ""))[11:19]
    rest = " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in fields.items()
        if key not in _LEADING
    )
    return f"{clock} {name:<12} {fields.get('level', ''):<8} {fields['event']} {rest}".rstrip()
