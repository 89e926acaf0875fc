"""References of drift and the access to Prometheus: what is wrong is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.models_file import ONE, read, with_model
from tests.contract.test_read_refuses import places, problems


def reference(keys: str) -> str:
    return with_model(f"drift: {{reference: {{{keys}}}}}")


def access(keys: str) -> str:
    return f"stack: {{prometheus_access: {{{keys}}}}}\n{ONE}"


KINDS = (
    "2:66 models[0].drift.reference: is neither a window nor a time between two moments "
    "| write {window: 7d, offset: 1d} or {from: 2026-10-01, to: 2026-10-08}"
)
REFUSED = {
    "a reference of nothing": (reference(""), KINDS),
    "a window and a time": (reference("window: 7d, to: 2026-10-01"), KINDS),
    "a time without an end": (reference("from: 2026-10-01"), KINDS),
    "a time that ends before it starts": (
        reference("from: 2026-10-02, to: 2026-10-01"),
        "2:66 models[0].drift.reference: ends before it starts",
    ),
    "a moment that is none": (
        reference("from: soon, to: 2026-10-01"),
        (
            "2:73 models[0].drift.reference.from: is not a moment: 'soon' "
            "| write 2026-10-01 or 2026-10-01T12:00Z"
        ),
    ),
    "a past that Prometheus does not keep": (
        "defaults: {drift: {reference: {window: 30d, offset: 7d}}}\n" + ONE,
        (
            "1:31 defaults.drift.reference: reaches back further than Prometheus keeps: 35d "
            "| shorten it, lengthen stack.retention, or freeze one: drift baseline"
        ),
    ),
    "a past of a model whose bins nobody knows": (
        reference("window: 7d"),
        (
            "2:66 models[0].drift.reference: needs a profile: its bins are those that the sidecar "
            "counts on | build it: python -m exporters.drift profile --data train.csv --model NAME"
        ),
    ),
    "a URL without a scheme": (
        access("url: prometheus.example.com"),
        (
            "1:34 stack.prometheus_access.url: is not a URL: 'prometheus.example.com' "
            "| write https://prometheus.example.com, or with its path"
        ),
    ),
    "a password in a URL": (
        access('url: "https://me:secret@example.com"'),
        (
            "1:34 stack.prometheus_access.url: is not a URL: 'https://me:secret@example.com' "
            "| write https://prometheus.example.com, or with its path"
        ),
    ),
    "a name without a password": (
        access("username: me"),
        (
            "1:28 stack.prometheus_access: has one of username and password_file "
            "| write both, or token_file"
        ),
    ),
    "two ways of proving oneself": (
        access("username: me, password_file: models.yaml, token_file: models.yaml"),
        "1:28 stack.prometheus_access: has a token and a password | write one of them",
    ),
    "a secret that is not there": (
        access("token_file: none"),
        ("1:41 stack.prometheus_access.token_file: no such file: none"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_at_its_place(tmp_path: Path, text: str, expected: str) -> None:
    [found] = places(problems(tmp_path, text))
    assert found.split(" | paths start")[0] == expected


def test_a_url_keeps_its_path(tmp_path: Path) -> None:
    spec = read(tmp_path, access("url: https://example.com/tenant/"))
    assert spec.stack.prometheus_access.url == "https://example.com/tenant"


def test_a_default_reference_is_for_models_that_have_a_profile(tmp_path: Path) -> None:
    spec = read(tmp_path, "defaults: {drift: {reference: {window: 7d}}}\n" + ONE)
    found = spec.models[0].drift.reference
    assert found is not None
    assert str(found.offset) == "1d"
