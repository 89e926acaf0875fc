"""The servers of models whose own metrics can be read, and the figures that can be made of them.

Here stands what models.yaml has to know of a runtime; generator.queries.runtimes says which figure
comes from which of its series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["RUNTIMES", "SIDECAR", "Runtime", "RuntimeName", "Signal"]

RuntimeName = Literal[
    "sidecar",
    "triton",
    "vllm",
    "sglang",
    "tgi",
    "torchserve",
    "tfserving",
    "kserve",
    "mlserver",
    "bentoml",
    "ray_serve",
    "ovms",
    "llamacpp",
    "custom",
]

SIDECAR: Final = "sidecar"

Signal = Literal[
    "requests",
    "errors",
    "latency_buckets",
    "latency_mean",
    "latency_p50",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_p999",
    "in_progress",
    "queue_depth",
    "batch_size",
    "loaded",
    "time_to_first_token_buckets",
    "time_to_first_token_p50",
    "time_to_first_token_p99",
    "inter_token_latency_buckets",
    "inter_token_latency_mean",
    "prompt_tokens",
    "generated_tokens",
    "kv_cache_usage",
    "running",
    "waiting",
    "preemptions",
]
"""What a runtime can say of a model; the keys of `serving.expressions` for a custom one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One model server. `model_label` and `version_label` are those its own series carry.

    Without a `model_label` it serves one model, and what it says is of that one.
    """

    name: RuntimeName
    title: str
    port: int
    path: str = "/metrics"
    model_label: str | None = None
    version_label: str | None = None


_ALL: Final = (
    Runtime(name="sidecar", title="our sidecar", port=9101),
    Runtime(
        name="triton",
        title="NVIDIA Triton",
        port=8002,
        model_label="model",
        version_label="version",
    ),
    Runtime(name="vllm", title="vLLM", port=8000, model_label="model_name"),
    Runtime(name="sglang", title="SGLang", port=30000, model_label="model_name"),
    Runtime(name="tgi", title="Text Generation Inference", port=80),
    Runtime(
        name="torchserve",
        title="TorchServe",
        port=8082,
        model_label="model_name",
        version_label="model_version",
    ),
    Runtime(
        name="tfserving",
        title="TensorFlow Serving",
        port=8501,
        path="/monitoring/prometheus/metrics",
        model_label="model_name",
    ),
    Runtime(name="kserve", title="KServe", port=8080, model_label="model_name"),
    Runtime(
        name="mlserver",
        title="MLServer",
        port=8082,
        model_label="model",
        version_label="version",
    ),
    Runtime(
        name="bentoml",
        title="BentoML",
        port=3000,
        model_label="service_name",
        version_label="service_version",
    ),
    Runtime(name="ray_serve", title="Ray Serve", port=8080, model_label="deployment"),
    Runtime(
        name="ovms",
        title="OpenVINO Model Server",
        port=8000,
        model_label="name",
        version_label="version",
    ),
    Runtime(name="llamacpp", title="llama.cpp", port=8080),
    Runtime(name="custom", title="a server of one's own", port=8000),
)

RUNTIMES: Final[dict[str, Runtime]] = {runtime.name: runtime for runtime in _ALL}
"""Every runtime by its name in models.yaml."""

if tuple(RUNTIMES) != get_args(RuntimeName):
    raise AssertionError("contract.runtimes: RuntimeName and the runtimes differ")
