"""The PromQL that models.yaml holds itself: promtool reads it before it becomes rules."""

from __future__ import annotations

from pathlib import Path

from contract.document import read_document
from contract.problems import ProblemsError
from contract.spec import Spec
from generator.queries.runtimes.custom import combined
from generator.queries.runtimes.rules import own_expression
from generator.verify import refused_expressions

__all__ = ["refuse_expressions"]


def refuse_expressions(spec: Spec, path: Path) -> None:
    """Raise ProblemsError, each at its place in models.yaml, where an expression is no PromQL."""
    written = [
        (index, signal, own_expression(model, signal, spec))
        for index, model in enumerate(spec.models)
        for signal in model.serving.expressions
    ]
    if not written:
        return
    # Alone it says what is wrong with it; in its rule, that it gives no series.
    alone = refused_expressions([text for _, _, text in written])
    within = refused_expressions([combined(signal, text) for _, signal, text in written])
    refused = within | alone
    if not refused:
        return
    _, document = read_document(path)
    for place in sorted(refused):
        index, signal, text = written[place]
        document.problem(
            ("models", index, "serving", "expressions", signal),
            f"is not PromQL that gives a figure: {refused[place]}",
            f"Prometheus would read: {text}",
        )
    raise ProblemsError(document.problems)
