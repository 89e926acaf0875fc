"""Every threshold of every model, proven: what rendering does for one model of each rule."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from contract.spec import Spec
from generator.rules.alerts import render_alerts
from generator.rules.proofs import render_every_proof
from generator.rules.recording import render_recording
from generator.verify import verify_rules

__all__ = ["prove_every_model"]


def prove_every_model(spec: Spec) -> int:
    """Run a proof of each threshold with promtool; returns how many there were.

    How far it is stands on the terminal. Raises VerificationError where one fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, number = Path(name), 0
        (folder / "rules").mkdir()
        (folder / "tests").mkdir()
        (folder / "rules/recording.yml").write_text(render_recording(spec), encoding="utf-8")
        (folder / "rules/alerts.yml").write_text(render_alerts(spec), encoding="utf-8")
        for file, (proven, text) in render_every_proof(spec).items():
            number += proven
            (folder / f"tests/{file}.yml").write_text(text, encoding="utf-8")
        files = sorted((folder / "tests").iterdir())
        done: list[None] = []

        def progress() -> None:
            done.append(None)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{len(done)} of {len(files)} files of proofs")
                sys.stderr.flush()

        verify_rules(folder, files, progress)
        if sys.stderr.isatty():
            sys.stderr.write("\n")
    return number
