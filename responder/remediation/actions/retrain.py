"""Starting the training of a new version: what Airflow, Argo and GitHub are sent."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import msgspec

from contract.spec import Airflow, ArgoEvents, ArgoWorkflows, GitHub, RetrainAction
from responder.remediation.actions.done import Doing, Done, about
from responder.remediation.actions.posted import Post, deliver

__all__ = ["start_training", "training_is_repeatable", "training_request"]

_CONFLICT = frozenset({409})


def training_is_repeatable(action: RetrainAction) -> bool:
    """Whether the run has a name of its own, so that it cannot begin twice."""
    return action.airflow is not None or action.argo_workflows is not None


async def start_training(action: RetrainAction, doing: Doing) -> Done:
    """Send the request that starts it."""
    post = training_request(action, doing)
    return await deliver(post, doing, timeout=action.timeout, attempts=action.attempts)


def training_request(action: RetrainAction, doing: Doing) -> Post:
    """The request, with the tokens of its files. Raises OSError where one cannot be read."""
    if action.airflow is not None:
        return _airflow(action.airflow, doing)
    if action.argo_workflows is not None:
        return _argo_workflows(action.argo_workflows, doing)
    if action.github is not None:
        return _github(action.github, doing)
    assert action.argo_events is not None
    return _argo_events(action.argo_events, doing)


def _given(doing: Doing) -> dict[str, Any]:
    about_whom = {"model": doing.notification.model, "version": doing.notification.version}
    return {**about_whom, "alert": about(doing.notification)}


def _airflow(airflow: Airflow, doing: Doing) -> Post:
    """A run named after the action: a second one of that name is a 409."""
    run: dict[str, Any] = {"dag_run_id": f"ml-observability-{doing.id}"}
    if airflow.api == "v2":
        run["logical_date"] = None  # required, since a run may be about no date
    headers = doing.bearer(airflow.token_file)
    if airflow.username is not None and airflow.password_file is not None:
        login = f"{airflow.username}:{doing.secret(airflow.password_file)}"
        headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return Post(
        f"{airflow.url.rstrip('/')}/api/{airflow.api}/dags/{quote(airflow.dag, safe='')}/dagRuns",
        msgspec.json.encode({**run, "conf": {**airflow.conf, **_given(doing)}}),
        headers,
        already=_CONFLICT,
    )


def _argo_workflows(argo: ArgoWorkflows, doing: Doing) -> Post:
    """A workflow named after the action: a second one of that name is a 409."""
    notification = doing.notification
    given = {**argo.parameters, "model": notification.model, "version": notification.version}
    submission = {
        "namespace": argo.namespace,
        "resourceKind": "WorkflowTemplate",
        "resourceName": argo.template,
        "submitOptions": {
            "name": f"{argo.template[:40].rstrip('-.')}-{doing.id[:16]}",
            "parameters": [f"{name}={_plain(value)}" for name, value in given.items()],
        },
    }
    return Post(
        f"{argo.url.rstrip('/')}/api/v1/workflows/{argo.namespace}/submit",
        msgspec.json.encode(submission),
        doing.bearer(argo.token_file),
        already=_CONFLICT,
    )


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _argo_events(argo: ArgoEvents, doing: Doing) -> Post:
    return Post(
        argo.url,
        msgspec.json.encode({"id": doing.id, **argo.data, **_given(doing)}),
        doing.bearer(argo.token_file),
        repeatable=False,
    )


def _github(github: GitHub, doing: Doing) -> Post:
    # The payload may have ten keys: eight of the spec and two of ours.
    payload = {**github.payload, "model": doing.notification.model, "alert": _given(doing)["alert"]}
    return Post(
        f"{github.api_url.rstrip('/')}/repos/{github.repository}/dispatches",
        msgspec.json.encode({"event_type": github.event, "client_payload": payload}),
        {
            **doing.bearer(github.token_file),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "ml-observability",
        },
        repeatable=False,
    )
