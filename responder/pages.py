"""The responder's pages for people: the last notifications, and the runbooks.

Everything that comes from outside is escaped; a link leads only to http or https.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from responder.notification import Notification

__all__ = ["notifications_page", "page", "runbook_page", "runbooks_page", "table"]

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem;
  border-bottom: 1px solid #8884 }
pre { white-space: pre-wrap; max-width: 50rem; font: 14px/1.6 ui-monospace, monospace }
.firing { font-weight: 600 } .critical, .error { color: #d03030 } .warning { color: #b07000 }
"""

# The pages run no script and load nothing, whatever stands in an annotation or a runbook.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}

_COLUMNS: Final = (
    "received",
    "status",
    "severity",
    "alert",
    "model",
    "team",
    "value",
    "threshold",
    "what",
    "links",
)


def notifications_page(notifications: Sequence[Notification]) -> HTMLResponse:
    """A table of notifications, in their order."""
    if not notifications:
        return page("Notifications", "<p>None yet, or none that fit.</p>")
    return page("Notifications", table(_COLUMNS, map(_cells, notifications)))


def runbooks_page(names: Iterable[str], *, unknown: str = "") -> HTMLResponse:
    """The list of runbooks; with `unknown`, the answer 404 to who asked for that one."""
    items = "".join(f'<li><a href="/runbooks/{escape(n)}">{escape(n)}</a>' for n in names)
    listed = f"<ul>{items}</ul>" if items else "<p>There are none in this folder.</p>"
    if not unknown:
        return page("Runbooks", listed)
    return page(
        "No such runbook", f"<p>None is called {escape(unknown)}. There are:</p>{listed}", 404
    )


def runbook_page(name: str, text: str) -> HTMLResponse:
    """One runbook, as it was written: Markdown reads well without being rendered."""
    return page(
        name, f'<pre>{escape(text)}</pre><p><a href="/runbooks">All runbooks</a>', bare=True
    )


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; its cells are HTML already."""
    head = "".join(f"<th>{escape(name)}" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def page(title: str, body: str, status: int = 200, *, bare: bool = False) -> HTMLResponse:
    """A whole page around a body that is HTML already."""
    heading = "" if bare else f"<h1>{escape(title)}</h1>"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>{heading}{body}</html>\n",
        status,
        headers=_HEADERS,
    )


def _cells(n: Notification) -> tuple[str, ...]:
    links = " ".join(
        _link(url, name)
        for name, url in (
            ("runbook", n.links.runbook),
            ("dashboard", n.links.dashboard),
            ("expression", n.links.generator),
        )
    )
    return (
        f"{n.time:%Y-%m-%d %H:%M:%S} UTC",
        f'<span class="{escape(n.status)}">{escape(n.status)}</span>',
        f'<span class="{escape(n.severity)}">{escape(n.severity)}</span>',
        escape(n.alertname),
        escape(f"{n.model} {n.version}".strip()),
        escape(n.team),
        "" if n.value is None else f"{n.value:.6g}",
        "" if n.threshold is None else f"{n.threshold:.6g}",
        escape(n.summary),
        links,
    )


def _link(url: str | None, name: str) -> str:
    if not url or not url.startswith(("http://", "https://")):
        return ""
    return f'<a href="{escape(url)}" rel="noreferrer">{name}</a>'
