"""One version of one model."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.quantity import Duration, Ratio, problem
from contract.runtimes import RUNTIMES, SIDECAR
from contract.spec.alerting import Alerts
from contract.spec.comparison import Comparison
from contract.spec.performance import DataQuality, Measured, Performance
from contract.spec.promises import Drift, Slo
from contract.spec.remediation import Actions
from contract.spec.section import AT_LEAST_ONE, ProfilePath, Section, Word, as_tuple
from contract.spec.serving import Serving

__all__ = [
    "MAX_CUSTOM_SERIES",
    "STATES",
    "Artifact",
    "BusinessRatio",
    "CustomMetric",
    "FeatureRange",
    "Model",
    "ModelGpu",
    "State",
    "Task",
    "Training",
]

Task = Literal["binary_classification", "multiclass_classification", "regression"]

State = Literal["retired", "registered", "live"]
STATES: Final[tuple[State, ...]] = get_args(State)
"""In the order in which they matter: events that name no version are those of the last one."""


def _quoted_version(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise problem("must be quoted, or YAML reads 1.10 as 1.1", 'write "{written}" in quotes')
    return value


def _moment(value: object) -> object:
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


class BusinessRatio(Section):
    """A ratio of business events, such as clicks by impressions; `min` is what is expected."""

    name: Word
    """What the ratio is called: ctr."""
    numerator: Annotated[str, Field(min_length=1, max_length=100, examples=["click"])]
    """The event above the line: click."""
    denominator: Annotated[str, Field(min_length=1, max_length=100, examples=["impression"])]
    """The event below the line: impression."""
    min: Ratio | None = None
    """The least that is expected."""


MAX_CUSTOM_SERIES: Final = 1_000
"""Series that the labels of one of a model's own metrics may make, other included."""


class CustomMetric(Section):
    """A gauge or counter of the model's own, exposed as ml_custom_NAME[_UNIT][_total]."""

    name: Word
    """The name without prefix, unit and _total."""
    type: Literal["gauge", "counter"]
    """A gauge is a value, a counter only grows."""
    help: Annotated[str, Field(min_length=1, max_length=300, examples=["Rows that the cache had."])]
    """What it says, in a sentence."""
    unit: Literal["", "seconds", "bytes", "ratio", "joules", "watts", "celsius", "hertz"] = Field(
        default="", examples=["seconds"]
    )
    """A base unit, which the name will end in."""
    labels: dict[Word, Annotated[tuple[str, ...], BeforeValidator(as_tuple), AT_LEAST_ONE]] = Field(
        default={}, examples=[{"result": ["hit", "miss"]}]
    )
    """Labels, and the values each may have; any other value counts as other."""

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


class FeatureRange(Section):
    """What values of a numeric feature are valid; those beyond are counted as invalid, too."""

    min: float | None = None
    """The least valid value."""
    max: float | None = None
    """The greatest valid value."""

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


def _sha256(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise problem(f"is not a SHA-256: {value!r}", "write the 64 digits of sha256sum FILE")
    return value


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


class Artifact(Section):
    """The file that the model is loaded from, and what it should be."""

    path: Annotated[str | None, Field(min_length=1, examples=["models/fraud.onnx"])] = None
    """Where the sidecar finds it, if it can; relative paths start at the folder of models.yaml."""
    sha256: Annotated[
        str, BeforeValidator(_sha256, json_schema_input_type=str), Field(examples=["ab" * 32])
    ]
    """Its SHA-256, as `sha256sum` prints it."""


class ModelGpu(Section):
    """Which processes on this machine's GPUs are the model's: one way of finding them."""

    pid_file: Annotated[str | None, Field(min_length=1, examples=["/run/fraud.pid"])] = None
    """The file that the server writes its pid into; its children count as well."""
    command: Annotated[
        str | None,
        Field(min_length=1, examples=["serve.py --model fraud"]),
        AfterValidator(_optional_pattern),
    ] = None
    """A regular expression that is searched for in the command line."""
    container: Annotated[
        str | None, AfterValidator(_container_id), Field(examples=["4f1a0c9e2b77"])
    ] = None
    """The id of a container, or at least 12 digits of its start."""
    pod: Annotated[
        str | None,
        AfterValidator(_pod_uid),
        Field(examples=["9b2c5d7e-1f30-4a6b-8c9d-0e1f2a3b4c5d"]),
    ] = None
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


class Training(Section):
    """What is known of how the version came to be; a new version brings its own."""

    metrics: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=200)], Measured],
        Field(examples=[{"auc": 0.991}]),
    ] = {}
    """What was measured on data that it was not trained on, by metric: the baselines of
    `performance` that are `from_training`."""
    source: Annotated[
        str, Field(max_length=500, examples=["mlflow: fraud version 7, run 4f1a0c9e2b77"])
    ] = ""
    """Where it comes from: a run, an address, a commit; for information."""


class Model(Section):
    """One version of one model."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100, examples=["fraud"])
    ]
    """The model's name, the label model_name everywhere."""
    version: Annotated[
        str,
        BeforeValidator(_quoted_version),
        Field(min_length=1, max_length=100, examples=["1.10"]),
    ]
    """The model's version, in quotes, the label model_version."""
    task: Task
    """What it predicts, which decides what is counted of its predictions."""
    state: State = "live"
    """`live` serves; `registered` is known and counted, but does not have to serve, so that nobody
    is told when it gets no traffic; `retired` is kept for its history, and nothing watches it."""
    framework: str = "unknown"
    """What it was made with; for information."""
    trained_at: Annotated[
        dt.datetime | None, BeforeValidator(_moment, json_schema_input_type=str)
    ] = None
    """When it was trained: a date, or a time with its zone."""
    deployed_at: Annotated[
        dt.datetime | None, BeforeValidator(_moment, json_schema_input_type=str)
    ] = None
    """When it last became live; `python -m generator models deploy` sets it."""
    training: Training = Training()
    """What was measured when it was trained."""
    max_age: Duration | None = None
    """How long after training it should be replaced: StaleModel fires then."""
    artifact: Artifact | None = None
    """What it is loaded from: ArtifactChanged fires where that is something else."""
    serving: Serving = Serving()
    """What serves it, and where its metrics are."""
    profile: ProfilePath | None = None
    """What its data is compared with; `python -m exporters.drift profile` builds it."""
    gpu: ModelGpu | None = None
    """Which processes on GPUs are the model's."""
    ranges: dict[str, FeatureRange] = {}
    """Valid values of numeric features, by their names."""
    business: Annotated[tuple[BusinessRatio, ...], BeforeValidator(as_tuple)] = ()
    """Ratios of business events."""
    metrics: Annotated[tuple[CustomMetric, ...], BeforeValidator(as_tuple)] = ()
    """Gauges and counters of the model's own."""
    team: str = Field(default="", examples=["risk"])
    """Who owns it; left out, `defaults.team`."""
    slo: Slo = Slo()
    """What is promised of it; what is left out comes from `defaults.slo`."""
    drift: Drift = Drift()
    """When its data counts as drifted; what is left out comes from `defaults.drift`."""
    performance: Performance = Performance()
    """How well it should predict; what is left out comes from `defaults.performance`."""
    data_quality: DataQuality = DataQuality()
    """How bad its data may be; what is left out comes from `defaults.data_quality`."""
    comparison: Comparison = Comparison()
    """How much worse than the version before it may be, while both serve; what is left out comes
    from `defaults.comparison`."""
    segments: Annotated[
        tuple[str, ...],
        BeforeValidator(as_tuple, json_schema_input_type=list[str]),
        Field(max_length=3, examples=[["country"]]),
    ] = ()
    """Categorical features of the profile to slice outcomes by; off unless named."""
    alerts: Alerts = {}
    """Alerts by name that differ for this model: `off`, or what is different."""
    remediation: Actions = ()
    """What is done about its alerts; left out, what `defaults.remediation` says."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells models apart: (name, version)."""
        return (self.name, self.version)

    def looks_like(self, other: Model) -> bool:
        """Whether the metrics of a server that serves both would not tell the two apart."""
        runtime = RUNTIMES[self.serving.runtime]
        if runtime.name == SIDECAR or other.serving.runtime != runtime.name:
            return False
        if runtime.name == "custom":
            return self.serving.expressions == other.serving.expressions
        if runtime.model_label and self._called != other._called:
            return False
        versions = self.serving.version, other.serving.version
        return not all(versions) or versions[0] == versions[1]

    @property
    def _called(self) -> str:
        return self.serving.model or self.name
