"""What serves a model, and what stands in between."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator

from contract.quantity import Duration, HostPort, problem
from contract.spec.section import Section, as_tuple

__all__ = [
    "Expression",
    "MappedPath",
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


Expression = Annotated[str, BeforeValidator(_expression)]


class MappedPath(Section):
    """A path of an upstream with a protocol of its own: where its bodies hold what is counted.

    `features` is looked up in the request: an object, or a list of them for a batch, or plain
    lists in the order of the profile. The others are looked up in the response: one value, or a
    list with one for each row.
    """

    path: Annotated[str, BeforeValidator(_mapped_path)]
    features: Expression | None = None
    prediction: Expression | None = None
    confidence: Expression | None = None
    prediction_id: Expression | None = None


class Serving(Section):
    """What serves the model, where Prometheus finds its metrics, and what stands in between.

    `upstream` is the model server: its health is probed every `probe_interval`, at `health` or
    where servers usually have it. `proxy` is where the sidecar forwards to it; `paths` are read
    by it besides those of the protocols that it knows.
    """

    runtime: Literal["sidecar"] = "sidecar"
    targets: Annotated[tuple[HostPort, ...], BeforeValidator(as_tuple)] = ()
    upstream: Annotated[str | None, BeforeValidator(_url, json_schema_input_type=str)] = None
    proxy: HostPort | None = None
    paths: Annotated[tuple[MappedPath, ...], BeforeValidator(as_tuple)] = ()
    health: Annotated[str | None, BeforeValidator(_absolute, json_schema_input_type=str)] = None
    probe_interval: Duration = Duration.parse("10s")
