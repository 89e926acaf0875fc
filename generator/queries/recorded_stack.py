"""Whether the stack itself works: its exporters, its rules, its notifications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.catalog import Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import window

__all__ = [
    "COLLECTED",
    "COLLECTION_FAILED",
    "CONFIG_REFUSED",
    "NOTIFICATIONS_FAILED",
    "NOTIFICATIONS_UNWRITTEN",
    "REMEDIATION_STOPPED",
    "RULES_FAILED",
    "SPEC_REFUSED",
    "STACK_RECORDED",
]

_STACK: Final = Group("stack", slowly=Duration.parse("1m"))
_LATELY: Final = Duration.parse("15m")
_HANDED_OVER: Final = Duration.parse("4m")
"""Prometheus hands every alert over again each minute, so that what fails for long fails each
minute. Where it fails once nobody misses anything: for some seconds after every reload Prometheus
knows no Alertmanager. That is out of the window before the alert's `for` is over."""
_PROCESS: Final = ("job", "instance")
_BY_PROCESS: Final = f"by ({', '.join(_PROCESS)})"


def _increase(by: str, *counters: str, over: Duration = _LATELY) -> Callable[[Spec], str]:
    """By how much counters of failures grew, each by itself; absent where none did."""

    def expression(spec: Spec) -> str:
        return "\nor\n".join(
            f"sum by ({by}) (increase({counter}[{window(spec, over)}])) > 0" for counter in counters
        )

    return expression


def _by_channel(spec: Spec) -> str:
    """What a channel of one's own did not deliver, by its name as an integration."""
    failed = f'{catalog.CHANNEL_NOTIFICATIONS}{{result!="delivered"}}'
    return (
        "sum by (instance, integration) (label_replace(\n  "
        f"increase({failed}[{window(spec, _LATELY)}])"
        ', "integration", "$1", "channel", "(.*)"\n)) > 0'
    )


COLLECTED: Final = Recorded(
    name="stack:ml_exporter_collection_timestamp_seconds",
    labels=_PROCESS,
    help="When an exporter last collected anything (Unix time).",
    group=_STACK,
    expression=lambda _: f"max {_BY_PROCESS} ({catalog.EXPORTER_COLLECTION_TIMESTAMP})",
    unit=Unit.SECONDS,
)
COLLECTION_FAILED: Final = Recorded(
    name="stack:ml_exporter_collection_failed",
    labels=_PROCESS,
    help="1 where an exporter's last collection failed; absent where not.",
    group=_STACK,
    expression=lambda _: f"1 - max {_BY_PROCESS} ({catalog.EXPORTER_COLLECTION_SUCCESS}) > 0",
)
SPEC_REFUSED: Final = Recorded(
    name="stack:ml_exporter_spec_refused",
    labels=_PROCESS,
    help="1 where a process refuses models.yaml as it is now; absent where not.",
    group=_STACK,
    expression=lambda _: f"1 - max {_BY_PROCESS} ({catalog.EXPORTER_SPEC_OK}) > 0",
)
CONFIG_REFUSED: Final = Recorded(
    name="stack:config_refused",
    labels=_PROCESS,
    help="1 where Prometheus or Alertmanager refuses its configuration as it is now; absent where "
    "not.",
    group=_STACK,
    expression=lambda _: (
        f"1 - max {_BY_PROCESS} (prometheus_config_last_reload_successful) > 0\nor\n"
        f"1 - max {_BY_PROCESS} (alertmanager_config_last_reload_successful) > 0"
    ),
)
RULES_FAILED: Final = Recorded(
    name="stack:prometheus_rules_failed:increase15m",
    labels=("instance", "rule_group"),
    help="Evaluations of a group of rules that failed or were left out in the last 15 minutes; "
    "absent where none was.",
    group=_STACK,
    expression=_increase(
        "instance, rule_group",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_rule_group_iterations_missed_total",
    ),
)
NOTIFICATIONS_FAILED: Final = Recorded(
    name="stack:notifications_failed:increase15m",
    labels=("instance", "integration"),
    help="Notifications that did not get through in the last 15 minutes, by where they went: "
    "Alertmanager (4 minutes), one of its integrations, or a channel of one's own; absent where "
    "none failed.",
    group=_STACK,
    expression=lambda spec: "\nor\n".join(
        (
            _increase("instance, integration", "alertmanager_notifications_failed_total")(spec),
            *(
                "label_replace(\n  "
                + _increase("instance", counter, over=_HANDED_OVER)(spec)
                + ', "integration", "Alertmanager", "", ""\n)'
                for counter in (
                    "prometheus_notifications_dropped_total",
                    "prometheus_notifications_errors_total",
                )
            ),
            _by_channel(spec),
        )
    ),
)
NOTIFICATIONS_UNWRITTEN: Final = Recorded(
    name="stack:ml_notifications_unwritten:increase15m",
    labels=("instance",),
    help="Notifications that the responder could not write down in the last 15 minutes; absent "
    "where none.",
    group=_STACK,
    expression=_increase("instance", f'{catalog.NOTIFICATIONS_FAILED}{{reason="write"}}'),
)
REMEDIATION_STOPPED: Final = Recorded(
    name="stack:ml_remediation_breaker_open",
    labels=("instance", "model_name", "model_version", "team", "action"),
    help="1 where an action about alerts of a model failed so often in a row that it is not tried "
    "for now; absent where not.",
    group=_STACK,
    expression=lambda _: (
        "max by (instance, model_name, model_version, team, action) "
        f"({catalog.REMEDIATION_BREAKER}) > 0"
    ),
)

STACK_RECORDED: Final = (
    COLLECTED,
    COLLECTION_FAILED,
    SPEC_REFUSED,
    CONFIG_REFUSED,
    RULES_FAILED,
    NOTIFICATIONS_FAILED,
    NOTIFICATIONS_UNWRITTEN,
    REMEDIATION_STOPPED,
)
"""All of them, in the order in which they are evaluated."""
