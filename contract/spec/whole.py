"""All of models.yaml, and how defaults are resolved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from contract.quantity import Duration
from contract.runtimes import SIDECAR
from contract.spec.alerting import Alerts
from contract.spec.comparison import Comparison
from contract.spec.hours import Maintenance
from contract.spec.model import STATES, Model
from contract.spec.performance import DataQuality, Performance
from contract.spec.promises import Drift, Slo
from contract.spec.remediation import Actions, Remediation
from contract.spec.responder import Responder
from contract.spec.section import AT_LEAST_ONE, Section, as_tuple
from contract.spec.serving import Serving
from contract.spec.sidecar import Sidecar
from contract.spec.stack import Budget, Gpu, Stack
from contract.spec.teams import Deadman, Routing, Smtp, Team

__all__ = [
    "Defaults",
    "Spec",
    "resolve",
]


class Defaults(Section):
    """What a model leaves out."""

    team: str = "ml-platform"
    """Who owns a model that names no team."""
    slo: Slo = Slo()
    """What is promised of a model."""
    drift: Drift = Drift()
    """When a model's data counts as drifted."""
    performance: Performance = Performance()
    """How well a model should predict; metrics of other tasks than its own are left out."""
    data_quality: DataQuality = DataQuality()
    """How bad a model's data may be."""
    comparison: Comparison = Comparison()
    """How much worse a version may be than the one before it."""
    max_age: Duration | None = None
    """How long after training a model should be replaced."""
    escalate_after: Duration | None = None
    """How long an alert of a model may fire before it becomes the next severity."""
    alerts: Alerts = {}
    """Alerts by name that differ for all models: `off`, or what is different."""
    remediation: Actions = ()
    """What is done about alerts of models that say nothing about that themselves."""


class Spec(Section):
    """All of models.yaml. Read it with contract.read.read_spec, which also resolves it."""

    defaults: Defaults = Defaults()
    """What models leave out."""
    teams: dict[str, Team] = {"ml-platform": Team()}
    """Who is told where, by the team's name."""
    smtp: Smtp | None = None
    """The mail server, needed as soon as a team has e-mail."""
    routing: Routing = Routing()
    """Which channels hear of which severity."""
    maintenance: Annotated[tuple[Maintenance, ...], BeforeValidator(as_tuple)] = ()
    """Times in which nobody is told of some models."""
    deadman: Deadman | None = None
    """Who raises the alarm when alerting itself is down."""
    stack: Stack = Stack()
    """Where the stack's own processes are."""
    gpu: Gpu = Gpu()
    """The GPUs that models run on."""
    sidecar: Sidecar = Sidecar()
    """What the sidecar process does."""
    responder: Responder = Responder()
    """What the responder does besides writing notifications down."""
    remediation: Remediation = Remediation()
    """What keeps actions about alerts safe."""
    limits: Budget = Budget()
    """What the stack may cost at most."""
    models: Annotated[tuple[Model, ...], BeforeValidator(as_tuple), AT_LEAST_ONE]
    """The models, one item for each version."""

    _retired: tuple[Model, ...] = ()
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

    @property
    def versions(self) -> tuple[Model, ...]:
        """All models of the file, also those that are retired, by how much their state matters.

        Of a name, the last one is what events mean that name no version.
        """
        return (*self._retired, *self.models)

    def model(self, name: str, version: str | None = None) -> Model | None:
        """The model of that name and version; without a version, the last one of `versions`."""
        found = [m for m in self.versions if m.name == name and version in (None, m.version)]
        return found[-1] if found else None


def resolve(
    spec: Spec, *, root: Path, time_scale: float = 1.0, addresses: dict[str, str] | None = None
) -> Spec:
    """Lay models over `defaults:` over the built-in values.

    `models` of what comes out are those that are watched, `registered` before `live`; what is
    retired is in `versions` alone.
    `addresses` replaces addresses of `stack:` for one run; `root` is the folder that paths in the
    file start at; `time_scale` divides every duration that Prometheus sees.
    """
    stack = spec.stack.model_copy(update=_addresses(addresses or {}))
    found = [_resolve_model(model, spec.defaults, stack) for model in spec.models]
    found.sort(key=lambda model: STATES.index(model.state))
    watched = [model for model in found if model.state != "retired"]
    watched = [_without_taken_targets(model, watched) for model in watched]
    resolved = spec.model_copy(update={"stack": stack, "models": tuple(watched)})
    resolved._retired = tuple(model for model in found if model.state == "retired")
    resolved._root, resolved._time_scale = root, time_scale
    return resolved


def _resolve_model(model: Model, defaults: Defaults, stack: Stack) -> Model:
    alerts = dict(defaults.alerts)
    for name, settings in model.alerts.items():
        alerts[name] = settings.over(alerts[name]) if name in alerts else settings
    return model.model_copy(
        update={
            "team": model.team or defaults.team,
            "slo": model.slo.over(defaults.slo),
            "drift": model.drift.over(defaults.drift),
            "performance": model.performance.over(defaults.performance).over_training(
                model.training.metrics
            ),
            "data_quality": model.data_quality.over(defaults.data_quality),
            "comparison": model.comparison.over(defaults.comparison),
            "max_age": model.max_age or defaults.max_age,
            "alerts": alerts,
            "remediation": model.remediation
            if "remediation" in model.model_fields_set
            else defaults.remediation,
            "serving": _resolve_serving(model, stack),
        }
    )


def _resolve_serving(model: Model, stack: Stack) -> Serving:
    serving = model.serving
    if serving.runtime == SIDECAR:
        targets = serving.targets or (stack.sidecar,)
        return serving.model_copy(update={"targets": targets, "sidecars": targets})
    if serving.sidecars or not _needs_sidecar(model):
        return serving
    return serving.model_copy(update={"sidecars": (stack.sidecar,)})


def _without_taken_targets(model: Model, others: Sequence[Model]) -> Model:
    """Of a version that is not live, the targets where a server's metrics would name another."""
    if model.state == "live":
        return model
    alike = [other for other in others if other.key != model.key and model.looks_like(other)]
    taken = {target for other in alike for target in other.serving.targets}
    if not taken.intersection(model.serving.targets):
        return model
    own = tuple(target for target in model.serving.targets if target not in taken)
    return model.model_copy(update={"serving": model.serving.model_copy(update={"targets": own})})


def _needs_sidecar(model: Model) -> bool:
    """Whether something of the model comes from its events, or from what a sidecar alone knows."""
    gpu = model.gpu is not None and model.gpu.sidecar
    events = (model.profile, model.business, model.metrics, model.ranges, model.serving.upstream)
    return gpu or any((*events, model.max_age, model.artifact))


def _addresses(addresses: dict[str, str]) -> dict[str, Any]:
    many = {"gpu"}
    return {name: (value,) if name in many else value for name, value in addresses.items()}
