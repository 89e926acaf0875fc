"""Changing a Deployment through the API of Kubernetes, as kubectl does it."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
from typing import Any, Final

from contract.spec import KubernetesAction
from responder.remediation.actions.done import Doing, Done

__all__ = ["change_deployment"]

REVISION: Final = "deployment.kubernetes.io/revision"
RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
POD_TEMPLATE_HASH: Final = "pod-template-hash"
_SHOWN: Final = 200


class _CannotError(Exception):
    """What keeps the Deployment from being changed."""


async def change_deployment(action: KubernetesAction, doing: Doing) -> Done:
    """Do it in a thread, since the official client blocks."""
    return await asyncio.to_thread(_change, action, doing)


def _change(action: KubernetesAction, doing: Doing) -> Done:
    try:
        from kubernetes import client
        from kubernetes.config.config_exception import ConfigException
        from urllib3.exceptions import HTTPError
    except ImportError:
        return Done(
            ok=False,
            detail="needs the official client: pip install 'ml-observability[kubernetes]'",
        )
    try:
        with _api(action, doing) as api:
            detail = _change_by(client.AppsV1Api(api), action)
    except client.ApiException as error:
        said = f"{error.status} {error.reason}: {str(error.body or '')[:_SHOWN]}"
        return Done(ok=False, detail=f"the API answered {said}")
    except (HTTPError, ConfigException) as error:
        return Done(ok=False, detail=f"the API cannot be reached: {error}")
    except _CannotError as error:
        return Done(ok=False, detail=str(error))
    return Done(ok=True, detail=detail)


def _api(action: KubernetesAction, doing: Doing) -> Any:
    from kubernetes import client

    config: Any = importlib.import_module("kubernetes.config")  # it has no types
    if action.kubeconfig is not None:
        return config.new_client_from_config(
            config_file=str(doing.path(action.kubeconfig)), context=action.context
        )
    inside = client.Configuration()
    config.load_incluster_config(client_configuration=inside)
    return client.ApiClient(inside)


def _change_by(apps: Any, action: KubernetesAction) -> str:
    where = {
        "name": action.deployment,
        "namespace": action.namespace,
        "_request_timeout": action.timeout.seconds,
    }
    if action.replicas is not None:
        scale = apps.patch_namespaced_deployment_scale(
            **where, body={"spec": {"replicas": action.replicas}}
        )
        return f"scaled to {scale.spec.replicas}"
    if action.rollout == "restart":
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        changed = {"metadata": {"annotations": {RESTARTED_AT: now}}}
        apps.patch_namespaced_deployment(**where, body={"spec": {"template": changed}})
        return f"restarted at {now}"
    return _undo(apps, action, where)


def _undo(apps: Any, action: KubernetesAction, where: dict[str, Any]) -> str:
    """Put the template of the revision before in place, as `kubectl rollout undo` does.

    Only if nobody changed the Deployment since it was read.
    """
    deployment = apps.read_namespaced_deployment(**where)
    if deployment.spec.paused:
        raise _CannotError("its rollout is paused: kubectl rollout resume")
    current = _revision(deployment)
    before = [
        owned for owned in _replica_sets(apps, deployment, action) if 0 < _revision(owned) < current
    ]
    if not before:
        raise _CannotError(f"there is no revision before {current}")
    previous = max(before, key=_revision)
    template = apps.api_client.sanitize_for_serialization(previous.spec.template)
    (template.get("metadata") or {}).get("labels", {}).pop(POD_TEMPLATE_HASH, None)
    generation = deployment.metadata.generation
    apps.patch_namespaced_deployment(
        **where,
        body=[
            {"op": "test", "path": "/metadata/generation", "value": generation},
            {"op": "replace", "path": "/spec/template", "value": template},
        ],
    )
    return f"rolled back from revision {current} to {_revision(previous)}"


def _replica_sets(apps: Any, deployment: Any, action: KubernetesAction) -> list[Any]:
    labels = deployment.spec.selector.match_labels or {}
    found = apps.list_namespaced_replica_set(
        namespace=action.namespace,
        label_selector=",".join(f"{name}={value}" for name, value in labels.items()),
        _request_timeout=action.timeout.seconds,
    )
    owner = deployment.metadata.uid
    return [
        one
        for one in found.items
        if any(reference.uid == owner for reference in one.metadata.owner_references or ())
    ]


def _revision(what: Any) -> int:
    text = (what.metadata.annotations or {}).get(REVISION, "")
    return int(text) if text.isdecimal() else 0
