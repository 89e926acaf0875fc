"""What models.yaml says of serving runtimes, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.problems import ProblemsError
from contract.runtimes import RUNTIMES
from tests.contract.models_file import ONE, read, with_model

HERE = 'targets: ["127.0.0.1:8002"]'
RATE = 'requests: "sum(rate(my_total{$model}[$window]))"'


def serving(keys: str) -> str:
    return with_model(f"serving: {{{keys}}}")


def test_a_model_of_the_sidecar_needs_no_targets(tmp_path: Path) -> None:
    [model] = read(tmp_path, ONE).models
    assert model.serving.runtime == "sidecar"
    assert model.serving.targets == model.serving.sidecars == ("127.0.0.1:9101",)
    assert model.serving.scraped == ("127.0.0.1:9101",)


def test_a_model_of_another_runtime_has_a_sidecar_only_if_something_needs_one(
    tmp_path: Path,
) -> None:
    [model] = read(tmp_path, serving(f"runtime: triton, {HERE}")).models
    assert model.serving.sidecars == ()
    [model] = read(
        tmp_path, serving(f'runtime: triton, {HERE}, upstream: "http://127.0.0.1:8000"')
    ).models
    assert model.serving.scraped == ("127.0.0.1:8002", "127.0.0.1:9101")
    [model] = read(tmp_path, serving(f'runtime: triton, {HERE}, sidecars: ["a:1"]')).models
    assert model.serving.scraped == ("127.0.0.1:8002", "a:1")


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "sidecar"])
def test_every_other_runtime_needs_targets(tmp_path: Path, runtime: str) -> None:
    more = f", expressions: {{{RATE}}}" if runtime == "custom" else ""
    with pytest.raises(ProblemsError, match=f"add targets.*{RUNTIMES[runtime].port}"):
        read(tmp_path, serving(f"runtime: {runtime}{more}"))
    [model] = read(tmp_path, serving(f"runtime: {runtime}, {HERE}{more}")).models
    assert model.serving.runtime == runtime


WRONG = {
    "a runtime that is none": (f"runtime: trition, {HERE}", "did you mean triton?"),
    "expressions for a runtime that has its own": (
        f"runtime: vllm, {HERE}, expressions: {{{RATE}}}",
        "are for the runtime custom; those of vLLM are built in",
    ),
    "one's own runtime without expressions": (f"runtime: custom, {HERE}", "needs expressions"),
    "a figure that is none": (
        f"runtime: custom, {HERE}, expressions: {{speed: up}}",
        "is not known: 'speed'",
    ),
    "an expression that is not closed": (
        f'runtime: custom, {HERE}, expressions: {{requests: "sum(rate(a[$window])"}}',
        "has ( and ) that do not match",
    ),
    "an expression with an unknown part": (
        f'runtime: custom, {HERE}, expressions: {{requests: "rate(a[$range])"}}',
        "has an unknown part: $range",
    ),
    "a name where nothing names a model": (
        f"runtime: tgi, {HERE}, model: llama",
        "is not used: the metrics of Text Generation Inference name no model",
    ),
    "a version where nothing names one": (
        f'runtime: vllm, {HERE}, version: "1"',
        "is not used: the metrics of vLLM name no version",
    ),
    "sidecars beside the sidecar": ('sidecars: ["a:1"]', "is not used: the runtime is the sidecar"),
}


@pytest.mark.parametrize(("keys", "message"), WRONG.values(), ids=WRONG)
def test_what_no_runtime_can_use_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(ProblemsError) as refused:
        read(tmp_path, serving(keys))
    assert message in str(refused.value)


def two(first: str, second: str) -> str:
    return "models:\n" + "".join(
        f'  - {{name: {name}, version: "1", task: regression, serving: {{{keys}, {HERE}}}}}\n'
        for name, keys in (("a", first), ("b", second))
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("runtime: triton", "runtime: triton"),
        ('runtime: triton, model: m, version: "1"', 'runtime: triton, model: m, version: "2"'),
        ("runtime: vllm, model: x", "runtime: vllm, model: y"),
    ],
)
def test_models_that_their_server_tells_apart_may_share_it(
    tmp_path: Path, first: str, second: str
) -> None:
    assert len(read(tmp_path, two(first, second)).models) == 2


@pytest.mark.parametrize(
    ("first", "second", "hint"),
    [
        ("runtime: tgi", "runtime: tgi", "give this model another target"),
        ("runtime: vllm, model: x", "runtime: vllm, model: x", "give this model another target"),
        ("runtime: triton, model: x", "runtime: triton, model: x", "give both a serving.version"),
        (
            'runtime: triton, model: x, version: "1"',
            "runtime: triton, model: x",
            "give both a serving.version",
        ),
    ],
)
def test_models_that_nothing_tells_apart_may_not_share_a_server(
    tmp_path: Path, first: str, second: str, hint: str
) -> None:
    with pytest.raises(ProblemsError) as refused:
        read(tmp_path, two(first, second))
    assert "serves a 1 already" in str(refused.value)
    assert hint in str(refused.value)
