"""Each serving runtime fills the normalised series: a real Prometheus scrapes a capture of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, get_args

import httpx
import pytest
import yaml

from contract.read import read_spec
from contract.runtimes import RUNTIMES, SIDECAR, Signal
from generator.doctor import diagnose
from generator.doctor.ask import Prometheus
from generator.doctor.configured import check_targets
from generator.outputs import render
from generator.queries import recorded, recorded_serving, slo
from generator.queries.recorded import LATENCY_BUCKETS, LATENCY_QUANTILES, Recorded
from generator.queries.recorded_serving import (
    INTER_TOKEN_LATENCY_QUANTILES,
    TIME_TO_FIRST_TOKEN_QUANTILES,
)
from generator.queries.runtimes.adapter import Series, job_name
from generator.queries.runtimes.rules import filled
from tests.processes import ROOT, eventually, free_port, running
from tests.runtime_servers import CAPTURES, replaying

WINDOW: Final = 5.0
"""Seconds: five minutes under the time scale of the tests."""

SERVING: Final = {
    "triton": "model: iris",
    "vllm": "model: meta-llama/Llama-3.1-8B",
    "sglang": "model: qwen",
    "tgi": "",
    "torchserve": "model: resnet",
    "tfserving": "model: half",
    "kserve": "model: sklearn-iris",
    "mlserver": "model: iris",
    "bentoml": "model: Iris",
    "ray_serve": "model: Classifier",
    "ovms": 'model: resnet, version: "1"',
    "llamacpp": "",
    "custom": """expressions: {
      requests: 'sum(rate(scorer_requests_total{$model, route="/score"}[$window]))',
      errors: 'sum(rate(scorer_requests_total{$model, route="/score", code=~"5.."}[$window]))',
      latency_buckets: 'rate(scorer_seconds_bucket{$model}[$window])',
      queue_depth: 'scorer_backlog{$model}'}""",
}
"""What models.yaml says of the model that each runtime serves, besides runtime and targets."""

FILLABLE: Final = {rule.name for signal in get_args(Signal) for rule in filled(signal)}

CHANGES: Final[dict[str, dict[str, float]]] = {
    "triton": {
        'nv_inference_request_failure{model="iris",reason="BACKEND",version="1"}': 5,
        'nv_inference_request_failure{model="iris",reason="CANCELED",version="1"}': 10,
        'nv_inference_pending_request_count{model="iris",version="1"}': 3,
    }
}
"""What a capture as scraped did not happen to show."""


def traffic(requests: float, errors: float) -> dict[Recorded, float]:
    """What follows from requests and errors per second."""
    return {
        recorded.REQUESTS: requests,
        recorded.REQUESTS_INCREASE: requests * WINDOW,
        recorded.ERRORS: errors,
        recorded.ERROR_RATIO: errors / requests,
    }


def latency(mean: float, **quantiles: float) -> dict[Recorded, float]:
    return {
        recorded.LATENCY_MEAN: mean,
        **{LATENCY_QUANTILES[name]: value for name, value in quantiles.items()},
    }


EXPECTED: Final[dict[str, dict[Recorded, float]]] = {
    "triton": {
        # Cancelled requests are requests, and no errors.
        **traffic(60, 5),
        **latency(
            0.367607 / 45, p50=0.005036, p90=0.005865, p95=0.00671, p99=0.047375, p999=0.047375
        ),
        recorded_serving.QUEUE_DEPTH: 3,
        recorded_serving.BATCH_SIZE: 45 / 19,
    },
    "vllm": {
        **traffic(20, 1),
        **latency(0.7, p50=0.5, p90=1, p95=1.75, p99=1.95, p999=1.995),
        recorded_serving.IN_PROGRESS: 7,
        recorded_serving.QUEUE_DEPTH: 3,
        TIME_TO_FIRST_TOKEN_QUANTILES["p50"]: 0.1,
        TIME_TO_FIRST_TOKEN_QUANTILES["p99"]: 0.1 + 0.15 * 9.8 / 10,
        INTER_TOKEN_LATENCY_QUANTILES["p50"]: 0.025,
        INTER_TOKEN_LATENCY_QUANTILES["p99"]: 0.025 + 0.025 * 196 / 200,
        recorded_serving.INTER_TOKEN_LATENCY_MEAN: 0.025,
        recorded_serving.PROMPT_TOKENS: 1000,
        recorded_serving.GENERATED_TOKENS: 400,
        recorded_serving.KV_CACHE_USAGE: 0.42,
        recorded_serving.RUNNING: 7,
        recorded_serving.WAITING: 3,
        recorded_serving.PREEMPTIONS: 2,
    },
    "sglang": {
        **traffic(10, 1),
        **latency(1.2, p50=0.8 + 0.2 * 5 / 6, p90=1.75, p95=1.875, p99=1.975, p999=1.9975),
        # Two schedulers, each with two ranks that say the same.
        recorded_serving.IN_PROGRESS: 6,
        recorded_serving.QUEUE_DEPTH: 3,
        TIME_TO_FIRST_TOKEN_QUANTILES["p50"]: 0.15,
        TIME_TO_FIRST_TOKEN_QUANTILES["p99"]: 0.199,
        INTER_TOKEN_LATENCY_QUANTILES["p50"]: 0.0175,
        INTER_TOKEN_LATENCY_QUANTILES["p99"]: 0.01995,
        recorded_serving.INTER_TOKEN_LATENCY_MEAN: 0.018,
        recorded_serving.PROMPT_TOKENS: 500,
        recorded_serving.GENERATED_TOKENS: 200,
        recorded_serving.KV_CACHE_USAGE: 0.6,
        recorded_serving.RUNNING: 6,
        recorded_serving.WAITING: 3,
    },
    "tgi": {
        # What does not validate is the client's.
        **traffic(20, 2),
        **latency(0.9, p50=0.922, p90=1.067, p95=1.085, p99=1.1, p999=1.103),
        recorded_serving.IN_PROGRESS: 4,
        recorded_serving.QUEUE_DEPTH: 5,
        recorded_serving.BATCH_SIZE: 4,
        TIME_TO_FIRST_TOKEN_QUANTILES["p50"]: 0.1064,
        TIME_TO_FIRST_TOKEN_QUANTILES["p99"]: 0.1273,
        INTER_TOKEN_LATENCY_QUANTILES["p50"]: 0.02433,
        INTER_TOKEN_LATENCY_QUANTILES["p99"]: 0.0291,
        recorded_serving.INTER_TOKEN_LATENCY_MEAN: 0.02,
        recorded_serving.PROMPT_TOKENS: 800,
        recorded_serving.GENERATED_TOKENS: 480,
        recorded_serving.KV_CACHE_USAGE: 0.125,
        recorded_serving.RUNNING: 4,
        recorded_serving.WAITING: 5,
    },
    "torchserve": {**traffic(25, 1), **latency(0.1, p50=0.0805, p99=0.0805)},
    "tfserving": {
        # INVALID_ARGUMENT is the client's; 16 succeeded.
        **traffic(20, 3),
        **latency(0.5, p50=0.01897, p90=0.6243, p95=0.6663, p99=0.69984, p999=0.7074),
        recorded_serving.BATCH_SIZE: 3.2,
    },
    "kserve": {
        # 47 began, 42 came to their end.
        **traffic(47, 5),
        **latency((0.047 + 1.9 + 0.042) / 47, p50=0.0397, p90=0.0832, p95=0.0916, p99=0.0983),
        LATENCY_QUANTILES["p999"]: 0.09983,
    },
    "mlserver": {
        **traffic(45, 20),
        **latency(1.8201867860004768 / 45, p50=0.0221, p90=0.1536, p95=0.2018, p99=0.2404),
        LATENCY_QUANTILES["p999"]: 0.2494,
        recorded_serving.IN_PROGRESS: 0,
    },
    "bentoml": {
        # Neither the probes of /readyz nor the path that does not exist.
        **traffic(32, 2),
        **latency(1.34 / 32, p50=0.0383, p90=0.049, p95=0.06, p99=0.092, p999=0.0992),
        recorded_serving.IN_PROGRESS: 3,
        recorded_serving.BATCH_SIZE: 2.8,
    },
    "ray_serve": {
        # 42 successes and 5 errors of the deployment; the ingress before it is another one.
        **traffic(47, 5),
        **latency(0.06, p50=0.05, p90=0.09, p95=0.095, p99=0.099, p999=0.0999),
        recorded_serving.IN_PROGRESS: 3,
        recorded_serving.QUEUE_DEPTH: 4,
        recorded_serving.BATCH_SIZE: -1,
        recorded_serving.LOADED: 1,
    },
    "ovms": {
        # Without readiness.
        **traffic(25, 5),
        **latency(0.256, p50=0.01678, p90=0.99189, p95=1.13336, p99=1.24653, p999=1.27199),
        recorded_serving.IN_PROGRESS: 6,
        recorded_serving.QUEUE_DEPTH: 2,
    },
    "llamacpp": {
        recorded_serving.IN_PROGRESS: 2,
        recorded_serving.QUEUE_DEPTH: 1,
        recorded_serving.INTER_TOKEN_LATENCY_MEAN: 0.02,
        recorded_serving.PROMPT_TOKENS: 200,
        recorded_serving.GENERATED_TOKENS: 50,
        recorded_serving.RUNNING: 2,
        recorded_serving.WAITING: 1,
    },
    "custom": {
        **traffic(20, 2),
        **{LATENCY_QUANTILES[name]: at for name, at in (("p50", 0.1), ("p90", 0.18))},
        **{LATENCY_QUANTILES[name]: at for name, at in (("p95", 0.19), ("p99", 0.198))},
        LATENCY_QUANTILES["p999"]: 0.1998,
        recorded_serving.QUEUE_DEPTH: 5,
    },
}
"""All that each runtime fills, and nothing else; it stands in docs/runtimes.md as well."""
del EXPECTED["ray_serve"][recorded_serving.BATCH_SIZE]  # without @serve.batch there is none


@contextmanager
def scraping(folder: Path, models: str, *, stack: str = "") -> Iterator[httpx.Client]:
    """A Prometheus with what is rendered from this models.yaml; a second is a scrape.

    `stack` is more of that section.
    """
    at = f"127.0.0.1:{free_port()}"
    # A stack that runs on this machine at the usual ports is none of its targets.
    nobody = f"127.0.0.1:{free_port()}"
    others = ", ".join(f"{name}: {nobody!r}" for name in ("sidecar", "drift", "responder"))
    section = (
        f"prometheus: {at!r}, {others}, gpu: [], scrape_interval: 1s, evaluation_interval: 1s, "
        f"{stack}"
    )
    (folder / "models.yaml").write_text(f"stack: {{{section}}}\n{models}")
    spec = read_spec(folder / "models.yaml", time_scale=60)
    for path, text in render(spec, ("prometheus",)).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    server = [
        "prometheus",
        f"--config.file={folder}/prometheus/generated/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={at}",
    ]
    with (
        running(server, ready_url=f"http://{at}/-/ready"),
        httpx.Client(base_url=f"http://{at}", trust_env=False, timeout=10) as client,
    ):
        yield client


def query(prometheus: httpx.Client, expression: str) -> list[tuple[dict[str, str], float]]:
    answer = prometheus.get("/api/v1/query", params={"query": expression})
    answer.raise_for_status()
    return [(one["metric"], float(one["value"][1])) for one in answer.json()["data"]["result"]]


def normalised(prometheus: httpx.Client, model: str) -> dict[str, float]:
    """The normalised series of a model that a runtime could fill, but for its buckets."""
    found = query(prometheus, f'{{__name__=~"model:.+", model_name="{model}", le=""}}')
    return {labels["__name__"]: value for labels, value in found if labels["__name__"] in FILLABLE}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes all of them."""
    models = ["models:"]
    with ExitStack() as stack:
        for name, more in SERVING.items():
            capture, changes = CAPTURES / f"{name}.txt", CHANGES.get(name)
            target = stack.enter_context(
                replaying(capture, path=RUNTIMES[name].path, changes=changes)
            )
            serving = ", ".join(filter(None, (f"runtime: {name}, targets: [{target!r}]", more)))
            models.append(
                f'  - {{name: by-{name}, version: "7", task: regression, serving: {{{serving}}}}}'
            )
        folder = tmp_path_factory.mktemp("runtimes")
        yield stack.enter_context(scraping(folder, "\n".join(models) + "\n"))


def test_every_runtime_is_tried() -> None:
    assert {*SERVING, SIDECAR} == {*EXPECTED, SIDECAR} == set(RUNTIMES)


@pytest.mark.parametrize("runtime", EXPECTED)
def test_a_runtime_fills_what_it_can_and_nothing_else(
    prometheus: httpx.Client, runtime: str
) -> None:
    expected = {str(rule): value for rule, value in EXPECTED[runtime].items()}

    def filled() -> bool:
        assert normalised(prometheus, f"by-{runtime}") == pytest.approx(expected, rel=0.05)
        return True

    eventually(filled, seconds=60)


def test_every_series_carries_the_version_of_models_yaml(prometheus: httpx.Client) -> None:
    found = query(prometheus, 'count by (model_version) ({__name__=~"(model|runtime):.+"})')
    assert {labels.get("model_version") for labels, _ in found} == {"7"}


def test_models_that_models_yaml_does_not_know_are_left_out(prometheus: httpx.Client) -> None:
    eventually(lambda: normalised(prometheus, "by-vllm"), seconds=60)
    found = query(prometheus, 'count by (model_name) ({__name__=~"(model|runtime):.+"})')
    assert {labels.get("model_name") for labels, _ in found} <= {f"by-{name}" for name in SERVING}
    assert query(prometheus, 'vllm:num_requests_running{exported_model_name="another"}') == []


@pytest.mark.parametrize("runtime", ["tfserving", "ovms", "ray_serve"])
def test_edges_of_buckets_are_seconds(prometheus: httpx.Client, runtime: str) -> None:
    matchers = f'model_name="by-{runtime}"'
    raw = {
        "tfserving": (":tensorflow:serving:request_latency_bucket", 1e6),
        "ovms": ("ovms_request_time_us_bucket", 1e6),
        "ray_serve": ("ray_serve_deployment_processing_latency_ms_bucket", 1e3),
    }
    name, factor = raw[runtime]

    def edges() -> bool:
        exposed = query(prometheus, f"count by (le) ({name}{{{matchers}}})")
        seconds = query(prometheus, f"{LATENCY_BUCKETS}{{{matchers}}}")
        ours = sorted(float(labels["le"]) for labels, _ in seconds)
        theirs = sorted(float(labels["le"]) / factor for labels, _ in exposed)
        assert len(ours) > 10
        assert ours == pytest.approx(theirs, rel=1e-9)
        written = {labels["le"] for labels, _ in seconds}
        assert {le for le in written if le.endswith("0") and not le.endswith(".0")} == set()
        return True

    eventually(edges, seconds=60)


EDGES: Final[dict[int, dict[str, str]]] = {
    3: {
        "0.5": "0.0005",
        "250.0": "0.25",
        "1000.0": "1.0",
        "1e+06": "1000.0",
        "1.5e+07": "15000.0",
        "1.2345678925e+07": "12345.678925",
        "2.5e+08": "250000.0",
        "+Inf": "+Inf",
    },
    6: {
        "10.0": "0.00001",
        "250000.0": "0.25",
        "1e+06": "1.0",
        "1.27482362163961e+06": "1.27482362163961",
        "1.5e+07": "15.0",
        "1.3382588450524e+07": "13.382588450524",
        "4e+08": "400.0",
        "1.47475597129607e+09": "1474.75597129607",
        "+Inf": "+Inf",
    },
}
"""By digits of their unit below a second: as Prometheus 3 writes them, and in seconds."""


@pytest.mark.parametrize("digits", EDGES)
def test_edges_as_prometheus_3_writes_them_are_seconds(tmp_path: Path, digits: int) -> None:
    labels = f'job="{job_name("ovms")}", model_name="m", model_version="7"'
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'took_bucket{{{labels}, le="{le}"}}', "values": "0+60x5"}
                    for le in EDGES[digits]
                ],
                "promql_expr_test": [
                    {
                        "expr": Series("ovms")
                        .buckets_of("took", digits=digits)
                        .replace("$window", "2m"),
                        "eval_time": "5m",
                        "exp_samples": [
                            {
                                "labels": f'{{model_name="m", model_version="7", le="{le}"}}',
                                "value": 1,
                            }
                            for le in EDGES[digits].values()
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    tested = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


# Several models on one server, and a sidecar beside it

SHARED: Final = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="fraud",version="1"} 10
nv_inference_request_success{model="fraud",version="2"} 20
nv_inference_request_success{model="churn",version="1"} 30
nv_inference_request_success{model="unknown",version="1"} 500
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="fraud",version="1",reason="OTHER"} 0
nv_inference_request_failure{model="fraud",version="2",reason="OTHER"} 5
nv_inference_request_failure{model="churn",version="1",reason="OTHER"} 0
# TYPE nv_cpu_utilization gauge
nv_cpu_utilization 0.5
"""

TORCH: Final = """\
# TYPE ts_inference_requests_total counter
ts_inference_requests_total{model_name="a",model_version="1.0",hostname="box"} 10
ts_inference_requests_total{model_name="b",model_version="1.0",hostname="box"} 20
ts_inference_requests_total{model_name="c",model_version="1.0",hostname="box"} 500
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="box"} 25
# TYPE Requests5XX counter
Requests5XX{Level="Host",Hostname="box"} 5
"""

BESIDE: Final = """\
# TYPE ml_inference_requests_total counter
ml_inference_requests_total{model_name="tokens",model_version="1",status="success"} 6
ml_inference_requests_total{model_name="tokens",model_version="1",status="error"} 2
ml_inference_requests_total{model_name="fraud-new",model_version="2.1",status="success"} 1
ml_inference_requests_total{model_name="fraud-new",model_version="2.1",status="error"} 1
ml_inference_requests_total{model_name="alone",model_version="1",status="success"} 0
ml_inference_requests_total{model_name="alone",model_version="1",status="error"} 0
# TYPE ml_slo_objective_ratio gauge
ml_slo_objective_ratio{model_name="fraud-new",model_version="2.1",objective="availability",\
kind="availability",limit="",period="30d",source="rates"} 0.999
# TYPE ml_inference_latency_seconds histogram
ml_inference_latency_seconds_bucket{model_name="fraud-new",model_version="2.1",le="0.1"} 0
ml_inference_latency_seconds_bucket{model_name="fraud-new",model_version="2.1",le="0.3"} 2
ml_inference_latency_seconds_bucket{model_name="fraud-new",model_version="2.1",le="+Inf"} 2
ml_inference_latency_seconds_sum{model_name="fraud-new",model_version="2.1"} 0.4
ml_inference_latency_seconds_count{model_name="fraud-new",model_version="2.1"} 2
"""

TOGETHER: Final = """\
models:
  - {{name: fraud, version: "2.0", task: regression,
      serving: {{runtime: triton, version: "1", targets: ["{triton}"]}}}}
  - {{name: fraud-new, version: "2.1", task: regression,
      serving: {{runtime: triton, model: fraud, version: "2", targets: ["{triton}"],
        sidecars: ["{sidecar}"]}}}}
  - {{name: leaving, version: "2.0", task: regression,
      serving: {{runtime: triton, model: churn, targets: ["{triton}"]}}}}
  - {{name: one, version: "2", task: regression,
      serving: {{runtime: torchserve, model: a, targets: ["{torch}"]}}}}
  - {{name: other, version: "2", task: regression,
      serving: {{runtime: torchserve, model: b, targets: ["{torch}"]}}}}
  - {{name: tokens, version: "1", task: regression,
      serving: {{runtime: llamacpp, targets: ["{llama}"], sidecars: ["{sidecar}"]}}}}
  - {{name: alone, version: "1", task: regression,
      serving: {{runtime: llamacpp, targets: ["{alone}"]}}}}
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes servers of several models, and a sidecar beside two of them."""
    folder = tmp_path_factory.mktemp("together")
    for name, text in (("triton", SHARED), ("torch", TORCH), ("sidecar", BESIDE)):
        (folder / name).write_text(text)
    with ExitStack() as stack:
        at = {
            name: stack.enter_context(replaying(folder / name))
            for name in ("triton", "torch", "sidecar")
        }
        for name in ("llama", "alone"):
            at[name] = stack.enter_context(replaying(CAPTURES / "llamacpp.txt"))
        yield stack.enter_context(scraping(folder, TOGETHER.format(**at)))


def by_version(prometheus: httpx.Client, rule: Recorded) -> dict[tuple[str, str], float]:
    return {
        (labels["model_name"], labels["model_version"]): round(value, 3)
        for labels, value in query(prometheus, str(rule))
    }


def test_models_that_share_a_server_are_told_apart(together: httpx.Client) -> None:
    def apart() -> bool:
        requests = by_version(together, recorded.REQUESTS)
        assert requests == pytest.approx(
            {
                ("fraud", "2.0"): 10,
                ("fraud-new", "2.1"): 25,
                ("leaving", "2.0"): 30,
                ("one", "2"): 10,
                ("other", "2"): 20,
                ("tokens", "1"): 8,
            },
            rel=0.05,
        )
        return True

    eventually(apart, seconds=60)


def test_what_a_runtime_says_is_taken_before_what_the_sidecar_says(together: httpx.Client) -> None:
    def taken() -> bool:
        ratios = by_version(together, recorded.ERROR_RATIO)
        assert ratios.get(("fraud-new", "2.1")) == pytest.approx(5 / 25, rel=0.05)
        return True

    eventually(taken, seconds=60)


def test_what_a_runtime_does_not_say_the_sidecar_may(together: httpx.Client) -> None:
    def said() -> bool:
        # llama.cpp counts no requests, and Triton has no histogram.
        assert by_version(together, recorded.ERROR_RATIO).get(("tokens", "1")) == 0.25
        p50 = by_version(together, LATENCY_QUANTILES["p50"])
        assert p50.get(("fraud-new", "2.1")) == pytest.approx(0.2, rel=0.05)
        assert by_version(together, recorded_serving.RUNNING).get(("tokens", "1")) == 2
        return True

    eventually(said, seconds=60)


def test_a_model_without_a_sidecar_has_no_zeros_of_one(together: httpx.Client) -> None:
    eventually(lambda: by_version(together, recorded_serving.RUNNING).get(("alone", "1")))
    assert ("alone", "1") not in by_version(together, recorded.REQUESTS)
    assert query(together, '{__name__=~"ml_inference_.+", model_name="alone"}') == []


def test_errors_of_a_shared_server_are_unknown_rather_than_none(together: httpx.Client) -> None:
    eventually(lambda: by_version(together, recorded.REQUESTS).get(("one", "2")), seconds=60)
    assert ("one", "2") not in by_version(together, recorded.ERRORS)


def test_objectives_are_counted_of_what_a_runtime_says(together: httpx.Client) -> None:
    def counted() -> bool:
        assert by_version(together, slo.EVENTS) == {
            ("fraud-new", "2.1"): pytest.approx(25, rel=0.05)
        }
        assert by_version(together, slo.BAD) == {("fraud-new", "2.1"): pytest.approx(5, rel=0.05)}
        return True

    eventually(counted, seconds=60)


# What does not say how it is written

PROMETHEUS_2: Final = (
    " 2."
    in subprocess.run(
        ["prometheus", "--version"], capture_output=True, text=True, check=True
    ).stdout.split("(")[0]
)
"""It reads that as text, and does not know the key."""

UP: Final = 'up{job="ml-runtime-ovms"}'
FALLBACK: Final = "stack.fallback_scrape_protocol: PrometheusText0.0.4"


def unlabelled(target: str) -> str:
    serving = f'{{runtime: ovms, version: "1", targets: ["{target}"]}}'
    return f'models: [{{name: resnet, version: "7", task: regression, serving: {serving}}}]\n'


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", ""])
def test_a_runtime_that_does_not_say_how_it_is_written_is_read_as_models_yaml_says(
    tmp_path: Path, content_type: str
) -> None:
    key = "" if PROMETHEUS_2 else "fallback_scrape_protocol: PrometheusText0.0.4"
    with (
        replaying(CAPTURES / "ovms.txt", content_type=content_type) as target,
        scraping(tmp_path, unlabelled(target), stack=key) as prometheus,
    ):
        eventually(lambda: query(prometheus, f"{UP} == 1"), seconds=60)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", ""])
def test_the_doctor_complains_of_it_where_prometheus_refuses_it(
    tmp_path: Path, content_type: str
) -> None:
    with (
        replaying(CAPTURES / "ovms.txt", content_type=content_type) as target,
        scraping(tmp_path, unlabelled(target)) as prometheus,
    ):
        eventually(lambda: query(prometheus, f"{UP} == {int(PROMETHEUS_2)}"), seconds=60)
        spec = read_spec(tmp_path / "models.yaml", time_scale=60)
        found = diagnose(spec, tmp_path, only={"targets"})
    complaints = [one for one in found if one.subject == f"ml-runtime-ovms {target}"]
    assert [FALLBACK in one.advice for one in complaints] == ([] if PROMETHEUS_2 else [True])


class Prometheus3(Prometheus):
    """Answers as a 3.16.0 did that had scraped both, where no Prometheus 3 can be installed."""

    TARGETS: Final = json.loads(
        (ROOT / "tests/captures/prometheus/targets-3.16.0.json").read_text()
    )["data"]

    def api(self, path: str, *, method: str = "GET", **parameters: str) -> Any:
        return {"targets": self.TARGETS, "status/config": {"yaml": "{}"}}[path]


def test_the_doctor_says_what_to_do_where_prometheus_3_refuses_it(tmp_path: Path) -> None:
    targets = [one["labels"]["instance"] for one in Prometheus3.TARGETS["activeTargets"]]
    (tmp_path / "models.yaml").write_text(unlabelled('", "'.join(targets)))
    spec = read_spec(tmp_path / "models.yaml")
    found = {one.subject: one for one in check_targets(spec, Prometheus3(spec))}
    for target in targets:
        refused = found[f"ml-runtime-ovms {target}"]
        assert refused.level == "broken"
        assert FALLBACK in refused.advice
        assert f"http://{target}/metrics" in refused.advice
