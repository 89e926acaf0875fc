"""The doctor, asking a real Prometheus and a real Alertmanager that have something wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from contract.read import read_spec
from generator.__main__ import main
from generator.doctor import CHECKS, ask, delivery, diagnose
from generator.doctor.finding import Finding, broken, fine, warning
from generator.doctor.report import render_json, render_text
from generator.doctor.servers import recognise
from generator.outputs import render
from generator.queries.runtimes import ADAPTERS
from stack.plan import find_programs
from tests.processes import ROOT, eventually, free_port, running
from tests.runtime_servers import CAPTURES, replaying

MODELS: Final = """\
stack: {{prometheus: "{prometheus}", alertmanager: "{alertmanager}", sidecar: "{sidecar}",
  drift: "{drift}", responder: "{nobody}", gpu: [], scrape_interval: 1s, evaluation_interval: 1s}}
models:
  - {{name: churn, version: "1", task: regression,
      slo: {{latency: [{{threshold: 50ms}}, {{threshold: 250ms, target: 99.9%}}]}}}}
  - {{name: iris, version: "1.0", task: regression,
      serving: {{runtime: triton, targets: ["{triton}"]}}}}
  - {{name: own, version: "1", task: regression,
      serving: {{runtime: custom, targets: ["{ahead}"], expressions: {{
        requests: 'sum(rate(scorer_requests_total{{$model}}[$window]))',
        running: 'scorer_backlog{{$model}} * on () scorer_backlog{{$model}}'}}}}}}
"""

SCALE: Final = 4
"""By how much time is compressed: promises are looked up every two minutes."""

AHEAD: Final = """\
# TYPE process_start_time_seconds gauge
process_start_time_seconds 9e9
"""


@dataclass(frozen=True, slots=True)
class Sick:
    """A running stack, and its models.yaml."""

    folder: Path
    models: str

    def diagnose(
        self, old: str = "", new: str = "", only: Collection[str] = CHECKS
    ) -> list[Finding]:
        """What the doctor says if models.yaml had `new` in place of `old`."""
        assert old in self.models
        file = self.folder / "asked.yaml"
        file.write_text(self.models.replace(old, new, 1) if old else self.models)
        return diagnose(read_spec(file, time_scale=SCALE), self.folder, only=only)


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sick]:
    """Nobody responds, a rule fails, and a clock is ahead; the rest is well."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "ahead").write_text((CAPTURES / "custom.txt").read_text() + AHEAD)
    names = ("prometheus", "alertmanager", "sidecar", "drift", "nobody")
    at = {name: f"127.0.0.1:{free_port()}" for name in names}
    with ExitStack() as stack:
        at["triton"] = stack.enter_context(replaying(CAPTURES / "triton.txt"))
        at["ahead"] = stack.enter_context(replaying(folder / "ahead"))
        text = MODELS.format(**at)
        models = folder / "models.yaml"
        models.write_text(text)
        spec = read_spec(models, time_scale=SCALE)
        files = render(spec, ("prometheus", "alertmanager"), out=folder)
        for path, rendered in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(rendered)
        for command, ready in _processes(folder, models, at):
            stack.enter_context(running(command, ready_url=ready))
        # All that is seldom evaluated comes within moments here.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ask, "SETTLING", 0.0)
            yield Sick(folder, text)


def _processes(
    folder: Path, models: Path, at: dict[str, str]
) -> Iterator[tuple[list[str], str | None]]:
    python = [sys.executable, "-m"]
    spec = ["serve", "--models", str(models), "--time-scale", str(SCALE)]
    sidecar = ["--listen", at["sidecar"], "--data-dir", str(folder / "data")]
    yield [*python, "exporters.sidecar", *spec, *sidecar], f"http://{at['sidecar']}/readyz"
    drift = [*python, "exporters.drift", *spec, "--listen", at["drift"]]
    yield drift, f"http://{at['drift']}/healthz"
    yield (
        [
            find_programs().alertmanager,
            f"--config.file={folder}/alertmanager/generated/alertmanager.yml",
            f"--storage.path={folder}/alertmanager-data",
            f"--web.listen-address={at['alertmanager']}",
            "--cluster.listen-address=",
        ],
        f"http://{at['alertmanager']}/-/ready",
    )
    yield (
        [
            "prometheus",
            f"--config.file={folder}/prometheus/generated/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={at['prometheus']}",
            "--storage.tsdb.retention.time=8d",
            # It knows its Alertmanagers a few seconds after its first evaluation.
            "--rules.alert.resend-delay=5s",
        ],
        f"http://{at['prometheus']}/-/ready",
    )


def says(findings: list[Finding], level: str, check: str, text: str) -> Finding:
    """The finding of that level and check with this text in it."""
    found = [f for f in findings if (f.level, f.check) == (level, check)]
    matching = [f for f in found if text in f"{f.subject}: {f.what}"]
    of_check = [f for f in findings if f.check == check]
    assert matching, "\n".join(map(str, of_check or findings))
    assert level not in ("warning", "broken") or matching[0].advice
    return matching[0]


def test_what_is_well_is_said_to_be(sick: Sick) -> None:
    def well() -> bool:
        found = sick.diagnose()
        says(found, "ok", "prometheus", "answers, version")
        says(found, "ok", "rules", "has all")
        says(found, "ok", "runtimes", "is our sidecar and serves it")
        says(found, "ok", "runtimes", "is NVIDIA Triton and serves it")
        # Alerts over days wait for their windows; churn has no requests, and no rule is missing.
        assert [f for f in found if (f.level, f.check) == ("broken", "series")] == []
        # What is recorded only of versions that are not as they should be is not missed.
        blind = [f.what for f in found if f.check == "series" and "can't fire" in f.what]
        assert not [what for what in blind if "Version" in what], blind
        says(found, "ok", "edges", "churn 1: 2 promised latencies")
        says(found, "ok", "retention", "8d")
        says(found, "ok", "clocks", "has the time of this machine")
        says(found, "ok", "delivery", "has the configuration that models.yaml makes")
        says(found, "ok", "delivery", "holds Watchdog and sends it to log")
        says(found, "ok", "panels", "dashboard ML fleet: all")
        says(found, "note", "panels", "dashboard ML model of churn 1:")
        says(found, "note", "cost", "churn 1:")
        says(found, "note", "series", "can't fire: not before there are requests")
        return True

    eventually(well, seconds=90)


@pytest.mark.parametrize(("settling", "level"), [("it just started", "note"), ("", "broken")])
def test_that_no_alert_arrived_yet_is_nothing_just_after_the_start(
    settling: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models.yaml").write_text('models: [{name: m, version: "1", task: regression}]\n')
    answers = {"/api/v2/status": {"versionInfo": {"version": "0.25.0"}}}
    monkeypatch.setattr(delivery, "fetch_json", lambda _, path: answers.get(path, []))
    monkeypatch.setattr(delivery, "_metric", lambda *_: None)
    monkeypatch.setattr(delivery, "_settling", lambda _: settling)
    found = list(delivery.check_alertmanager(read_spec(tmp_path / "models.yaml"), tmp_path))
    assert [one.level for one in found if "Watchdog" in one.what] == [level]


def test_what_was_not_evaluated_yet_is_not_broken_just_after_the_start(
    sick: Sick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "SETTLING", 3600.0)
    unknown = ('name: own, version: "1"', 'name: own, version: "2"')
    found = says(sick.diagnose(*unknown, only=["series"]), "note", "series", "says the threshold")
    assert "Prometheus started" in found.what
    monkeypatch.setattr(ask, "SETTLING", 0.0)
    says(sick.diagnose(*unknown, only=["series"]), "broken", "series", "says the threshold")


def test_what_is_wrong_is_said_with_what_to_do(sick: Sick) -> None:
    def wrong() -> bool:
        found = sick.diagnose()
        says(found, "broken", "targets", "ml-responder")
        says(found, "broken", "clocks", "s ahead of Prometheus's")
        says(found, "broken", "rules", "the rule model:ml_llm_requests_running:sum fails")
        # Triton has no histogram, and this model no sidecar.
        says(found, "warning", "edges", "iris 1.0: no latency buckets from NVIDIA Triton")
        says(found, "note", "runtimes", "counts as a success")
        own = "HighLatencyP99 can't fire: a server of one's own does not say it"
        says(found, "warning", "series", own)
        return True

    eventually(wrong, seconds=90)


CHANGED: Final = {
    "a promise between two edges": (
        "threshold: 50ms", "threshold: 123ms",
        "warning", "edges", "its promise of 0.123s lies between the edges 0.1s and",
    ),
    "a target of another runtime": (
        "runtime: triton", "runtime: vllm", "broken", "runtimes", "is NVIDIA Triton and not vLLM",
    ),
    "a name that the server does not know": (
        "name: iris", "name: rose", "broken", "runtimes", "says nothing of a model rose",
    ),
    "a version that its server does not have yet, and need not": (
        "name: iris,", "name: rose, state: registered,",
        "note", "runtimes", "says nothing of a model rose",
    ),
    "a version that nothing is asked of yet, and need not": (
        "name: churn,", "name: spare, state: registered,",
        "note", "series", "it is registered, and nothing counts its requests yet",
    ),
    "a target that is not scraped": (
        "triton, targets: [", 'triton, targets: ["127.0.0.1:1", ',
        "broken", "targets", "does not scrape 127.0.0.1:1",
    ),
    "a window that outlasts the data": (
        "stack: {", "defaults: {slo: {window: 90d}}\nstack: {retention: 100d, ",
        "broken", "retention", "has a window of 22d12h",
    ),
    "rules that are not loaded": (
        "models:", "gpu: {compatibility: [dcgm]}\nmodels:", "broken", "rules", "lacks rules",
    ),
    "rules that are older": (
        "sum(rate(scorer", "max(rate(scorer", "broken", "rules",
        "has older rules: runtime:ml_inference_requests:rate5m",
    ),
    "routes that are not loaded": (
        "models:",
        "maintenance: [{models: [iris], from: 2040-01-01T00:00Z, to: 2040-01-02T00:00Z}]\nmodels:",
        "broken", "delivery", "has another configuration",
    ),
}  # fmt: skip
"""What models.yaml says, what it would say, and what is found then."""


@pytest.mark.parametrize(("old", "new", "level", "check", "text"), CHANGED.values(), ids=CHANGED)
def test_what_does_not_agree_with_models_yaml_is_found(
    sick: Sick, old: str, new: str, level: str, check: str, text: str
) -> None:
    def found() -> bool:
        says(sick.diagnose(old, new, {check}), level, check, text)
        return True

    eventually(found, seconds=30)


def test_the_name_that_the_server_has_is_suggested(sick: Sick) -> None:
    found = says(
        sick.diagnose("name: iris", "name: rose", {"runtimes"}), "broken", "runtimes", "rose"
    )
    assert found.advice.startswith("it serves iris: set serving.model")


def test_the_command_ends_with_1_where_something_is_broken(sick: Sick) -> None:
    arguments = ["doctor", "--models", str(sick.folder / "models.yaml"), "--out", str(sick.folder)]
    arguments += ["--time-scale", str(SCALE)]
    command = [sys.executable, "-m", "generator", *arguments]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (text.returncode, text.stderr) == (1, "")
    assert text.stdout.startswith("Prometheus\n  ok       Prometheus 127.0.0.1:")
    assert " broken" in text.stdout.splitlines()[-1]
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main([*arguments, "--format", "json", "--only", "clocks"]) == 1
    assert json.loads(printed.getvalue())["summary"]["broken"] > 0


def test_nothing_that_answers_is_the_whole_diagnosis(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    (tmp_path / "models.yaml").write_text(
        f'stack: {{prometheus: "{nobody}", alertmanager: "{nobody}"}}\n'
        'models: [{name: m, version: "1", task: regression}]\n'
    )
    found = diagnose(read_spec(tmp_path / "models.yaml"), tmp_path)
    assert [f.level for f in found] == ["broken", "broken"]
    says(found, "broken", "prometheus", "nothing can be asked")
    says(found, "broken", "delivery", "nobody is notified")


@pytest.mark.parametrize("runtime", [name for name in ADAPTERS if name != "custom"])
def test_a_runtime_is_recognised_by_what_it_exposes(runtime: str) -> None:
    lines = (CAPTURES / f"{runtime}.txt").read_text().splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    assert recognise(names) == runtime
    assert recognise({"up", "process_start_time_seconds"}) is None
    assert recognise({"ml_inference_requests_total"}) == "sidecar"


FINDINGS: Final = [
    fine("rules", "Prometheus a:1", "has all rules"),
    broken("rules", "Prometheus a:1", "lacks a rule", "make generate"),
    warning("edges", "churn 1", "its promise lies between edges", "promise another"),
]


def test_what_is_worst_stands_first_and_colours_are_for_terminals() -> None:
    plain = render_text(FINDINGS, colour=False)
    assert plain.splitlines() == [
        "Rules and configuration",
        "  broken   Prometheus a:1: lacks a rule",
        "           → make generate",
        "  ok       Prometheus a:1: has all rules",
        "",
        "Promised latencies and bucket edges",
        "  warning  churn 1: its promise lies between edges",
        "           → promise another",
        "",
        "1 broken, 1 warning.",
    ]
    assert "\033[1;31mbroken" in render_text(FINDINGS, colour=True)
    assert render_text(FINDINGS[:1], colour=False).endswith("Nothing is broken.")
    assert json.loads(render_json(FINDINGS))["summary"] == {
        "ok": 1,
        "note": 0,
        "warning": 1,
        "broken": 1,
    }
