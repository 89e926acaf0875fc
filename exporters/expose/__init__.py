"""Catalog → exposition text, and the HTTP server every exporter answers on."""

from exporters.expose.own import Own
from exporters.expose.server import add_serve_arguments, app, serve
from exporters.expose.text import (
    Family,
    HistogramSeries,
    LabelError,
    Series,
    histogram_series,
    render,
    series,
)

__all__ = [
    "Family",
    "HistogramSeries",
    "LabelError",
    "Own",
    "Series",
    "add_serve_arguments",
    "app",
    "histogram_series",
    "render",
    "series",
    "serve",
]
