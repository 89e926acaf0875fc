"""How long rendering takes, from models.yaml to the texts of all files: `make bench-generate`.

1, 10, 100 and 1,000 models, each with a profile of 30 features and thresholds of its own, a team
for ten of them. Beside it the same with a group of rules for each model, as Sloth and most others
have it, by the same templates: what is compared is the layout and not the program. Seconds are
those of the process's CPU, which on a machine with a free core is what one waits.

Verification comes on top and is nearly all promtool's time, which proves each rule once, however
many models it is for; the notes have it for most models, and how large the rules of both sides are.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from contract.read import read_spec
from contract.spec import Spec
from generator.estimate import estimate, refuse_beyond_limit
from generator.outputs import PARTS, render, verify
from generator.rules.alerts import render_alerts
from generator.rules.recording import render_recording

MODELS: Final = (1_000, 100, 10, 1)
"""The largest first: its line is what the goal is about."""
GOAL: Final = 3.0
PROFILE: Final = Path(__file__).parent.parent / "profiles" / "breast-cancer.json"


def write_models(folder: Path, number: int) -> Path:
    """A models.yaml with so many models."""
    for index in range(number):
        shutil.copy(PROFILE, folder / f"{index}.json")
    teams = "\n".join(f"  team-{index}: {{}}" for index in range((number + 9) // 10))
    models = "\n".join(
        f'  - {{name: model-{index}, version: "1", team: team-{index // 10}, profile: {index}.json,'
        " task: binary_classification,"
        f" slo: {{latency: {{threshold: {100 + index}ms, target: 99%}}}}}}"
        for index in range(number)
    )
    path = folder / "models.yaml"
    path.write_text(f"defaults: {{team: team-0}}\nteams:\n{teams}\nmodels:\n{models}\n")
    return path


def whole(path: Path) -> dict[str, str]:
    """Ours: one rule for all models."""
    spec = read_spec(path)
    refuse_beyond_limit(estimate(spec), spec, path)
    return render(spec)


def by_model(path: Path) -> dict[str, str]:
    """The same files, but with rules for each model."""
    spec = read_spec(path)
    files = render(spec, [part for part in PARTS if part != "prometheus"])
    for index, one in enumerate(each_alone(spec)):
        files[f"rules/{index}-recording.yml"] = render_recording(one)
        files[f"rules/{index}-alerts.yml"] = render_alerts(one)
    return files


def each_alone(spec: Spec) -> list[Spec]:
    """The spec of each model without the others."""
    return [spec.model_copy(update={"models": (model,)}) for model in spec.models]


def seconds(function: Callable[[Path], object], path: Path) -> float:
    """What one call takes of the CPU."""
    began = time.process_time()
    function(path)
    return time.process_time() - began


def verification(path: Path, tree: Path) -> dict[str, float]:
    """What comes on top of rendering: the CPU seconds of promtool and amtool, measured once."""
    for name, text in whole(path).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    before = _of_children()
    verify(tree)
    return {"verify_seconds": round(_of_children() - before, 2)}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sizes(path: Path) -> dict[str, int]:
    """Bytes of rules that Prometheus must read, ours and by model."""
    one = render(read_spec(path), ["prometheus"])
    each = by_model(path)
    return {
        "rules_bytes": sum(len(text) for name, text in one.items() if "/rules/" in name),
        "by_model_bytes": sum(len(text) for name, text in each.items() if name[:6] == "rules/"),
    }


def main() -> None:
    """Measure, and keep the result."""
    with tempfile.TemporaryDirectory() as scratch:
        cases: list[harness.Case] = []
        notes: dict[str, Any] = {}
        for number in MODELS:
            folder = Path(scratch) / str(number)
            folder.mkdir()
            path = write_models(folder, number)
            notes[f"{number} models"] = sizes(path)
            if number == max(MODELS):
                notes[f"{number} models"] |= verification(path, folder / "tree")
            cases.append(
                harness.Case(
                    f"{number:,} models",
                    unit="seconds",
                    better="less",
                    ours=harness.Side("one rule for all models", partial(seconds, whole, path)),
                    beside=harness.Side("a group for each model", partial(seconds, by_model, path)),
                    target=GOAL if number == max(MODELS) else None,
                )
            )
        harness.run("generate", cases, packages=["jinja2", "pydantic", "pyyaml"], notes=notes)


if __name__ == "__main__":
    main()
