"""What models.yaml says of upstreams and proxies, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.problems import ProblemsError
from tests.contract.models_file import read, with_model

UP = 'upstream: "http://127.0.0.1:8001"'


def test_an_upstream_and_a_proxy_are_enough(tmp_path: Path) -> None:
    [model] = read(tmp_path, with_model(f"serving: {{{UP}, proxy: 127.0.0.1:9105}}")).models
    serving = model.serving
    assert (serving.upstream, serving.proxy) == ("http://127.0.0.1:8001", "127.0.0.1:9105")
    assert (serving.paths, serving.health, serving.probe_interval.seconds) == ((), None, 10)


WRONG = {
    "a proxy without an upstream": ("proxy: 127.0.0.1:9105", "needs an upstream"),
    "paths without a proxy": (f"{UP}, paths: [{{path: /p}}]", "needs a proxy"),
    "an upstream with a path": ('upstream: "http://a:1/x"', "without a path"),
    "an upstream over TLS": ('upstream: "https://a:1"', "is not an http://"),
    "an upstream without a port": ('upstream: "http://a"', "has no port"),
    "a path that is none": (f'{UP}, proxy: "a:1", paths: [{{path: p}}]', "is not a path"),
    "a part that nobody knows": (
        f'{UP}, proxy: "a:1", paths: [{{path: "/p/{{who}}"}}]', "has an unknown part: {who}",
    ),
    "an expression that is none": (
        f'{UP}, proxy: "a:1", paths: [{{path: /p, features: "a["}}]', "is not a JMESPath",
    ),
    "a health that is no path": (f"{UP}, health: ready", "is not a path"),
}  # fmt: skip


@pytest.mark.parametrize(("serving", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_served_is_refused(tmp_path: Path, serving: str, message: str) -> None:
    with pytest.raises(ProblemsError) as refused:
        read(tmp_path, with_model(f"serving: {{{serving}}}"))
    assert message in str(refused.value)


def test_one_proxy_forwards_to_one_upstream(tmp_path: Path) -> None:
    models = "".join(
        f'  - {{name: m{port}, version: "1", task: regression, '
        f'serving: {{upstream: "http://a:{port}", proxy: "b:1"}}}}\n'
        for port in (1, 2)
    )
    with pytest.raises(ProblemsError, match="forwards to http://a:1 already"):
        read(tmp_path, f"models:\n{models}")
