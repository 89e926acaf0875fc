"""The normalised series of what serves a model: its queue, batches and load, and those of LLMs.

The sidecar fills the first few from what model servers report to it; each serving runtime fills
what it can (generator.queries.runtimes), those of LLMs among them.
"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Unit
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import FIVE_MINUTES, window

__all__ = [
    "BATCH_SIZE",
    "GENERATED_TOKENS",
    "INTER_TOKEN_LATENCY_MEAN",
    "INTER_TOKEN_LATENCY_QUANTILES",
    "IN_PROGRESS",
    "KV_CACHE_USAGE",
    "LLM_RECORDED",
    "LOADED",
    "PREEMPTIONS",
    "PROMPT_TOKENS",
    "QUEUE_DEPTH",
    "RUNNING",
    "SERVING_RECORDED",
    "TIME_TO_FIRST_TOKEN_QUANTILES",
    "WAITING",
]

_SERVING: Final = Group("model-serving")
_BY_MODEL: Final = f"by ({', '.join(MODEL)})"

IN_PROGRESS: Final = Recorded(
    name="model:ml_inference_requests_in_progress:sum",
    labels=MODEL,
    help="Requests that the model works on now.",
    group=_SERVING,
    expression=lambda _: f"sum {_BY_MODEL} ({catalog.INFERENCE_IN_PROGRESS})",
)
QUEUE_DEPTH: Final = Recorded(
    name="model:ml_queue_depth:sum",
    labels=(*MODEL, "queue_name"),
    help="Requests that wait in a queue of the model server.",
    group=_SERVING,
    expression=lambda _: f"sum by ({', '.join((*MODEL, 'queue_name'))}) ({catalog.QUEUE_DEPTH})",
)
BATCH_SIZE: Final = Recorded(
    name="model:ml_inference_batch_size:mean5m",
    labels=MODEL,
    help="Mean number of rows in one call of the model.",
    group=_SERVING,
    expression=lambda spec: (
        f"sum {_BY_MODEL} (rate({catalog.INFERENCE_BATCH_SIZE.sum}[{window(spec, FIVE_MINUTES)}]))"
        f"\n/\n(sum {_BY_MODEL} "
        f"(rate({catalog.INFERENCE_BATCH_SIZE.count}[{window(spec, FIVE_MINUTES)}])) > 0)"
    ),
)
LOADED: Final = Recorded(
    name="model:ml_model_loaded:min",
    labels=MODEL,
    help="1 where every replica says that it has the model ready, 0 where one says no.",
    group=_SERVING,
    expression=lambda _: f"min {_BY_MODEL} ({catalog.MODEL_LOADED})",
)

SERVING_RECORDED: Final = (IN_PROGRESS, QUEUE_DEPTH, BATCH_SIZE, LOADED)
"""Those that the sidecar fills, too."""


# Of LLMs, which only their runtimes fill: each runtime in use has rules of its own for them.


def _nothing_of_ours(_: object) -> str:
    raise AssertionError("only runtimes fill it")


def _llm(what: str, text: str, unit: Unit = Unit.NONE) -> Recorded:
    return Recorded(
        name=f"model:ml_llm_{what}",
        labels=MODEL,
        help=text,
        group=_SERVING,
        expression=_nothing_of_ours,
        unit=unit,
    )


TIME_TO_FIRST_TOKEN_QUANTILES: Final = {
    name: _llm(
        f"time_to_first_token_seconds:{name}_5m",
        f"{percent}% of the requests waited at most this long for their first token.",
        Unit.SECONDS,
    )
    for name, percent in (("p50", 50), ("p99", 99))
}
INTER_TOKEN_LATENCY_QUANTILES: Final = {
    name: _llm(
        f"inter_token_latency_seconds:{name}_5m",
        f"{percent}% of the tokens came at most this long after the one before.",
        Unit.SECONDS,
    )
    for name, percent in (("p50", 50), ("p99", 99))
}
INTER_TOKEN_LATENCY_MEAN: Final = _llm(
    "inter_token_latency_seconds:mean5m", "Mean time between two tokens.", Unit.SECONDS
)
PROMPT_TOKENS: Final = _llm("prompt_tokens:rate5m", "Tokens per second that came in as prompts.")
GENERATED_TOKENS: Final = _llm("generated_tokens:rate5m", "Tokens per second that were generated.")
KV_CACHE_USAGE: Final = _llm(
    "kv_cache_usage:ratio", "The fullest replica's share of its KV cache.", Unit.RATIO
)
RUNNING: Final = _llm("requests_running:sum", "Requests that generate tokens now.")
WAITING: Final = _llm("requests_waiting:sum", "Requests that wait for a place in a batch.")
PREEMPTIONS: Final = _llm(
    "preemptions:rate5m", "Requests per second that lost their place for want of KV cache."
)

LLM_RECORDED: Final = (
    *TIME_TO_FIRST_TOKEN_QUANTILES.values(),
    *INTER_TOKEN_LATENCY_QUANTILES.values(),
    INTER_TOKEN_LATENCY_MEAN,
    PROMPT_TOKENS,
    GENERATED_TOKENS,
    KV_CACHE_USAGE,
    RUNNING,
    WAITING,
    PREEMPTIONS,
)
