"""Ratios of business events that models.yaml declares, recorded: clicks by impressions."""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import HOUR, window

__all__ = ["BUSINESS_RATIO", "BUSINESS_RECORDED"]

_BY_MODEL: Final = f"by ({', '.join(MODEL)})"


def _ratios(spec: Spec) -> str:
    """All ratios; models that count the same events under the same name share an expression."""
    declared = {
        (ratio.name, ratio.numerator, ratio.denominator)
        for model in spec.models
        for ratio in model.business
    }
    parts = [
        f'label_replace(\n  {_ratio(above, below, spec)},\n  "objective", "{name}", "", "")'
        for name, above, below in sorted(declared)
    ]
    # Without any there is nothing to record, and still a rule: its name is known.
    return "\nor\n".join(parts) or f"{catalog.BUSINESS_EVENTS} unless {catalog.BUSINESS_EVENTS}"


def _ratio(above: str, below: str, spec: Spec) -> str:
    upper, lower = (_rate(event, spec) for event in (above, below))
    return f"({upper} or 0 * {lower}) / ({lower} > 0)"


def _rate(event: str, spec: Spec) -> str:
    quoted = event.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    series = f'{catalog.BUSINESS_EVENTS}{{event="{quoted}"}}'
    return f"sum {_BY_MODEL} (rate({series}[{window(spec, HOUR)}]))"


BUSINESS_RATIO: Final = Recorded(
    name="model:ml_business_events:ratio_rate1h",
    labels=(*MODEL, "objective"),
    help="Each ratio of business events that models.yaml declares, over an hour; objective is its "
    "name.",
    group=Group("model-business", slowly=Duration.parse("1m")),
    expression=_ratios,
    unit=Unit.RATIO,
)
BUSINESS_RECORDED: Final = (BUSINESS_RATIO,)
