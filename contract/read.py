"""models.yaml → spec, with every problem at once and each at its place.

contract.document knows where everything stands in the file; pydantic checks the values; what it
finds is put back at the place it belongs to.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from contract.alerts import ALERTS, BURN, Alert, Display, lasts
from contract.document import Document, KeyPath, dotted, read_document
from contract.problems import ProblemsError
from contract.quantity import Duration, parse_ratio
from contract.remediation import check_remediation
from contract.retention import check_retention
from contract.serving import check_serving
from contract.slo import check_slo
from contract.spec import (
    Alerts,
    AlertSettings,
    Drift,
    Model,
    Performance,
    Severity,
    Spec,
    resolve,
)
from contract.spec.performance import FROM_TRAINING, METRICS_OF_TASK

__all__ = ["read_spec"]


def read_spec(
    path: Path,
    *,
    time_scale: float = 1.0,
    addresses: Mapping[str, str] | None = None,
    files: bool = True,
    text: str | None = None,
) -> Spec:
    """Read and resolve models.yaml. Raises ProblemsError with everything that is wrong.

    `addresses` overrides addresses of `stack:` by name; `time_scale` shortens every duration that
    Prometheus sees (tests, game days). Without `files`, the files that it names may be missing:
    what builds a profile has to read a models.yaml that already names it. With a `text`, that is
    read in place of what the file holds: what it would say.
    """
    data, document = read_document(path, if_empty="start with `models:` and one model", text=text)
    written = _validate(data, document, path.parent if files else None)
    _check_references(data, document)
    _check_units(data, document)
    spec = None
    if written is not None and not document.problems:
        _check_alerts(written, document)
        _check_states(written, document)
        _check_ages(written, document)
        _check_drift(written, document)
        check_slo(written, document)
        _check_performance(written, document)
        check_serving(written, document)
        _check_log(written, document)
        _check_metrics(written, document)
        spec = resolve(
            written, root=path.parent, time_scale=time_scale, addresses=dict(addresses or {})
        )
        _check_teams(spec, document)
        check_retention(written, spec, document)
        _check_maintenance(spec, document)
        check_remediation(written, spec, document)
    if document.problems or spec is None:
        raise ProblemsError(document.problems)
    return spec


# Data → spec


def _validate(data: Any, document: Document, root: Path | None) -> Spec | None:
    context = {"file": document.file} if root is None else {"file": document.file, "root": root}
    try:
        return Spec.model_validate(data, context=context)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            loc = tuple(part for part in found["loc"] if part != "[key]")
            _explain(found, loc, _untagged(loc, data), document)
        return None


def _untagged(loc: KeyPath, data: Any) -> KeyPath:
    """The path without the kinds of items that pydantic tells apart by `do:`, which it names."""
    kept: list[str | int] = []
    tag = None
    for part in loc:
        if tag is not None and part == tag:
            tag = None
            continue
        kept.append(part)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
        tag = data.get("do") if isinstance(part, int) and isinstance(data, dict) else None
    return tuple(kept)


def _explain(found: Mapping[str, Any], tagged: KeyPath, loc: KeyPath, document: Document) -> None:
    """Put what pydantic found back at its place; `tagged` is `loc` with the kinds of items."""
    kind, value = found["type"], found.get("input")
    context = found.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(_keys_at(tagged[:-1]))
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        document.problem(loc, "unknown key", hint, at_key=True)
    elif kind == "missing":
        document.problem(loc, "is required")
    elif kind == "spec":
        at_key = "[key]" in found["loc"]
        document.problem(loc, found["msg"], context.get("suggestion", ""), at_key=at_key)
    elif kind == "union_tag_not_found":
        kinds = ", ".join(kind for model in _models_at(tagged) for kind in _kinds(model))
        document.problem((*loc, "do"), "is required", f"write one of {kinds}")
    elif kind in {"literal_error", "union_tag_invalid"}:
        if kind == "union_tag_invalid":
            loc, value = (*loc, "do"), context["tag"]
            context = {"expected": context["expected_tags"]}
        wanted = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        near = difflib.get_close_matches(str(value), wanted.split(", "), n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {wanted}"
        document.problem(loc, f"is not known: {value!r}", hint)
    elif kind in {"model_type", "dict_type", "model_attributes_type"}:
        keys = ", ".join(sorted(_keys_at(tagged))) or "key: value"
        document.problem(loc, f"should be a mapping, got {_called(value)}", f"keys: {keys}")
    elif kind in _SAID:
        document.problem(loc, f"{_SAID[kind]}, got {_called(value)}")
    else:
        message = found["msg"][0].lower() + found["msg"][1:]
        document.problem(loc, f"{message}, got {_called(value)}")


_SAID: Final = {
    "bool_type": "should be true or false",
    "finite_number": "should be a finite number",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "string_pattern_mismatch": "should be letters, digits, dots, dashes and underscores",
    "string_too_short": "should not be empty",
    "string_type": "should be text",
    "too_short": "needs at least one item",
    "tuple_type": "should be a list",
}
"""pydantic's errors in the words of somebody who writes YAML."""


def _called(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
    return names.get(type(value), repr(value))


def _keys_at(loc: KeyPath) -> Iterable[str]:
    """The keys that a mapping of the spec at this path may have."""
    return {
        info.alias or name for model in _models_at(loc) for name, info in model.model_fields.items()
    }


def _models_at(loc: KeyPath) -> list[type[BaseModel]]:
    """The sections that may stand at this path, in which `do:` of items is named."""
    models: list[type[BaseModel]] = [Spec]
    for part in loc:
        if isinstance(part, int):
            continue
        if len(models) > 1 and (of_kind := [m for m in models if part in _kinds(m)]):
            models = of_kind
            continue
        info = next(filter(None, (_field(model, part) for model in models)), None)
        models = list(_models_in(info.annotation)) if info else models
    return models


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    """What stands under `do:` of a section that is told apart by it."""
    return get_args(model.model_fields["do"].annotation) if "do" in model.model_fields else ()


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, info in model.model_fields.items():
        if key in {name, info.alias}:
            return info
    return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections inside `Model`, `tuple[Model, ...]`, `dict[str, Team]` or `Smtp | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


# What pydantic cannot see: one part of the file against another


def _models(data: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The models of a file whose other parts may be wrong."""
    models = data.get("models") if isinstance(data, dict) else None
    for index, model in enumerate(models if isinstance(models, list) else []):
        if isinstance(model, dict):
            yield index, model


def _check_references(data: Any, document: Document) -> None:
    """Models that stand twice and teams that nobody described; on raw data, so always."""
    first: dict[tuple[str, str], int] = {}
    for index, model in _models(data):
        key = (str(model.get("name")), str(model.get("version")))
        if None in (model.get("name"), model.get("version")):
            continue
        if key in first:
            document.problem(
                ("models", index, "name"),
                f"{key[0]} {key[1]} is already models[{first[key]}]",
                "give it another version, or take one of them out",
            )
        first.setdefault(key, index)
    teams = data.get("teams", {"ml-platform": {}}) if isinstance(data, dict) else {}
    known = list(teams) if isinstance(teams, dict) else []
    defaults = data.get("defaults") if isinstance(data, dict) else None
    named: list[tuple[KeyPath, Any]] = [
        (("models", index, "team"), model["team"])
        for index, model in _models(data)
        if "team" in model
    ]
    if isinstance(defaults, dict) and "team" in defaults:
        named.append((("defaults", "team"), defaults["team"]))
    for path, team in named:
        if team not in known:
            near = difflib.get_close_matches(str(team), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"describe it under teams: {team}: {{}}"
            document.problem(path, f"no team is called {team}", hint)


def _check_units(data: Any, document: Document) -> None:
    """Thresholds of alerts in the unit that the alert has; on raw data, where it still stands."""
    places: list[tuple[KeyPath, Any]] = [
        (("models", index), model) for index, model in _models(data)
    ]
    refused = {problem.path for problem in document.problems}
    of_all = [
        ((key,), data.get(key) if isinstance(data, dict) else None)
        for key in ("defaults", "gpu", "stack")
    ]
    for path, section in [*of_all, *places]:
        alerts = section.get("alerts") if isinstance(section, dict) else None
        for name, settings in alerts.items() if isinstance(alerts, dict) else ():
            here = (*path, "alerts", name, "threshold")
            if not isinstance(settings, dict) or name not in ALERTS or dotted(here) in refused:
                continue
            parse = _UNITS.get(ALERTS[name].display)
            if parse is None or settings.get("threshold") is None:
                continue
            try:
                parse(settings["threshold"])
            except PydanticCustomError as error:
                hint = (error.context or {}).get("suggestion", "")
                document.problem(here, error.message(), hint)


_UNITS: Final[dict[Display, Callable[[Any], object]]] = {
    "percent": parse_ratio,
    "duration": Duration.parse,
}


def _check_states(spec: Spec, document: Document) -> None:
    if all(model.state == "retired" for model in spec.models):
        document.problem(
            ("models",), "are all retired, so nothing is watched", "make one of them live"
        )


def _check_ages(spec: Spec, document: Document) -> None:
    for index, model in enumerate(spec.models):
        if model.max_age is not None and model.trained_at is None:
            document.problem(
                ("models", index, "max_age"), "needs trained_at", "say when it was trained"
            )


def _check_drift(spec: Spec, document: Document) -> None:
    sections: list[tuple[KeyPath, Drift]] = [
        (("models", index, "drift"), model.drift.over(spec.defaults.drift))
        for index, model in enumerate(spec.models)
        if "drift" in model.model_fields_set
    ]
    for path, drift in [(("defaults", "drift"), spec.defaults.drift), *sections]:
        if drift.warning > drift.critical:
            document.problem(
                path,
                f"warns at {drift.warning:g}, above critical at {drift.critical:g}",
                "the warning threshold must be the lower one",
            )
        if drift.reference is not None and drift.reference.window is not None:
            reach = drift.reference.window.seconds + drift.reference.offset.seconds
            if reach > spec.stack.retention.seconds:
                document.problem(
                    (*path, "reference"),
                    f"reaches back further than Prometheus keeps: {spec.stack.retention}",
                    "shorten it, lengthen stack.retention, or freeze one: drift baseline",
                )
    for path, drift in sections:
        index = int(path[1])
        if drift.reference is not None and spec.models[index].profile is None:
            document.problem(
                (*path, "reference"),
                "needs a profile: its bins are those that the sidecar counts on",
                "build it: python -m exporters.drift profile --data train.csv --model NAME",
            )


def _check_performance(spec: Spec, document: Document) -> None:
    """What a model promises is a metric of its task; what `defaults:` promises may be of others."""
    for index, model in enumerate(spec.models):
        known = METRICS_OF_TASK[model.task]
        _check_baselines(index, model, spec.defaults.performance, document)
        for metric, _ in model.performance.promises():
            if metric not in known:
                document.problem(
                    ("models", index, "performance", metric),
                    f"is no metric of {model.task}",
                    f"write one of {', '.join(known)}",
                    at_key=True,
                )


def _check_baselines(index: int, model: Model, defaults: Performance, document: Document) -> None:
    """What comes from training was measured in training; of a retired version nothing is held."""
    for metric, promise in model.performance.over(defaults).promises():
        missing = promise.written_baseline == FROM_TRAINING and metric not in model.training.metrics
        if not missing or metric not in METRICS_OF_TASK[model.task] or model.state == "retired":
            continue
        who, hint = f"{model.name} {model.version}", f"add training: {{metrics: {{{metric}: 0.9}}}}"
        if near := difflib.get_close_matches(metric, model.training.metrics, n=1):
            hint = f"name it {metric}: training.metrics has {near[0]}"
        if metric in model.performance.model_fields_set:
            path: KeyPath = ("models", index, "performance", metric, "baseline")
            message = f"is not in training.metrics of {who}"
        else:
            path = ("models", index, "training", "metrics")
            message = f"lack {metric}, from which defaults.performance takes the baseline of {who}"
        document.problem(path, message, hint)


def _check_metrics(spec: Spec, document: Document) -> None:
    """A metric of several models is one metric: its type, unit, text and labels are the same."""
    known: dict[str, tuple[object, str]] = {}
    for index, model in enumerate(spec.models):
        names: set[str] = set()
        for place, metric in enumerate(model.metrics):
            path = ("models", index, "metrics", place, "name")
            what = (metric.type, metric.unit, metric.help, tuple(metric.labels))
            before, owner = known.setdefault(metric.name, (what, model.name))
            if metric.name in names:
                document.problem(path, f"{metric.name} is declared twice")
            elif before != what:
                document.problem(
                    path,
                    f"{metric.name} is declared differently by {owner}",
                    "give both the same type, unit, help and names of labels, or other names",
                )
            names.add(metric.name)


def _check_log(spec: Spec, document: Document) -> None:
    """PostgreSQL, and it alone, has an address."""
    path, log = ("sidecar", "log"), spec.sidecar.log
    if log.store == "postgres" and log.url is None:
        document.problem((*path, "store"), "needs a url", "add url: postgresql://user@host/name")
    for key in ("url", "password_file"):
        if getattr(log, key) is not None and log.store != "postgres":
            document.problem((*path, key), f"is not used by {log.store}", "add store: postgres")


def _check_teams(spec: Spec, document: Document) -> None:
    if spec.defaults.team not in spec.teams:
        document.problem(
            ("teams",),
            f"the default team {spec.defaults.team} is not among them",
            f"add {spec.defaults.team}: {{}} or set defaults.team",
            at_key=True,
        )
    for name in Counter(model.team for model in spec.models):
        team = spec.teams.get(name)
        if team is None:
            continue
        for severity in spec.routing.model_fields_set:
            lacking = set(getattr(spec.routing, severity)) - team.channels()
            for channel in sorted(lacking):
                document.problem(
                    ("routing", severity),
                    f"names {channel}, which team {name} does not have",
                    f"add teams.{name}.{channel}, or take {channel} out",
                )
    for name, team in spec.teams.items():
        if team.email is not None and spec.smtp is None:
            document.problem(
                ("teams", name, "email"),
                "needs a mail server",
                "add smtp: {smarthost: mail.example.com:587, from: alerts@example.com}",
                at_key=True,
            )


def _check_maintenance(spec: Spec, document: Document) -> None:
    known = {model.name for model in spec.versions}
    for index, maintenance in enumerate(spec.maintenance):
        for place, name in enumerate(maintenance.models):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "name models of this file"
                path = ("maintenance", index, "models", place)
                document.problem(path, f"no model is called {name}", hint)


def _check_alerts(spec: Spec, document: Document) -> None:
    sections: list[tuple[KeyPath, Alerts]] = [
        (("models", index, "alerts"), model.alerts) for index, model in enumerate(spec.models)
    ]
    sections += [
        (("defaults", "alerts"), spec.defaults.alerts),
        (("gpu", "alerts"), spec.gpu.alerts),
        (("stack", "alerts"), spec.stack.alerts),
    ]
    for path, alerts in sections:
        for name, settings in alerts.items():
            _check_alert(ALERTS[name], settings, (*path, name), document)
            if path[0] != "defaults" and settings.escalate_after is not None:
                usual = spec.defaults.alerts.get(name)
                severity = settings.severity or (usual.severity if usual else None)
                _check_escalating(ALERTS[name], severity, (*path, name), document)


def _check_alert(alert: Alert, settings: AlertSettings, path: KeyPath, document: Document) -> None:
    if settings.severity and len(alert.severities) > 1:
        document.problem(
            (*path, "severity"),
            f"{alert.name} has a severity for each of its thresholds: "
            f"{', '.join(alert.severities)}",
            "leave severity out",
        )
    _check_lasting(alert, settings, path, document)
    if settings.threshold is not None and ".alerts." not in alert.set_by:
        where = alert.set_by or "nothing: it has no threshold"
        document.problem((*path, "threshold"), "is not set here", f"it is set by {where}")
    elif settings.threshold is not None:
        _check_possible(alert, settings.threshold, (*path, "threshold"), document)


def _check_escalating(
    alert: Alert, severity: Severity | None, path: KeyPath, document: Document
) -> None:
    """Whoever asks for an escalation that never comes would rely on it."""
    place = (*path, "escalate_after")
    if alert.name.startswith(BURN):
        what = "the tiers of an error budget are an escalation already"
        document.problem(place, f"does nothing: {what}", "leave it out")
    elif {severity or one for one in alert.severities} == {"critical"}:
        document.problem(
            place,
            f"does nothing: {alert.name} is critical, and there is nothing worse",
            "leave it out, or begin with severity: error",
        )


def _check_lasting(
    alert: Alert, settings: AlertSettings, path: KeyPath, document: Document
) -> None:
    """An alert that ends by itself can neither wait nor be left alone for longer than it lasts."""
    longest, hold, after = alert.ends_within, settings.hold, settings.escalate_after
    what = f"is too long: by then {alert.name} has ended, for what it watches has become usual"
    if hold is not None and not lasts(alert, hold, Duration(0)):
        document.problem((*path, "for"), what, f"{longest} at most")
    elif after is not None and not lasts(alert, hold or alert.hold, after):
        document.problem((*path, "escalate_after"), what, f"{longest} at most, its for included")


def _check_possible(alert: Alert, threshold: float, path: KeyPath, document: Document) -> None:
    """An alert that can never fire looks like one that watches."""
    shown = f"{threshold * 100:g}%" if alert.display == "percent" else f"{threshold:g}"
    for beyond, limit, word, other in (
        (threshold >= alert.never_from, alert.never_from, "above", "below"),
        (threshold <= alert.never_to, alert.never_to, "below", "above"),
    ):
        if beyond:
            bound = f"{limit * 100:g}%" if alert.display == "percent" else f"{limit:g}"
            document.problem(
                path,
                f"can never fire: nothing is {word} {shown}",
                f"write a threshold {other} {bound}, or off",
            )
