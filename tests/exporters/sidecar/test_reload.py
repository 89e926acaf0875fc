"""models.yaml while the sidecar runs: limits, token, certificate, and changes to the file."""

from __future__ import annotations

import gzip
import json
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.profile import build_profile, write_profile
from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.serving import MODELS, Sidecar, running_sidecar, write_spec
from tests.processes import eventually

LIMITED = """\
sidecar:
  token_file: token
  limits: {body: 3kB, events: 5, string: 20, features: 4, classes: 1, categories: 2}
"""

TOKEN = {"Authorization": "Bearer s3cret"}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("limited")
    (folder / "token").write_text("s3cret\n")
    with running_sidecar(write_spec(folder, MODELS + LIMITED)) as sidecar:
        yield sidecar


def post(
    sidecar: Sidecar, body: Any, headers: dict[str, str] = TOKEN, path: str = "/v1/predictions"
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sidecar.client.post(sidecar.url + path, content=content, headers=headers)


EVENT = {"model_name": "mail", "model_version": "1"}

BEYOND: dict[str, tuple[Any, int, str]] = {
    "a long body": ([{**EVENT, "metadata": {"a": "b" * 4000}}], 413, "larger than 3000 bytes"),
    "many events": ([EVENT] * 6, 413, "holds 6 events; send at most 5"),
    "a long text": ({**EVENT, "prediction": "x" * 21}, 400, "has 21 characters; send at most 20"),
    "a long text among features": (
        {**EVENT, "features": {"sender": "x" * 21}},
        400,
        "has 21 characters; send at most 20",
    ),
    "a long name of a feature": (
        {**EVENT, "features": {"x" * 21: 1}},
        400,
        "has a name of 21 characters; send at most 20",
    ),
    "many features": (
        {**EVENT, "features": dict.fromkeys("abcde", 1)},
        400,
        "has 5 entries; send at most 4",
    ),
    "many features by column": (
        {**EVENT, "columns": {"features": {name: [1] for name in "abcde"}}},
        400,
        "has 5 entries; send at most 4",
    ),
    "a long text by column": (
        {**EVENT, "columns": {"prediction": ["x" * 21]}},
        400,
        "has 21 characters; send at most 20",
    ),
}


@pytest.mark.parametrize(("body", "status", "message"), BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_a_limit_is_refused(
    limited: Sidecar, body: Any, status: int, message: str
) -> None:
    with limited.changes() as changed:
        answer = post(limited, body)
    assert answer.status_code == status
    assert message in answer.json()["errors"][0]["message"]
    assert set(changed) <= {
        'ml_sidecar_events_total{result="rejected"}',
        'ml_sidecar_rejected_total{reason="field"}',
        'ml_sidecar_rejected_total{reason="size"}',
    }


def test_classes_and_categories_beyond_a_limit_are_other(limited: Sidecar) -> None:
    lines = limited.samples()
    senders = [line for line in lines if 'version="1",feature_name="sender",category=' in line]
    classes = [line for line in lines if 'ml_prediction_class_total{model_name="mail",' in line]
    assert len(senders) == 2 + 1
    assert len(classes) == 2 * (1 + 1)
    notes = limited.status()["models"][0]["notes"]
    assert "sender: 2 of 3 are told apart by the limits" in notes


WRONG = {
    "no token": {},
    "another token": {"Authorization": "Bearer secret"},
    "a token in another scheme": {"Authorization": "Basic s3cret"},
    "a token that begins the same": {"Authorization": "Bearer s3cret2"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/predictions", "/v1/labels", "/v1/business", "/v1/metrics"),
        *("/v1/process", "/v1/cloudevents", "/v1/x"),
    ],
)
def test_nobody_writes_without_the_token(
    limited: Sidecar, headers: dict[str, str], path: str
) -> None:
    with limited.changes() as changed:
        answer = post(limited, EVENT, headers, path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert changed == {
        'ml_sidecar_rejected_total{reason="auth"}': 1,
        'ml_sidecar_events_total{result="rejected"}': 1,
    }


def test_who_has_the_token_writes_and_everybody_reads(limited: Sidecar) -> None:
    assert post(limited, EVENT).status_code == 200
    assert limited.client.get(f"{limited.url}/v1/status").status_code == 200


GZIPPED: dict[str, tuple[bytes, str, int]] = {
    "gzip is unpacked": (gzip.compress(json.dumps(EVENT).encode()), "gzip", 200),
    "a body that is long unpacked is refused": (gzip.compress(b" " * 10**7), "gzip", 413),
    "half of a body is refused": (gzip.compress(json.dumps(EVENT).encode())[:-9], "gzip", 400),
    "what is no gzip is refused": (b"abc", "gzip", 400),
    "another encoding is refused": (b"abc", "br", 415),
}


@pytest.mark.parametrize(("body", "encoding", "status"), GZIPPED.values(), ids=GZIPPED)
def test_packed_bodies(limited: Sidecar, body: bytes, encoding: str, status: int) -> None:
    answer = post(limited, body, {**TOKEN, "Content-Encoding": encoding})
    assert answer.status_code == status


def own(sidecar: Sidecar, name: str) -> float:
    text = sidecar.client.get(f"{sidecar.url}/metrics").text
    [line] = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return float(line.rpartition(" ")[2])


def counted(sidecar: Sidecar, name: str, version: str = "1") -> float:
    start = f'{name}{{model_name="mail",model_version="{version}"'
    return sum(value for line, value in sidecar.samples().items() if line.startswith(start))


def test_a_changed_models_yaml_is_taken_over_without_losing_a_count(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    with running_sidecar(spec) as sidecar:
        event = {**EVENT, "features": {"length": 3}, "prediction": "ham", "latency_seconds": 0.01}
        sidecar.predict([event] * 7)
        sidecar.predict({**EVENT, "prediction_id": "early", "prediction": "ham"})
        before = sidecar.samples()
        # Another promise, a new version, and one model less.
        changed = MODELS.replace("123ms", "124ms").replace('version: "2"', 'version: "3"')
        spec.write_text(changed.partition("  - name: plain\n")[0])
        eventually(lambda: sidecar.predict({**EVENT, "model_version": "3"}).status_code == 200)
        after = sidecar.samples()
        kept = [
            line
            for line in before
            if 'model_name="mail",model_version="1"' in line and "latency" not in line
        ]
        assert [line for line in kept if after[line] != before[line]] == []
        assert 'model_name="plain"' not in "".join(after)
        assert any('le="0.124"' in line for line in after)
        assert sidecar.predict({**EVENT, "model_version": "2"}).status_code == 404
        sidecar.predict(event)
        assert counted(sidecar, "ml_inference_requests_total") == 9
        sidecar.label({"model_name": "mail", "prediction_id": "early", "actual": "ham"})
        eventually(lambda: counted(sidecar, "ml_outcomes_total") == 1)
        assert own(sidecar, "ml_exporter_spec_ok") == 1


def test_a_broken_models_yaml_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    with running_sidecar(spec) as sidecar:
        assert own(sidecar, "ml_exporter_spec_ok") == 1
        sidecar.predict(EVENT)
        spec.write_text("models: [")
        eventually(lambda: own(sidecar, "ml_exporter_spec_ok") == 0)
        sidecar.predict(EVENT)
        assert counted(sidecar, "ml_inference_requests_total") == 2
        spec.write_text(MODELS)
        eventually(lambda: own(sidecar, "ml_exporter_spec_ok") == 1)
        assert counted(sidecar, "ml_inference_requests_total") == 2


def test_a_signal_reads_models_yaml_again(tmp_path: Path) -> None:
    with running_sidecar(write_spec(tmp_path)) as sidecar:
        sidecar.predict(EVENT)
        sidecar.process.process.send_signal(signal.SIGHUP)
        eventually(lambda: "models_read" in sidecar.process.stderr.read_text())
        assert counted(sidecar, "ml_inference_requests_total") == 1


def test_a_new_profile_keeps_the_features_that_have_the_same_bins(tmp_path: Path) -> None:
    def profile(*names: str) -> None:
        columns = {name: [1.0, 2.0, 3.0] for name in names}
        columns["last"] = [float(len(names)), 20.0, 30.0]
        write_profile(build_profile(columns, model_name="a"), tmp_path / "a.json")

    profile("kept", "gone")
    spec = tmp_path / "models.yaml"
    spec.write_text('models: [{name: a, version: "1", task: regression, profile: a.json}]')
    with running_sidecar(spec) as sidecar:
        sidecar.predict([{"model_name": "a", "features": {"kept": 2, "gone": 2, "last": 25}}] * 3)

        def values(name: str) -> float:
            found = [
                value
                for line, value in sidecar.samples().items()
                if f'feature_name="{name}",le="+Inf"' in line
            ]
            return sum(found, start=0 if found else -1)

        assert [values(name) for name in ("kept", "gone", "last")] == [3, 3, 3]
        profile("new", "kept", "newer")
        eventually(lambda: values("new") == 0)
        assert [values(name) for name in ("kept", "gone", "last")] == [3, -1, 0]


def test_a_token_file_without_a_token_lets_nothing_start(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" \n")
    spec = write_spec(tmp_path, MODELS + "sidecar: {token_file: token}\n")
    with pytest.raises(AssertionError, match="holds no token"), running_sidecar(spec):
        pass


def test_what_needs_a_restart_says_so_until_it_is_as_before(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    with running_sidecar(spec) as sidecar:
        assert own(sidecar, "ml_exporter_restart_needed") == 0
        served = '  - {name: served, version: "1", task: regression, serving: {upstream: "URL"}}\n'
        served = served.replace("URL", "http://127.0.0.1:1")
        new = '  - {name: another, version: "1", task: regression}\n'
        spec.write_text(MODELS + new)
        eventually(lambda: sidecar.predict({"model_name": "another"}).status_code == 200)
        assert own(sidecar, "ml_exporter_restart_needed") == 0, "a new model needs none"
        for more, told in (
            ("sidecar: {log: {sampling: 50%}}\n", "sidecar.log"),
            ("", ""),
            (served, "serving of served 1"),
        ):
            spec.write_text(MODELS + more)
            eventually(lambda: own(sidecar, "ml_exporter_restart_needed") == bool(told))  # noqa: B023
            assert told in sidecar.process.output


def test_every_path_that_writes_is_guarded(limited: Sidecar) -> None:
    text = limited.client.get(f"{limited.url}/").text
    assert "/v1/status" in text
    for method in ("PUT", "DELETE", "PATCH"):
        answer = limited.client.request(method, f"{limited.url}/v1/predictions")
        assert answer.status_code == 401


def test_the_sidecar_speaks_tls_and_plain_http_on_its_socket(tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    tls = "sidecar: {tls: {certificate: cert.pem, key: key.pem}}\n"
    spec = write_spec(tmp_path, MODELS + tls)
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    path = tmp_path / "sidecar.sock"
    with running_sidecar(spec, tls=context, options=["--socket", str(path)]) as sidecar:
        assert sidecar.url.startswith("https://")
        assert sidecar.predict(EVENT).status_code == 200
        monitor = Monitor(f"unix://{path}")
        with monitor.inference("mail", "1"):
            pass
        assert monitor.close(20)
        assert counted(sidecar, "ml_inference_requests_total") == 2


def test_a_trace_is_shown_beside_its_latency(sidecar: Sidecar) -> None:
    sidecar.predict({**EVENT, "trace_id": "4bf92f", "latency_seconds": 0.2})
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    text = sidecar.client.get(f"{sidecar.url}/metrics", headers=accept).text
    [line] = [line for line in text.splitlines() if "4bf92f" in line]
    assert line.startswith('ml_inference_latency_seconds_bucket{model_name="mail"')
    assert 'le="0.25"' in line
    assert '# {trace_id="4bf92f"} 0.2 ' in line


def test_a_value_beyond_its_range_counts_and_is_invalid(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        sidecar.predict([{**EVENT, "features": {"length": value}} for value in (-1, 5, 1001)])
    assert changed['ml_feature_invalid_total{feature_name="length",reason="range"}'] == 2
    assert changed['ml_feature_value_count{feature_name="length"}'] == 3


def test_without_a_range_the_training_data_give_a_wide_one(sidecar: Sidecar) -> None:
    # `links` were 0 to 19 in training.
    values = (-999, -20, -18, 3, 38, 40)
    with sidecar.changes() as changed:
        sidecar.predict([{**EVENT, "features": {"links": value}} for value in values])
    assert changed['ml_feature_invalid_total{feature_name="links",reason="range"}'] == 3
