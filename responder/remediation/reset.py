"""POST /v1/remediation/reset: what people mended, and which actions are tried again for it."""

from __future__ import annotations

from typing import Final

import msgspec

from contract.spec import Spec
from responder.webhook import PayloadError, not_known, read_exactly

__all__ = ["Reset", "choose", "read_reset"]

_LONGEST: Final = {"by": 200, "reason": 2000}


class Reset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body: of which actions the breakers are closed by hand.

    Attributes:
        model: The model, by its name in models.yaml.
        action: What the action is called there; left out, all of the model's.
        by: Who says so.
        reason: What was mended.
    """

    model: str
    action: str = ""
    by: str
    reason: str = ""


_decoder: Final = msgspec.json.Decoder(Reset)


def read_reset(body: bytes) -> Reset:
    """Decode a body. Raises PayloadError naming the first wrong field."""
    asked = read_exactly(_decoder, body)
    if not asked.by.strip():
        raise PayloadError("by", "should say who resets it")
    for name, most in _LONGEST.items():
        if len(getattr(asked, name)) > most:
            raise PayloadError(name, f"should have at most {most} characters")
    return asked


def choose(asked: Reset, spec: Spec) -> list[str]:
    """The actions that are meant, by what they are called. Raises PayloadError."""
    known = {
        model.name: [
            action.label
            for version in spec.models
            if version.name == model.name
            for action in version.remediation
        ]
        for model in spec.models
        if model.remediation
    }
    if asked.model not in known:
        raise PayloadError("model", _not_known(asked.model, list(known)))
    actions = list(dict.fromkeys(known[asked.model]))
    if asked.action and asked.action not in actions:
        raise PayloadError("action", _not_known(asked.action, actions))
    return [asked.action] if asked.action else actions


def _not_known(value: str, known: list[str]) -> str:
    return not_known(value, known) if known else "is not known; no model has an action"
