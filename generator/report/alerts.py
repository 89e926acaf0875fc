"""Which alerts fired over a period, how often and for how long."""

from __future__ import annotations

from contract.spec import SEVERITIES
from generator.doctor.ask import Sample
from generator.queries import report as queries
from generator.report.ask import Asked, Key
from generator.report.figures import Alert

__all__ = ["read_alerts"]


def read_alerts(asked: Asked) -> dict[Key, list[Alert]]:
    """The alerts of each model, those that fired for longest first.

    An episode goes on while any series of the alert fires: several features that drift at once are
    one. Where Prometheus was down for less than five minutes, it goes on as well.
    """
    who, over, spec = asked.who, asked.over, asked.spec
    seconds = _by_alert(asked.whole(queries.alert_seconds(who, over, spec), "alerts"))
    if not seconds:
        return {}
    starts = _by_alert(asked.whole(queries.alert_starts(who, over, spec), "alerts"))
    first, last = (
        _by_alert(asked.whole(expression, "alerts"))
        for expression in queries.first_and_last_alert(who, over, spec)
    )
    before = _by_alert(asked.at(queries.alerts_at(who), asked.period.start, "alerts"))
    after = _by_alert(asked.whole(queries.alerts_at(who), "alerts"))
    found: dict[Key, list[Alert]] = {}
    for key, fired in seconds.items():
        name, severity, model, version = key
        alert = Alert(
            name=name,
            severity=severity,
            episodes=round(starts.get(key, 0)) + (key in before),
            firing_seconds=fired,
            first_firing=asked.period.moment(first[key]),
            last_firing=asked.period.moment(last[key]),
            firing_at_end=key in after,
        )
        found.setdefault((model, version), []).append(alert)
    for alerts in found.values():
        alerts.sort(key=lambda one: (-_rank(one.severity), -one.firing_seconds, one.name))
    return found


def _rank(severity: str) -> int:
    ranks: tuple[str, ...] = SEVERITIES
    return ranks.index(severity) if severity in ranks else -1


def _by_alert(samples: list[Sample]) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.get(label, "") for label in queries.ALERT): sample.value
        for sample in samples
    }
