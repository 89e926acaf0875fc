"""Who is told: a receiver for each set of a team's channels, and how each channel is spoken to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contract.spec import SEVERITIES, Channel, Spec, Team
from generator.routes.names import DEADMAN, LOG, channels_of, receiver_name

__all__ = ["FOLDER", "global_settings", "receivers"]

FOLDER: Final = "alertmanager/generated"
"""Where alertmanager.yml lies, from the root of the tree."""


def global_settings(spec: Spec) -> dict[str, Any]:
    """The mail server, if there is one."""
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


def receivers(spec: Spec, used: frozenset[str], out: Path) -> list[dict[str, Any]]:
    """The receivers that the tree of routes uses, the log first."""
    found: dict[str, dict[str, Any]] = {}
    for name, channels, team in _possible(spec):
        if name in used and name not in found:
            receiver: dict[str, Any] = {"name": name}
            for channel in channels:
                kind, config = _config(channel, team, spec, out)
                receiver.setdefault(kind, []).append(config)
            found[name] = receiver
    if spec.deadman is not None:
        ping = {
            "url": spec.deadman.url,
            "send_resolved": False,
            **_token(spec.deadman.token_file, spec, out),
        }
        found[DEADMAN] = {"name": DEADMAN, "webhook_configs": [ping]}
    return list(found.values())


def _possible(spec: Spec) -> Iterator[tuple[str, tuple[Channel, ...], Team]]:
    """Every receiver that a route may name: all channels of a severity, or all but the log."""
    yield LOG, ("log",), Team()
    for name, team in spec.teams.items():
        for severity in SEVERITIES:
            channels = channels_of(team, severity, spec)
            people = tuple(channel for channel in channels if channel != LOG)
            for some in (channels, people):
                yield receiver_name(name, some), some, team


# Secrets


def _secret(relative: str, spec: Spec) -> str:
    """A secret's path from the working directory, which is where Alertmanager looks.

    It resolves templates from its own file, but secrets from where it was started: natively and in
    the container that is the folder that holds the generated tree.
    """
    path = spec.path(relative).absolute()
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _token(relative: str | None, spec: Spec, out: Path) -> dict[str, Any]:
    """Settings that send a token along; Alertmanager looks for its file from its own file."""
    if relative is None:
        return {}
    path, here = spec.path(relative).absolute(), Path.cwd()
    folder = out.absolute() / FOLDER
    if path.is_relative_to(here) and folder.is_relative_to(here):
        path = Path(os.path.relpath(path, folder))
    return {"http_config": {"authorization": {"credentials_file": str(path)}}}


# Channels


def _config(channel: Channel, team: Team, spec: Spec, out: Path) -> tuple[str, dict[str, Any]]:
    match channel:
        case "log":
            url = f"http://{spec.stack.responder}/v1/alertmanager"
            token = _token(spec.responder.token_file, spec, out)
            return "webhook_configs", {"url": url, "send_resolved": True, **token}
        case "slack":
            return "slack_configs", _slack(team, spec)
        case "email":
            return "email_configs", _email(team)
        case "pagerduty":
            return "pagerduty_configs", _pagerduty(team, spec)
        case "opsgenie":
            return "opsgenie_configs", _opsgenie(team, spec)
        case "webhook":
            return "webhook_configs", _webhook(team, spec, out)


def _slack(team: Team, spec: Spec) -> dict[str, Any]:
    assert team.slack is not None
    return {
        "send_resolved": True,
        "api_url_file": _secret(team.slack.webhook_file, spec),
        "channel": team.slack.channel,
        "color": '{{ template "ml.color" . }}',
        "title": '{{ template "ml.subject" . }}',
        "title_link": '{{ template "ml.link" . }}',
        "fallback": '{{ template "ml.subject" . }}',
        "text": '{{ template "ml.slack" . }}',
    }


def _email(team: Team) -> dict[str, Any]:
    assert team.email is not None
    return {
        "send_resolved": True,
        "to": ", ".join(team.email.to),
        "headers": {"Subject": '{{ template "ml.subject" . }}'},
        "html": '{{ template "ml.html" . }}',
        "text": '{{ template "ml.text" . }}',
    }


def _pagerduty(team: Team, spec: Spec) -> dict[str, Any]:
    assert team.pagerduty is not None
    return {
        "send_resolved": True,
        "routing_key_file": _secret(team.pagerduty.routing_key_file, spec),
        **({"url": team.pagerduty.url} if team.pagerduty.url else {}),
        "description": '{{ template "ml.subject" . }}',
        "severity": '{{ template "ml.severity" . }}',
        "component": "{{ .GroupLabels.model_name }}",
        "group": "{{ .GroupLabels.team }}",
        "client": "Alertmanager",
        "client_url": '{{ template "ml.link" . }}',
        "links": [
            {"href": '{{ template "ml.runbook" . }}', "text": "Runbook"},
            {"href": '{{ template "ml.link" . }}', "text": "Dashboard"},
            {"href": '{{ template "ml.silence" . }}', "text": "Silence"},
        ],
        # Its own details by these names would list labels.
        "details": {"firing": '{{ template "ml.text" . }}', "resolved": ""},
    }


def _opsgenie(team: Team, spec: Spec) -> dict[str, Any]:
    assert team.opsgenie is not None
    return {
        "send_resolved": True,
        "api_key_file": _secret(team.opsgenie.api_key_file, spec),
        **({"api_url": team.opsgenie.api_url} if team.opsgenie.api_url else {}),
        "message": '{{ template "ml.subject" . }}',
        "description": '{{ template "ml.text" . }}',
        "source": '{{ template "ml.link" . }}',
        "priority": '{{ template "ml.priority" . }}',
        "tags": "{{ .GroupLabels.team }},{{ .GroupLabels.model_name }}",
        "details": {
            "runbook": '{{ template "ml.runbook" . }}',
            "dashboard": '{{ template "ml.link" . }}',
            "silence": '{{ template "ml.silence" . }}',
        },
    }


def _webhook(team: Team, spec: Spec, out: Path) -> dict[str, Any]:
    assert team.webhook is not None
    token = _token(team.webhook.token_file, spec, out)
    return {"url": team.webhook.url, "send_resolved": True, **token}
