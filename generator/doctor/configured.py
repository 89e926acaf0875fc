"""Does Prometheus run what models.yaml says, and can it scrape all of it?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from contract.runtimes import RUNTIMES, SIDECAR
from contract.spec import Spec
from generator.doctor.ask import AskError, Prometheus
from generator.doctor.finding import Finding, broken, fine, warning
from generator.outputs import render
from generator.queries.runtimes import ADAPTERS
from generator.scrape import render_scrape

__all__ = ["check_configuration", "check_targets"]

_RELOAD: Final = "make generate, then send Prometheus a SIGHUP (or start it anew)"
_SHOWN: Final = 4


def check_configuration(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """The rules and scrape jobs that are loaded, against those that would be rendered."""
    where = f"Prometheus {prometheus.address}"
    files = render(spec, ("prometheus",))
    ours = _rules_of(files)
    groups = prometheus.api("rules")["groups"]
    loaded: dict[str, list[str]] = {}
    for group in groups:
        for rule in group["rules"]:
            loaded.setdefault(rule["name"], []).append(_bare(rule["query"]))
            if rule.get("lastError"):
                yield broken(
                    "rules",
                    where,
                    f"the rule {rule['name']} fails: {rule['lastError']}",
                    "its series must be those that the rule expects; look at /rules",
                )
    missing = [name for name in ours if name not in loaded]
    changed = [name for name in ours if name in loaded and _differs(prometheus, name, ours, loaded)]
    if missing:
        yield broken("rules", where, f"lacks rules of models.yaml: {_some(missing)}", _RELOAD)
    if changed:
        yield broken("rules", where, f"has older rules: {_some(changed)}", _RELOAD)
    if not missing and not changed:
        yield fine("rules", where, f"has all {sum(map(len, ours.values()))} rules of models.yaml")
    if prometheus.number("prometheus_config_last_reload_successful") == 0:
        yield broken(
            "rules",
            where,
            "could not load its configuration when it last tried",
            "promtool check config prometheus/generated/prometheus.yml says why",
        )


def _rules_of(files: dict[str, str]) -> dict[str, list[str]]:
    """The expressions of each rule that would be rendered, by its name."""
    rules: dict[str, list[str]] = {}
    for path, text in files.items():
        if "/rules/" not in path:
            continue
        for group in yaml.safe_load(text)["groups"]:
            for rule in group["rules"]:
                rules.setdefault(rule.get("record") or rule["alert"], []).append(rule["expr"])
    return rules


def _differs(
    prometheus: Prometheus, name: str, ours: dict[str, list[str]], loaded: dict[str, list[str]]
) -> bool:
    """Whether the rules of a name are others, however either of them is laid out."""
    if len(ours[name]) != len(loaded[name]):
        return True
    return sorted(_formatted(prometheus, one) for one in ours[name]) != sorted(loaded[name])


def _formatted(prometheus: Prometheus, expression: str) -> str:
    try:
        return _bare(str(prometheus.api("format_query", query=expression)))
    except AskError:  # VictoriaMetrics and old versions don't; so they are not judged
        return _bare(expression)


def _bare(expression: str) -> str:
    return re.sub(r"\s+", "", expression)


def _jobs(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    where = f"Prometheus {prometheus.address}"
    ours = _targets_of(yaml.safe_load(render_scrape(spec)))
    loaded = _targets_of(yaml.safe_load(prometheus.api("status/config")["yaml"]))
    for job, targets in ours.items():
        if lacking := sorted(targets - loaded.get(job, set())):
            yield broken("targets", where, f"does not scrape {_some(lacking)} ({job})", _RELOAD)


def _targets_of(config: dict[str, Any]) -> dict[str, set[str]]:
    return {
        job["job_name"]: {
            target for group in job.get("static_configs", []) for target in group["targets"]
        }
        for job in config.get("scrape_configs", [])
    }


def check_targets(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """Every target of models.yaml is scraped, and could be when it last was."""
    yield from _jobs(spec, prometheus)
    active = prometheus.api("targets", state="active")["activeTargets"]
    runtimes = {
        target: model.serving.runtime for model in spec.models for target in model.serving.targets
    }
    down = [target for target in active if target["health"] == "down"]
    for target in down:
        address = target["labels"]["instance"]
        subject = f"{target['labels']['job']} {address}"
        yield broken(
            "targets", subject, f"is down: {target['lastError']}", _advice(target, runtimes)
        )
    if waiting := [one["labels"]["instance"] for one in active if one["health"] == "unknown"]:
        yield warning(
            "targets",
            f"Prometheus {prometheus.address}",
            f"has not scraped yet: {_some(waiting)}",
            "ask again in a minute",
        )
    if active and not down:
        yield fine("targets", f"Prometheus {prometheus.address}", f"scrapes {len(active)} targets")


def _advice(target: dict[str, Any], runtimes: Mapping[str, str]) -> str:
    error, address = target["lastError"], target["labels"]["instance"]
    runtime = runtimes.get(address, SIDECAR)
    if "404" in error and runtime != SIDECAR:
        return (
            f"{RUNTIMES[runtime].title} has its metrics at {RUNTIMES[runtime].path}, "
            f"{ADAPTERS[runtime].enabled_by}; or set serving.metrics_path"
        )
    if "refused" in error:
        return f"start it, or correct its address in models.yaml: nothing listens at {address}"
    if "Content-Type" in error and runtime != SIDECAR:
        return (
            f"Prometheus 3 reads only what says how it is written: if {target['scrapeUrl']} shows "
            "metrics, set stack.fallback_scrape_protocol: PrometheusText0.0.4; if not, correct "
            "the address or the path"
        )
    if "Content-Type" in error or "text format" in error or "expected" in error:
        return f"what answers at {address} exposes no metrics: correct the address or the path"
    return f"curl http://{address}{RUNTIMES[runtime].path} from where Prometheus runs says more"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
