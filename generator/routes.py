"""The spec → alertmanager.yml: who is told what, where, and what keeps still meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from contract.quantity import Duration
from contract.spec import ALERT_NAMES, SEVERITIES, Channel, Severity, Spec, Team
from generator.text import quoted, render_template, render_yaml

__all__ = ["LOG", "TEMPLATES", "receiver_name", "render_notifications", "render_routes"]

LOG: Final = "log"
"""The receiver that everything without a better one goes to: the responder."""
TEMPLATES: Final = "templates/notifications.tmpl"
"""Where Alertmanager finds the messages' templates, from its own file."""

_WAIT: Final = Duration.parse("30s")
_INTERVAL: Final = Duration.parse("5m")
_REPEAT: Final = Duration.parse("4h")
_CHANNELS: Final[tuple[Channel, ...]] = ("log", "slack", "email", "pagerduty")


def render_routes(spec: Spec) -> str:
    """The text of alertmanager.yml."""
    return render_yaml(
        {
            **_global(spec),
            "templates": [TEMPLATES],
            "route": {
                "receiver": LOG,
                "group_by": ["team", "model_name"],
                "group_wait": str(spec.clock(_WAIT)),
                "group_interval": str(spec.clock(_INTERVAL)),
                "repeat_interval": str(spec.clock(_REPEAT)),
                "routes": [
                    # Always firing, it would otherwise be in every group of the stack's alerts.
                    {
                        "receiver": LOG,
                        "matchers": [_equals("alertname", "Watchdog")],
                        "group_by": ["alertname"],
                    },
                    *(_team_route(name, team, spec) for name, team in spec.teams.items()),
                ],
            },
            "inhibit_rules": _inhibitions(),
            "receivers": _receivers(spec),
        }
    )


def render_notifications() -> str:
    """The text of the templates that messages to people are written with."""
    return render_template("notifications.tmpl.j2")


def receiver_name(team: str, channels: Sequence[Channel]) -> str:
    """What the receiver of a team's channels is called; the log alone is the same for all."""
    return LOG if tuple(channels) == (LOG,) else f"{team}/{'+'.join(channels)}"


# Routes


def _team_route(name: str, team: Team, spec: Spec) -> dict[str, Any]:
    severities = [
        {
            "receiver": receiver_name(name, channels),
            "matchers": [_equals("severity", severity)],
        }
        for severity in SEVERITIES
        if (channels := _channels(team, severity, spec)) != (LOG,)
    ]
    route: dict[str, Any] = {"receiver": LOG, "matchers": [_equals("team", name)]}
    return {**route, "routes": severities} if severities else route


def _channels(team: Team, severity: Severity, spec: Spec) -> tuple[Channel, ...]:
    """The channels of a severity that the team has; the log where that leaves none."""
    wanted = set(spec.routing.channels(severity)) & team.channels()
    return tuple(channel for channel in _CHANNELS if channel in wanted) or ("log",)


def _equals(label: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return quoted(f'{label}="{escaped}"')


def _one_of(label: str, values: Sequence[str]) -> str:
    return quoted(f'{label}=~"{"|".join(values)}"')


# Inhibition


def _inhibitions() -> list[dict[str, Any]]:
    """A worse severity silences a lesser one of the same alert; a model that is down, its symptoms.

    Alertmanager takes a label that is missing on both sides for equal, which is right for
    feature_name, and is why the stack's own alerts have a model_name, too. Only models' alerts are
    silenced here.
    """
    ladder = [
        {
            "source_matchers": [_equals("severity", severity)],
            "target_matchers": [
                _one_of("severity", SEVERITIES[:index]),
                _one_of("alertname", ALERT_NAMES),
            ],
            "equal": ["alertname", "model_name", "model_version", "feature_name"],
        }
        for index, severity in reversed(list(enumerate(SEVERITIES)))
        if index
    ]
    symptoms = [name for name in ALERT_NAMES if name != "TargetDown"]
    down = {
        # With a replica left, the model's other alerts are about the requests it still gets.
        "source_matchers": [_equals("alertname", "TargetDown"), _equals("targets", "1")],
        "target_matchers": [_one_of("alertname", symptoms)],
        "equal": ["model_name", "model_version"],
    }
    return [*ladder, down]


# Receivers


def _global(spec: Spec) -> dict[str, Any]:
    smtp = spec.smtp
    if smtp is None:
        return {}
    settings: dict[str, Any] = {
        "smtp_smarthost": smtp.smarthost,
        "smtp_from": smtp.sender,
        "smtp_require_tls": smtp.require_tls,
    }
    if smtp.username is not None:
        settings["smtp_auth_username"] = smtp.username
    if smtp.password_file is not None:
        settings["smtp_auth_password_file"] = _secret(smtp.password_file, spec)
    return {"global": settings}


def _secret(relative: str, spec: Spec) -> str:
    """A secret's path from the working directory, which is where Alertmanager looks.

    It resolves templates from its own file, but secrets from where it was started: natively and in
    the container that is the folder that holds the generated tree.
    """
    path = spec.path(relative).absolute()
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _receivers(spec: Spec) -> list[dict[str, Any]]:
    receivers = {LOG: {"name": LOG, "webhook_configs": [_webhook(spec)]}}
    for name, team in spec.teams.items():
        for severity in SEVERITIES:
            channels = _channels(team, severity, spec)
            receiver = receiver_name(name, channels)
            if receiver not in receivers:
                configs = (_CONFIGS[channel](team, spec) for channel in channels)
                receivers[receiver] = {"name": receiver} | {k: v for c in configs for k, v in c}
    return list(receivers.values())


def _webhook(spec: Spec) -> dict[str, Any]:
    return {"url": f"http://{spec.stack.responder}/v1/alertmanager", "send_resolved": True}


def _log(_: Team, spec: Spec) -> list[tuple[str, Any]]:
    return [("webhook_configs", [_webhook(spec)])]


def _slack(team: Team, spec: Spec) -> list[tuple[str, Any]]:
    assert team.slack is not None
    config = {
        "send_resolved": True,
        "api_url_file": _secret(team.slack.webhook_file, spec),
        "channel": team.slack.channel,
        "color": '{{ template "ml.color" . }}',
        "title": '{{ template "ml.subject" . }}',
        "title_link": '{{ template "ml.link" . }}',
        "fallback": '{{ template "ml.subject" . }}',
        "text": '{{ template "ml.slack" . }}',
    }
    return [("slack_configs", [config])]


def _email(team: Team, _: Spec) -> list[tuple[str, Any]]:
    assert team.email is not None
    config = {
        "send_resolved": True,
        "to": ", ".join(team.email.to),
        "headers": {"Subject": '{{ template "ml.subject" . }}'},
        "html": '{{ template "ml.html" . }}',
        "text": '{{ template "ml.text" . }}',
    }
    return [("email_configs", [config])]


def _pagerduty(team: Team, spec: Spec) -> list[tuple[str, Any]]:
    assert team.pagerduty is not None
    config = {
        "send_resolved": True,
        "routing_key_file": _secret(team.pagerduty.routing_key_file, spec),
        "description": '{{ template "ml.subject" . }}',
        "severity": "{{ .CommonLabels.severity }}",
        "client": "Alertmanager",
        "client_url": '{{ template "ml.link" . }}',
        "details": {"alerts": '{{ template "ml.text" . }}'},
    }
    return [("pagerduty_configs", [config])]


_CONFIGS: Final[dict[Channel, Callable[[Team, Spec], list[tuple[str, Any]]]]] = {
    "log": _log,
    "slack": _slack,
    "email": _email,
    "pagerduty": _pagerduty,
}
