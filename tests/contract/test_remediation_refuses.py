"""What is done about alerts: what is wrong with that is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.spec import ALERT_NAMES, TrafficAction, WebhookAction
from tests.contract.models_file import ONE, read, with_model
from tests.contract.test_read_refuses import places, problems

URL = "https://a.example/x"


def doing(*actions: str) -> str:
    """A file of one model; each action on a line of its own, which begins with column 5."""
    lines = "".join(f"    - {{{action}}}\n" for action in actions)
    return (
        'models:\n- name: a\n  version: "1"\n  task: binary_classification\n'
        f"  performance: {{accuracy: {{min: 90%}}}}\n  remediation:\n{lines}"
    )


REFUSED = {
    "an alert that is none": (
        doing(f"on: AcuracyDecay, do: webhook, url: {URL}"),
        (
            "7:12 models[0].remediation[0].on: no alert is called AcuracyDecay "
            "| did you mean AccuracyDecay?"
        ),
    ),
    "an action that is none": (
        doing("on: AccuracyDecay, do: comand"),
        "7:31 models[0].remediation[0].do: is not known: 'comand' | did you mean command?",
    ),
    "nothing to do": (
        doing("on: AccuracyDecay"),
        (
            "7:7 models[0].remediation[0].do: is required "
            "| write one of webhook, traffic, command, kubernetes, retrain"
        ),
    ),
    "a key of another kind of action": (
        doing(f"on: AccuracyDecay, do: webhook, url: {URL}, weight: 0%"),
        (
            "7:66 models[0].remediation[0].weight: unknown key | known keys: after, attempts, "
            "cooldown, data, do, dry_run, idempotent, name, on, severity, timeout, token_file, "
            "url, verify_within"
        ),
    ),
    "a key of an action that is misspelt": (
        doing(f"on: AccuracyDecay, do: webhook, url: {URL}, aftr: 5m"),
        "7:66 models[0].remediation[0].aftr: unknown key | did you mean after?",
    ),
    "a command without a program": (
        doing("on: AccuracyDecay, do: command"),
        "7:7 models[0].remediation[0].command: is required",
    ),
    "a command for a shell": (
        doing("on: AccuracyDecay, do: command, command: rm -rf x"),
        "7:49 models[0].remediation[0].command: should be a list, got 'rm -rf x'",
    ),
    "a command of nothing": (
        doing("on: AccuracyDecay, do: command, command: []"),
        "7:49 models[0].remediation[0].command: needs at least one item, got a list",
    ),
    "a Deployment to which nothing is done": (
        doing("on: AccuracyDecay, do: kubernetes, deployment: a"),
        (
            "7:7 models[0].remediation[0]: says nothing to do "
            "| write one of rollout: undo, rollout: restart, replicas: 5"
        ),
    ),
    "a Deployment to which two things are done": (
        doing("on: AccuracyDecay, do: kubernetes, deployment: a, rollout: undo, replicas: 1"),
        (
            "7:7 models[0].remediation[0]: says two things to do "
            "| write one of rollout: undo, rollout: restart, replicas: 5"
        ),
    ),
    "a context of nothing": (
        doing("on: AccuracyDecay, do: kubernetes, deployment: a, rollout: undo, context: b"),
        "7:7 models[0].remediation[0]: has a context without a kubeconfig | add kubeconfig: FILE",
    ),
    "training without anybody who trains": (
        doing("on: AccuracyDecay, do: retrain"),
        (
            "7:7 models[0].remediation[0]: names nobody to train "
            "| write one of airflow, argo_events, argo_workflows, github"
        ),
    ),
    "a mistake deep inside an action": (
        doing(f"on: AccuracyDecay, do: retrain, airflow: {{url: {URL}, dag: a b}}"),
        (
            "7:81 models[0].remediation[0].airflow.dag: should be letters, digits, dots, dashes "
            "and underscores, got 'a b'"
        ),
    ),
    "a token without a file of it": (
        doing("on: AccuracyDecay, do: retrain, github: {repository: a/b}"),
        "7:40 models[0].remediation[0].github.token_file: is required",
    ),
    "an address with a password": (
        doing("on: AccuracyDecay, do: webhook, url: https://a:b@c.example/x"),
        (
            "7:45 models[0].remediation[0].url: holds a user or password "
            "| put the secret into a file: token_file"
        ),
    ),
    "a share without a unit": (
        doing(f"on: AccuracyDecay, do: traffic, url: {URL}, weight: 0"),
        "7:74 models[0].remediation[0].weight: needs a %, got 0 | write 0%",
    ),
    "the same twice": (
        doing(*[f"on: AccuracyDecay, do: webhook, url: {URL}"] * 2),
        (
            "7:5 models[0].remediation: does the same about AccuracyDecay twice, as [0] and [1]: "
            "webhook https://a.example/x | take one of them out, or give each a name"
        ),
    ),
    "a severity that the alert never has": (
        doing(f"on: AccuracyDecay, severity: critical, do: webhook, url: {URL}"),
        (
            "7:37 models[0].remediation[0].severity: can never happen: AccuracyDecay of the model "
            "is error at most | write error, or alerts: {AccuracyDecay: {severity: critical}}"
        ),
    ),
    "an alert that the model does not have": (
        doing(f"on: LowConfidence, do: webhook, url: {URL}"),
        (
            "7:12 models[0].remediation[0].on: can never happen: the model has no alert "
            "LowConfidence | promise what it watches, or write alerts: {LowConfidence: on}"
        ),
    ),
    "webhooks that nobody signs": (
        f"{doing(f'on: AccuracyDecay, do: webhook, url: {URL}')}remediation: {{dry_run: false}}\n",
        (
            "8:1 remediation: webhooks would go out unsigned | openssl rand -hex 32 > "
            "secrets/signing_key, and add signing_key_file: secrets/signing_key"
        ),
    ),
    "a limit of nothing": (
        f"remediation: {{max_per_hour: 0}}\n{ONE}",
        "1:29 remediation.max_per_hour: input should be greater than or equal to 1, got 0",
    ),
    "a channel that is no function": (
        f"responder: {{channels: {{pager: {{call: acme.notify}}}}}}\n{ONE}",
        (
            "1:38 responder.channels.pager.call: is no function of a module: 'acme.notify' "
            "| write package.module:function"
        ),
    ),
}


@pytest.mark.parametrize(("text", "place"), REFUSED.values(), ids=REFUSED)
def test_an_action_that_is_wrong_is_refused_at_its_place(
    text: str, place: str, tmp_path: Path
) -> None:
    assert places(problems(tmp_path, text)) == [place]


def test_nothing_is_done_unless_it_is_asked_for(tmp_path: Path) -> None:
    spec = read(tmp_path, ONE)
    assert spec.remediation.dry_run
    assert spec.models[0].remediation == ()


def test_every_alert_of_a_model_can_be_acted_upon(tmp_path: Path) -> None:
    actions = ", ".join(f"{{on: {name}, do: webhook, url: {URL}}}" for name in ALERT_NAMES)
    spec = read(tmp_path, f"defaults: {{remediation: [{actions}]}}\n{ONE}")
    assert [action.on for action in spec.models[0].remediation] == list(ALERT_NAMES)


def test_an_alert_that_becomes_graver_is_acted_upon_once_it_is(tmp_path: Path) -> None:
    for graver in ("{severity: critical}", "{escalate_after: 1h}"):
        text = doing(f"on: AccuracyDecay, severity: critical, do: webhook, url: {URL}")
        [action] = (
            read(tmp_path, f"{text}  alerts: {{AccuracyDecay: {graver}}}\n").models[0].remediation
        )
        assert action.severity == "critical"


def test_what_a_model_says_itself_takes_the_place_of_the_defaults(tmp_path: Path) -> None:
    defaults = f"defaults: {{remediation: [{{on: TargetDown, do: webhook, url: {URL}}}]}}\n"
    own = f"remediation: [{{on: HighErrorRatio, do: traffic, url: {URL}, weight: 0%}}]"
    inherited, overridden, none = (
        read(tmp_path, defaults + text).models[0].remediation
        for text in (ONE, with_model(own), with_model("remediation: []"))
    )
    assert [type(action) for action in inherited] == [WebhookAction]
    assert [type(action) for action in overridden] == [TrafficAction]
    assert none == ()


def test_what_stands_in_logs_and_labels_has_no_query(tmp_path: Path) -> None:
    text = doing(f"on: AccuracyDecay, do: webhook, url: '{URL}?key=secret#x'")
    [action] = read(tmp_path, text).models[0].remediation
    assert action.label == f"webhook {URL}"
