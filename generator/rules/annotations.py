"""What an alert says to whoever opens it: contract.alerts's texts as Prometheus templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import Alert
from contract.spec import Severity, Spec
from generator.queries import recorded_versions
from generator.queries.alerting import codes_lookup, side_lookup, threshold_lookup
from generator.queries.recorded import Recorded
from generator.queries.recorded_gpu import NO_MODEL
from generator.rules.humanized import humanize_duration, humanize_number, humanize_percentage

__all__ = ["OF_LABELS", "SHOWN", "render_annotations", "render_gpu_annotations"]

_MODEL: Final = "{{ $labels.model_name }} {{ $labels.model_version }}"
_SHOWN: Final = {
    "percent": "humanizePercentage",
    "duration": "humanizeDuration",
    "number": 'printf "%.3g"',
}
SHOWN: Final[dict[str, Callable[[float], str]]] = {
    "percent": humanize_percentage,
    "duration": humanize_duration,
    "number": humanize_number,
    "none": str,
}
"""The same for numbers that are known when the rules are rendered."""

OF_LABELS: Final = {
    "name": "model_name",
    "unregistered": "unregistered_version",
    "baseline": "baseline_version",
    "feature": "feature_name",
    "objective": "objective",
    "target": "target",
    "job": "job",
    "instance": "instance",
    "rule_group": "rule_group",
    "integration": "integration",
    "action": "action",
}
"""The places of a text that are filled with a label of the alert."""


def render_annotations(alert: Alert, severity: Severity, spec: Spec) -> dict[str, str]:
    """Annotations by name, of an alert of models or of the stack.

    `value` and `threshold` are there where the alert compares numbers.
    """
    of_model = alert.scope == "model"
    numbers: dict[str, str] = {}
    if alert.display != "none" and of_model:
        shown = _SHOWN[alert.display]
        numbers = {"value": _value(alert), "threshold": _threshold(alert, severity, shown)}
    dashboard = (
        "ml-model?var-model={{ $labels.model_name | urlquery }}"
        "&var-version={{ $labels.model_version | urlquery }}"
        if of_model or alert.about_model
        else "ml-fleet"
    )
    return _annotations(alert, numbers, _sides() if alert.of_several else {}, dashboard, spec)


def render_gpu_annotations(alert: Alert, threshold: float, spec: Spec) -> dict[str, str]:
    """Annotations of an alert of GPUs; its threshold is known when the rule is rendered."""
    numbers = {}
    if alert.display != "none":
        numbers = {"value": _value(alert), "threshold": SHOWN[alert.display](threshold)}
    lookup = codes_lookup(threshold)
    codes = (
        f'{{{{ range $index, $found := printf "{lookup}" $labels.instance $labels.gpu_id '
        "$labels.gpu_uuid | query | sortByLabel "
        '"xid" }}{{ if $index }}, {{ end }}{{ $found.Labels.xid }}{{ end }}'
    )
    places = {
        "gpu": "GPU {{ $labels.gpu_id }} of {{ $labels.instance }}",
        "holder": f'{{{{ if ne $labels.model_name "{NO_MODEL}" }}}}, held by {_MODEL}{{{{ end }}}}',
        "codes": codes,
    }
    one = "{gpu}" in alert.summary + alert.description
    dashboard = "ml-gpu?var-gpu={{ $labels.gpu_uuid | urlquery }}" if one else "ml-gpu"
    return _annotations(alert, numbers, places, dashboard, spec)


def _annotations(
    alert: Alert, numbers: dict[str, str], more: dict[str, str], dashboard: str, spec: Spec
) -> dict[str, str]:
    places = {
        "model": _MODEL,
        **{place: f"{{{{ $labels.{label} }}}}" for place, label in OF_LABELS.items()},
        **more,
        **numbers,
    }
    return {
        "summary": alert.summary.format(**places),
        "description": alert.description.format(**places),
        **numbers,
        **({"threshold_set_by": alert.set_by} if numbers else {}),
        "runbook_url": f"http://{spec.stack.responder}/runbooks/{alert.name}",
        "dashboard_url": f"http://{spec.stack.grafana}/d/{dashboard}",
    }


def _sides() -> dict[str, str]:
    """What the comparison of two versions says besides the alert's own value."""

    def looked_up(series: Recorded, side: str, shown: str) -> str:
        labels = " ".join(f"$labels.{label}" for label in catalog.VERSION_WORSE.labels)
        return (
            f'{{{{ with printf "{side_lookup(series, side)}" {labels} | query }}}}'
            f"{{{{ . | first | value | {shown} }}}}{{{{ else }}}}unknown{{{{ end }}}}"
        )

    samples, whole = recorded_versions.COMPARISON_SAMPLES, 'printf "%.0f"'
    return {
        "older": looked_up(recorded_versions.COMPARISON, "older", _SHOWN["number"]),
        "newer_samples": looked_up(samples, "newer", whole),
        "older_samples": looked_up(samples, "older", whole),
    }


def _value(alert: Alert) -> str:
    return f"{{{{ $value | {_SHOWN[alert.display]} }}}}"


def _threshold(alert: Alert, severity: Severity, shown: str) -> str:
    """Looked up when the alert fires: one rule serves every model's own threshold."""
    lookup = threshold_lookup(alert.name, severity)
    return (
        f'{{{{ with printf "{lookup}" $labels.model_name $labels.model_version $labels.objective '
        f"| query }}}}"
        f"{{{{ . | first | value | {shown} }}}}{{{{ else }}}}unknown{{{{ end }}}}"
    )
