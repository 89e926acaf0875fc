"""Recording rules: the normalised series, for all models at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contract.spec import Spec
from generator.queries.compatibility import translations
from generator.queries.recorded import RECORDED, Group, Recorded
from generator.queries.recorded_business import BUSINESS_RECORDED
from generator.queries.recorded_gpu import GPU_RECORDED
from generator.queries.recorded_past import PAST_RECORDED
from generator.queries.recorded_quality import QUALITY_RECORDED
from generator.queries.recorded_serving import SERVING_RECORDED
from generator.queries.recorded_stack import STACK_RECORDED
from generator.queries.recorded_versions import VERSION_RECORDED
from generator.queries.runtimes.rules import native, runtime_groups
from generator.queries.slo import SLO_RECORDED
from generator.text import render_template

__all__ = [
    "RULES",
    "group_names",
    "recorded_rules",
    "render_compatibility",
    "render_recording",
    "render_runtimes",
]

RULES: Final = (
    *RECORDED,
    *SERVING_RECORDED,
    *SLO_RECORDED,
    *BUSINESS_RECORDED,
    *GPU_RECORDED,
    *PAST_RECORDED,
    *QUALITY_RECORDED,
    *VERSION_RECORDED,
    *STACK_RECORDED,
)
"""All that there are; what one reads of another stands before it."""


def recorded_rules(spec: Spec) -> tuple[Recorded, ...]:
    """Those that models.yaml needs, and those that a runtime in use fills anyway."""
    names = _native_names(spec)
    return tuple(rule for rule in RULES if rule.needed(spec) or native(rule, names, spec))


def render_recording(spec: Spec) -> str:
    """The text of rules/recording.yml."""
    names = _native_names(spec)

    def expression(rule: Recorded) -> str:
        own = rule.expression(spec)
        first = native(rule, names, spec)
        # By model, for a histogram of two sources would be none.
        return f"{first}\nor on (model_name, model_version)\n(\n{own}\n)" if first else own

    groups = _groups(recorded_rules(spec))
    return render_template(
        "recording.yml.j2", groups=groups.items(), spec=spec, expression=expression
    )


def _native_names(spec: Spec) -> set[str]:
    """What the runtimes in use record."""
    return {rule.name for group in runtime_groups(spec) for rule in group.rules}


def render_runtimes(spec: Spec) -> str:
    """The text of rules/runtimes.yml; empty where every model has a sidecar alone."""
    groups = runtime_groups(spec)
    return render_template("runtimes.yml.j2", groups=groups) if groups else ""


def render_compatibility(spec: Spec) -> str:
    """The text of rules/compatibility.yml: GPUs by the names that other exporters give them.

    Empty where models.yaml names none of them.
    """
    groups = {
        Group(f"gpu-as-{dialect}"): translations(dialect)
        for dialect in dict.fromkeys(spec.gpu.compatibility)
    }
    if not groups:
        return ""
    return render_template(
        "recording.yml.j2",
        groups=groups.items(),
        spec=spec,
        expression=lambda rule: rule.expression(spec),
    )


def group_names() -> tuple[str, ...]:
    """The groups in the order in which one reads what another recorded."""
    return tuple(group.name for group in _groups(RULES))


def _groups(rules: Iterable[Recorded]) -> dict[Group, list[Recorded]]:
    groups: dict[Group, list[Recorded]] = {}
    for rule in rules:
        groups.setdefault(rule.group, []).append(rule)
    return groups
