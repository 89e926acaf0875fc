"""The types of models.yaml, each with its built-in default, and how defaults are resolved.

There is one set of types: a model says only what differs from `defaults:`, `defaults:` says only
what differs from the built-in values here, and `resolve` lays the three over each other.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from contract.quantity import ByteSize, Duration, HostPort, Ratio, problem

__all__ = [
    "ALERT_NAMES",
    "GPU_ALERT_NAMES",
    "QUANTILES",
    "SEVERITIES",
    "AlertSettings",
    "BusinessRatio",
    "Channel",
    "CustomMetric",
    "Defaults",
    "Dialect",
    "Drift",
    "FeatureRange",
    "Gpu",
    "Latency",
    "Limits",
    "MappedPath",
    "Model",
    "ModelGpu",
    "PredictionLog",
    "Serving",
    "Severity",
    "Sidecar",
    "Slo",
    "Spec",
    "Stack",
    "Task",
    "Team",
]

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
Channel = Literal["log", "slack", "email", "pagerduty"]
Dialect = Literal["dcgm", "nvidia_smi"]
Task = Literal["binary_classification", "multiclass_classification", "regression"]

QUANTILES: Final = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p999"}
"""Latency quantiles that are recorded, and how they are called in names."""

ALERT_NAMES: Final = (
    "TargetDown",
    "HighErrorRatio",
    *(f"HighLatency{name.upper()}" for name in QUANTILES.values()),
    "FeatureDrift",
    "DriftShare",
    "DriftEvaluationStale",
)
"""Alerts that a model can override or disable; contract.alerts defines them."""

GPU_ALERT_NAMES: Final = (
    "GpuLost",
    "GpusMissing",
    "GpuXid",
    "GpuEccUncorrectable",
    "GpuMemoryFilling",
    "GpuHot",
    "GpuThrottledAndSlow",
    "GpuIdleButHeld",
)
"""Alerts that `gpu.alerts` can override or disable; contract.alerts defines them."""


class _Section(BaseModel):
    """A mapping in models.yaml: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def over(self, below: Self) -> Self:
        """This section laid over `below`: what it sets wins, the rest comes from below."""
        merged = {name: getattr(self, name) for name in self.model_fields_set}
        return below.model_copy(update=merged)


def _existing(value: object, info: ValidationInfo, hint: str = "") -> str:
    """A path relative to the folder of models.yaml; that the file exists is part of being valid.

    Without a `root` in the context (a spec made in a test, say) nothing is looked up.
    """
    if not isinstance(value, str) or not value:
        raise problem(f"is not a path: {value!r}")
    context = info.context or {}
    if "root" in context and not (context["root"] / value).is_file():
        raise problem(
            f"no such file: {value}", hint or f"paths start at the folder of {context['file']}"
        )
    return value


def _existing_profile(value: object, info: ValidationInfo) -> str:
    build = "build it: python -m exporters.drift profile --data train.csv --model NAME"
    path = _existing(value, info, build)
    if root := (info.context or {}).get("root"):
        # Imported here: profiles need numpy, and many readers of the spec's types do not.
        from contract.profile import ProfileError, read_profile

        try:
            read_profile(root / path)
        except ProfileError as error:
            raise problem(f"is not a profile: {error}", build) from None
    return path


ExistingFile = Annotated[str, BeforeValidator(_existing)]
ProfilePath = Annotated[str, BeforeValidator(_existing_profile)]


def _quoted_version(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise problem("must be quoted, or YAML reads 1.10 as 1.1", 'write "{written}" in quotes')
    return value


def _trained_at(value: object) -> object:
    """A date or time as YAML leaves it: text. A date alone is its midnight, UTC."""
    if isinstance(value, dt.datetime):
        return value
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise problem(
            f"is not a date: {value!r}", "write 2026-10-01 or 2026-10-01T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _known_quantile(target: float) -> float:
    if target not in QUANTILES:
        known = ", ".join(f"{quantile * 100:g}%" for quantile in QUANTILES)
        raise problem(
            f"is not one of the recorded quantiles: {target * 100:g}%", f"write one of {known}"
        )
    return target


class Latency(_Section):
    """A promise on latency: `target` of the requests are faster than `threshold`."""

    threshold: Duration
    target: Annotated[Ratio, AfterValidator(_known_quantile)] = 0.99

    @property
    def quantile(self) -> str:
        """What the quantile is called in names: p99."""
        return QUANTILES[self.target]


def _as_list(value: object) -> object:
    """One mapping stands for a list of one."""
    return (
        (value,)
        if isinstance(value, dict | Latency)
        else tuple(value)
        if isinstance(value, list)
        else value
    )


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


# Checked after the items, so that a wrong one is not also a missing one; pydantic leaves it out
# of the schema then.
_AT_LEAST_ONE: Final[Any] = Field(min_length=1, json_schema_extra={"minItems": 1})


def _distinct_quantiles(pairs: tuple[Latency, ...]) -> tuple[Latency, ...]:
    targets = [pair.target for pair in pairs]
    if len(set(targets)) != len(targets):
        raise problem("promises the same target twice")
    return pairs


class Slo(_Section):
    """What is promised of a model over `window`."""

    window: Duration = Duration.parse("30d")
    availability: Ratio = 0.999
    latency: Annotated[
        tuple[Latency, ...],
        BeforeValidator(_as_list, json_schema_input_type=Latency | list[Latency]),
        AfterValidator(_distinct_quantiles),
    ] = (Latency(threshold=Duration.parse("250ms")),)


class Drift(_Section):
    """When a feature counts as drifted: score above warning or critical, over window.

    `warning` and `critical` are in the units of `method`. `share` is the share of drifted features
    above which DriftShare fires.
    """

    method: Literal[
        "psi",
        "kl",
        "jensen_shannon_distance",
        "hellinger",
        "total_variation",
        "ks",
        "wasserstein",
        "cramers_v",
    ] = "psi"
    window: Duration = Duration.parse("1h")
    warning: float = Field(default=0.1, gt=0)
    critical: float = Field(default=0.25, gt=0)
    min_samples: int = Field(default=500, gt=0)
    share: Ratio = 0.3


def _number_or_unit(value: object) -> object:
    """A threshold in the unit the alert has: 5% → 0.05, 250ms → 0.25 seconds, else a number."""
    if isinstance(value, str):
        if value.endswith("%"):
            try:
                return float(value[:-1]) / 100
            except ValueError:
                raise problem(f"is not a percentage: {value!r}") from None
        return Duration.parse(value).seconds
    return value


class AlertSettings(_Section):
    """One alert of one model, where it differs from contract.alerts; `off` disables it."""

    enabled: bool = True
    hold: Duration | None = Field(default=None, alias="for")
    severity: Severity | None = None
    threshold: Annotated[
        float | None,
        BeforeValidator(_number_or_unit, json_schema_input_type=float | str | None),
    ] = None


def _alert_settings(value: object) -> object:
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, str):
        if value not in {"on", "off"}:
            raise problem(f"is not known: {value!r}", "write off, or what differs: {for: 10m}")
        return {"enabled": value == "on"}
    return value


def _one_of_alerts(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"alerts are: {', '.join(names)}"
            raise problem(f"no alert is called {name}", hint)
        return name

    return check


SomeAlertSettings = Annotated[
    AlertSettings,
    BeforeValidator(
        _alert_settings, json_schema_input_type=AlertSettings | Literal["off", "on"] | bool
    ),
]
Alerts = dict[
    Annotated[str, AfterValidator(_one_of_alerts(ALERT_NAMES))],
    SomeAlertSettings,
]
GpuAlerts = dict[
    Annotated[str, AfterValidator(_one_of_alerts(GPU_ALERT_NAMES))],
    SomeAlertSettings,
]


class Slack(_Section):
    channel: str
    webhook_file: ExistingFile


class Email(_Section):
    to: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), _AT_LEAST_ONE]


class PagerDuty(_Section):
    routing_key_file: ExistingFile


class Team(_Section):
    """Where a team is told. Everything also goes to the responder's log."""

    slack: Slack | None = None
    email: Email | None = None
    pagerduty: PagerDuty | None = None

    def channels(self) -> frozenset[Channel]:
        """The channels this team can be reached on; `log` always."""
        return frozenset(("log", *self.model_fields_set))  # type: ignore[arg-type]  # the fields are the channels


class Smtp(_Section):
    """The server that mail goes through; needed as soon as a team has email."""

    smarthost: HostPort
    sender: str = Field(alias="from")
    username: str | None = None
    password_file: ExistingFile | None = None
    require_tls: bool = True


Channels = Annotated[tuple[Channel, ...], BeforeValidator(_as_tuple)]


class Routing(_Section):
    """Which channels hear of which severity, of those that a team has."""

    info: Channels = ("log",)
    warning: Channels = ("log", "slack")
    error: Channels = ("log", "slack", "email")
    critical: Channels = ("log", "slack", "email", "pagerduty")

    def channels(self, severity: Severity) -> tuple[Channel, ...]:
        """The channels that hear of a severity."""
        channels: tuple[Channel, ...] = getattr(self, severity)
        return channels


class Stack(_Section):
    """Where the stack's own processes are, and how fast its clocks tick."""

    prometheus: HostPort = "127.0.0.1:9090"
    alertmanager: HostPort = "127.0.0.1:9093"
    grafana: HostPort = "127.0.0.1:3000"
    responder: HostPort = "127.0.0.1:9104"
    drift: HostPort = "127.0.0.1:9102"
    sidecar: HostPort = "127.0.0.1:9101"
    gpu: Annotated[tuple[HostPort, ...], BeforeValidator(_as_tuple)] = ("127.0.0.1:9103",)
    scrape_interval: Duration = Duration.parse("15s")
    evaluation_interval: Duration = Duration.parse("30s")
    retention: Duration = Duration.parse("35d")


class Gpu(_Section):
    """The GPUs that models run on, and how often the GPU exporter reads them."""

    expected: int | None = Field(default=None, ge=0)
    """How many each machine should have that is scraped for GPUs; left out, nobody knows."""
    interval: Duration = Duration.parse("1s")
    """Of cheap readings: utilization, memory, temperature, power, clocks."""
    slow_interval: Duration = Duration.parse("10s")
    """Of the rest: processes, PCIe, NVLink, ECC, modes, limits."""
    alerts: GpuAlerts = {}
    """A GPU serves several models, so its alerts are set here and not by each of them."""
    compatibility: Annotated[tuple[Dialect, ...], BeforeValidator(_as_tuple)] = ()
    """Other exporters by whose names the GPU series are recorded, too, for dashboards that read
    those."""


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


class MappedPath(_Section):
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


class Serving(_Section):
    """What serves the model, where Prometheus finds its metrics, and what stands in between.

    `upstream` is the model server: its health is probed every `probe_interval`, at `health` or
    where servers usually have it. `proxy` is where the sidecar forwards to it; `paths` are read
    by it besides those of the protocols that it knows.
    """

    runtime: Literal["sidecar"] = "sidecar"
    targets: Annotated[tuple[HostPort, ...], BeforeValidator(_as_tuple)] = ()
    upstream: Annotated[str | None, BeforeValidator(_url, json_schema_input_type=str)] = None
    proxy: HostPort | None = None
    paths: Annotated[tuple[MappedPath, ...], BeforeValidator(_as_tuple)] = ()
    health: Annotated[str | None, BeforeValidator(_absolute, json_schema_input_type=str)] = None
    probe_interval: Duration = Duration.parse("10s")


def _database_url(value: object) -> str:
    if not isinstance(value, str) or not re.match(r"postgres(ql)?://[^/]", value):
        raise problem(
            f"is not a postgresql:// address: {value!r}", "write postgresql://user@host/database"
        )
    if re.match(r"\w+://[^/@:]*:[^/@]*@", value):
        raise problem("holds a password", "put it into a file of its own: password_file")
    return value


class PredictionLog(_Section):
    """Where a sidecar keeps predictions until their labels come, and for retraining.

    `sqlite` is a file in the sidecar's data directory; `postgres` is a database at `url`, for
    several replicas of one model; `memory` keeps nothing over a restart. What is older than
    `retention` goes, and the oldest goes first beyond `max_size`. A label that comes later than
    `label_ttl` after its prediction counts as late; one that comes before it waits `label_wait`.
    `sampling` is the share of the predictions that is kept, chosen by a hash of their ids.
    """

    store: Literal["sqlite", "postgres", "memory"] = "sqlite"
    url: Annotated[
        str | None, BeforeValidator(_database_url, json_schema_input_type=str | None)
    ] = None
    password_file: ExistingFile | None = None
    retention: Duration = Duration.parse("7d")
    max_size: ByteSize = 10 * 10**9
    label_ttl: Duration = Duration.parse("7d")
    label_wait: Duration = Duration.parse("1m")
    sampling: Ratio = 1.0


class Limits(_Section):
    """What a sidecar takes at most; what is beyond is refused, or folded into `other`.

    `body` is the size of one request, unpacked; `events` the events in it; `string` the characters
    of one text; `features` the features of one event. `classes` and `categories` are told apart by
    name: the most frequent ones of the profile, the others count as other.
    """

    body: ByteSize = 10 * 10**6
    events: int = Field(default=20_000, ge=1)
    string: int = Field(default=1_000, ge=1)
    features: int = Field(default=1_000, ge=1)
    classes: int = Field(default=100, ge=1)
    categories: int = Field(default=100, ge=1)


class Tls(_Section):
    """The sidecar's own certificate and key (PEM), and who signed it, for Prometheus to check."""

    certificate: ExistingFile
    key: ExistingFile
    ca: ExistingFile | None = None


class Sidecar(_Section):
    """What the sidecar process itself does.

    Where there is a `token_file`, only who sends its content (`Authorization: Bearer …`) may write.
    """

    log: PredictionLog = PredictionLog()
    limits: Limits = Limits()
    token_file: ExistingFile | None = None
    tls: Tls | None = None


_Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60)]


class BusinessRatio(_Section):
    """A ratio of business events, such as clicks by impressions; `min` is what is expected."""

    name: _Word
    numerator: Annotated[str, Field(min_length=1, max_length=100)]
    denominator: Annotated[str, Field(min_length=1, max_length=100)]
    min: Ratio | None = None


MAX_CUSTOM_SERIES: Final = 1_000
"""Series that the labels of one of a model's own metrics may make, other included."""


class CustomMetric(_Section):
    """A gauge or counter of the model's own, exposed as ml_custom_NAME[_UNIT][_total].

    `labels` name their values; any other value counts as other.
    """

    name: _Word
    type: Literal["gauge", "counter"]
    help: Annotated[str, Field(min_length=1, max_length=300)]
    unit: Literal["", "seconds", "bytes", "ratio", "joules", "watts", "celsius", "hertz"] = ""
    labels: dict[_Word, Annotated[tuple[str, ...], BeforeValidator(_as_tuple), _AT_LEAST_ONE]] = {}

    @model_validator(mode="after")
    def _own_labels(self) -> Self:
        taken = {"le", "model_name", "model_version", "job", "instance"} & self.labels.keys()
        if taken:
            raise problem(f"has a label {min(taken)}, which is set already", "choose another name")
        series = math.prod(len(set(values)) + 1 for values in self.labels.values())
        if series > MAX_CUSTOM_SERIES:
            raise problem(
                f"has labels for {series} series", f"name at most {MAX_CUSTOM_SERIES} combinations"
            )
        if self.name.endswith("_total") or (self.unit and self.name.endswith(f"_{self.unit}")):
            raise problem(
                f"names its unit or type: {self.name}",
                "leave it out: it is added from type and unit",
            )
        return self


class FeatureRange(_Section):
    """What values of a numeric feature are valid; those beyond are counted as invalid, too."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise problem("needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise problem(f"has a min above its max: {self.min:g} > {self.max:g}")
        return self


def _optional_pattern(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise problem(f"is not a regular expression: {error}") from None
    return pattern


def _container_id(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-f]{12,64}", text):
        raise problem(f"is not the id of a container: {text!r}", "write 12 to 64 digits of 0-9a-f")
    return text


def _pod_uid(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise problem(
            f"is not the uid of a pod: {text!r}", "kubectl get pod NAME -o jsonpath={.metadata.uid}"
        )
    return text


class ModelGpu(_Section):
    """Which processes on this machine's GPUs are the model's: one way of finding them."""

    pid_file: Annotated[str | None, Field(min_length=1)] = None
    """The file that the server writes its pid into; its children count as well."""
    command: Annotated[str | None, Field(min_length=1), AfterValidator(_optional_pattern)] = None
    """A regular expression that is searched for in the command line."""
    container: Annotated[str | None, AfterValidator(_container_id)] = None
    """The id of a container, or at least 12 digits of its start."""
    pod: Annotated[str | None, AfterValidator(_pod_uid)] = None
    """The uid of a Kubernetes pod."""
    sidecar: bool = False
    """What the model's sidecar says: the processes that sent events."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name)]
        if len(given) != 1:
            raise problem(
                f"names {len(given) or 'no'} ways of finding the model's processes",
                "write one of pid_file, command, container, pod, sidecar: true",
            )
        return self

    @property
    def source(self) -> str:
        """The way that is given."""
        return next(name for name in type(self).model_fields if getattr(self, name))


class Model(_Section):
    """One version of one model."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    version: Annotated[str, BeforeValidator(_quoted_version), Field(min_length=1, max_length=100)]
    task: Task
    framework: str = "unknown"
    trained_at: Annotated[
        dt.datetime | None, BeforeValidator(_trained_at, json_schema_input_type=str)
    ] = None
    serving: Serving = Serving()
    profile: ProfilePath | None = None
    gpu: ModelGpu | None = None
    ranges: dict[str, FeatureRange] = {}
    """Valid values of numeric features, by their names."""
    business: Annotated[tuple[BusinessRatio, ...], BeforeValidator(_as_tuple)] = ()
    metrics: Annotated[tuple[CustomMetric, ...], BeforeValidator(_as_tuple)] = ()
    team: str = ""
    slo: Slo = Slo()
    drift: Drift = Drift()
    alerts: Alerts = {}

    @property
    def key(self) -> tuple[str, str]:
        """What tells models apart: (name, version)."""
        return (self.name, self.version)


class Defaults(_Section):
    """What a model leaves out."""

    team: str = "ml-platform"
    slo: Slo = Slo()
    drift: Drift = Drift()
    alerts: Alerts = {}


class Spec(_Section):
    """All of models.yaml. Read it with contract.read.read_spec, which also resolves it."""

    defaults: Defaults = Defaults()
    teams: dict[str, Team] = {"ml-platform": Team()}
    smtp: Smtp | None = None
    routing: Routing = Routing()
    stack: Stack = Stack()
    gpu: Gpu = Gpu()
    sidecar: Sidecar = Sidecar()
    models: Annotated[tuple[Model, ...], BeforeValidator(_as_tuple), _AT_LEAST_ONE]

    _root: Path = Path()
    _time_scale: float = 1.0

    def path(self, relative: str) -> Path:
        """A path of models.yaml from where this process runs."""
        return self._root / relative

    def clock(self, duration: Duration) -> Duration:
        """A duration as Prometheus sees it: shortened by the time scale of tests and game days."""
        return duration.scaled(self._time_scale)

    @property
    def time_scale(self) -> float:
        """By how much the durations that Prometheus sees are divided."""
        return self._time_scale

    def model(self, name: str, version: str | None = None) -> Model | None:
        """The model of that name and version; without a version, the last one in the file."""
        found = [m for m in self.models if m.name == name and version in (None, m.version)]
        return found[-1] if found else None


def resolve(
    spec: Spec, *, root: Path, time_scale: float = 1.0, addresses: dict[str, str] | None = None
) -> Spec:
    """Lay models over `defaults:` over the built-in values.

    `addresses` replaces addresses of `stack:` for one run; `root` is the folder that paths in the
    file start at; `time_scale` divides every duration that Prometheus sees.
    """
    stack = spec.stack.model_copy(update=_addresses(addresses or {}))
    models = tuple(_resolve_model(model, spec.defaults, stack) for model in spec.models)
    resolved = spec.model_copy(update={"stack": stack, "models": models})
    resolved._root, resolved._time_scale = root, time_scale
    return resolved


def _resolve_model(model: Model, defaults: Defaults, stack: Stack) -> Model:
    serving = model.serving
    if not serving.targets:
        serving = serving.model_copy(update={"targets": (stack.sidecar,)})
    alerts = dict(defaults.alerts)
    for name, settings in model.alerts.items():
        alerts[name] = settings.over(alerts[name]) if name in alerts else settings
    return model.model_copy(
        update={
            "team": model.team or defaults.team,
            "slo": model.slo.over(defaults.slo),
            "drift": model.drift.over(defaults.drift),
            "alerts": alerts,
            "serving": serving,
        }
    )


def _addresses(addresses: dict[str, str]) -> dict[str, Any]:
    many = {"gpu"}
    return {name: (value,) if name in many else value for name, value in addresses.items()}
