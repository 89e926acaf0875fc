"""`python -m generator models`: what is written, what is not, and what is said of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.profile import read_profile
from contract.read import read_spec
from generator.__main__ import main
from tests.processes import ROOT

MODELS = """\
# Ours.
models:
  - name: fraud
    version: "1.9"   # the first good one
    task: binary_classification
    trained_at: 2026-10-01
    max_age: 30d
    performance: {auc: {baseline: from_training, max_drop: 2%}}
    training: {metrics: {auc: 0.98}}
"""
NEW = [
    "register",
    "fraud",
    "--version",
    "1.10",
    "--trained-at",
    "2026-11-01",
    "--metric",
    "auc=0.99",
]


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Registry:
    """A folder with a models.yaml, and the command on it."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> Said:
        self.capsys.readouterr()
        status = main(["models", *arguments, "--models", str(self.path)])
        return Said(status, *self.capsys.readouterr())


@pytest.fixture
def registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Registry:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS)
    (tmp_path / "fraud.onnx").write_bytes(b"a model")
    return Registry(path, capsys)


def test_a_version_is_registered_deployed_and_put_back(registry: Registry) -> None:
    artifact = ["--artifact", str(registry.path.parent / "fraud.onnx")]
    assert registry.run(*NEW, *artifact, "--framework", "onnx").status == 0
    model = read_spec(registry.path).model("fraud", "1.10")
    assert model is not None
    assert model.artifact is not None
    assert model.artifact.path == "fraud.onnx"
    assert model.artifact.sha256 == hashlib.sha256(b"a model").hexdigest()
    assert (model.state, model.framework) == ("registered", "onnx")
    promise = model.performance.auc
    assert promise is not None
    assert (promise.baseline, promise.max_drop) == (0.99, 0.02)

    assert registry.run("latest", "fraud").out == "1.10\n"
    assert registry.run("latest", "fraud", "--state", "live").out == "1.9\n"
    assert registry.run("deploy", "fraud", "1.10").out == "fraud 1.10 is live, 1.9 retired\n"
    assert registry.run("latest", "fraud", "--state", "live").out == "1.10\n"
    assert registry.run("deploy", "fraud", "1.9").out == "fraud 1.9 is live, 1.10 retired\n"
    beside = registry.run("deploy", "fraud", "1.10", "--beside").out
    assert beside == "fraud 1.10 is live beside 1.9\n"
    assert [model.state for model in read_spec(registry.path).versions] == ["live", "live"]
    assert registry.run("retire", "fraud", "1.9").status == 0
    # What is only one model's history is still there, with the comment beside it.
    assert '    version: "1.9"   # the first good one\n' in registry.path.read_text()


TRAIN = "age,sender,score,said\n" + "".join(
    f"{20 + row % 40},{'abc'[row % 3]},{0.5 + row % 50 / 100},{row % 2}\n" for row in range(200)
)


def test_training_data_become_the_reference_profile(registry: Registry) -> None:
    data = registry.path.parent / "train.csv"
    data.write_text(TRAIN)
    columns = ["--data", str(data), "--prediction", "said", "--confidence", "score"]
    dry = registry.run(*NEW, *columns, "--dry-run")
    assert "+    profile: profiles/fraud-1.10.json" in dry.out
    assert not list(registry.path.parent.glob("profiles/*"))
    assert registry.path.read_text() == MODELS
    said = registry.run(*NEW, *columns)
    assert "profile profiles/fraud-1.10.json: 2 features, 200 rows" in said.out
    profile = read_profile(registry.path.parent / "profiles/fraud-1.10.json")
    assert (profile.model_version, [*profile.features]) == ("1.10", ["age", "sender"])
    assert profile.prediction is not None
    assert profile.prediction.kind == "category"


def test_a_profile_of_a_version_that_cannot_be_registered_is_taken_away(registry: Registry) -> None:
    data = registry.path.parent / "train.csv"
    data.write_text(TRAIN)
    wrong = ["register", "fraud", "--version", "2", "--data", str(data)]  # no auc from training
    assert registry.run(*wrong).status == 2
    assert not list(registry.path.parent.glob("profiles/*"))
    assert registry.path.read_text() == MODELS


def test_a_dry_run_prints_what_would_change(registry: Registry) -> None:
    said = registry.run("retire", "fraud", "1.9", "--dry-run")
    assert said.status == 2
    registry.run(*NEW)
    before = registry.path.read_bytes()
    said = registry.run("deploy", "fraud", "1.10", "--at", "2026-11-28T12:00:00Z", "--dry-run")
    assert said.status == 0
    changes = [
        line for line in said.out.splitlines() if line[0] in "+-" and line[:3] not in "+++---"
    ]
    assert changes == [
        "+    state: retired",
        "-    state: registered",
        "+    state: live",
        "+    deployed_at: 2026-11-28T12:00:00Z",
    ]
    assert registry.path.read_bytes() == before
    again = registry.run("deploy", "fraud", "1.9", "--dry-run")
    assert again.out == "fraud 1.9 is live already: nothing would change\n"


def test_programs_are_answered_in_json(registry: Registry) -> None:
    said = registry.run(*NEW, "--json").data
    assert (said["command"], said["changed"], said["written"]) == ("register", True, True)
    assert said["model"]["metrics"] == {"auc": 0.99}
    assert said["diff"].startswith("--- a/")
    assert registry.run("deploy", "fraud", "1.10", "--json", "--dry-run").data["written"] is False
    every = registry.run("list", "--json").data
    assert [(one["version"], one["state"]) for one in every] == [
        ("1.10", "registered"),
        ("1.9", "live"),
    ]
    assert every[1]["promised"]["auc"] == "≥ 0.96"
    assert every[1]["too_old"] is True
    shown = registry.run("show", "fraud", "--json").data
    assert shown["version"] == "1.9"
    assert registry.run("latest", "fraud", "--json").data == {"name": "fraud", "version": "1.10"}


def test_permissions_and_a_symlink_stay(registry: Registry, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    real.mkdir()
    registry.path.rename(real / "real.yaml")
    registry.path.symlink_to("elsewhere/real.yaml")
    (real / "real.yaml").chmod(0o640)
    assert registry.run(*NEW).status == 0
    assert registry.path.is_symlink()
    assert stat.S_IMODE((real / "real.yaml").stat().st_mode) == 0o640
    assert '"1.10"' in (real / "real.yaml").read_text()
    assert [path.name for path in real.iterdir()] == ["real.yaml"]


REFUSED: dict[str, tuple[list[str], str]] = {
    "a version that is there": (
        ["register", "fraud", "--version", "1.9"],
        "models.yaml:3: fraud 1.9 is registered already",
    ),
    "a new model without a task": (
        ["register", "spam", "--version", "1"], "spam is new, so nothing says what it predicts",
    ),
    "a version like one that is not there": (
        ["register", "fraud", "--version", "2", "--like", "1.8"],
        "fraud has no version 1.8; did you mean 1.9?",
    ),
    "a file that is not there": (
        [*NEW, "--artifact", "missing.onnx"],
        "missing.onnx: cannot be read: No such file or directory",
    ),
    "a file that is a folder": ([*NEW, "--artifact", "."], ".: is a folder: name the file"),
    "data that are not there": (
        [*NEW, "--data", "missing.csv"], "missing.csv: cannot be read: No such file or directory",
    ),
    "columns of no data": ([*NEW, "--label", "y"], "--label says what a column"),
    "a path of no file": ([*NEW, "--artifact-path", "x"], "is for the file that --artifact names"),
    "a version without the metric that is promised": (
        ["register", "fraud", "--version", "2", "--trained-at", "2026-11-01"],
        "would be wrong: is not in training.metrics of fraud 2",
    ),
    "a team that is none": ([*NEW, "--team", "riks"], "no team is called riks"),
    "a name that is none": (
        ["register", "a b", "--version", "1", "--task", "regression"],
        "should be letters, digits, dots",
    ),
    "a model that is misspelt": (["deploy", "fruad", "1.9"], "did you mean fraud?"),
    "a version that nobody registered": (
        ["deploy", "fraud", "v1.8"], "fraud has no version v1.8; did you mean 1.9?",
    ),
    "a version far from any": (["deploy", "fraud", "x"], "fraud has no version x; there is 1.9"),
    "the last one that is watched": (["retire", "fraud", "1.9"], "is all that is watched"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_and_the_file_is_what_it_was(
    registry: Registry, arguments: list[str], message: str
) -> None:
    before = registry.path.stat()
    said = registry.run(*arguments)
    assert (said.status, said.out) == (2, "")
    assert message in said.err
    assert said.err.endswith("Nothing was written.\n")
    after = registry.path.stat()
    assert registry.path.read_text() == MODELS
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert sorted(path.name for path in registry.path.parent.iterdir()) == [
        "fraud.onnx",
        "models.yaml",
    ]


WRONG_OPTIONS = {
    "a metric without a value": (["--metric", "auc"], "write auc=0.991 or accuracy=97%"),
    "a metric that is no number": (["--metric", "auc=nan"], "write auc=0.991"),
    "a percentage beyond all": (["--metric", "auc=130%"], "write auc=0.991"),
    "a time that is none": (["--trained-at", "yesterday"], "write 2026-11-28"),
}


@pytest.mark.parametrize(("option", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_an_option_that_says_nothing_is_refused(
    registry: Registry, option: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        registry.run("register", "fraud", "--version", "2", *option)
    assert ended.value.code == 2
    assert message in registry.capsys.readouterr().err


BROKEN = {
    "no YAML": (b"models: [", "is not YAML"),
    "an unknown key": (MODELS.replace("task:", "tsk:").encode(), "did you mean task?"),
    "Latin-1": (b"# \xe9\n" + MODELS.encode(), "is not UTF-8 text"),
    "nothing": (b"", "is empty"),
    "no models": (b"defaults: {team: ml-platform}\n", "is required"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    "arguments", [NEW, ["deploy", "fraud", "1.9"], ["list"]], ids=lambda a: a[0]
)
def test_a_broken_file_is_refused_and_stays(
    registry: Registry, arguments: list[str], text: bytes, message: str
) -> None:
    registry.path.write_bytes(text)
    said = registry.run(*arguments)
    assert said.status == 2
    assert message in said.err
    assert registry.path.read_bytes() == text


def test_a_file_that_is_not_there_is_said(registry: Registry) -> None:
    registry.path.unlink()
    for arguments in (NEW, ["list"], ["retire", "fraud", "1.9"]):
        said = registry.run(*arguments)
        assert said.status == 2
        assert "cannot be read: No such file or directory" in said.err
    assert not registry.path.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
{killer}
from generator.__main__ import main
main(sys.argv[1:])
"""
KILLERS = {
    "while half of it is written": """
        from io import BufferedWriter
        import builtins, io
        real = Path.open
        class Half:
            def __init__(self, file): self.file = file
            def __getattr__(self, name): return getattr(self.file, name)
            def __enter__(self): return self
            def __exit__(self, *_): self.file.close()
            def write(self, content):
                self.file.write(content[: len(content) // 2])
                self.file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        Path.open = lambda self, mode="r", **o: (
            Half(real(self, mode, **o)) if mode == "wb" else real(self, mode, **o))
    """,
    "before it takes the file's place": """
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    """,
}


@pytest.mark.parametrize("killer", KILLERS.values(), ids=KILLERS)
def test_killed_in_the_middle_the_file_is_what_it_was(registry: Registry, killer: str) -> None:
    code = KILLED.format(killer=textwrap.dedent(killer))
    command = [sys.executable, "-c", code, "models", *NEW, "--models", str(registry.path)]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert registry.path.read_text() == MODELS
    # What it left behind is in nobody's way.
    assert registry.run(*NEW).status == 0
    assert sorted(path.name for path in registry.path.parent.iterdir()) == [
        "fraud.onnx",
        "models.yaml",
    ]


def test_a_disk_that_is_full_is_said_and_the_file_stays(registry: Registry) -> None:
    code = KILLED.format(
        killer="import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))"
    )
    command = [sys.executable, "-c", code, "models", *NEW, "--models", str(registry.path)]
    failed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert "cannot be written: File too large" in failed.stderr
    assert registry.path.read_text() == MODELS
    assert sorted(path.name for path in registry.path.parent.iterdir()) == [
        "fraud.onnx",
        "models.yaml",
    ]


@contextlib.contextmanager
def registering(path: Path, versions: range) -> Iterator[list[subprocess.Popen[bytes]]]:
    own = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "generator", "models", "register", "fraud"),
                *("--version", f"3.{number}", "--trained-at", "2026-11-01", "--metric", "auc=0.9"),
                *("--models", path),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        for number in versions
    ]
    yield own
    for process in own:
        assert process.wait(timeout=60) == 0


def test_two_that_write_at_once_lose_nothing(registry: Registry) -> None:
    with registering(registry.path, range(4)):
        pass
    versions = {model.version for model in read_spec(registry.path).models}
    assert versions == {"1.9", "3.0", "3.1", "3.2", "3.3"}
