"""Grafana: dashboards and their provisioning. Layout only; every expression is in queries."""

from __future__ import annotations

from contract.spec import Spec
from generator.dashboards.business import render_business
from generator.dashboards.data_quality import render_data_quality
from generator.dashboards.fleet import render_fleet
from generator.dashboards.gpu import render_gpu
from generator.dashboards.llm import render_llm
from generator.dashboards.model import render_model
from generator.dashboards.provisioning import render_provisioning
from generator.dashboards.quality import render_quality
from generator.dashboards.slo import render_slo
from generator.dashboards.stack import render_stack

__all__ = ["render_dashboards"]


def render_dashboards(spec: Spec) -> dict[str, str]:
    """Paths below the output folder and their texts. The number of models changes nothing here."""
    root = "grafana/generated"
    dashboards = {
        "business": render_business(spec),
        "data_quality": render_data_quality(spec),
        "fleet": render_fleet(spec),
        "gpu": render_gpu(spec),
        "llm": render_llm(spec),
        "model": render_model(spec),
        "quality": render_quality(spec),
        "slo": render_slo(spec),
        "stack": render_stack(spec),
    }
    return {f"{root}/dashboards/{name}.json": text for name, text in dashboards.items()} | {
        f"{root}/provisioning/{name}": text for name, text in render_provisioning(spec).items()
    }
