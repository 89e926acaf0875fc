"""Data and templates → the text of generated files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jinja2
import yaml

__all__ = ["quoted", "render_template", "render_yaml", "render_yaml_line"]

HEADER: Final = "# Generated from models.yaml by `make generate`; what is changed here is lost.\n"

try:
    _Base: Any = yaml.CSafeDumper
except AttributeError:  # PyYAML without libyaml: slower, otherwise the same
    _Base = yaml.SafeDumper


class _Dumper(_Base):  # type: ignore[misc]  # chosen at run time
    """Safe YAML without anchors."""

    def ignore_aliases(self, _: object) -> bool:
        return True


class _Quoted(str):
    """Text that stands in single quotes."""

    __slots__ = ()


def quoted(text: str) -> str:
    """Text that render_yaml puts in single quotes, as Alertmanager's matchers want it."""
    return _Quoted(text)


_Dumper.add_representer(
    _Quoted,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="'"),
)


def render_yaml(data: Mapping[str, Any]) -> str:
    """A YAML document in the order of `data`, below the line that says where it comes from."""
    return HEADER + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)


def render_yaml_line(value: object) -> str:
    """A value as it stands behind its key, on one line: `[a, b]`."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=4096,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def render_template(name: str, **values: object) -> str:
    """Render generator/templates/NAME. A value that the template does not know is an error."""
    return _environment().get_template(name).render(header=HEADER, **values)


@cache
def _environment() -> jinja2.Environment:
    # << >> because Prometheus's and Alertmanager's own templates are full of {{ }}.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("generator"),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["yaml"] = _scalar
    environment.filters["block"] = _block
    return environment


def _scalar(value: object) -> str:
    """A YAML scalar in quotes, whatever is in it."""
    text: str = yaml.dump(
        str(value), Dumper=_Dumper, default_style="'", allow_unicode=True, width=2**20
    )
    return text.removesuffix("\n")


def _block(text: str, indent: int) -> str:
    """A YAML literal block: the text line by line as it is."""
    lines = "".join(f"\n{' ' * indent}{line}" for line in text.splitlines())
    return f"|-{lines}"
