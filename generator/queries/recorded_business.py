"""Ratios of business events that models.yaml declares, recorded: clicks by impressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contract import catalog
from contract.catalog import MODEL, Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import HOUR, window

__all__ = ["BUSINESS_EVENTS", "BUSINESS_RATIO", "BUSINESS_RECORDED"]

_BY_MODEL: Final = f"by ({', '.join(MODEL)})"


def _ratios(spec: Spec) -> str:
    """All ratios; models that count the same events under the same name share an expression."""
    declared = {
        (ratio.name, ratio.numerator, ratio.denominator)
        for model in spec.models
        for ratio in model.business
    }
    return _by_name((name, _ratio(above, below, spec)) for name, above, below in sorted(declared))


def _events(spec: Spec) -> str:
    declared = {
        (ratio.name, ratio.denominator) for model in spec.models for ratio in model.business
    }
    return _by_name((name, _over("increase", below, spec)) for name, below in sorted(declared))


def _by_name(expressions: Iterable[tuple[str, str]]) -> str:
    parts = [
        f'label_replace(\n  {expression},\n  "objective", "{name}", "", "")'
        for name, expression in expressions
    ]
    # Without any there is nothing to record, and still a rule: its name is known.
    return "\nor\n".join(parts) or f"{catalog.BUSINESS_EVENTS} unless {catalog.BUSINESS_EVENTS}"


def _ratio(above: str, below: str, spec: Spec) -> str:
    upper, lower = (_over("rate", event, spec) for event in (above, below))
    return f"({upper} or 0 * {lower}) / ({lower} > 0)"


def _over(function: str, event: str, spec: Spec) -> str:
    quoted = event.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    series = f'{catalog.BUSINESS_EVENTS}{{event="{quoted}"}}'
    return f"sum {_BY_MODEL} ({function}({series}[{window(spec, HOUR)}]))"


_GROUP: Final = Group("model-business", slowly=Duration.parse("1m"))

BUSINESS_RATIO: Final = Recorded(
    name="model:ml_business_events:ratio_rate1h",
    labels=(*MODEL, "objective"),
    help="Each ratio of business events that models.yaml declares, over an hour; objective is its "
    "name.",
    group=_GROUP,
    expression=_ratios,
    unit=Unit.RATIO,
)
BUSINESS_EVENTS: Final = Recorded(
    name="model:ml_business_events:increase1h",
    labels=(*MODEL, "objective"),
    help="Events below the line of each of those ratios in the last hour.",
    group=_GROUP,
    expression=_events,
)
BUSINESS_RECORDED: Final = (BUSINESS_RATIO, BUSINESS_EVENTS)
