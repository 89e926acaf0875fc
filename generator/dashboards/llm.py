"""LLM serving: do tokens come, how fast, and what holds them up?"""

from __future__ import annotations

from typing import Final

from contract.spec import Spec
from generator.dashboards.field import OF_LIMIT, Unit, dashed, on_the_right
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, time_series
from generator.dashboards.shell import link_to_model, render, variable
from generator.dashboards.tables import Column, table
from generator.queries import llm, marks, model, recorded, selection
from generator.queries import recorded_serving as serving

__all__ = ["render_llm"]

NO_LLM: Final = "No data: no serving runtime of an LLM (vLLM, SGLang, TGI, llama.cpp) fills it"
NO_REQUESTS: Final = "No requests in the last 5 minutes"
FIRST: Final = serving.TIME_TO_FIRST_TOKEN_QUANTILES
BETWEEN: Final = serving.INTER_TOKEN_LATENCY_QUANTILES


def render_llm(_: Spec) -> str:
    """The text of llm.json."""
    return render(
        uid="ml-llm",
        title="ML LLM serving",
        description="Do tokens come, how fast, and what holds them up?",
        variables=[
            variable("team", "Team", selection.teams_variable(), many=True),
            variable("model", "Model", llm.models_variable()),
            variable("version", "Version", llm.versions_variable(), newest_first=True),
        ],
        marks=marks.of_model(),
        rows=[
            Row(1, "Do tokens come?", _numbers()),
            Row(2, "Which model?", (_models(),)),
            Row(3, "How long does a reader wait?", _waiting()),
            Row(4, "How much does it do?", _work()),
            Row(5, "What holds it up?", _limits()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "First token",
            "Half and 99% of the requests of the last 5 minutes waited at most this long for their "
            "first token.",
            Query(llm.of(FIRST["p50"]), "p50"),
            Query(llm.of(FIRST["p99"]), "p99"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            width=5,
        ),
        stat(
            "Between tokens",
            "Half and 99% of the tokens came at most this long after the one before. A person "
            "reads about 10 tokens a second.",
            Query(llm.of(BETWEEN["p50"]), "p50"),
            Query(llm.of(BETWEEN["p99"]), "p99"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            width=5,
        ),
        stat(
            "Tokens generated",
            "Tokens per second over 5 minutes, of all requests and replicas together.",
            Query(llm.of(serving.GENERATED_TOKENS), "generated"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_LLM,
            history=True,
            width=4,
        ),
        stat(
            "KV cache",
            "Of the fullest replica. Where it is full, requests wait or lose their place.",
            Query(llm.of(serving.KV_CACHE_USAGE), "full"),
            unit=Unit.RATIO,
            decimals=0,
            no_data="Not given by its runtime",
            steps=OF_LIMIT,
            width=3,
        ),
        stat(
            "Requests that wait",
            "Of the requests in the server now, the share that has no place in a batch yet.",
            Query(llm.waiting_share(), "wait"),
            unit=Unit.RATIO,
            decimals=0,
            no_data="None is in the server",
            steps=OF_LIMIT,
            width=3,
        ),
        stat(
            "Requests that fail",
            "Share of requests that failed over 5 minutes.",
            Query(model.error_ratio(), "failed"),
            unit=Unit.RATIO,
            decimals=2,
            no_data=NO_REQUESTS,
            history=True,
            width=4,
        ),
    )


def _models() -> Tile:
    return table(
        "Every LLM: click on one for all that is known of it",
        "One row for each model that generates tokens. A cell is empty where its runtime does not "
        "give the figure, or no requests came in the last 5 minutes.",
        Query(llm.by_model(recorded.REQUESTS)),
        Query(llm.failed_by_model()),
        Query(llm.by_model(FIRST["p99"])),
        Query(llm.by_model(BETWEEN["p99"])),
        Query(llm.by_model(serving.GENERATED_TOKENS)),
        Query(llm.by_model(serving.KV_CACHE_USAGE)),
        Query(llm.by_model(serving.WAITING)),
        columns=[
            Column(source="model_name", title="Model", link=link_to_model("Model", "Version")),
            Column(source="model_version", title="Version", width=90),
            Column(source="team", title="Team"),
            Column(source="A", title="Requests", unit=Unit.PER_SECOND, decimals=1),
            Column(source="B", title="Errors", unit=Unit.RATIO, decimals=2),
            Column(source="C", title="First token, p99", unit=Unit.SECONDS),
            Column(source="D", title="Between tokens, p99", unit=Unit.SECONDS),
            Column(source="E", title="Generated", unit=Unit.EVENTS_PER_SECOND),
            Column(source="F", title="KV cache", unit=Unit.RATIO, decimals=0, steps=OF_LIMIT),
            Column(source="G", title="Waiting"),
        ],
        sort="Requests",
        no_data=NO_LLM,
        height=6,
    )


def _waiting() -> tuple[Tile, ...]:
    return (
        time_series(
            "How long until the first token?",
            "Half and 99% of the requests waited at most this long. It grows with long prompts and "
            "with the queue.",
            Query(llm.of(FIRST["p50"]), "p50"),
            Query(llm.of(FIRST["p99"]), "p99"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            width=8,
        ),
        time_series(
            "How long between two tokens?",
            "Half and 99% of the tokens came at most this long after the one before, and the mean. "
            "It grows with the size of the batch.",
            Query(llm.of(BETWEEN["p50"]), "p50"),
            Query(llm.of(BETWEEN["p99"]), "p99"),
            Query(llm.of(serving.INTER_TOKEN_LATENCY_MEAN), "mean"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            width=8,
        ),
        time_series(
            "How long does a whole answer take?",
            "Half and 99% of the requests took at most this long; and the part of the median that "
            "goes by before the first token (right axis). Dashed: what models.yaml promises.",
            Query(model.latency("p50"), "p50"),
            Query(model.latency("p99"), "p99"),
            Query(llm.first_token_of_whole(), "before the first token"),
            Query(model.latency_limits(), "limit of p{{quantile}}"),
            unit=Unit.SECONDS,
            no_data=NO_REQUESTS,
            overrides=[on_the_right("^before", Unit.RATIO), dashed("^limit", "red")],
            width=8,
        ),
    )


def _work() -> tuple[Tile, ...]:
    return (
        time_series(
            "How many tokens?",
            "Tokens per second over 5 minutes: read from prompts, and generated.",
            Query(llm.of(serving.PROMPT_TOKENS), "of prompts"),
            Query(llm.of(serving.GENERATED_TOKENS), "generated"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NO_LLM,
            width=8,
        ),
        time_series(
            "How large is a request?",
            "Mean tokens of a request: of its prompt, and of its answer.",
            Query(llm.tokens_per_request(serving.PROMPT_TOKENS), "prompt"),
            Query(llm.tokens_per_request(serving.GENERATED_TOKENS), "answer"),
            unit=Unit.COUNT,
            no_data=NO_REQUESTS,
            width=8,
        ),
        time_series(
            "How many requests, and how many fail?",
            "Requests per second over 5 minutes, and those that failed.",
            Query(llm.of(recorded.REQUESTS), "requests"),
            Query(llm.of(recorded.ERRORS), "failed"),
            unit=Unit.PER_SECOND,
            no_data=NO_LLM,
            width=8,
        ),
    )


def _limits() -> tuple[Tile, ...]:
    return (
        time_series(
            "How full is the batch?",
            "Requests that generate tokens now, and those that wait for a place.",
            Query(llm.of(serving.RUNNING), "running"),
            Query(llm.of(serving.WAITING), "waiting"),
            unit=Unit.COUNT,
            no_data=NO_LLM,
            stacked=True,
            width=8,
        ),
        time_series(
            "How full is the KV cache?",
            "Share of it that the fullest replica uses.",
            Query(llm.of(serving.KV_CACHE_USAGE), "fullest replica"),
            unit=Unit.RATIO,
            no_data="No data: its runtime does not give it",
            top=1,
            width=8,
        ),
        time_series(
            "Do requests lose their place?",
            "Requests per second that were put back for want of KV cache; what they had is "
            "computed again.",
            Query(llm.of(serving.PREEMPTIONS), "preempted"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: its runtime does not give it",
            width=8,
        ),
    )
