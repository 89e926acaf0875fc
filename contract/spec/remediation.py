"""What is done about an alert without anybody being asked, and what keeps that safe."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.quantity import Duration, Ratio, problem
from contract.spec.alerting import AlertName, Severity
from contract.spec.section import (
    AT_LEAST_ONE,
    ExistingFile,
    SecretFile,
    Section,
    WebUrl,
    as_tuple,
)

__all__ = [
    "Action",
    "Actions",
    "Airflow",
    "ArgoEvents",
    "ArgoWorkflows",
    "Breaker",
    "CommandAction",
    "GitHub",
    "KubernetesAction",
    "Remediation",
    "RetrainAction",
    "TrafficAction",
    "WebhookAction",
]

Scalar = str | int | float | bool
Data = dict[str, Scalar]

_SHOWN: Final = 100


def _without_query(url: str) -> str:
    """An address as it may stand in logs and labels: a query may hold what is secret."""
    return re.split(r"[?#]", url)[0]


class _Action(Section):
    """What every action has."""

    on: Annotated[AlertName, Field(examples=["AccuracyDecay"])]
    """The alert that it is done about."""
    name: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)] = (
        Field(default=None, examples=["rollback"])
    )
    """What it is called in logs and metrics; left out, what it does and to what. Actions of one
    model with the same name share a cooldown and a breaker."""
    severity: Severity | None = Field(default=None, examples=["critical"])
    """The least severity of the alert; left out, any."""
    after: Duration | None = None
    """How long the alert must have fired; left out, it is done at once."""
    cooldown: Duration | None = None
    """How long it is not done again for the model; left out, `remediation.cooldown`."""
    verify_within: Duration = Duration.parse("30m")
    """How soon afterwards the alert should have resolved; if not, it counts as a failure."""
    dry_run: bool = False
    """Whether this one is only written down, even where `remediation.dry_run` is off."""

    def what(self) -> str:
        """What it does and to what, in a few words without secrets."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What it is called: its name, or what it does."""
        return self.name or self.what()[:_SHOWN]


class _Posted(_Action):
    """What actions by HTTP have."""

    url: WebUrl
    """The address. It is no secret: what is, belongs into `token_file`."""
    token_file: SecretFile | None = None
    """A file with the token that is sent along (`Authorization: Bearer …`)."""
    timeout: Duration = Duration.parse("10s")
    """How long one attempt may take."""
    attempts: int = Field(default=4, ge=1, le=10)
    """How often it is tried where the other side fails, cannot be reached or takes too long."""


class WebhookAction(_Posted):
    """Posts the alert to an address, signed (docs/remediation.md)."""

    do: Literal["webhook"]
    """Which kind of action it is."""
    data: Data = Field(default={}, examples=[{"step": "rollback"}])
    """What is sent along as `data`."""
    idempotent: bool = False
    """Whether the other side does a request with the same `webhook-id` only once. It is then sent
    again where the responder was killed before it knew the answer."""

    def what(self) -> str:
        """As `_Action.what`."""
        return f"webhook {_without_query(self.url)}"


class TrafficAction(_Posted):
    """Sets the share of the traffic that the model's version gets, through a webhook."""

    do: Literal["traffic"]
    """Which kind of action it is."""
    weight: Ratio
    """The share that it gets from then on."""
    method: Literal["PUT", "POST", "PATCH"] = "PUT"
    """How it is sent."""

    def what(self) -> str:
        """As `_Action.what`."""
        return f"traffic {_without_query(self.url)} {self.weight * 100:g}%"


class CommandAction(_Action):
    """Runs a program beside the responder: no shell, and nothing of the responder's environment."""

    do: Literal["command"]
    """Which kind of action it is."""
    command: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(as_tuple),
        AT_LEAST_ONE,
        Field(examples=[["/usr/local/bin/rollback", "fraud"]]),
    ]
    """The program and its arguments."""
    environment: dict[str, str] = Field(default={}, examples=[{"PATH": "/usr/bin:/bin"}])
    """Its environment; the alert's fields are added as `ALERT_…`."""
    directory: str | None = Field(default=None, examples=["scripts"])
    """Where it runs; paths start at the folder of models.yaml, which is also the default."""
    timeout: Duration = Duration.parse("1m")
    """How long it may run; then it is killed with all that it started."""

    def what(self) -> str:
        """As `_Action.what`."""
        return f"command {shlex.join(self.command)}"


class KubernetesAction(_Action):
    """Rolls a Deployment back, restarts or scales it. Needs the extra `kubernetes`."""

    do: Literal["kubernetes"]
    """Which kind of action it is."""
    deployment: Annotated[str, Field(min_length=1, max_length=253, examples=["fraud"])]
    """The Deployment's name."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)] = "default"
    """The namespace that it is in."""
    rollout: Literal["undo", "restart"] | None = None
    """`undo` goes back to the revision before, `restart` replaces all pods."""
    replicas: int | None = Field(default=None, ge=0, examples=[5])
    """How many replicas to scale to, in place of `rollout`."""
    kubeconfig: ExistingFile | None = None
    """How to reach the cluster; left out, the one that the responder runs in."""
    context: str | None = Field(default=None, examples=["production"])
    """The context of `kubeconfig`; left out, its current one."""
    timeout: Duration = Duration.parse("30s")
    """How long each call of the API may take."""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.rollout is None) == (self.replicas is None):
            raise problem(
                "says nothing to do" if self.rollout is None else "says two things to do",
                "write one of rollout: undo, rollout: restart, replicas: 5",
            )
        if self.context is not None and self.kubeconfig is None:
            raise problem("has a context without a kubeconfig", "add kubeconfig: FILE")
        return self

    def what(self) -> str:
        """As `_Action.what`."""
        deed = self.rollout or f"scale {self.replicas}"
        return f"kubernetes {self.namespace}/{self.deployment} {deed}"


class Airflow(Section):
    """A run of a DAG, through Airflow's REST API."""

    url: WebUrl
    """Airflow's address, without the path of its API."""
    dag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=250, examples=["retrain"])]
    """The DAG's id."""
    token_file: SecretFile | None = None
    """A file with a token of its API."""
    username: Annotated[str | None, Field(min_length=1, pattern=r"^[^:]+$", examples=["ml"])] = None
    """For basic authentication, in place of a token."""
    password_file: SecretFile | None = None
    """The file that holds the password."""
    api: Literal["v1", "v2"] = "v2"
    """The API's version: `v1` of Airflow 2, `v2` of Airflow 3."""
    conf: Data = Field(default={}, examples=[{"full": True}])
    """What the run is given, besides the model and the alert."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise problem("has one of username and password_file", "write both, or token_file")
        if self.username is not None and self.token_file is not None:
            raise problem("has a token and a password", "write one of them")
        return self


class ArgoEvents(Section):
    """An event for a webhook event source of Argo Events."""

    url: WebUrl
    """The event source's address, with its endpoint."""
    token_file: SecretFile | None = None
    """A file with the token of its `authSecret`."""
    data: Data = Field(default={}, examples=[{"full": True}])
    """What the event holds, besides the model and the alert."""


class ArgoWorkflows(Section):
    """A workflow of a WorkflowTemplate, through the Argo Server."""

    url: WebUrl
    """The Argo Server's address."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=63)] = "argo"
    """The namespace that the workflow runs in."""
    template: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$", max_length=253, examples=["retrain"])]
    """The WorkflowTemplate's name."""
    parameters: Data = Field(default={}, examples=[{"full": True}])
    """Its parameters, besides `model` and `version`."""
    token_file: SecretFile | None = None
    """A file with the token of a service account."""


class GitHub(Section):
    """A `repository_dispatch` event for the workflows of a repository."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", examples=["acme/fraud"])]
    """The repository, as OWNER/NAME."""
    event: Annotated[str, Field(min_length=1, max_length=100)] = "retrain"
    """The event's type, which a workflow names under `repository_dispatch: types:`."""
    token_file: SecretFile
    """A file with a token that may write the repository's contents."""
    api_url: WebUrl = "https://api.github.com"
    """Where the API is, if not at github.com."""
    payload: Data = Field(default={}, max_length=8, examples=[{"full": True}])
    """What the event holds, besides the model and the alert."""


class RetrainAction(_Action):
    """Starts the training of a new version where that runs: one of Airflow, Argo, GitHub."""

    do: Literal["retrain"]
    """Which kind of action it is."""
    airflow: Airflow | None = None
    """A run of a DAG."""
    argo_events: ArgoEvents | None = None
    """An event of Argo Events."""
    argo_workflows: ArgoWorkflows | None = None
    """A workflow of Argo."""
    github: GitHub | None = None
    """A `repository_dispatch` event."""
    timeout: Duration = Duration.parse("10s")
    """How long one attempt may take."""
    attempts: int = Field(default=4, ge=1, le=10)
    """How often it is tried where the other side cannot have begun."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(given := self._given()) != 1:
            raise problem(
                f"names {' and '.join(given) or 'nobody'} to train",
                "write one of airflow, argo_events, argo_workflows, github",
            )
        return self

    def _given(self) -> list[str]:
        ways = ("airflow", "argo_events", "argo_workflows", "github")
        return [name for name in ways if getattr(self, name) is not None]

    def what(self) -> str:
        """As `_Action.what`."""
        if self.airflow is not None:
            return f"retrain airflow {self.airflow.dag}"
        if self.argo_workflows is not None:
            return f"retrain argo_workflows {self.argo_workflows.template}"
        if self.github is not None:
            return f"retrain github {self.github.repository} {self.github.event}"
        assert self.argo_events is not None
        return f"retrain argo_events {_without_query(self.argo_events.url)}"


Action = WebhookAction | TrafficAction | CommandAction | KubernetesAction | RetrainAction


def _listed(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    seen: dict[tuple[str, str], int] = {}
    for index, action in enumerate(actions):
        first = seen.setdefault((action.on, action.label), index)
        if first != index:
            raise problem(
                f"does the same about {action.on} twice, as [{first}] and [{index}]: "
                f"{action.label}",
                "take one of them out, or give each a name",
            )
    return actions


Actions = Annotated[
    tuple[Annotated[Action, Field(discriminator="do")], ...],
    BeforeValidator(as_tuple),
    AfterValidator(_listed),
]


class Breaker(Section):
    """When an action that keeps failing is no longer tried."""

    failures: int = Field(default=3, ge=1)
    """Failures of an action of a model, one after the other, that open it; an alert that did not
    resolve is one, too."""
    pause: Duration = Duration.parse("1h")
    """How long it stays open; then one more attempt decides."""


class Remediation(Section):
    """What keeps actions of all models safe (docs/remediation.md)."""

    dry_run: bool = True
    """Whether actions are only written down and counted, and nothing is done."""
    max_per_hour: int = Field(default=10, ge=1)
    """Actions of all models within an hour; what comes on top is left to people."""
    max_per_hour_per_model: int = Field(default=3, ge=1)
    """Actions of one model within an hour."""
    cooldown: Duration = Duration.parse("30m")
    """How long an action is not done again for a model, where it says nothing itself."""
    breaker: Breaker = Breaker()
    """When an action that keeps failing is no longer tried."""
    signing_key_file: SecretFile | None = None
    """A file with the key that webhooks are signed with; needed once `dry_run` is off."""
