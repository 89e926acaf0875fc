"""What guards a Prometheus, or stands in its place: passwords, tokens, TLS, VictoriaMetrics."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporters.drift.__main__ import main
from exporters.drift.prometheus import Access, Prometheus, PrometheusError
from tests.exporters.drift.counting import listening, write_models
from tests.exporters.drift.history import PROFILES, exposition, remembering, victoria_metrics

AT = "2026-10-01T13:00Z"
HASH = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
"""bcrypt of `correct horse`."""


def _certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )


def _models(folder: Path, **access: str) -> Path:
    path = write_models(folder, PROFILES)
    spec: dict[str, Any] = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**spec, "stack": {"prometheus_access": access}}))
    return path


def _evaluate(models: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["evaluate", "--models", str(models), "--at", AT, "--format", "json"])
    [found] = json.loads(capsys.readouterr().out)
    return dict(found)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A Prometheus that speaks TLS and wants a password; its address and its certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    _certificate(folder)
    web = {
        "tls_server_config": {
            "cert_file": str(folder / "cert.pem"),
            "key_file": str(folder / "key.pem"),
        },
        "basic_auth_users": {"drift": HASH},
    }
    with remembering(folder / "prometheus", exposition(), web=web) as address:
        yield f"https://{address}", folder / "cert.pem"


def test_a_password_and_an_own_certificate_are_enough(
    guarded: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, certificate = guarded
    (tmp_path / "ca.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "password").write_text("correct horse\n")
    whole = {"url": url, "ca": "ca.pem", "username": "drift", "password_file": "password"}
    models = _models(tmp_path, **whole)
    assert _evaluate(models, capsys)["drift_detected"] is True

    # Another password is taken with the next query, as from a secret that was replaced.
    (tmp_path / "password").write_text("wrong")
    found = _evaluate(models, capsys)
    assert found["reason"] == "prometheus"
    assert found["error"] == f"{url}: 401: set stack.prometheus_access in models.yaml"


def test_a_certificate_that_nobody_known_signed_is_refused(
    guarded: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _evaluate(_models(tmp_path, url=guarded[0]), capsys)
    assert found["reason"] == "prometheus"
    assert "CERTIFICATE_VERIFY_FAILED" in found["error"]


def test_a_ca_that_is_no_certificate_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    models = _models(tmp_path, url="https://127.0.0.1:1", ca="ca.pem")
    for command in ("evaluate", "serve"):
        assert main([command, "--models", str(models)]) == 2
        assert "ca.pem: holds no certificate" in capsys.readouterr().err


@contextmanager
def _asked() -> Iterator[tuple[str, list[str]]]:
    """A server that has no series; its URL, and the Authorization headers it was sent."""
    headers: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            headers.append(self.headers.get("Authorization", ""))
            body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
            self.send_response(200 if self.path == "/tenant/api/v1/query" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object, **__: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        yield f"http://{address}/tenant/", headers


def test_a_token_is_sent_as_it_stands_in_its_file_now(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    with _asked() as (url, headers):
        prometheus = Prometheus(url, access=Access(secret=secret))
        for token in ("first\n", "second"):
            secret.write_text(token)
            assert prometheus.query("x", at=0) == []
        secret.unlink()
        with pytest.raises(PrometheusError, match=r"its password or token: .*No such file"):
            prometheus.query("x", at=0)
    assert headers == ["Bearer first", "Bearer second"]


def test_a_name_and_a_password_are_basic_authentication(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("grün:1\n")
    with _asked() as (url, headers):
        Prometheus(url, access=Access(username="me", secret=secret)).query("x", at=0)
    assert base64.b64decode(headers[0].removeprefix("Basic ")).decode() == "me:grün:1"


def test_without_secrets_nothing_is_sent() -> None:
    with _asked() as (url, headers):
        Prometheus(url).query("x", at=0)
    assert headers == [""]


def test_victoria_metrics_in_prometheus_place_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        remembering(tmp_path / "prometheus", exposition()) as one,
        victoria_metrics(tmp_path, exposition()) as other,
    ):
        reports = [
            _evaluate(_models(tmp_path, url=f"http://{address}"), capsys)
            for address in (one, other)
        ]
    for ours, theirs in zip(*(report["columns"] for report in reports), strict=True):
        assert theirs["verdict"] == ours["verdict"]
        assert theirs["score"] == pytest.approx(ours["score"], rel=0.01, abs=1e-6)
        assert theirs["samples"] == pytest.approx(ours["samples"], rel=0.03)
    assert reports[1]["severity"] == "critical"


def test_victoria_metrics_adds_up_a_long_window_from_hours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with victoria_metrics(tmp_path, exposition()) as address:
        models = _models(tmp_path, url=f"http://{address}")
        models.write_text(models.read_text().replace("drift: {}", "drift: {window: 4h}"))
        found = _evaluate(models, capsys)
    assert found["window"] == "4h"
    # A hundred a minute since nine.
    assert found["columns"][1]["samples"] == pytest.approx(100 * 240, rel=0.03)
