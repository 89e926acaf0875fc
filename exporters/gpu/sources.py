"""The tables of signals at work on one GPU: calls and fields, each remembering what is known."""

from __future__ import annotations

from collections.abc import Sequence

from contract import catalog
from contract.catalog import Metric
from exporters.gpu.nvml import UNSUPPORTED, Driver, Handle, NvmlError
from exporters.gpu.signals import (
    SENSOR_GPU,
    SLOWDOWN,
    Answer,
    Ask,
    Field,
    Tier,
    key,
)

__all__ = ["AskSource", "FieldSource", "LinkSource", "MarginSource"]


class AskSource:
    """One row of the table of calls."""

    def __init__(self, driver: Driver, handle: Handle, ask: Ask) -> None:
        self._driver = driver
        self._handle = handle
        self._use(ask)
        self.tier = ask.tier
        self.metrics = tuple(dict.fromkeys(value.metric for value in ask.values))

    def _use(self, ask: Ask) -> None:
        self._ask = ask
        self._values = [(value.key, value.convert) for value in ask.values]

    def read(self) -> Answer:
        """Ask; what the driver does not know is asked the other way from then on."""
        ask = self._ask
        try:
            raw = self._driver.call(ask.call, self._handle, *ask.arguments)
        except NvmlError as error:
            if ask.instead is None or error.name not in UNSUPPORTED:
                raise
            self._use(ask.instead)
            return self.read()
        values = [(name, convert(raw)) for name, convert in self._values]
        return Answer({name: value for name, value in values if value is not None})


class FieldSource:
    """All fields of a tier, in one call; a field that is not known is not asked for again."""

    def __init__(self, driver: Driver, handle: Handle, tier: Tier, fields: Sequence[Field]) -> None:
        self._driver = driver
        self._handle = handle
        self._ids = {field: list(field.ids) for field in fields}
        self.tier = tier
        self.metrics: tuple[Metric, ...] = tuple(
            dict.fromkeys(field.value.metric for field in fields)
        )

    def read(self) -> Answer:
        """Read all fields that are known. Raises NvmlError where none is."""
        answer = Answer()
        while asked := [(field, ids[0]) for field, ids in self._ids.items() if ids]:
            got = self._driver.fields(self._handle, [(number, f.scope) for f, number in asked])
            if not self._take(asked, got, answer):
                return answer
            answer = Answer()
        raise NvmlError("not_supported", "no field of this tier is supported")

    def _take(
        self, asked: Sequence[tuple[Field, int]], got: Sequence[float | NvmlError], answer: Answer
    ) -> bool:
        """Keep what came; whether to ask again, because a field is known by another number."""
        again = False
        for (field, number), value in zip(asked, got, strict=True):
            if not isinstance(value, NvmlError):
                converted = field.value.convert(value)
                if converted is not None:
                    answer.values[field.value.key] = converted
            elif value.name in UNSUPPORTED:
                self._ids[field].remove(number)
                again = again or bool(self._ids[field]) or not any(self._ids.values())
            else:
                answer.errors.append((field.value.metric, value.name))
        return again


class MarginSource:
    """Degrees until the GPU slows down: NVML's own figure, else from threshold and temperature."""

    tier = Tier.SLOW
    metrics: tuple[Metric, ...] = (catalog.GPU_TEMPERATURE_MARGIN,)

    def __init__(self, driver: Driver, handle: Handle) -> None:
        self._driver = driver
        self._handle = handle
        self._own = True
        self._threshold: int | None = None

    def read(self) -> Answer:
        """Read or compute it."""
        if self._own:
            try:
                margin = self._driver.call("nvmlDeviceGetMarginTemperature", self._handle)
                return Answer({key(catalog.GPU_TEMPERATURE_MARGIN): margin})
            except NvmlError as error:
                if error.name not in UNSUPPORTED:
                    raise
                self._own = False
        if self._threshold is None:
            self._threshold = self._driver.call(
                "nvmlDeviceGetTemperatureThreshold", self._handle, SLOWDOWN
            )
        now = self._driver.call("nvmlDeviceGetTemperature", self._handle, SENSOR_GPU)
        return Answer({key(catalog.GPU_TEMPERATURE_MARGIN): self._threshold - now})


class LinkSource:
    """How many NVLinks are up."""

    tier = Tier.SLOW
    metrics: tuple[Metric, ...] = (catalog.GPU_NVLINK_ACTIVE,)

    MOST = 36
    """More links than any GPU has; the first that is not there ends the counting."""

    def __init__(self, driver: Driver, handle: Handle) -> None:
        self._driver = driver
        self._handle = handle

    def read(self) -> Answer:
        """Count them. Raises NvmlError where the GPU has none."""
        active = 0
        for link in range(self.MOST):
            try:
                active += self._driver.call("nvmlDeviceGetNvLinkState", self._handle, link)
            except NvmlError as error:
                if link == 0 or error.name not in UNSUPPORTED:
                    raise
                break
        return Answer({key(catalog.GPU_NVLINK_ACTIVE): active})
