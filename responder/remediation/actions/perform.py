"""An action of any kind, begun and ended."""

from __future__ import annotations

from contract import logs
from contract.spec import (
    Action,
    CommandAction,
    KubernetesAction,
    RetrainAction,
    TrafficAction,
    WebhookAction,
)
from responder.remediation.actions.command import run_command
from responder.remediation.actions.done import Doing, Done
from responder.remediation.actions.kubernetes import change_deployment
from responder.remediation.actions.posted import call_webhook, set_traffic
from responder.remediation.actions.retrain import start_training, training_is_repeatable

__all__ = ["Doing", "Done", "is_repeatable", "perform"]

log = logs.logger()


async def perform(action: Action, doing: Doing) -> Done:
    """Do it. What goes wrong is in the result and is not raised, but for being cancelled."""
    try:
        match action:
            case WebhookAction():
                return await call_webhook(action, doing)
            case TrafficAction():
                return await set_traffic(action, doing)
            case CommandAction():
                return await run_command(action, doing)
            case KubernetesAction():
                return await change_deployment(action, doing)
            case RetrainAction():
                return await start_training(action, doing)
    except Exception as error:
        log.exception("action_failed", action=action.label)
        return Done(ok=False, detail=f"{type(error).__name__}: {error}")


def is_repeatable(action: Action) -> bool:
    """Whether the other side does it only once however often it is told.

    Then it is done again, under the same id, where a crash hid what became of it. A command or a
    rollback never is.
    """
    match action:
        case WebhookAction():
            return action.idempotent
        case TrafficAction():
            return True
        case RetrainAction():
            return training_is_repeatable(action)
        case _:
            return False
