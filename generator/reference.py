"""docs/models.md: every key of models.yaml, from the types that read it."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from contract.quantity import ByteSize, Duration, HostPort, Ratio
from contract.spec import Hours, Spec
from contract.spec.performance import Drop
from contract.spec.section import (
    BareSecretFile,
    ExistingFile,
    ProfilePath,
    SecretFile,
    Section,
    WebUrl,
)
from contract.spec.serving import Expression
from generator.text import render_template, render_yaml_line

__all__ = ["Key", "Table", "render_reference", "sections", "tables"]

SIDE_BY_SIDE: Final = 3
"""Keys with the same section beside each other, beyond which they are not listed one by one."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section in words; `default` and `example` as YAML, empty where there is none."""

    name: str
    type: str
    required: bool
    default: str
    meaning: str
    example: str


@dataclass(frozen=True, slots=True)
class Table:
    """A section, and the places in the file that it stands at, such as `models[].slo`."""

    section: type[Section]
    title: str
    meaning: str
    keys: tuple[Key, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of value that is written in its own way."""

    words: str
    example: str
    written: Callable[[Any], object] = str


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.10g}%"


def _size(size: int) -> str:
    unit, factor = next((u, f) for u, f in _SIZES.items() if size >= f)
    return f"{size / factor:g}{unit}"


_SIZES: Final = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}


def _validator(annotated: Any) -> object:
    """What tells such a type from others: the function that reads it."""
    return next(m.func for m in annotated.__metadata__ if isinstance(m, BeforeValidator))


_READ_BY: Final[dict[object, _Kind]] = {
    _validator(Ratio): _Kind("percentage", "99.9%", _percent),
    _validator(ByteSize): _Kind("size", "10GB", _size),
    _validator(HostPort): _Kind("host:port", "127.0.0.1:9101"),
    _validator(WebUrl): _Kind("address", "https://example.com/hook"),
    _validator(ExistingFile): _Kind("file", "files/example.pem"),
    _validator(SecretFile): _Kind("file", "secrets/example"),
    _validator(BareSecretFile): _Kind("file", "secrets/example"),
    _validator(ProfilePath): _Kind("file", "profiles/fraud.json"),
    _validator(Expression): _Kind("JMESPath", "outputs[0].data"),
}
_PLAIN: Final[dict[object, _Kind]] = {
    Duration: _Kind("duration", "5m"),
    Drop: _Kind("number or percentage", "5%"),
    Hours: _Kind("hours", "22:00-07:00"),
    dt.datetime: _Kind("time", "2026-10-01"),
    str: _Kind("text", ""),
    int: _Kind("whole number", "100", int),
    float: _Kind("number", "0.5", float),
    bool: _Kind("true or false", "true", bool),
}


def render_reference() -> dict[str, str]:
    """The page's path below the output folder, and its text."""
    return {"docs/models.md": render_template("docs/models.md.j2", tables=tables(), cell=_cell)}


def sections() -> list[type[Section]]:
    """The types of the sections of models.yaml."""
    return [table.section for table in tables()]


def tables() -> list[Table]:
    """The sections of models.yaml, each once, in the order in which a file has them."""
    found: dict[type[Section], list[str]] = {}
    _find(Spec, "", found)
    titles = {section: _title(places) for section, places in found.items()}
    return [
        Table(
            section,
            titles[section],
            inspect.cleandoc(section.__doc__ or "") if section is not Spec else "",
            tuple(_keys(section, titles)),
            tuple(_folded(places)) if section is not Spec else (),
        )
        for section, places in found.items()
    ]


def _find(section: type[Section], place: str, found: dict[type[Section], list[str]]) -> None:
    found.setdefault(section, []).append(place)
    hints = get_type_hints(section, include_extras=True)
    for name, info in section.model_fields.items():
        for inner, suffix in _sections(hints[name]):
            _find(inner, f"{place}.{info.alias or name}{suffix}".removeprefix("."), found)


def _folded(places: Sequence[str]) -> list[str]:
    """Places side by side as one: `models[].performance.KEY`."""
    beside = Counter(place.rpartition(".")[0] for place in places)
    folded = (
        f"{above}.KEY" if beside[above] > SIDE_BY_SIDE else place
        for place in places
        for above in [place.rpartition(".")[0]]
    )
    return list(dict.fromkeys(folded))


def _title(places: Sequence[str]) -> str:
    """The place at a model, if there is one: most people look there."""
    folded = _folded(places)
    return (
        next((place for place in folded if place.startswith("models[]")), folded[0]) or "The file"
    )


def _sections(hint: Any) -> Iterator[tuple[type[Section], str]]:
    """The sections in a type, with what stands between the key and them: [] or .NAME."""
    if isinstance(hint, type) and issubclass(hint, Section):
        yield hint, ""
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _sections(arguments[0])
    elif origin is tuple:
        for section, rest in _sections(arguments[0]):
            kind = _kind_of_item(section)
            yield section, f"[do={kind}]{rest}" if kind else f"[]{rest}"
    elif origin is dict:
        yield from ((section, f".NAME{rest}") for section, rest in _sections(arguments[1]))
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _sections(argument)


def _kind_of_item(section: type[Section]) -> str:
    """What stands under `do:` of an item of a list whose items are told apart by it."""
    do = section.model_fields.get("do")
    return get_args(do.annotation)[0] if do else ""


# One key


def _keys(section: type[Section], titles: Mapping[type[Section], str]) -> Iterator[Key]:
    hints = get_type_hints(section, include_extras=True)
    for name, info in section.model_fields.items():
        yield _key(name, hints[name], info, titles)


def _key(name: str, hint: Any, info: FieldInfo, titles: Mapping[type[Section], str]) -> Key:
    kind = _kind(hint, titles)
    default = None if info.default is PydanticUndefined else info.default
    return Key(
        name=info.alias or name,
        type=kind.words,
        required=info.is_required(),
        default=_default(default, kind),
        meaning=" ".join((info.description or "").split()),
        example=_example(default, kind, info),
    )


def _default(value: object, kind: _Kind) -> str:
    empty = value is None or value in ("", (), {})
    return "" if empty or isinstance(value, Section) else render_yaml_line(kind.written(value))


def _example(default: object, kind: _Kind, info: FieldInfo) -> str:
    if info.examples:
        return render_yaml_line(info.examples[0])
    return _default(default, kind) or kind.example


def _kind(hint: Any, titles: Mapping[type[Section], str]) -> _Kind:
    """The kind of value that a type stands for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        read_by = [m.func for m in hint.__metadata__ if isinstance(m, BeforeValidator)]
        known = [_READ_BY[func] for func in read_by if func in _READ_BY]
        return known[0] if known else _kind(arguments[0], titles)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Section):
        return _Kind(f"[mapping](#{_anchor(titles[hint])})", "", _section_as_written)
    if origin is Literal:
        words = "one of " + ", ".join(f"`{value}`" for value in arguments if value)
        return _Kind(words, str(arguments[0]))
    if origin is tuple:
        return _list_of(_kind(arguments[0], titles))
    if origin is dict:
        key, value = (_kind(argument, titles) for argument in arguments)
        return _Kind(
            f"{value.words} by {'name' if key.words == 'text' else key.words}",
            "",
            lambda values: {name: value.written(each) for name, each in values.items()},
        )
    if origin in (Union, types.UnionType):
        if len(kinds := [s for s, _ in _sections(hint) if _kind_of_item(s)]) > 1:
            links = (f"[{_kind_of_item(s)}](#{_anchor(titles[s])})" for s in kinds)
            return _Kind(", ".join(links), "", _section_as_written)
        some = next(argument for argument in arguments if argument is not types.NoneType)
        return _kind(some, titles)
    raise TypeError(f"no words for {hint}: add them to generator.reference")


def _list_of(item: _Kind) -> _Kind:
    return _Kind(
        f"list of {item.words}",
        f"[{item.example}]" if item.example else "",
        lambda values: [item.written(value) for value in values],
    )


def _section_as_written(section: Section) -> dict[str, object]:
    hints = get_type_hints(type(section), include_extras=True)
    return {
        info.alias or name: _kind(hints[name], {}).written(getattr(section, name))
        for name, info in type(section).model_fields.items()
        if name in section.model_fields_set
    }


def _anchor(title: str) -> str:
    """The anchor of a heading, as GitHub and others make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
