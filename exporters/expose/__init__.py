"""Catalog → exposition text, and the HTTP server every exporter answers on."""

from exporters.expose.own import Own
from exporters.expose.server import add_serve_arguments, app, serve
from exporters.expose.sheet import Numbers, Sheet
from exporters.expose.text import (
    Exemplar,
    Family,
    HistogramSeries,
    LabelError,
    Series,
    histogram_series,
    many_series,
    render,
    series,
)
from exporters.expose.turns import breathe

__all__ = [
    "Exemplar",
    "Family",
    "HistogramSeries",
    "LabelError",
    "Numbers",
    "Own",
    "Series",
    "Sheet",
    "add_serve_arguments",
    "app",
    "breathe",
    "histogram_series",
    "many_series",
    "render",
    "series",
    "serve",
]
