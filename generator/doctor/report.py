"""Findings as text for a terminal, or as JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from generator.doctor.finding import LEVELS, Finding, Level

__all__ = ["render_json", "render_text"]

_TITLES: Final = {
    "prometheus": "Prometheus",
    "rules": "Rules and configuration",
    "targets": "Targets",
    "runtimes": "Serving runtimes",
    "series": "What alerts need",
    "edges": "Promised latencies and bucket edges",
    "panels": "What dashboards need",
    "cost": "Series",
    "retention": "Retention",
    "clocks": "Clocks",
    "delivery": "Alertmanager and delivery",
}
_COLOURS: Final[dict[Level, str]] = {"ok": "32", "note": "36", "warning": "33", "broken": "1;31"}
_WIDTH: Final = 9


def render_json(findings: Sequence[Finding]) -> str:
    """One object: what was found, and how often each level occurs."""
    counted = Counter(finding.level for finding in findings)
    return json.dumps(
        {
            "findings": [asdict(finding) for finding in findings],
            "summary": {level: counted[level] for level in LEVELS},
        },
        indent=2,
    )


def render_text(findings: Sequence[Finding], *, colour: bool, width: int = 100) -> str:
    """A section for each check, what is worst of it first; then how many of each."""
    lines = []
    for check, title in _TITLES.items():
        of_check = [finding for finding in findings if finding.check == check]
        if not of_check:
            continue
        lines.append(f"{title}")
        of_check.sort(key=lambda finding: -LEVELS.index(finding.level))
        for finding in of_check:
            lines += _lines(finding, colour=colour, width=width)
        lines.append("")
    counted = Counter(finding.level for finding in findings)
    lines.append(_summary(counted))
    return "\n".join(lines)


def _lines(finding: Finding, *, colour: bool, width: int) -> list[str]:
    indent = " " * (2 + _WIDTH)
    label = f"{finding.level:<{_WIDTH}}"
    if colour:
        label = f"\033[{_COLOURS[finding.level]}m{label}\033[0m"
    said = textwrap.wrap(f"{finding.subject}: {finding.what}", max(width - len(indent), 40))
    lines = [f"  {label}{said[0]}", *(f"{indent}{line}" for line in said[1:])]
    if finding.advice:
        wrapped = textwrap.wrap(finding.advice, max(width - len(indent) - 3, 40))
        lines += [f"{indent}{'→ ' if not i else '  '}{line}" for i, line in enumerate(wrapped)]
    return lines


def _summary(counted: Counter[Level]) -> str:
    if not counted["broken"] and not counted["warning"]:
        return "Nothing is broken."
    parts = [f"{counted['broken'] or 'nothing'} broken"]
    if counted["warning"]:
        parts.append(f"{counted['warning']} warning{'s' if counted['warning'] != 1 else ''}")
    return f"{', '.join(parts)}."
