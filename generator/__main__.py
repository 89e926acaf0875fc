"""python -m generator render | check | test | schema | doctor | models | report: models.yaml."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.slo import unreachable
from contract.spec import Spec
from generator.estimate import estimate, refuse_beyond_limit
from generator.expressions import refuse_expressions
from generator.outputs import PARTS, render, verify
from generator.registry.command import add_models, run_models
from generator.report.command import add_report_arguments, report_command
from generator.schema import render_schema
from generator.verify import VerificationError
from generator.write import Change, compare, replace, stage

NOTHING_WRITTEN: Final = "Nothing was written."
DIFF_LINES: Final = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for bad input, 1 for what else is wrong."""
    options = _parser().parse_args(arguments)
    commands = {
        "render": render_command,
        "check": check_command,
        "test": test_command,
        "schema": schema_command,
        "doctor": doctor_command,
        "models": run_models,
        "report": report_command,
    }
    try:
        return commands[options.command](options)
    except ProblemsError as error:
        print(f"{error}\n{NOTHING_WRITTEN}", file=sys.stderr)
        return 2
    except (VerificationError, OSError) as error:
        print(f"{error}\n{NOTHING_WRITTEN}", file=sys.stderr)
        return 1


def render_command(options: argparse.Namespace) -> int:
    """Read → resolve → render → verify → write."""
    spec = read_spec_by(options)
    for left_out in _left_out(spec):
        print(left_out, file=sys.stderr)
    cost = estimate(spec)
    refuse_beyond_limit(cost, spec, options.models)
    refuse_expressions(spec, options.models)
    files = render(spec, options.only or tuple(PARTS), out=options.out)
    with stage(options.out, files) as staged:
        verify(staged)
        changes = replace(options.out, staged, files)
    print("\n".join([_summary(len(files), changes), *cost.lines()]))
    return 0


def _left_out(spec: Spec) -> list[str]:
    """What models.yaml asks for and nothing could fire; of many, the first ones."""
    found = list(unreachable(spec))
    more = [f"... and {len(found) - DIFF_LINES} more"] if len(found) > DIFF_LINES else []
    return found[:DIFF_LINES] + more


def check_command(options: argparse.Namespace) -> int:
    """Read → resolve → render → verify → compare with what is there."""
    spec = read_spec_by(options)
    refuse_expressions(spec, options.models)
    files = render(spec, out=options.out)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), files) as staged:
        verify(staged)
    changes = compare(options.out, files)
    for change in changes:
        print(_stale(change, options.out, files), file=sys.stderr)
    if changes:
        print(f"{_count(len(changes))} stale: make generate, and commit it.", file=sys.stderr)
        return 1
    print(f"All {len(files)} generated files are up to date.")
    return 0


def test_command(options: argparse.Namespace) -> int:
    """Run the tests that were rendered: of rules with promtool, of routes with amtool."""
    if not any(
        (options.out / part / "generated").is_dir() for part in ("prometheus", "alertmanager")
    ):
        raise VerificationError(f"nothing is generated in {options.out.resolve()}: make generate")
    verify(options.out)
    print(f"The rules and routes below {options.out.resolve()} do what their tests say.")
    if options.every_model:
        from generator.prove import prove_every_model

        number = prove_every_model(read_spec_by(options))
        print(f"Each of the {number} thresholds of all models fires, and not just below.")
    return 0


def doctor_command(options: argparse.Namespace) -> int:
    """Ask the running stack whether what models.yaml promises really works."""
    # Imported here: only this command asks anybody anything.
    from generator.doctor import CHECKS, diagnose
    from generator.doctor.report import render_json, render_text

    if unknown := set(options.only or ()) - set(CHECKS):
        print(f"--only {min(unknown)}: write one of {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    findings = diagnose(read_spec_by(options), options.out, only=options.only or CHECKS)
    terminal = sys.stdout.isatty()
    if options.format == "json":
        print(render_json(findings))
    else:
        width = shutil.get_terminal_size().columns if terminal else 100
        print(render_text(findings, colour=terminal and "NO_COLOR" not in os.environ, width=width))
    return 1 if any(finding.level == "broken" for finding in findings) else 0


def schema_command(_: argparse.Namespace) -> int:
    """Print the JSON Schema of models.yaml."""
    print(render_schema(), end="")
    return 0


def _summary(total: int, changes: Sequence[Change]) -> str:
    if not changes:
        return f"{total} files, all as they were."
    shown = ", ".join(f"{change.path} ({change.how})" for change in changes[:8])
    more = f" and {len(changes) - 8} more" if len(changes) > 8 else ""
    return f"{total} files, {len(changes)} changed: {shown}{more}."


def _stale(change: Change, out: Path, files: dict[str, str]) -> str:
    """One stale file: what is wrong with it, and the first lines that differ."""
    if change.how != "changed":
        missing = change.how == "added"
        return f"{change.path}: {'is missing' if missing else 'is not generated any more'}"
    there = (out / change.path).read_text(encoding="utf-8", errors="replace").splitlines()
    lines = difflib.unified_diff(there, files[change.path].splitlines(), lineterm="", n=0)
    shown = "\n".join(f"  {line}" for line in islice(lines, 2, 2 + DIFF_LINES))
    return f"{change.path}: differs\n{shown}"


def _count(number: int) -> str:
    return "1 file is" if number == 1 else f"{number} files are"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generator",
        description="Render from models.yaml what Prometheus, Alertmanager and Grafana read.",
        epilog="""\
example:
  python -m generator render --models models.yaml --out .

Nothing is replaced before promtool and amtool have accepted all of it.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    write = commands.add_parser("render", help="write everything, or --only some parts")
    check = commands.add_parser(
        "check", help="fail when what is there is not what would be written"
    )
    test = commands.add_parser("test", help="run the tests of the rules and routes that are there")
    commands.add_parser("schema", help="print the JSON Schema of models.yaml")
    doctor = commands.add_parser(
        "doctor",
        help="ask the running stack whether all of it works, and say what to do",
        epilog="It changes nothing. Exit status 1 where something is broken.",
    )
    doctor.add_argument(
        "--format", choices=("text", "json"), default="text", help="default: %(default)s"
    )
    doctor.add_argument(
        "--only", action="append", metavar="CHECK", help="such as edges; may be repeated"
    )
    add_models(commands)
    add_report_arguments(commands.add_parser("report", help="tell how promises were kept, and why"))
    for command in (write, check, test, doctor):
        add_spec_arguments(command)
    test.add_argument(
        "--every-model",
        action="store_true",
        help="also prove every threshold of every model, where rendering proves one of each rule",
    )
    for command in (write, check, test, doctor):
        command.add_argument(
            "--out", type=Path, default=Path(), metavar="DIR", help="the tree's folder; %(default)s"
        )
    write.add_argument(
        "--only",
        action="append",
        type=_part,
        metavar="PART",
        help=f"one of {', '.join(PARTS)}; may be repeated",
    )
    return parser


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text!r}: write one of {', '.join(PARTS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
