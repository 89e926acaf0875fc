"""Our series under names, labels and units of other GPU exporters, for dashboards made for them.

They are recorded only where `gpu.compatibility` of models.yaml asks for it. What another exporter
gives and ours does not is left out, and so is what would have to be guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract import catalog
from contract.catalog import Metric
from contract.spec import Dialect, Spec
from generator.queries.recorded_gpu import DEVICE, THROTTLING
from generator.queries.windows import ONE_MINUTE, window

__all__ = ["Translation", "translations"]

_MIB: Final = 2**20
_ON_DEVICE: Final = f"on ({', '.join(DEVICE)})"
_DCGM_LABELS: Final = (
    "gpu",
    "UUID",
    "device",
    "modelName",
    "Hostname",
    "DCGM_FI_DRIVER_VERSION",
)
_SMI_LABELS: Final = ("uuid",)
_WHERE: Final = ("job", "instance")


@dataclass(frozen=True, slots=True)
class Translation:
    """One series under another exporter's name: a recording rule."""

    name: str
    source: str
    """Our metric, as docs/metrics.md writes it."""
    help: str
    expression: Callable[[Spec], str]

    def __str__(self) -> str:
        return self.name


def translations(dialect: Dialect) -> tuple[Translation, ...]:
    """The series of another exporter: first who each GPU is in its words, then its figures."""
    return {"dcgm": _dcgm, "nvidia_smi": _nvidia_smi}[dialect]()


def _relabelled(expression: str, *changes: tuple[str, str, str, str]) -> str:
    """`expression` with labels made of others: (new label, value, of label, regex)."""
    for new, value, old, regex in changes:
        expression = f'label_replace({expression}, "{new}", "{value}", "{old}", "{regex}")'
    return expression


def _scaled(series: str, factor: float) -> str:
    if factor == 1:
        return series
    return f"{series} * {factor:.12g}" if factor > 1 else f"{series} / {1 / factor:.12g}"


def _select(metric: Metric, matchers: str) -> str:
    return f"{metric}{{{matchers}}}" if matchers else str(metric)


def _source(metric: Metric, factor: float, matchers: str) -> str:
    return f"`{_scaled(_select(metric, matchers), factor)}`"


# DCGM-exporter

_Row = tuple[str, Metric, float, str]
"""The other name, our metric, what to multiply it by, and further matchers."""

_DCGM_ROWS: Final[tuple[_Row, ...]] = (
    ("DCGM_FI_DEV_GPU_UTIL", catalog.GPU_UTILIZATION, 100, ""),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", catalog.GPU_MEMORY_UTILIZATION, 100, ""),
    ("DCGM_FI_DEV_ENC_UTIL", catalog.GPU_ENCODER_UTILIZATION, 100, ""),
    ("DCGM_FI_DEV_DEC_UTIL", catalog.GPU_DECODER_UTILIZATION, 100, ""),
    ("DCGM_FI_DEV_FB_USED", catalog.GPU_MEMORY_USED, 1 / _MIB, ""),
    ("DCGM_FI_DEV_FB_FREE", catalog.GPU_MEMORY_FREE, 1 / _MIB, ""),
    ("DCGM_FI_DEV_FB_RESERVED", catalog.GPU_MEMORY_RESERVED, 1 / _MIB, ""),
    ("DCGM_FI_DEV_FB_TOTAL", catalog.GPU_MEMORY_TOTAL, 1 / _MIB, ""),
    ("DCGM_FI_DEV_GPU_TEMP", catalog.GPU_TEMPERATURE, 1, ""),
    ("DCGM_FI_DEV_MEMORY_TEMP", catalog.GPU_MEMORY_TEMPERATURE, 1, ""),
    ("DCGM_FI_DEV_POWER_USAGE", catalog.GPU_POWER, 1, ""),
    ("DCGM_FI_DEV_POWER_MGMT_LIMIT", catalog.GPU_POWER_LIMIT, 1, ""),
    ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", catalog.GPU_ENERGY, 1000, ""),
    ("DCGM_FI_DEV_SM_CLOCK", catalog.GPU_SM_CLOCK, 1e-6, ""),
    ("DCGM_FI_DEV_MEM_CLOCK", catalog.GPU_MEMORY_CLOCK, 1e-6, ""),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", catalog.GPU_PCIE_REPLAYS, 1, ""),
    ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", catalog.GPU_ECC_ERRORS, 1, 'error="corrected"'),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", catalog.GPU_ECC_ERRORS, 1, 'error="uncorrected"'),
    ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", catalog.GPU_ECC_LIFETIME_ERRORS, 1, 'error="corrected"'),
    ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", catalog.GPU_ECC_LIFETIME_ERRORS, 1, 'error="uncorrected"'),
    ("DCGM_FI_DEV_RETIRED_SBE", catalog.GPU_RETIRED_PAGES, 1, 'cause="single_bit"'),
    ("DCGM_FI_DEV_RETIRED_DBE", catalog.GPU_RETIRED_PAGES, 1, 'cause="double_bit"'),
    ("DCGM_FI_DEV_RETIRED_PENDING", catalog.GPU_RETIRED_PAGES_PENDING, 1, ""),
    ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", catalog.GPU_REMAPPED_ROWS, 1, 'cause="corrected"'),
    (
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        catalog.GPU_REMAPPED_ROWS,
        1,
        'cause="uncorrected"',
    ),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", catalog.GPU_ROW_REMAP_FAILED, 1, ""),
    # Both say for how much of the time anything ran; ours is the driver's own sample.
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", catalog.GPU_UTILIZATION, 1, ""),
    ("DCGM_FI_PROF_SM_ACTIVE", catalog.GPU_SM_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_SM_OCCUPANCY", catalog.GPU_SM_OCCUPANCY, 1, ""),
    ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", catalog.GPU_TENSOR_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_DRAM_ACTIVE", catalog.GPU_DRAM_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_PIPE_FP64_ACTIVE", catalog.GPU_FP64_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_PIPE_FP32_ACTIVE", catalog.GPU_FP32_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_PIPE_FP16_ACTIVE", catalog.GPU_FP16_ACTIVE, 1, ""),
    ("DCGM_FI_PROF_PCIE_TX_BYTES", catalog.GPU_PCIE_TRANSMIT, 1, ""),
    ("DCGM_FI_PROF_PCIE_RX_BYTES", catalog.GPU_PCIE_RECEIVE, 1, ""),
)


def _dcgm() -> tuple[Translation, ...]:
    identity = "dcgm:ml_gpu_info"
    labels = ", ".join((*_WHERE, *_DCGM_LABELS))

    def who(_: Spec) -> str:
        return _relabelled(
            f"group by (job, {', '.join(DEVICE)}, gpu_name, driver_version) ({catalog.GPU_INFO})",
            ("gpu", "$1", "gpu_id", "(.+)"),
            ("device", "nvidia$1", "gpu_id", "(.+)"),
            ("UUID", "$1", "gpu_uuid", "(.+)"),
            ("modelName", "$1", "gpu_name", "(.+)"),
            ("Hostname", "$1", "instance", "(.+?)(:[0-9]+)?"),
            ("DCGM_FI_DRIVER_VERSION", "$1", "driver_version", "(.+)"),
        )

    def figure(row: _Row) -> Translation:
        name, metric, factor, matchers = row
        series = _scaled(_select(metric, matchers), factor)
        copied = ", ".join(_DCGM_LABELS)
        return Translation(
            name,
            _source(metric, factor, matchers),
            f"{metric} as DCGM-exporter has it.",
            lambda _: (
                f"max by ({labels}) (\n  {series}"
                f" * {_ON_DEVICE} group_left ({copied}) {identity}\n)"
            ),
        )

    source = f"`{catalog.GPU_INFO}`"
    first = Translation(
        identity, source, "Always 1; each GPU with the labels of DCGM-exporter.", who
    )
    return (first, *map(figure, _DCGM_ROWS))


# nvidia_gpu_exporter

_SMI_ROWS: Final[tuple[_Row, ...]] = (
    ("nvidia_smi_utilization_gpu_ratio", catalog.GPU_UTILIZATION, 1, ""),
    ("nvidia_smi_utilization_memory_ratio", catalog.GPU_MEMORY_UTILIZATION, 1, ""),
    ("nvidia_smi_utilization_encoder_ratio", catalog.GPU_ENCODER_UTILIZATION, 1, ""),
    ("nvidia_smi_utilization_decoder_ratio", catalog.GPU_DECODER_UTILIZATION, 1, ""),
    ("nvidia_smi_memory_used_bytes", catalog.GPU_MEMORY_USED, 1, ""),
    ("nvidia_smi_memory_free_bytes", catalog.GPU_MEMORY_FREE, 1, ""),
    ("nvidia_smi_memory_total_bytes", catalog.GPU_MEMORY_TOTAL, 1, ""),
    ("nvidia_smi_memory_reserved_bytes", catalog.GPU_MEMORY_RESERVED, 1, ""),
    ("nvidia_smi_temperature_gpu", catalog.GPU_TEMPERATURE, 1, ""),
    ("nvidia_smi_temperature_memory", catalog.GPU_MEMORY_TEMPERATURE, 1, ""),
    ("nvidia_smi_temperature_gpu_tlimit", catalog.GPU_TEMPERATURE_MARGIN, 1, ""),
    ("nvidia_smi_power_draw_watts", catalog.GPU_POWER, 1, ""),
    ("nvidia_smi_enforced_power_limit_watts", catalog.GPU_POWER_LIMIT, 1, ""),
    ("nvidia_smi_power_limit_watts", catalog.GPU_POWER_LIMIT, 1, ""),
    ("nvidia_smi_energy_joules_total", catalog.GPU_ENERGY, 1, ""),
    ("nvidia_smi_clocks_current_sm_clock_hz", catalog.GPU_SM_CLOCK, 1, ""),
    # One clock drives both; the driver gives two names to it.
    ("nvidia_smi_clocks_current_graphics_clock_hz", catalog.GPU_SM_CLOCK, 1, ""),
    ("nvidia_smi_clocks_current_memory_clock_hz", catalog.GPU_MEMORY_CLOCK, 1, ""),
    ("nvidia_smi_clocks_max_sm_clock_hz", catalog.GPU_SM_CLOCK_LIMIT, 1, ""),
    ("nvidia_smi_clocks_max_graphics_clock_hz", catalog.GPU_SM_CLOCK_LIMIT, 1, ""),
    ("nvidia_smi_clocks_max_memory_clock_hz", catalog.GPU_MEMORY_CLOCK_LIMIT, 1, ""),
    ("nvidia_smi_pstate", catalog.GPU_PERFORMANCE_STATE, 1, ""),
    ("nvidia_smi_persistence_mode", catalog.GPU_PERSISTENCE_MODE, 1, ""),
    ("nvidia_smi_mig_mode_current", catalog.GPU_MIG_ENABLED, 1, ""),
    ("nvidia_smi_ecc_mode_current", catalog.GPU_ECC_ENABLED, 1, ""),
    (
        "nvidia_smi_ecc_errors_corrected_volatile_total",
        catalog.GPU_ECC_ERRORS,
        1,
        'error="corrected"',
    ),
    (
        "nvidia_smi_ecc_errors_uncorrected_volatile_total",
        catalog.GPU_ECC_ERRORS,
        1,
        'error="uncorrected"',
    ),
    (
        "nvidia_smi_ecc_errors_corrected_aggregate_total",
        catalog.GPU_ECC_LIFETIME_ERRORS,
        1,
        'error="corrected"',
    ),
    (
        "nvidia_smi_ecc_errors_uncorrected_aggregate_total",
        catalog.GPU_ECC_LIFETIME_ERRORS,
        1,
        'error="uncorrected"',
    ),
    ("nvidia_smi_remapped_rows_correctable", catalog.GPU_REMAPPED_ROWS, 1, 'cause="corrected"'),
    ("nvidia_smi_remapped_rows_uncorrectable", catalog.GPU_REMAPPED_ROWS, 1, 'cause="uncorrected"'),
    ("nvidia_smi_remapped_rows_pending", catalog.GPU_ROW_REMAP_PENDING, 1, ""),
    ("nvidia_smi_remapped_rows_failure", catalog.GPU_ROW_REMAP_FAILED, 1, ""),
    ("nvidia_smi_pcie_throughput_tx_bytes_per_second", catalog.GPU_PCIE_TRANSMIT, 1, ""),
    ("nvidia_smi_pcie_throughput_rx_bytes_per_second", catalog.GPU_PCIE_RECEIVE, 1, ""),
)
_SMI_UUID: Final = ("uuid", "$1", "gpu_uuid", "(?:GPU-)?(.+)")
"""It writes a GPU's UUID without the prefix."""


def _smi_figure(
    name: str, metric: Metric, series: Callable[[Spec], str], *more: str, matchers: str = ""
) -> Translation:
    labels = ", ".join((*_WHERE, *_SMI_LABELS, *more))
    return Translation(
        name,
        _source(metric, 1, matchers),
        f"{metric} as nvidia_gpu_exporter has it.",
        lambda spec: f"max by ({labels}) (\n  {_relabelled(series(spec), _SMI_UUID)}\n)",
    )


def _nvidia_smi() -> tuple[Translation, ...]:
    def row(one: _Row) -> Translation:
        name, metric, factor, matchers = one
        series = _scaled(_select(metric, matchers), factor)
        return _smi_figure(name, metric, lambda _: series, matchers=matchers)

    return (
        _smi_info(),
        *map(row, _SMI_ROWS),
        *(_smi_reason(reason) for reason in (*THROTTLING, "gpu_idle")),
        _smi_figure(
            "nvidia_smi_xid_errors_total",
            catalog.GPU_XID_ERRORS,
            lambda _: str(catalog.GPU_XID_ERRORS),
            "xid",
        ),
        _smi_figure(
            "nvidia_smi_xid_last_timestamp_seconds",
            catalog.GPU_XID_LAST,
            lambda _: str(catalog.GPU_XID_LAST),
            "xid",
        ),
    )


def _smi_info() -> Translation:
    labels = ", ".join((*_WHERE, *_SMI_LABELS, "index", "name", "driver_version", "cuda_version"))

    def who(_: Spec) -> str:
        named = _relabelled(
            f"{catalog.GPU_INFO} * on (job, instance) group_left (cuda_version)"
            f" group by (job, instance, cuda_version) ({catalog.GPU_DRIVER_INFO})",
            _SMI_UUID,
            ("index", "$1", "gpu_id", "(.+)"),
            ("name", "$1", "gpu_name", "(.+)"),
        )
        return f"max by ({labels}) (\n  {named}\n)"

    return Translation(
        "nvidia_smi_gpu_info",
        f"`{catalog.GPU_INFO}`, `{catalog.GPU_DRIVER_INFO}`",
        "Always 1; each GPU with the labels of nvidia_gpu_exporter.",
        who,
    )


def _smi_reason(reason: str) -> Translation:
    matchers = f'reason="{reason}"'

    def active(spec: Spec) -> str:
        seconds = _select(catalog.GPU_CLOCK_EVENT_SECONDS, matchers)
        return f"rate({seconds}[{window(spec, ONE_MINUTE)}]) > bool 0"

    name = f"nvidia_smi_clocks_event_reasons_{reason}"
    return _smi_figure(name, catalog.GPU_CLOCK_EVENT_SECONDS, active, matchers=matchers)
