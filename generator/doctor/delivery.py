"""Would Alertmanager deliver: is it reached, with our routes, and do notifications arrive?"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from contract.spec import Spec
from generator.doctor.ask import AskError, Prometheus, fetch, fetch_json
from generator.doctor.finding import Finding, broken, fine, note, warning
from generator.outputs import render

__all__ = ["check_alertmanager", "check_sending"]

_LATELY: Final = "1h"
_WATCHDOG: Final = quote('alertname="Watchdog"')


def check_sending(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """Prometheus's side: which Alertmanagers it sends to, and what was lost on the way."""
    subject = f"Prometheus {prometheus.address}"
    active = prometheus.api("alertmanagers")["activeAlertmanagers"]
    if not any(spec.stack.alertmanager in one["url"] for one in active):
        known = ", ".join(one["url"] for one in active) or "none"
        yield broken(
            "delivery",
            subject,
            f"does not send to Alertmanager {spec.stack.alertmanager}, but to {known}",
            "make generate, then send Prometheus a SIGHUP (or start it anew)",
        )
    lost = {
        "prometheus_notifications_errors_total": "alerts could not be sent to Alertmanager",
        "prometheus_notifications_dropped_total": "alerts were dropped on the way to Alertmanager",
    }
    for metric, what in lost.items():
        count = prometheus.number(f"sum(increase({metric}[{_LATELY}])) > 0")
        if count:
            yield warning(
                "delivery",
                subject,
                f"within {_LATELY} {count:.0f} {what}",
                f"is {spec.stack.alertmanager} reachable from Prometheus? Its log says why",
            )
    failed = prometheus.query(
        f"sum by (integration) (increase(alertmanager_notifications_failed_total[{_LATELY}])) > 0"
    )
    for sample in failed:
        yield broken(
            "delivery",
            f"Alertmanager {spec.stack.alertmanager}",
            f"within {_LATELY} {sample.value:.0f} notifications by"
            f" {sample.labels.get('integration', '?')} failed",
            "its log says why; check the address and the secret of that channel",
        )


def check_alertmanager(spec: Spec, out: Path) -> Iterator[Finding]:
    """Alertmanager itself: answers, has our configuration, and holds the alert that always fires.

    Raises AskError where it does not answer.
    """
    address = spec.stack.alertmanager
    subject = f"Alertmanager {address}"
    version = fetch_json(address, "/api/v2/status")["versionInfo"]["version"]
    yield fine("delivery", subject, f"answers, version {version}")
    yield _configuration(spec, address, subject, out)
    watchdog = fetch_json(address, f"/api/v2/alerts?filter={_WATCHDOG}")
    if not watchdog and (settling := _settling(spec)):
        yield note(
            "delivery",
            subject,
            f"holds no alert yet, not even Watchdog: {settling}",
            "ask again in a minute or two",
        )
    elif not watchdog:
        yield broken(
            "delivery",
            subject,
            "does not hold Watchdog, the alert that always fires: no alert arrives",
            f"let Prometheus evaluate its rules and send to {address}; ask again in a minute",
        )
    elif watchdog[0]["status"]["state"] != "active":
        yield warning(
            "delivery", subject, "Watchdog is silenced or inhibited", "expire that silence"
        )
    else:
        receivers = ", ".join(sorted({one["name"] for one in watchdog[0]["receivers"]}))
        yield fine("delivery", subject, f"holds Watchdog and sends it to {receivers}")
    silences = fetch_json(address, "/api/v2/silences")
    active = [one for one in silences if one["status"]["state"] == "active"]
    if active:
        names = "; ".join(_matchers(one) for one in active[:3])
        yield note("delivery", subject, f"{len(active)} silences are active: {names}")


def _settling(spec: Spec) -> str:
    try:
        with Prometheus(spec) as prometheus:
            return prometheus.settling()
    except AskError:
        return ""


def _configuration(spec: Spec, address: str, subject: str, out: Path) -> Finding:
    """What Alertmanager says of the file that it read, against what would be rendered."""
    loaded = _metric(address, "alertmanager_config_hash")
    if _metric(address, "alertmanager_config_last_reload_successful") == 0:
        return broken(
            "delivery",
            subject,
            "could not load its configuration when it last tried",
            "amtool check-config alertmanager/generated/alertmanager.yml says why",
        )
    files = render(spec, ("alertmanager",), out=out)
    text = next(text for path, text in files.items() if path.endswith("/alertmanager.yml"))
    if loaded is None:
        return note("delivery", subject, "does not say which configuration it has")
    if loaded != _hash(text):
        return broken(
            "delivery",
            subject,
            "has another configuration than models.yaml makes",
            "make generate, then send Alertmanager a SIGHUP (or start it anew)",
        )
    return fine("delivery", subject, "has the configuration that models.yaml makes")


def _hash(text: str) -> float:
    """What Alertmanager makes of a file: six bytes of its MD5, as a little-endian number."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    number: int = struct.unpack("<Q", digest[:6] + b"\0\0")[0]
    return float(number)


def _metric(address: str, name: str) -> float | None:
    try:
        found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", fetch(address, "/metrics"), re.MULTILINE)
    except AskError:
        return None
    return float(found[1]) if found else None


def _matchers(silence: dict[str, object]) -> str:
    matchers = silence["matchers"]
    assert isinstance(matchers, list)
    return ", ".join(
        f"{one['name']}{'=' if one.get('isEqual', True) else '!='}"
        f"{'~' if one['isRegex'] else ''}{one['value']}"
        for one in matchers
    )
