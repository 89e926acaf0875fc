from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from contract.read import read_spec
from contract.spec import Spec
from generator.queries.alerting import STACK_JOBS
from generator.queries.recorded import MODEL_JOBS, TARGET_UP
from generator.scrape import render_scrape


def jobs(spec: Spec) -> dict[str, list[str]]:
    config: dict[str, Any] = yaml.safe_load(render_scrape(spec))
    return {
        job["job_name"]: [t for group in job["static_configs"] for t in group["targets"]]
        for job in config["scrape_configs"]
    }


def test_every_target_of_every_model_is_scraped_once(everything: Spec) -> None:
    assert jobs(everything)["ml-sidecar"] == [
        "127.0.0.1:9101",
        "10.0.0.1:9101",
        "10.0.0.2:9101",
        "[::1]:9101",
    ]


def test_every_job_that_an_alert_asks_for_is_scraped(everything: Spec) -> None:
    assert {*MODEL_JOBS, *STACK_JOBS} <= set(jobs(everything))


def test_the_stack_is_scraped_where_models_yaml_says_it_is(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression}]\n'
        "stack: {drift: 10.0.0.9:1, gpu: [10.0.0.1:9103, 10.0.0.2:9103], scrape_interval: 10s}\n"
    )
    spec = read_spec(
        tmp_path / "models.yaml", addresses={"sidecar": "127.0.0.1:2", "alertmanager": "am:3"}
    )
    assert jobs(spec) == {
        "ml-sidecar": ["127.0.0.1:2"],
        "ml-drift": ["10.0.0.9:1"],
        "ml-gpu": ["10.0.0.1:9103", "10.0.0.2:9103"],
        "ml-responder": ["127.0.0.1:9104"],
        "prometheus": ["127.0.0.1:9090"],
        "alertmanager": ["am:3"],
    }
    config = yaml.safe_load(render_scrape(spec))
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["am:3"]
    assert config["global"]["scrape_interval"] == "10s"


def test_a_sidecar_with_a_certificate_is_scraped_by_tls(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).touch()
    text = 'models: [{name: m, version: "1", task: regression}]\nsidecar: {tls: {%s}}\n'
    pair = "certificate: cert.pem, key: key.pem"
    for tls, expected in (
        (pair, None),
        (f"{pair}, ca: ca.pem", {"ca_file": str(tmp_path / "ca.pem")}),
    ):
        (tmp_path / "models.yaml").write_text(text % tls)
        config = yaml.safe_load(render_scrape(read_spec(tmp_path / "models.yaml")))
        job = next(job for job in config["scrape_configs"] if job["job_name"] == "ml-sidecar")
        assert job["scheme"] == "https"
        assert job.get("tls_config") == expected


RUNTIMES = """\
models:
  - {name: a, version: "1", task: regression,
     serving: {runtime: vllm, model: x/y, targets: ["h:1"]}}
  - {name: b, version: "1", task: regression, serving: {runtime: vllm, targets: ["h:2", "h:3"]}}
  - {name: c, version: "1", task: regression,
     serving: {runtime: triton, targets: ["h:4"], metrics_path: /m}}
  - {name: d, version: "1", task: regression, serving: {runtime: triton, targets: ["h:4", "h:5"]}}
  - {name: e, version: "1", task: regression, serving: {runtime: triton, targets: ["h:5"]}}
  - {name: f, version: "1", task: regression, serving: {runtime: tfserving, targets: ["h:6"]}}
"""


def test_a_runtime_has_one_job_and_one_more_for_servers_of_several_models(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(RUNTIMES)
    spec = read_spec(tmp_path / "models.yaml")
    found = jobs(spec)
    assert {name: found[name] for name in found if name.startswith(("ml-runtime", "ml-sid"))} == {
        "ml-runtime-triton-shared-1": ["h:4", "h:5"],
        "ml-runtime-vllm": ["h:1", "h:2", "h:3"],
        "ml-runtime-tfserving": ["h:6"],
    }
    config: dict[str, Any] = yaml.safe_load(render_scrape(spec))
    of = {job["job_name"]: job for job in config["scrape_configs"]}
    assert of["ml-runtime-tfserving"]["metrics_path"] == "/monitoring/prometheus/metrics"
    assert [group["labels"] for group in of["ml-runtime-vllm"]["static_configs"]] == [
        {"model_name": "a", "model_version": "1", "runtime_model": "x/y"},
        {"model_name": "b", "model_version": "1", "runtime_model": "b"},
    ]
    assert [group["labels"] for group in of["ml-runtime-triton-shared-1"]["static_configs"]] == [
        {"job": "ml-runtime-triton", "__metrics_path__": "/m"},
        {"job": "ml-runtime-triton"},
    ]


def test_only_runtimes_are_read_by_a_fallback_and_only_where_there_is_one(tmp_path: Path) -> None:
    for stack, expected in (
        ("", None),
        ("stack: {fallback_scrape_protocol: PrometheusText0.0.4}\n", "PrometheusText0.0.4"),
    ):
        (tmp_path / "models.yaml").write_text(stack + RUNTIMES)
        config = yaml.safe_load(render_scrape(read_spec(tmp_path / "models.yaml")))
        found = {
            (job["job_name"].startswith("ml-runtime"), job.get("fallback_scrape_protocol"))
            for job in config["scrape_configs"]
        }
        assert found == {(True, expected), (False, None)}


def test_targets_of_every_runtime_count_as_the_models(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(RUNTIMES)
    up = TARGET_UP.expression(read_spec(tmp_path / "models.yaml"))
    assert 'job=~"ml-sidecar|ml-runtime-triton|ml-runtime-vllm|ml-runtime-tfserving"' in up


def test_relabelling_grows_with_the_models_of_one_server_and_not_with_servers(
    tmp_path: Path,
) -> None:
    def rules(number: int) -> int:
        models = "".join(
            f'  - {{name: m{i}, version: "1", task: regression,'
            f' serving: {{runtime: vllm, targets: ["h:{i + 1}"]}}}}\n'
            for i in range(number)
        )
        (tmp_path / "models.yaml").write_text(f"models:\n{models}")
        config = yaml.safe_load(render_scrape(read_spec(tmp_path / "models.yaml")))
        return sum(len(job.get("metric_relabel_configs", [])) for job in config["scrape_configs"])

    assert rules(1) == rules(200)


def test_a_retired_version_has_no_targets_and_a_waiting_one_only_its_own(tmp_path: Path) -> None:
    models = "".join(
        f'  - {{name: m, version: "{number}", task: regression, state: {state}, '
        f'serving: {{runtime: vllm, targets: ["{targets}"]}}}}\n'
        for number, (state, targets) in enumerate(
            (("retired", "old:1"), ("live", "a:1"), ("registered", "a:1"), ("registered", "b:1"))
        )
    )
    (tmp_path / "models.yaml").write_text(f"models:\n{models}")
    found = jobs(read_spec(tmp_path / "models.yaml"))
    assert sorted(found["ml-runtime-vllm"]) == ["a:1", "b:1"]
