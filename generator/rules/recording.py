"""Recording rules: the normalised series, for all models at once."""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.queries.recorded import RECORDED, Group, Recorded
from generator.queries.recorded_gpu import GPU_RECORDED
from generator.text import render_template

__all__ = ["RULES", "group_names", "render_recording"]

RULES: Final = (*RECORDED, *GPU_RECORDED)
"""All of them; what one reads of another stands before it."""


def render_recording(spec: Spec) -> str:
    """The text of rules/recording.yml."""
    return render_template("recording.yml.j2", groups=_groups().items(), spec=spec)


def group_names() -> tuple[str, ...]:
    """The groups in the order in which one reads what another recorded."""
    return tuple(group.name for group in _groups())


def _groups() -> dict[Group, list[Recorded]]:
    groups: dict[Group, list[Recorded]] = {}
    for rule in RULES:
        groups.setdefault(rule.group, []).append(rule)
    return groups
