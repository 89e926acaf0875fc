"""The type that the events of one model are decoded into: its features by name, numbers as numbers.

Decoding into a struct made for the model takes half the time of decoding into dictionaries, and
its values lie in the order in which they are counted. An event that does not fit (a feature of
another type, or one that is not known) is read as a dictionary instead; what it counts is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from exporters.sidecar.event import Event, Value
from exporters.sidecar.layout import Layout

__all__ = ["Features", "Row", "Shape"]

MAX_OTHERS = 50
"""Features without a place in the profile that a shape learns; an event with more is read as a
dictionary."""


MAX_NAME = 100


class Features(Struct, gc=False):
    """The features of one event. One that is absent and one that is null are the same: missing.

    It reads like a dictionary of the features that have a value. `places` are the positions of
    all names in `astuple`.
    """

    places: ClassVar[dict[str, int]] = {}
    numbers: ClassVar[int] = 0
    """How many of the first names hold a number or None."""
    others: ClassVar[int] = 0
    """How many of the last names no profile knows."""

    def get(self, name: str, default: Value = None) -> Value:
        """The value of a feature, or `default` where it is missing."""
        place = self.places.get(name)
        value: Value = None if place is None else astuple(self)[place]
        return default if value is None else value

    def __getitem__(self, name: str) -> Value:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return len(self.places) - astuple(self).count(None)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())

    def keys(self) -> KeysView[str]:
        """The names of the features that have a value."""
        return dict.fromkeys(self).keys()

    def items(self) -> list[tuple[str, Value]]:
        """The features that have a value."""
        return [
            (name, value)
            for name, value in zip(self.places, astuple(self), strict=True)
            if value is not None
        ]


Row = dict[str, Value] | Features
"""The features of an event, as one reads them."""


class Shape:
    """How the events of all versions of one model are decoded at once."""

    def __init__(self, layouts: Sequence[Layout], kind: type[Event] = Event) -> None:
        """`layouts` are the versions of one model; `kind` has the checks that all events pass."""
        self._name = layouts[0].model.name
        self._kind = kind
        numbers = {name: None for own in layouts for name in own.numbers.names}
        categories = {name: None for own in layouts for name in own.categories}
        # What one version has as a number and another as a category may be anything.
        self._numbers = [name for name in numbers if name not in categories]
        self._categories = list(categories)
        self._others: list[str] = []
        self._known = {*numbers, *categories}
        self._make()

    def learn_from(self, events: Iterable[object]) -> None:
        """Decode the features that these events have, too, from now on; a few of them."""
        new: dict[str, None] = {}
        for event in events:
            if not isinstance(event, Event) or event.model_name != self._name:
                continue
            if isinstance(event.features, dict):
                new |= dict.fromkeys(event.features.keys() - self._known)
        room = MAX_OTHERS - len(self._others)
        if new and room > 0:
            self._others += [name for name in new if len(name) <= MAX_NAME][:room]
            self._known.update(self._others)
            self._make()

    def _make(self) -> None:
        value = next(f.type for f in msgspec.structs.fields(self._kind) if f.name == "features")
        item = _value_type(value)
        names = [*self._numbers, *self._categories, *self._others]
        attributes = {f"f{place}": name for place, name in enumerate(names)}
        kinds: list[Any] = [float | None] * len(self._numbers)
        kinds += [item] * (len(names) - len(kinds))
        features = msgspec.defstruct(
            "Features",
            [(key, kind, None) for key, kind in zip(attributes, kinds, strict=True)],
            bases=(Features,),
            namespace={
                "places": {name: place for place, name in enumerate(names)},
                "numbers": len(self._numbers),
                "others": len(self._others),
            },
            rename=attributes,
            gc=False,
            forbid_unknown_fields=True,
        )
        event: Any = msgspec.defstruct(
            "Event",
            [
                ("model_name", Literal[self._name]),
                ("features", features | None, None),
            ],
            bases=(self._kind,),
            gc=False,
            forbid_unknown_fields=True,
        )
        self.one: msgspec.json.Decoder[Event] = msgspec.json.Decoder(event)
        self.many: msgspec.json.Decoder[list[Event]] = msgspec.json.Decoder(list[event])


def _value_type(features: Any) -> Any:
    """The type of one feature's value, with the limits that the kind of event sets."""
    for part in getattr(features, "__args__", ()):
        if getattr(part, "__origin__", None) is dict:
            return part.__args__[1] | None
        if (found := _value_type(part)) is not None:
            return found
    return None
