"""What an alert says to whoever opens it: contract.alerts's texts as Prometheus templates."""

from __future__ import annotations

from typing import Final

from contract.alerts import Alert
from contract.spec import Severity, Spec
from generator.queries.alerting import threshold_lookup

__all__ = ["NO_MODEL", "render_annotations"]

NO_MODEL: Final = "none"
"""The model of the stack's own alerts: a label that is missing Alertmanager takes for equal."""

_MODEL: Final = "{{ $labels.model_name }} {{ $labels.model_version }}"
_SHOWN: Final = {
    "percent": "humanizePercentage",
    "duration": "humanizeDuration",
    "number": 'printf "%.3g"',
}


def render_annotations(alert: Alert, severity: Severity, spec: Spec) -> dict[str, str]:
    """Annotations by name. `value` and `threshold` are there where the alert compares numbers."""
    of_model = alert.threshold is not None
    numbers: dict[str, str] = {}
    if alert.display != "none" and of_model:
        shown = _SHOWN[alert.display]
        numbers = {
            "value": f"{{{{ $value | {shown} }}}}",
            "threshold": _threshold(alert, severity, shown),
        }
    places = {
        "model": _MODEL,
        "feature": "{{ $labels.feature_name }}",
        "target": "{{ $labels.target }}",
        "job": "{{ $labels.job }}",
        "instance": "{{ $labels.instance }}",
        **numbers,
    }
    set_by = {"threshold_set_by": alert.set_by} if numbers else {}
    return {
        "summary": alert.summary.format(**places),
        "description": alert.description.format(**places),
        **numbers,
        **set_by,
        "runbook_url": f"http://{spec.stack.responder}/runbooks/{alert.name}",
        "dashboard_url": _dashboard(spec, of_model=of_model),
    }


def _threshold(alert: Alert, severity: Severity, shown: str) -> str:
    """Looked up when the alert fires: one rule serves every model's own threshold."""
    lookup = threshold_lookup(alert.name, severity)
    return (
        f'{{{{ with printf "{lookup}" $labels.model_name $labels.model_version | query }}}}'
        f"{{{{ . | first | value | {shown} }}}}{{{{ else }}}}unknown{{{{ end }}}}"
    )


def _dashboard(spec: Spec, *, of_model: bool) -> str:
    base = f"http://{spec.stack.grafana}/d"
    if not of_model:
        return f"{base}/ml-fleet"
    return (
        f"{base}/ml-model?var-model={{{{ $labels.model_name | urlquery }}}}"
        "&var-version={{ $labels.model_version | urlquery }}"
    )
