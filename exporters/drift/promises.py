"""What models.yaml promises, as series: thresholds and targets, whether or not anything is up."""

from __future__ import annotations

from collections.abc import Iterator

from contract import catalog
from contract.alerts import escalations, thresholds
from contract.slo import objectives
from contract.spec import Spec
from exporters.expose import Family, series

__all__ = ["promises"]


def promises(spec: Spec) -> Iterator[Family]:
    """The families that follow from models.yaml alone."""
    yield Family(
        catalog.ALERT_THRESHOLD,
        [
            (
                series(
                    catalog.ALERT_THRESHOLD,
                    model_name=threshold.model_name,
                    model_version=threshold.model_version,
                    team=threshold.team,
                    alert=threshold.alert,
                    severity=threshold.severity,
                    hold=str(threshold.hold),
                    objective=threshold.objective,
                ),
                threshold.value,
            )
            for threshold in thresholds(spec)
        ],
    )
    yield Family(
        catalog.ALERT_ESCALATION,
        [
            (
                series(
                    catalog.ALERT_ESCALATION,
                    model_name=one.model_name,
                    model_version=one.model_version,
                    alert=one.alert,
                    severity=one.severity,
                ),
                one.after.seconds,
            )
            for one in escalations(spec, thresholds(spec))
        ],
    )
    yield Family(
        catalog.SLO_OBJECTIVE,
        [
            (
                series(
                    catalog.SLO_OBJECTIVE,
                    model_name=model.name,
                    model_version=model.version,
                    objective=objective.name,
                    kind=objective.kind,
                    limit=objective.limit,
                    period=str(objective.period),
                    source=objective.source,
                ),
                objective.target,
            )
            for model in spec.models
            for objective in objectives(model)
        ],
    )
    yield Family(
        catalog.MODEL_TARGET_INFO,
        [
            (
                series(
                    catalog.MODEL_TARGET_INFO,
                    model_name=model.name,
                    model_version=model.version,
                    team=model.team,
                    target=target,
                ),
                1,
            )
            for model in spec.models
            for target in model.serving.scraped
        ],
    )
    yield Family(
        catalog.MODEL_STATE,
        [
            (
                series(
                    catalog.MODEL_STATE,
                    model_name=model.name,
                    model_version=model.version,
                    state=model.state,
                ),
                1,
            )
            for model in spec.versions
        ],
    )
    yield Family(
        catalog.MODEL_DEPLOYED_TIMESTAMP,
        [
            (
                series(
                    catalog.MODEL_DEPLOYED_TIMESTAMP,
                    model_name=model.name,
                    model_version=model.version,
                ),
                model.deployed_at.timestamp(),
            )
            for model in spec.versions
            if model.deployed_at is not None
        ],
    )
    yield Family(
        catalog.DRIFT_THRESHOLD,
        [
            (
                series(
                    catalog.DRIFT_THRESHOLD,
                    model_name=model.name,
                    model_version=model.version,
                    kind=kind,
                    severity=severity,
                ),
                value,
            )
            for model in spec.models
            if model.profile is not None
            for kind in ("feature", "prediction")
            for severity, value in (
                ("warning", model.drift.warning),
                ("critical", model.drift.critical),
            )
        ],
    )
