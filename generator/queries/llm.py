"""What the LLM dashboard asks: do tokens come, how fast, and what holds them up?"""

from __future__ import annotations

from typing import Final

from generator.queries import recorded, recorded_serving
from generator.queries.model import latency
from generator.queries.recorded import Recorded
from generator.queries.selection import ON_MODEL, chosen, owners

__all__ = [
    "by_model",
    "failed_by_model",
    "first_token_of_whole",
    "models_variable",
    "of",
    "tokens_per_request",
    "versions_variable",
    "waiting_share",
]

_LLM: Final = recorded_serving.GENERATED_TOKENS


def models_variable() -> str:
    """The models that generate tokens."""
    return f"label_values({_LLM}, model_name)"


def versions_variable() -> str:
    """The versions of the chosen one that do."""
    return f'label_values({_LLM}{{model_name="$model"}}, model_version)'


def of(series: Recorded) -> str:
    """A recorded series of the chosen model."""
    return chosen(series)


def tokens_per_request(tokens: Recorded) -> str:
    """Tokens of a request, on average over five minutes."""
    return f"{chosen(tokens)} / ({chosen(recorded.REQUESTS)} > 0)"


def waiting_share() -> str:
    """Of the requests that are in the server, those that wait."""
    waiting, running = chosen(recorded_serving.WAITING), chosen(recorded_serving.RUNNING)
    return f"{waiting} / ({waiting} + {running} > 0)"


def first_token_of_whole() -> str:
    """Of the median time of a request, the part that goes by before its first token."""
    first = chosen(recorded_serving.TIME_TO_FIRST_TOKEN_QUANTILES["p50"])
    return f"{first} / (({latency('p50')}) > 0)"


def by_model(series: Recorded) -> str:
    """A recorded series of every LLM of the chosen teams, with its team."""
    return f"({series} and {ON_MODEL} {_LLM}) * {ON_MODEL} group_left (team) {owners()}"


def failed_by_model() -> str:
    """Share of requests that failed, of every LLM."""
    return by_model(recorded.ERROR_RATIO)
