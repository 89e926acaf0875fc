"""The types of models.yaml, each with its built-in default, and how defaults are resolved.

There is one set of types: a model says only what differs from `defaults:`, `defaults:` says only
what differs from the built-in values here, and `resolve` lays the three over each other.
"""

from __future__ import annotations

from contract.spec.alerting import (
    ALERT_NAMES,
    GPU_ALERT_NAMES,
    SEVERITIES,
    STACK_ALERT_NAMES,
    Alerts,
    AlertSettings,
    Severity,
)
from contract.spec.comparison import Comparison
from contract.spec.hours import WEEKDAYS, Hours, Maintenance, QuietHours
from contract.spec.model import (
    STATES,
    Artifact,
    BusinessRatio,
    CustomMetric,
    FeatureRange,
    Model,
    ModelGpu,
    State,
    Task,
    Training,
)
from contract.spec.performance import DataQuality, Performance, Promise
from contract.spec.promises import QUANTILES, Drift, Freshness, Latency, Slo
from contract.spec.remediation import (
    Action,
    Airflow,
    ArgoEvents,
    ArgoWorkflows,
    Breaker,
    CommandAction,
    GitHub,
    KubernetesAction,
    Remediation,
    RetrainAction,
    TrafficAction,
    WebhookAction,
)
from contract.spec.responder import OwnChannel, Responder
from contract.spec.serving import MappedPath, Serving
from contract.spec.sidecar import Limits, PredictionLog, Sidecar
from contract.spec.stack import Budget, Dialect, Gpu, Stack
from contract.spec.teams import CHANNELS, Channel, Deadman, Team
from contract.spec.whole import Defaults, Spec, resolve

__all__ = [
    "ALERT_NAMES",
    "CHANNELS",
    "GPU_ALERT_NAMES",
    "QUANTILES",
    "SEVERITIES",
    "STACK_ALERT_NAMES",
    "STATES",
    "WEEKDAYS",
    "Action",
    "Airflow",
    "AlertSettings",
    "Alerts",
    "ArgoEvents",
    "ArgoWorkflows",
    "Artifact",
    "Breaker",
    "Budget",
    "BusinessRatio",
    "Channel",
    "CommandAction",
    "Comparison",
    "CustomMetric",
    "DataQuality",
    "Deadman",
    "Defaults",
    "Dialect",
    "Drift",
    "FeatureRange",
    "Freshness",
    "GitHub",
    "Gpu",
    "Hours",
    "KubernetesAction",
    "Latency",
    "Limits",
    "Maintenance",
    "MappedPath",
    "Model",
    "ModelGpu",
    "OwnChannel",
    "Performance",
    "PredictionLog",
    "Promise",
    "QuietHours",
    "Remediation",
    "Responder",
    "RetrainAction",
    "Serving",
    "Severity",
    "Sidecar",
    "Slo",
    "Spec",
    "Stack",
    "State",
    "Task",
    "Team",
    "TrafficAction",
    "Training",
    "WebhookAction",
    "resolve",
]
