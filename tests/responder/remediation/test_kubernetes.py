"""A Deployment is rolled back, restarted and scaled as kubectl does it."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from responder.remediation.actions.kubernetes import RESTARTED_AT, REVISION
from tests.responder.remediation.api_server import Cluster, cluster
from tests.responder.remediation.conftest import ACT
from tests.responder.remediation.receiving import Receiver
from tests.responder.remediation.test_actions import outcome

IMAGES = ("fraud:5", "fraud:6", "fraud:7")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def template(image: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "fraud", **labels}},
        "spec": {"containers": [{"name": "server", "image": image}]},
    }


@pytest.fixture
def deployment(one: Cluster, request: pytest.FixtureRequest) -> str:
    """A Deployment of its own whose third revision runs, with the ReplicaSets of all three."""
    name = f"d{abs(hash(request.node.name)) % 10**8}"
    labels = {"app": "fraud", "of": name}
    selector = {"matchLabels": labels}
    spec = {"replicas": 1, "selector": selector, "template": template(IMAGES[2], of=name)}
    meta = {"name": name, "labels": labels, "annotations": {REVISION: "3"}}
    made = one.make("deployments", {"kind": "Deployment", "metadata": meta, "spec": spec})
    owner = {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "controller": True,
        "uid": made["metadata"]["uid"],
    }  # fmt: skip
    for number, image in enumerate(IMAGES, 1):
        hashed = {**labels, "pod-template-hash": f"h{number}"}
        content = template(image, of=name, **{"pod-template-hash": f"h{number}"})
        one.make(
            "replicasets",
            {
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{name}-h{number}",
                    "labels": hashed,
                    "annotations": {REVISION: str(number)},
                    "ownerReferences": [owner],
                },
                "spec": {"replicas": 0, "selector": {"matchLabels": hashed}, "template": content},
            },
        )
    # Of another Deployment with the same labels, however new.
    one.make(
        "replicasets",
        {
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name}-alien",
                "labels": labels,
                "annotations": {REVISION: "2"},
            },
            "spec": {
                "replicas": 0,
                "selector": selector,
                "template": template("alien:1", of=name),
            },
        },
    )
    return name


def action(one: Cluster, deployment: str, more: str) -> str:
    return f"do: kubernetes, deployment: {deployment}, kubeconfig: '{one.kubeconfig}', {more}"


def image_of(found: dict[str, Any]) -> str:
    image: str = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def test_a_rollback_puts_the_revision_before_in_place(
    act: ACT, receiver: Receiver, one: Cluster, deployment: str
) -> None:
    with act(action(one, deployment, "rollout: undo")) as acting:
        done = outcome(acting, receiver)
    assert (done["step"], done["detail"]) == ("succeeded", "rolled back from revision 3 to 2")
    found = one.deployment(deployment)
    assert image_of(found) == IMAGES[1]
    assert "pod-template-hash" not in found["spec"]["template"]["metadata"]["labels"]
    assert found["spec"]["replicas"] == 1, "the rest stays as it is"


def test_a_restart_marks_the_pods_as_kubectl_does(
    act: ACT, receiver: Receiver, one: Cluster, deployment: str
) -> None:
    with act(action(one, deployment, "rollout: restart")) as acting:
        assert outcome(acting, receiver)["step"] == "succeeded"
    found = one.deployment(deployment)
    marked = found["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT]
    assert dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(marked) < dt.timedelta(minutes=1)
    assert image_of(found) == IMAGES[2]


def test_it_is_scaled(act: ACT, receiver: Receiver, one: Cluster, deployment: str) -> None:
    with act(action(one, deployment, "replicas: 5")) as acting:
        done = outcome(acting, receiver)
    assert (done["step"], done["detail"]) == ("succeeded", "scaled to 5")
    assert one.deployment(deployment)["spec"]["replicas"] == 5


def test_what_is_not_there_is_said(act: ACT, receiver: Receiver, one: Cluster) -> None:
    with act(action(one, "nothing", "rollout: undo")) as acting:
        done = outcome(acting, receiver)
    assert done["step"] == "failed"
    assert done["detail"].startswith("the API answered 404 Not Found: ")
    assert "nothing" in done["detail"]


def test_a_rollout_that_is_paused_is_left_alone(
    act: ACT, receiver: Receiver, one: Cluster, deployment: str
) -> None:
    one.change(deployment, {"paused": True})
    with act(action(one, deployment, "rollout: undo")) as acting:
        done = outcome(acting, receiver)
    assert "paused" in done["detail"]
    assert image_of(one.deployment(deployment)) == IMAGES[2]


def test_a_cluster_that_cannot_be_reached_is_a_failure(
    act: ACT, receiver: Receiver, one: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "kubeconfig"
    text = one.kubeconfig.read_text()
    file.write_text(text.replace(str(one.web.base_url.port), "9"))
    more = f"do: kubernetes, deployment: a, kubeconfig: '{file}', rollout: restart, timeout: 1s"
    with act(more) as acting:
        done = outcome(acting, receiver)
    assert done["step"] == "failed"
    assert done["detail"].startswith("the API cannot be reached: ")


def test_outside_a_cluster_a_kubeconfig_is_asked_for(act: ACT, receiver: Receiver) -> None:
    with act("do: kubernetes, deployment: a, rollout: restart") as acting:
        done = outcome(acting, receiver)
    assert "Service host/port is not set" in done["detail"]


def test_without_the_client_it_says_what_to_install(
    act: ACT, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden" / "kubernetes").mkdir(parents=True)
    file = tmp_path / "hidden" / "kubernetes" / "__init__.py"
    file.write_text("raise ImportError('not installed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    with act("do: kubernetes, deployment: a, rollout: restart") as acting:
        done = outcome(acting, receiver)
    assert "pip install 'ml-observability[kubernetes]'" in done["detail"]


def test_a_deployment_that_somebody_changes_meanwhile_is_left_alone(
    one: Cluster, deployment: str
) -> None:
    from kubernetes import client

    from contract.spec import KubernetesAction
    from responder.remediation.actions.kubernetes import _undo

    config: Any = importlib.import_module("kubernetes.config")  # it has no types
    apps: Any = client.AppsV1Api(config.new_client_from_config(config_file=str(one.kubeconfig)))
    listed = apps.list_namespaced_replica_set

    def change_and_list(*arguments: Any, **more: Any) -> Any:
        one.change(deployment, {"replicas": 3})
        return listed(*arguments, **more)

    apps.list_namespaced_replica_set = change_and_list
    undo = KubernetesAction.model_validate(
        {"on": "TargetDown", "do": "kubernetes", "deployment": deployment, "rollout": "undo"}
    )
    with pytest.raises(client.ApiException) as raised:
        _undo(apps, undo, {"name": deployment, "namespace": "default"})
    assert raised.value.status in {409, 422}
    assert image_of(one.deployment(deployment)) == IMAGES[2]
