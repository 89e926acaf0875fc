"""What serves a model, and what stands in between."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from contract.quantity import Duration, HostPort, problem
from contract.runtimes import SIDECAR, RuntimeName, Signal
from contract.spec.section import Section, as_tuple

__all__ = [
    "Expression",
    "MappedPath",
    "PromQL",
    "Serving",
]


def _expression(value: object) -> str:
    """A JMESPath expression, parsed here so that a wrong one is found when the file is read."""
    # Imported here: only who maps a path needs it.
    import jmespath
    from jmespath.exceptions import JMESPathError

    if not isinstance(value, str) or not value:
        raise problem(f"is not a JMESPath expression: {value!r}", "write features or outputs[0].x")
    try:
        jmespath.compile(value)
    except JMESPathError as error:
        first = str(error).splitlines()[0]
        raise problem(f"is not a JMESPath expression: {first}", "see jmespath.org") from None
    return value


def _mapped_path(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/([^/{}?#\s]+|\{\w+\}))+|/", value):
        raise problem(f"is not a path: {value!r}", "write /predict or /models/{model}/score")
    unknown = set(re.findall(r"\{(\w+)\}", value)) - {"model", "version", "any"}
    if unknown:
        raise problem(f"has an unknown part: {{{unknown.pop()}}}", "parts: {model} {version} {any}")
    return value


def _url(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"http://[^/?#@\s]+/?", value):
        raise problem(
            f"is not an http:// address without a path: {value!r}", "write http://127.0.0.1:8001"
        )
    host = value.removeprefix("http://").rstrip("/")
    port = re.fullmatch(r".+:([0-9]{1,5})", host)
    if port is None or not 0 < int(port[1]) < 65536:
        raise problem(f"has no port between 1 and 65535: {value!r}", f"write http://{host}:8001")
    return f"http://{host}"


def _absolute(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"/[!-~]*", value):
        raise problem(f"is not a path: {value!r}", "write /v2/health/ready")
    return value


def _promql(value: object) -> str:
    """PromQL, checked only for what would break the rule that it stands in; promtool does more."""
    if not isinstance(value, str) or not value.strip():
        raise problem(f"is not PromQL: {value!r}", "write sum(rate(my_requests_total[$window]))")
    unknown = set(re.findall(r"\$(\w+)", value)) - {"window", "model"}
    if unknown:
        raise problem(f"has an unknown part: ${unknown.pop()}", "parts: $window $model")
    bare = re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'", "", value)
    for opening, closing in ("()", "[]", "{}"):
        if bare.count(opening) != bare.count(closing):
            raise problem(f"has {opening} and {closing} that do not match: {value!r}")
    return value.strip()


Expression = Annotated[str, BeforeValidator(_expression)]
PromQL = Annotated[str, BeforeValidator(_promql)]


class MappedPath(Section):
    """A path of an upstream with a protocol of its own: where its bodies hold what is counted.

    What is left out is not counted.
    """

    path: Annotated[str, BeforeValidator(_mapped_path), Field(examples=["/models/{model}/score"])]
    """The path; `{model}` and `{version}` in it name the model, `{any}` stands for anything."""
    features: Expression | None = None
    """Where a request holds the features (JMESPath): an object, a list of them for a batch, or
    plain lists in the order of the profile."""
    prediction: Expression | None = None
    """Where a response holds the prediction: one value, or a list with one for each row."""
    confidence: Expression | None = None
    """Where a response holds the confidence, 0 to 1."""
    prediction_id: Expression | None = None
    """Where a response holds the id that a label will name."""


class Serving(Section):
    """What serves the model, where Prometheus finds its metrics, and what stands in between."""

    runtime: RuntimeName = SIDECAR
    """What serves the model and whose metrics are read."""
    targets: Annotated[tuple[HostPort, ...], BeforeValidator(as_tuple)] = ()
    """Where Prometheus finds the model's metrics; left out, the stack's sidecar. A runtime other
    than the sidecar must be given some."""
    model: Annotated[str | None, Field(min_length=1, max_length=200, examples=["fraud_onnx"])] = (
        None
    )
    """What the runtime calls the model; left out, its name here."""
    version: Annotated[str | None, Field(min_length=1, max_length=100, examples=["3"])] = None
    """What the runtime calls this version; left out, whatever versions it serves are this one."""
    metrics_path: Annotated[
        str | None,
        BeforeValidator(_absolute, json_schema_input_type=str),
        Field(examples=["/metrics"]),
    ] = None
    """The path of the runtime's metrics; left out, its usual one."""
    expressions: dict[Signal, PromQL] = Field(
        default={}, examples=[{"requests": "sum(rate(requests_total{$model}[$window]))"}]
    )
    """For the runtime custom: each figure as PromQL, with `$window` and, in a selector, `$model`
    for the labels of this model's targets."""
    sidecars: Annotated[tuple[HostPort, ...], BeforeValidator(as_tuple)] = ()
    """Sidecars that take the model's events beside another runtime; left out, the stack's where
    anything of the model needs one, such as a profile."""
    upstream: Annotated[
        str | None,
        BeforeValidator(_url, json_schema_input_type=str),
        Field(examples=["http://127.0.0.1:8001"]),
    ] = None
    """The model server behind the sidecar, whose health is probed."""
    proxy: HostPort | None = None
    """Where the sidecar listens and forwards to `upstream`, reading what passes."""
    paths: Annotated[tuple[MappedPath, ...], BeforeValidator(as_tuple)] = ()
    """Paths that the proxy reads besides those of the protocols it knows."""
    health: Annotated[
        str | None,
        BeforeValidator(_absolute, json_schema_input_type=str),
        Field(examples=["/v2/health/ready"]),
    ] = None
    """The upstream's path that answers 200 when the model is ready; left out, the usual ones are
    tried."""
    probe_interval: Duration = Duration.parse("10s")
    """How often the upstream's health is probed."""

    @property
    def scraped(self) -> tuple[str, ...]:
        """All that Prometheus scrapes for the model: its runtime and its sidecars, once each."""
        return tuple(dict.fromkeys((*self.targets, *self.sidecars)))
