"""What the responder changes in Kubernetes, through the official client.

Against the API as it is spoken, by a small server here; or, where KUBE_APISERVER and ETCD name the
programs, against a real API server. The tests are the same.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.processes import eventually, free_port, running

__all__ = ["Cluster", "cluster"]

TOKEN = "a-token"
APPS = "/apis/apps/v1/namespaces/default"


@dataclass
class Cluster:
    """An API server: its kubeconfig, and a client that is not the one under test."""

    kubeconfig: Path
    web: httpx.Client

    def make(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Create an object of apps/v1."""
        answer = self.web.post(f"{APPS}/{kind}", json={"apiVersion": "apps/v1", **content})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def deployment(self, name: str) -> dict[str, Any]:
        """A Deployment as it is now."""
        found: dict[str, Any] = self.web.get(f"{APPS}/deployments/{name}").json()
        return found

    def change(self, name: str, spec: dict[str, Any]) -> None:
        """Change a Deployment as somebody else would."""
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        content = json.dumps({"spec": spec}).encode()
        path = f"{APPS}/deployments/{name}"
        assert self.web.patch(path, content=content, headers=headers).status_code == 200


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A real API server where there is one to start, else the one that is spoken here."""
    programs = os.environ.get("KUBE_APISERVER", ""), os.environ.get("ETCD", "")
    with ExitStack() as opened:
        started = _real(folder, *programs) if all(programs) else _spoken()
        url, authority = opened.enter_context(started)
        file = folder / "kubeconfig"
        file.write_text(json.dumps(_kubeconfig(url, authority)))
        web = httpx.Client(
            base_url=url,
            verify=False,
            trust_env=False,
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        yield Cluster(file, opened.enter_context(web))


def _kubeconfig(url: str, authority: str) -> dict[str, Any]:
    where = {"server": url, **({"certificate-authority": authority} if authority else {})}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": where}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }


# The real one


@contextmanager
def _real(folder: Path, apiserver: str, etcd: str) -> Iterator[tuple[str, str]]:
    store, peer, port = free_port(), free_port(), free_port()
    keys = folder / "keys"
    keys.mkdir()
    subprocess.run(
        ["openssl", "genrsa", "-out", str(keys / "sa.key"), "2048"],
        check=True,
        capture_output=True,
    )
    (keys / "tokens").write_text(f"{TOKEN},tester,1,system:masters\n")
    at = f"http://127.0.0.1:{store}"
    peers = f"http://127.0.0.1:{peer}"
    stored = [etcd, "--data-dir", str(folder / "etcd"), "--listen-client-urls", at]
    stored += ["--advertise-client-urls", at, "--listen-peer-urls", peers]
    served = [
        apiserver, "--etcd-servers", at, "--bind-address=127.0.0.1", f"--secure-port={port}",
        f"--cert-dir={keys}", f"--token-auth-file={keys / 'tokens'}",
        "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://127.0.0.1",
        f"--service-account-key-file={keys / 'sa.key'}",
        f"--service-account-signing-key-file={keys / 'sa.key'}",
        "--disable-admission-plugins=ServiceAccount",
    ]  # fmt: skip
    url = f"https://127.0.0.1:{port}"
    with running(stored, ready_url=f"{at}/health"), running(served) as server:
        with httpx.Client(verify=False, trust_env=False) as web:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            eventually(
                lambda: web.get(f"{url}/readyz", headers=headers).status_code == 200,
                seconds=90,
                says=server.tail,
            )
            path = f"{url}/api/v1/namespaces/default"
            eventually(lambda: web.get(path, headers=headers).status_code == 200, seconds=30)
        yield url, str(keys / "apiserver.crt")


# The one that is spoken here


@dataclass
class _Store:
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


@contextmanager
def _spoken() -> Iterator[tuple[str, str]]:
    store = _Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*_read(store, self.path))

        def do_POST(self) -> None:
            self._answer(*_create(store, self.path, self._body()))

        def do_PATCH(self) -> None:
            kind = self.headers["Content-Type"]
            self._answer(*_patch(store, self.path, kind, self._body()))

        def _body(self) -> Any:
            assert self.headers["Authorization"] == f"Bearer {TOKEN}"
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", ""
        server.shutdown()
        thread.join(10)


def _read(store: _Store, path: str) -> tuple[int, dict[str, Any]]:
    place, _, query = path.partition("?")
    kind, name = _parts(place)
    if name:
        found = store.objects.get((kind, name))
        return (200, found) if found else _status(404, "NotFound", f'{kind} "{name}" not found')
    wanted = dict(
        pair.split("=", 1)
        for pair in re.sub("%3D", "=", re.sub("%2C", ",", query)).partition("labelSelector=")[2]
        .split("&")[0].split(",")
        if pair
    )  # fmt: skip
    items = [
        one
        for (its, _), one in store.objects.items()
        if its == kind and wanted.items() <= one["metadata"].get("labels", {}).items()
    ]
    return 200, {"apiVersion": "apps/v1", "kind": "ReplicaSetList", "metadata": {}, "items": items}


def _create(store: _Store, path: str, content: Any) -> tuple[int, dict[str, Any]]:
    kind, _ = _parts(path)
    content["metadata"] |= {"uid": str(uuid.uuid4()), "generation": 1, "namespace": "default"}
    store.objects[kind, content["metadata"]["name"]] = content
    return 201, content


def _patch(store: _Store, path: str, how: str, change: Any) -> tuple[int, dict[str, Any]]:
    scale = path.partition("?")[0].endswith("/scale")
    kind, name = _parts(path.partition("?")[0].removesuffix("/scale"))
    if (kind, name) not in store.objects:
        return _status(404, "NotFound", f'{kind}.apps "{name}" not found')
    one = copy.deepcopy(store.objects[kind, name])
    if how == "application/json-patch+json":
        for step in change:
            *above, last = step["path"].strip("/").split("/")
            at = one
            for part in above:
                at = at[part]
            if step["op"] == "test" and at[last] != step["value"]:
                return _status(422, "Invalid", "the server rejected our request")
            if step["op"] == "replace":
                at[last] = step["value"]
    else:
        assert how == "application/strategic-merge-patch+json", how
        _merge(one, change)
    if one["spec"] != store.objects[kind, name]["spec"]:
        one["metadata"]["generation"] += 1
    store.objects[kind, name] = one
    if not scale:
        return 200, one
    found = {"replicas": one["spec"]["replicas"]}
    meta = {"name": name, "namespace": "default"}
    return 200, {
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": found,
        "status": {"replicas": 1},
    }  # fmt: skip


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _parts(path: str) -> tuple[str, str]:
    kind, _, name = path.removeprefix(f"{APPS}/").partition("/")
    return kind, name


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason,
        "message": message, "code": code,
    }  # fmt: skip
