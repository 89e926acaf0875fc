"""What is wrong with actions about alerts that the types alone cannot see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from contract.alerts import escalations, next_severity, thresholds
from contract.document import Document, KeyPath
from contract.spec import (
    SEVERITIES,
    Action,
    Severity,
    Spec,
    TrafficAction,
    WebhookAction,
)

__all__ = ["check_remediation", "reaches"]

_Severities = Mapping[tuple[str, str, str], frozenset[Severity]]
"""The severities that an alert of a model can have, by (name, version, alert)."""

_SIGNED: Final = (WebhookAction, TrafficAction)


def reaches(severity: str, action: Action) -> bool:
    """Whether an alert of this severity is grave enough for the action."""
    if action.severity is None:
        return True
    known = severity in SEVERITIES
    return known and SEVERITIES.index(severity) >= SEVERITIES.index(action.severity)


def check_remediation(written: Spec, spec: Spec, document: Document) -> None:
    """Actions that could never happen, and webhooks that would go out unsigned.

    What `defaults:` say may be about alerts that some models do not have.
    """
    own = [
        (index, spec.models[index])
        for index, model in enumerate(written.models)
        if "remediation" in model.model_fields_set
    ]
    possible = _possible(spec) if own else {}
    for index, model in own:
        for place, action in enumerate(model.remediation):
            found = possible.get((*model.key, action.on), frozenset())
            path = ("models", index, "remediation", place)
            _check_possible(action, found, path, document)
    _check_signed(spec, document)


def _possible(spec: Spec) -> _Severities:
    found = defaultdict[tuple[str, str, str], set[Severity]](set)
    for one in thresholds(spec):
        found[one.model_name, one.model_version, one.alert].add(one.severity)
    for rise in escalations(spec, thresholds(spec)):
        key = (rise.model_name, rise.model_version, rise.alert)
        found[key].add(next_severity(rise.severity))
    return {key: frozenset(severities) for key, severities in found.items()}


def _check_possible(
    action: Action, found: frozenset[Severity], path: KeyPath, document: Document
) -> None:
    if not found:
        document.problem(
            (*path, "on"),
            f"can never happen: the model has no alert {action.on}",
            "promise what it watches, or write alerts: {" + action.on + ": on}",
        )
    elif not any(reaches(severity, action) for severity in found):
        highest = max(found, key=SEVERITIES.index)
        document.problem(
            (*path, "severity"),
            f"can never happen: {action.on} of the model is {highest} at most",
            f"write {highest}, or alerts: {{{action.on}: {{severity: {action.severity}}}}}",
        )


def _check_signed(spec: Spec, document: Document) -> None:
    rules = spec.remediation
    posts = any(isinstance(a, _SIGNED) for m in spec.models for a in m.remediation)
    if posts and not rules.dry_run and rules.signing_key_file is None:
        document.problem(
            ("remediation",),
            "webhooks would go out unsigned",
            "openssl rand -hex 32 > secrets/signing_key, and add signing_key_file: "
            "secrets/signing_key",
            at_key=True,
        )
