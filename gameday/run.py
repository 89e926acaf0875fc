"""Running scenarios: as many at once as do not get into each other's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from gameday.environment import GPUS, Environment
from gameday.receivers import Delivery, Receivers
from gameday.rendered import Rendered
from gameday.scenario import Expected, Scenario, receiver_of
from gameday.watch import Watch

__all__ = ["LIMIT", "Outcome", "Result", "Run", "Verdict", "may_start"]

Verdict = Literal["ok", "slow", "missed", "not resolved", "not run"]

LIMIT: Final = 1.5
"""Detection may take so many times what is possible."""
CALM_SECONDS: Final = 180.0
RESOLVE_SECONDS: Final = 240.0
FORGOTTEN: Final = 45.0
"""Seconds after which Alertmanager has forgotten a group of alerts that have all ended: it looks
every 30. Until then a new alert of the group waits for group_interval, and not for group_wait."""
LOOK: Final = 0.25

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What became of one expected alert; seconds since the injection, or since its end."""

    scenario: str
    expected: Expected
    receiver: str
    possible: float
    taken: float | None = None
    resolved: float | None = None
    verdict: Verdict = "missed"

    @property
    def ratio(self) -> float | None:
        """How many times what is possible it took."""
        return None if self.taken is None else self.taken / self.possible


@dataclass(slots=True)
class Result:
    """One scenario, as it went; `error` says why it could not be run."""

    scenario: Scenario
    outcomes: list[Outcome] = field(default_factory=list)
    error: str = ""
    began: float = 0.0
    ended: float = 0.0


@dataclass(slots=True)
class Run:
    """All scenarios of one game day. `status` is what each that runs is doing."""

    environment: Environment
    receivers: Receivers
    watch: Watch
    say: Say
    status: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def all(self, scenarios: Sequence[Scenario], tick: Callable[[], None]) -> list[Result]:
        """Run them, in the order given where nothing is in the way; `tick` is called all the time.

        An interrupt (KeyboardInterrupt) stops them where they are.
        """
        rendered = Rendered(self.environment.tree, self.environment.spec)
        waiting, running = list(scenarios), dict[str, tuple[Scenario, threading.Thread]]()
        try:
            while waiting or running:
                for name, (_, thread) in list(running.items()):
                    if not thread.is_alive():
                        del running[name]
                        self.status.pop(name, None)
                busy = [scenario for scenario, _ in running.values()]
                for scenario in list(waiting):
                    if may_start(scenario, busy, waiting, self.environment.uptime):
                        waiting.remove(scenario)
                        busy.append(scenario)
                        thread = threading.Thread(
                            target=self._one, args=(scenario, rendered), daemon=True
                        )
                        running[scenario.name] = (scenario, thread)
                        thread.start()
                tick()
                time.sleep(LOOK)
        finally:
            self._stop.set()
        return self.results

    def _one(self, scenario: Scenario, rendered: Rendered) -> None:
        result = Result(scenario, began=self.environment.uptime)
        try:
            self._play(scenario, rendered, result)
        except Exception as error:  # noqa: BLE001  (one that cannot be run must not end the others)
            result.error = f"{type(error).__name__}: {error}"
            self.say(f"{scenario.name}: could not be run: {result.error}")
        result.ended = self.environment.uptime
        self.results.append(result)

    def _play(self, scenario: Scenario, rendered: Rendered, result: Result) -> None:
        self.status[scenario.name] = "waits for calm"
        self._await_calm(scenario, CALM_SECONDS)
        self.watch.begin(scenario)
        try:
            self.say(f"{scenario.name}: {scenario.says}")
            chains = [rendered.chain(e.alert, e.severity, e.seen_in) for e in scenario.expects]
            reaches = [expected.reach(self.environment) for expected in scenario.expects]
            since = time.monotonic()
            self.environment.outage = 0.0
            mend = scenario.injection.inject(self.environment)
            # Only what runs alone restarts anything that others need.
            outage = self.environment.outage if scenario.alone else 0.0
            fires = [
                outage + reach + chain.seen + chain.evaluated + chain.hold
                for reach, chain in zip(reaches, chains, strict=True)
            ]
            result.outcomes = [
                Outcome(scenario.name, expected, receiver_of(expected, self.environment.spec), due)
                for expected, due in zip(scenario.expects, fires, strict=True)
            ]
            try:
                self._await_told(scenario, result.outcomes, since, rendered)
            finally:
                self.status[scenario.name] = "is being mended"
                mend()
            self._await_resolved(scenario, result.outcomes, time.monotonic())
        finally:
            self.watch.end(scenario)

    def _await_told(
        self, scenario: Scenario, outcomes: list[Outcome], since: float, rendered: Rendered
    ) -> None:
        waited = [rendered.group_interval + 2 * outcome.possible + 20 for outcome in outcomes]
        deadline = since + max(waited)
        while any(outcome.taken is None for outcome in outcomes) and self._goes_on():
            told = sum(outcome.taken is not None for outcome in outcomes)
            passed = time.monotonic() - since
            due = max(outcome.possible for outcome in outcomes)
            self.status[scenario.name] = (
                f"{told} of {len(outcomes)} told, {passed:.0f} s of at best {due:.0f} s"
            )
            for outcome in outcomes:
                if outcome.taken is None and (found := self._told(outcome, since, "firing")):
                    outcome.taken = found.at - since
                    wait = self._group_waits(outcome, found, since, rendered)
                    outcome.possible += wait
                    outcome.verdict = "ok" if outcome.taken <= LIMIT * outcome.possible else "slow"
                    self.say(
                        f"{scenario.name}: {outcome.expected.alert} at {outcome.receiver} after "
                        f"{outcome.taken:.1f} s, possible {outcome.possible:.1f} s"
                    )
            if time.monotonic() > deadline:
                break
            self.receivers.wait(LOOK)
        for outcome in outcomes:
            if outcome.taken is None:
                outcome.possible += rendered.group_wait
                self.say(
                    f"{scenario.name}: MISSED {outcome.expected.alert} of "
                    f"{outcome.expected.model} at {outcome.receiver}"
                )

    def _group_waits(
        self, outcome: Outcome, own: Delivery, since: float, rendered: Rendered
    ) -> float:
        """What Alertmanager waits before it tells: little where nothing was told of the group."""
        group = own.notification.group_key
        lately = [
            delivery
            for delivery in self.receivers.get(since - FORGOTTEN)
            if delivery.notification.group_key == group
            and delivery.at < min(own.at, since + outcome.possible)
            and delivery.notification.fingerprint != own.notification.fingerprint
        ]
        return rendered.group_interval if lately else rendered.group_wait

    def _await_resolved(self, scenario: Scenario, outcomes: list[Outcome], since: float) -> None:
        deadline = since + RESOLVE_SECONDS
        while self._goes_on():
            for outcome in outcomes:
                if outcome.resolved is None and (found := self._told(outcome, since, "resolved")):
                    outcome.resolved = found.at - since
            waiting = [
                outcome
                for outcome in outcomes
                if outcome.taken is not None
                and outcome.expected.resolves
                and outcome.resolved is None
            ]
            self.status[scenario.name] = (
                f"mended {time.monotonic() - since:.0f} s ago, {len(waiting)} not resolved"
            )
            if not waiting and not self._disturbed(scenario):
                return
            if time.monotonic() > deadline:
                for outcome in waiting:
                    outcome.verdict = "not resolved"
                return
            self.receivers.wait(LOOK)

    def _told(self, outcome: Outcome, since: float, status: str) -> Delivery | None:
        for delivery in self.receivers.get(since):
            notification = delivery.notification
            labels = {
                **notification.labels,
                "alertname": notification.alertname,
                "severity": notification.severity,
                "model_name": notification.model,
            }
            if (delivery.receiver, notification.status) == (
                outcome.receiver,
                status,
            ) and outcome.expected.fits(labels):
                return delivery
        return None

    def _await_calm(self, scenario: Scenario, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._disturbed(scenario) and self._goes_on():
            if time.monotonic() > deadline:
                found = ", ".join(sorted({a["alertname"] for a in self._disturbed(scenario)}))
                raise TimeoutError(f"no calm within {seconds:g} s: {found}")
            time.sleep(LOOK)

    def _disturbed(self, scenario: Scenario) -> list[dict[str, str]]:
        """Alerts, firing or pending, of what a scenario touches."""
        models = set(scenario.touches) & set(GPUS)
        if "platform" in scenario.touches:
            models.add("none")
        others = [other for other in self.watch.active if other is not scenario]
        return [
            labels
            for labels in (*self.environment.firing(), *self.environment.pending())
            if (labels.get("model_name") in models or scenario.explains(labels))
            and labels["alertname"] != "Watchdog"
            and not any(other.explains(labels) for other in others)
        ]

    def _goes_on(self) -> bool:
        return not self._stop.is_set()


def may_start(
    scenario: Scenario, busy: Sequence[Scenario], waiting: Sequence[Scenario], uptime: float
) -> bool:
    """Nothing that runs, and nothing that has waited longer, is about the same."""
    if uptime < scenario.needs or any(one.alone for one in busy):
        return False
    if scenario.alone:
        return not busy and waiting[0] is scenario
    before = list(waiting[: list(waiting).index(scenario)])
    return not any(scenario.touches & other.touches for other in (*busy, *before))
