"""Everything that is rendered, by part: which files, from the spec; and what verifies them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from contract.spec import Spec
from generator.routes import (
    TEMPLATES,
    render_notifications,
    render_route_tests,
    render_routes,
)
from generator.rules.alerts import render_alerts
from generator.rules.proofs import render_proofs
from generator.rules.recording import (
    render_compatibility,
    render_recording,
    render_runtimes,
)
from generator.schema import render_schema
from generator.scrape import render_scrape
from generator.verify import verify_alertmanager, verify_prometheus

__all__ = ["PARTS", "render", "verify"]

_HERE: Final = Path()
_PROMETHEUS: Final = "prometheus/generated"
_ALERTMANAGER: Final = "alertmanager/generated"


def _prometheus(spec: Spec, _: Path) -> dict[str, str]:
    sometimes = {
        f"{_PROMETHEUS}/rules/runtimes.yml": render_runtimes(spec),
        f"{_PROMETHEUS}/rules/compatibility.yml": render_compatibility(spec),
    }
    return {
        f"{_PROMETHEUS}/prometheus.yml": render_scrape(spec),
        f"{_PROMETHEUS}/rules/recording.yml": render_recording(spec),
        **{path: text for path, text in sometimes.items() if text},
        f"{_PROMETHEUS}/rules/alerts.yml": render_alerts(spec),
        **{f"{_PROMETHEUS}/tests/{name}.yml": text for name, text in render_proofs(spec).items()},
    }


def _alertmanager(spec: Spec, out: Path) -> dict[str, str]:
    return {
        f"{_ALERTMANAGER}/alertmanager.yml": render_routes(spec, out),
        f"{_ALERTMANAGER}/{TEMPLATES}": render_notifications(),
        f"{_ALERTMANAGER}/tests/routes.yml": render_route_tests(spec),
    }


def _dashboards(spec: Spec, _: Path) -> dict[str, str]:
    # Imported here: grafanalib is slow to import, and only this part needs it.
    from generator.dashboards import render_dashboards

    return render_dashboards(spec)


def _docs(spec: Spec, _: Path) -> dict[str, str]:
    from generator.docs import render_docs
    from generator.reference import render_reference
    from generator.reference_runtimes import render_runtimes_reference

    return {**render_docs(spec), **render_reference(), **render_runtimes_reference()}


def _schemas(_: Spec, __: Path) -> dict[str, str]:
    from generator.report.figures import render_schema as render_report_schema

    return {
        "models.schema.json": render_schema(),
        "docs/report.schema.json": render_report_schema(),
    }


PARTS: Final[Mapping[str, Callable[[Spec, Path], dict[str, str]]]] = {
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "dashboards": _dashboards,
    "docs": _docs,
    "schema": _schemas,
}


def render(
    spec: Spec, parts: Collection[str] = tuple(PARTS), *, out: Path = _HERE
) -> dict[str, str]:
    """The files of these parts: path below the output folder → text.

    `out` is that folder, from which Alertmanager finds the files with tokens.
    """
    return {path: text for part in parts for path, text in PARTS[part](spec, out).items()}


def verify(staged: Path) -> None:
    """Let Prometheus's and Alertmanager's own tools judge a staged tree.

    Raises:
        generator.verify.VerificationError: a tool refuses it, or is missing.
    """
    if (staged / _PROMETHEUS).is_dir():
        verify_prometheus(staged / _PROMETHEUS)
    if (staged / _ALERTMANAGER).is_dir():
        verify_alertmanager(staged / _ALERTMANAGER)
