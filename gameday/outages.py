"""Scenarios of processes: of a site's own, and of the stack itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from contract import catalog
from contract.alerts import ALERTS
from contract.quantity import Duration
from contract.spec import Severity
from gameday.consequences import burning, failing
from gameday.environment import SITES, Environment
from gameday.injections import Away, Down, Fault, FullDisk, Hang, Restart, Text, Together
from gameday.reach import after, at_once, of_window
from gameday.receivers import LOG
from gameday.scenario import Expected, Implied, Reach, Scenario
from generator.queries.windows import FIVE_MINUTES, PROMISE_MEMORY

__all__ = ["OUTAGES"]

NORTH, SOUTH = (tuple(site.models) for site in SITES)

GROUP_WAIT: Final = Duration.parse("30s")
GROUP_INTERVAL: Final = Duration.parse("5m")
ANSWERED: Final = 2.0
"""Seconds until a probe that gets no answer has given up, or the next one is made."""
TRIED: Final = Implied(
    alert="ErrorBudgetBurn1h", why="requests that were under way ended late, or never"
)
UNCOUNTED: Final = (
    Implied(alert="TrafficVanished", why="nothing is counted of requests; inhibited"),
    Implied(alert="ThroughputDrop", why="nothing is counted of requests; inhibited"),
)


def _of_each(
    models: tuple[str, ...],
    alert: str,
    severity: Severity,
    metric: catalog.Metric | str,
    reach: Reach,
) -> tuple[Expected, ...]:
    return tuple(
        Expected(alert=alert, severity=severity, model=model, seen_in=metric, reach=reach)
        for model in models
    )


def _exporter(job: str) -> Expected:
    return Expected(
        alert="ExporterDown", severity="error", labels={"job": job}, seen_in="up", reach=at_once
    )


def _platform(
    alert: str, severity: Severity, metric: catalog.Metric | str, reach: Reach
) -> Expected:
    return Expected(alert=alert, severity=severity, seen_in=metric, reach=reach)


DISCOVERY: Final = 5.0
"""Seconds from Prometheus's answer to its first scrape: it gathers targets for so long."""
AWAY: Final = 45.0
"""Seconds for which the responder is away: long enough for the alerts about it."""
STARTED: Final = 3.0
"""Seconds until it answers again."""
_NOTICED: Final = 2.0
"""Seconds until a process has looked at its files again."""


def _told(environment: Environment) -> float:
    """When the error burst has become a notification that cannot be delivered, and is given up.

    Alertmanager tries for as long as until the group's next turn, and ten seconds at least.
    """
    spec = environment.spec
    waits = (ALERTS["HighErrorRatio"].hold, GROUP_WAIT)
    tried = max(spec.clock(GROUP_INTERVAL).seconds, 10.0)
    return 4.0 + sum(spec.clock(wait).seconds for wait in waits) + tried


OUTAGES: Final = (
    Scenario(
        name="models.yaml broken",
        says="models.yaml is changed to something that is refused",
        injection=Text("models.yaml", "\nmodles: []\n"),
        touches=frozenset({"platform"}),
        expects=tuple(
            Expected(
                alert="SpecRefused",
                severity="warning",
                labels={"job": job},
                seen_in=catalog.EXPORTER_SPEC_OK,
                reach=after(_NOTICED),
            )
            for job in ("ml-sidecar", "ml-drift", "ml-responder")
        ),
    ),
    Scenario(
        name="rules fail",
        says="Prometheus gets a rule that cannot be evaluated",
        injection=Text(
            "generated/prometheus/generated/rules/broken.yml",
            "groups: [{name: broken, rules: [{record: 'broken:up', expr: 'up * on (none) up'}]}]\n",
            reload="prometheus",
        ),
        touches=frozenset({"platform"}),
        expects=(
            _platform(
                "RuleFailures",
                "error",
                "prometheus_rule_evaluation_failures_total",
                after(_NOTICED),
            ),
        ),
    ),
    Scenario(
        name="configuration refused",
        says="Alertmanager is given a configuration that it does not understand",
        injection=Text(
            "generated/alertmanager/generated/alertmanager.yml",
            "\nreceivers: none\n",
            reload="alertmanager",
        ),
        touches=frozenset({"platform"}),
        expects=(
            _platform(
                "ConfigReloadFailed",
                "error",
                "alertmanager_config_last_reload_successful",
                at_once,
            ),
        ),
    ),
    Scenario(
        name="server hangs",
        says="the model server of north neither ends nor answers",
        injection=Hang("server-north"),
        touches=frozenset(NORTH),
        expects=_of_each(
            NORTH,
            "TrafficVanished",
            "error",
            catalog.INFERENCE_REQUESTS,
            of_window(FIVE_MINUTES),
        ),
        implied=(Implied(alert="ThroughputDrop", why="no requests are fewer than usual"), TRIED),
    ),
    Scenario(
        name="server down",
        says="the model server of south is killed and stays away",
        injection=Down("server-south"),
        touches=frozenset(SOUTH),
        expects=_of_each(
            SOUTH, "ModelNotLoaded", "critical", catalog.MODEL_LOADED, after(ANSWERED)
        ),
        implied=UNCOUNTED,
    ),
    Scenario(
        name="sidecar down",
        says="the sidecar of north is killed and stays away",
        injection=Down("sidecar-north"),
        touches=frozenset(NORTH),
        expects=_of_each(NORTH, "TargetDown", "critical", "up", at_once),
        implied=UNCOUNTED,
    ),
    Scenario(
        name="exporter down",
        says="the GPU exporter is killed and stays away",
        injection=Down("gpu"),
        touches=frozenset({"platform"}),
        expects=(_exporter("ml-gpu"),),
        alone=True,
    ),
    Scenario(
        name="drift collector down",
        says="the drift collector is killed and stays away, and with it all promises",
        injection=Down("drift"),
        touches=frozenset({"platform"}),
        expects=(
            _exporter("ml-drift"),
            Expected(
                alert="PromisesMissing",
                severity="critical",
                seen_in=catalog.SLO_OBJECTIVE,
                reach=of_window(PROMISE_MEMORY),
            ),
        ),
        alone=True,
    ),
    Scenario(
        name="prometheus restarted",
        says="Prometheus is killed three seconds into an error burst on screening, and comes back",
        injection=Together(
            (Fault("screening", {"error_ratio": 0.5}), Restart("prometheus", 3.0, DISCOVERY))
        ),
        touches=frozenset({"screening", "platform"}),
        expects=(failing("screening", 0.5), burning("screening", "availability", 0.5)),
        alone=True,
    ),
    Scenario(
        name="alertmanager restarted",
        says="Alertmanager is killed three seconds into an error burst on screening-trial",
        injection=Together(
            (Fault("screening-trial", {"error_ratio": 0.5}), Restart("alertmanager", 3.0))
        ),
        touches=frozenset({"screening-trial", "platform"}),
        expects=(failing("screening-trial", 0.5), burning("screening-trial", "availability", 0.5)),
        alone=True,
    ),
    Scenario(
        name="responder down and back",
        says="the responder is killed, requests to screening fail meanwhile, and it comes back",
        injection=Together((Away("responder", AWAY), Fault("screening", {"error_ratio": 0.5}))),
        touches=frozenset({"screening", "platform"}),
        expects=(
            failing("screening", 0.5),
            _exporter("ml-responder"),
            _platform(
                "NotificationsFailing", "critical", "alertmanager_notifications_failed_total", _told
            ),
            # Once it is back, Alertmanager tells it what it missed at the group's next turn.
            replace(
                failing("screening", 0.5),
                receiver=LOG,
                reach=lambda env: AWAY + STARTED + env.spec.clock(GROUP_INTERVAL).seconds,
            ),
        ),
        implied=(TRIED,),
        alone=True,
    ),
    Scenario(
        name="disk full",
        says="the responder cannot write its log while requests to screening-trial fail",
        injection=Together(
            (
                FullDisk("responder", "notifications.jsonl"),
                Fault("screening-trial", {"error_ratio": 0.5}),
            )
        ),
        touches=frozenset({"screening-trial", "platform"}),
        expects=(
            failing("screening-trial", 0.5),
            _platform(
                "NotificationsNotWritten",
                "warning",
                catalog.NOTIFICATIONS_FAILED,
                lambda env: _told(env) - max(env.spec.clock(GROUP_INTERVAL).seconds, 10.0),
            ),
        ),
        implied=(
            TRIED,
            Implied(alert="NotificationsFailing", why="the responder answers that it failed"),
        ),
        alone=True,
    ),
)
