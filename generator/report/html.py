"""A page as one HTML file: no script, nothing from elsewhere, and it prints on A4."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from generator.report.figures import Report
from generator.report.page import Chart, Page

__all__ = ["render_html"]

_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("generator"),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_html(page: Page, report: Report) -> str:
    """The file. Raises ImportError where there is no Matplotlib to draw charts with."""
    # Imported here: only this format draws, and Matplotlib is an extra.
    from generator.report.charts import draw

    drawn = {
        (number, place): draw(block, report, f"{number}-{place}")
        for number, section in enumerate(page.sections)
        for place, block in enumerate(section.blocks)
        if isinstance(block, Chart)
    }
    template = _ENVIRONMENT.get_template("report.html.j2")
    return template.render(page=page, drawn=drawn) + "\n"
