"""Scenarios of processes: of a site's own, and of the stack itself."""

from __future__ import annotations

from typing import Final

from contract import catalog
from gameday.environment import SITES
from gameday.incidents import burning, failing
from gameday.injections import Down, Fault, Hang, Restart, Together
from gameday.reach import after, at_once, of_window
from gameday.scenario import Expected, Implied, Scenario
from generator.queries.windows import FIVE_MINUTES, PROMISE_MEMORY

__all__ = ["OUTAGES"]

NORTH, SOUTH = (tuple(site.models) for site in SITES)

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
    models: tuple[str, ...], alert: str, severity: str, metric: catalog.Metric | str, reach: object
) -> tuple[Expected, ...]:
    return tuple(
        Expected(
            alert=alert,
            severity=severity,  # type: ignore[arg-type]  # a Severity
            model=model,
            seen_in=metric,
            reach=reach,  # type: ignore[arg-type]  # a Reach
        )
        for model in models
    )


def _exporter(job: str) -> Expected:
    return Expected(
        alert="ExporterDown", severity="error", labels={"job": job}, seen_in="up", reach=at_once
    )


OUTAGES: Final = (
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
                seen_in=catalog.ALERT_THRESHOLD,
                reach=of_window(PROMISE_MEMORY),
            ),
        ),
        alone=True,
    ),
    Scenario(
        name="prometheus restarted",
        says="Prometheus is killed three seconds into an error burst on screening, and comes back",
        injection=Together((Fault("screening", {"error_ratio": 0.5}), Restart("prometheus", 3.0))),
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
)
