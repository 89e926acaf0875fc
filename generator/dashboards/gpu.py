"""GPUs: is anything wrong, with which, whose is it, and why?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.spec import Spec
from generator.dashboards.alerting import SEVERITY_COLOURS, alert_table
from generator.dashboards.field import Steps, Unit, by_name, dashed
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, state_timeline, time_series
from generator.dashboards.shell import link_to_model, render, variable
from generator.dashboards.tables import Column, Link, table
from generator.queries import gpu, marks
from generator.queries.recorded_gpu import MEMORY_RATIO, THROTTLED, UTILIZATION

__all__ = ["render_gpu"]

NO_GPU: Final = "No data: no GPU exporter shows a GPU here"
NOT_GIVEN: Final = "No data: these GPUs or their driver do not give it"
NO_MODEL: Final = "No data: no process of a known model runs on these GPUs"
NO_GPM: Final = (
    "No data: profiling figures (GPM) need Hopper or later, and a driver that gives them"
)
GPU: Final = "GPU {{gpu_id}} of {{instance}}"
MODEL: Final = "{{model_name}} {{model_version}}"
OF_GPU: Final = Link(
    "Show this GPU alone",
    "/d/ml-gpu?${datasource:queryparam}&${__url_time_range}"
    '&var-machine=${__data.fields["Machine"]}&var-gpu=${__data.fields["UUID"]}',
)
DEVICE_COLUMNS: Final = (
    Column(source="instance", title="Machine"),
    Column(source="gpu_id", title="GPU", width=60),
    Column(source="gpu_uuid", title="UUID", link=OF_GPU),
)


def render_gpu(spec: Spec) -> str:
    """The text of gpu.json."""
    return render(
        uid="ml-gpu",
        title="ML GPUs",
        description="The GPUs that models run on: is anything wrong, with which one, and why?",
        variables=[
            variable("machine", "Machine", gpu.machines_variable(), many=True),
            variable("gpu", "GPU", gpu.gpus_variable(), many=True),
        ],
        marks=marks.of_all(gpu.alert_annotations()),
        rows=[
            Row(1, "Is anything wrong?", _numbers()),
            Row(2, "With which GPU, and since when?", (_gpus(), *_alerts(spec))),
            Row(3, "Is there memory?", _memory()),
            Row(4, "Who uses the GPUs, and what does a request cost?", _models()),
            Row(5, "Do they work?", _work()),
            Row(6, "Are they held back?", _limits()),
            Row(7, "Does the data get through?", _links()),
            Row(8, "Is the hardware well?", _health()),
            Row(9, "What are they, and how are they read?", _reading()),
        ],
    )


def _numbers() -> tuple[Tile, ...]:
    return (
        stat(
            "Are these GPUs real?",
            "Simulated: the driver is the demo's own and the numbers on this page are made up.",
            Query(gpu.simulated(), "simulated"),
            unit=Unit.NONE,
            no_data="No driver answers",
            steps=Steps(at=((1, "purple"),)),
            mappings={"0": ("real", "green"), "1": ("simulated", "purple")},
            width=3,
        ),
        stat(
            "Alerts that fire",
            "Alerts about the chosen GPUs by severity, but for info: an idle GPU is no trouble.",
            Query(gpu.firing("critical"), "critical"),
            Query(gpu.firing("error"), "error"),
            Query(gpu.firing("warning"), "warning"),
            unit=Unit.COUNT,
            no_data="Prometheus does not answer",
            overrides=[
                by_name(name, thresholds=Steps(at=((1, colour),)).to_json())
                for name, colour in SEVERITY_COLOURS.items()
                if name != "info"
            ],
            width=5,
        ),
        stat(
            "GPUs",
            "GPUs that answer now; those that did since the exporters started and are lost; and "
            "those that models.yaml expects, where it says so (gpu.expected).",
            Query(gpu.answering(), "answer"),
            Query(gpu.lost(), "lost"),
            Query(gpu.expected(), "expected"),
            unit=Unit.COUNT,
            no_data=NO_GPU,
            overrides=[by_name("lost", thresholds=Steps(at=((1, "red"),)).to_json())],
            width=5,
        ),
        stat(
            "Memory full in",
            "Time until the memory of the first of the GPUs is full, at the pace of the last half "
            "hour.",
            Query(gpu.closest_to_full(), "full in"),
            unit=Unit.SECONDS,
            no_data="None grows",
            steps=Steps(at=((3600, "orange"), (4 * 3600, "green")), base="red"),
            decimals=0,
            width=3,
        ),
        stat(
            "Degrees to slowdown",
            "Degrees (celsius) that the hottest of the GPUs has left until it lowers its clocks.",
            Query(gpu.least_margin(), "left"),
            unit=Unit.CELSIUS,
            no_data="Not given",
            steps=Steps(at=((5, "orange"), (10, "green")), base="red"),
            decimals=0,
            width=4,
        ),
        stat(
            "Age of the readings",
            "Time since the oldest kind of reading was finished. It grows while the driver hangs, "
            "and what this page says gets as old.",
            Query(gpu.age(), "ago"),
            unit=Unit.SECONDS,
            no_data=NO_GPU,
            steps=Steps(at=((60, "orange"), (300, "red"))),
            decimals=0,
            width=4,
        ),
    )


def _gpus() -> Tile:
    return table(
        "Every GPU",
        "One row for each GPU. A cell is empty where the GPU or its driver does not give the "
        "figure, and where the GPU is lost. XIDs are errors of the driver since the exporter "
        "started, memory errors those that could not be corrected since the driver was loaded.",
        Query(gpu.answers()),
        Query(gpu.of_device(MEMORY_RATIO)),
        Query(gpu.of_device(UTILIZATION)),
        Query(gpu.of_device(catalog.GPU_TEMPERATURE_MARGIN)),
        Query(gpu.power_of_limit()),
        Query(gpu.of_device(THROTTLED)),
        Query(gpu.clock_of_limit()),
        Query(gpu.xids()),
        Query(gpu.uncorrectable()),
        columns=[
            *DEVICE_COLUMNS,
            Column(
                source="A",
                title="Answers",
                steps=Steps(at=((1, "green"),), base="red"),
                width=80,
            ),
            Column(
                source="B",
                title="Memory",
                unit=Unit.RATIO,
                decimals=0,
                steps=Steps(at=((0.9, "yellow"), (0.97, "orange"))),
            ),
            Column(source="C", title="Busy", unit=Unit.RATIO, decimals=0),
            Column(
                source="D",
                title="To slowdown",
                unit=Unit.CELSIUS,
                decimals=0,
                steps=Steps(at=((5, "orange"), (10, "green")), base="red"),
            ),
            Column(source="E", title="Power, of limit", unit=Unit.RATIO, decimals=0),
            Column(
                source="F",
                title="Throttled",
                unit=Unit.RATIO,
                decimals=0,
                steps=Steps(at=((0.1, "yellow"), (0.5, "orange"))),
            ),
            Column(source="G", title="Clock, of highest", unit=Unit.RATIO, decimals=0),
            Column(source="H", title="XIDs", steps=Steps(at=((1, "orange"),))),
            Column(source="I", title="Memory errors", steps=Steps(at=((1, "red"),))),
        ],
        sort="Memory",
        no_data=NO_GPU,
        height=8,
    )


def _alerts(spec: Spec) -> tuple[Tile, ...]:
    return (
        alert_table(
            "Which alerts fire, and since when?",
            "Alerts about the chosen GPUs that fire, and pending ones, whose reason does not yet "
            "hold for long enough. One row for each model on the GPU.",
            gpu.alerts(),
            runbooks=spec.stack.responder,
            of_one_model=False,
            keep_team=False,
            more=DEVICE_COLUMNS[:2],
            width=16,
            height=7,
        ),
        state_timeline(
            "Which GPUs answered?",
            "One band for each GPU, red while it was lost: listed no more, or dead to the driver.",
            Query(gpu.answers(), GPU),
            no_data=NO_GPU,
            states={"0": ("lost", "red"), "1": ("answers", "green")},
            width=8,
            height=7,
        ),
    )


def _memory() -> tuple[Tile, ...]:
    return (
        time_series(
            "How much memory is used, of how much?",
            "Memory in use of the 6 GPUs with the most, and the size of the largest (dashed).",
            Query(gpu.memory_used(), GPU),
            Query(gpu.memory_total(), "size of the largest"),
            unit=Unit.BYTES,
            no_data=NO_GPU,
            overrides=[dashed("^size", "text")],
            width=6,
        ),
        time_series(
            "How full are they?",
            "Share of the memory that is not free, of the 6 fullest GPUs. Full and flat is how "
            "many model servers run; full and rising ends in failed allocations.",
            Query(gpu.memory_ratio(), GPU),
            unit=Unit.RATIO,
            no_data=NO_GPU,
            top=1,
            width=6,
        ),
        time_series(
            "When are they full?",
            "Time until the memory is full at the pace of the last half hour, for the 6 GPUs that "
            "are closest to it.",
            Query(gpu.memory_full(), GPU),
            unit=Unit.SECONDS,
            no_data="No data: the memory of none of these GPUs grows",
            width=6,
        ),
        time_series(
            "How full are MIG instances?",
            "Share of its memory that an instance uses, of the 6 that use the most. An instance "
            "that is full fails alone; the GPU still shows free memory.",
            Query(gpu.instance_ratio(), "GPU {{gpu_id}}, instance {{gpu_instance}}"),
            unit=Unit.RATIO,
            no_data="No data: none of these GPUs is split (MIG)",
            top=1,
            width=6,
        ),
    )


def _models() -> tuple[Tile, ...]:
    return (
        time_series(
            "Which model holds the memory?",
            "Memory on the chosen GPUs by model, for the 6 that hold the most. Other: processes "
            "that belong to no model of models.yaml.",
            Query(gpu.memory_by_model(), MODEL),
            unit=Unit.BYTES,
            no_data=NO_MODEL,
            stacked=True,
            width=8,
        ),
        time_series(
            "How busy is each model?",
            "Use of the multiprocessors by model over 5 minutes, in GPUs: 2 is two whole GPUs. "
            "For the 6 that use the most.",
            Query(gpu.sm_by_model(), MODEL),
            unit=Unit.COUNT,
            no_data="No data: no model runs here, or the driver does not tell what processes use",
            stacked=True,
            width=8,
        ),
        time_series(
            "Whose power is it?",
            "Power of the chosen GPUs, shared among models by their use of the multiprocessors, "
            "and by memory where nothing runs. For the 6 with the largest part.",
            Query(gpu.power_by_model(), MODEL),
            unit=Unit.WATTS,
            no_data=NO_MODEL,
            stacked=True,
            width=8,
        ),
        table(
            "Every model on these GPUs",
            "What each model has on all its GPUs. Energy is its part of the power, for a thousand "
            "requests of the last 5 minutes; empty without requests.",
            Query(gpu.model_gpus()),
            Query(gpu.model_memory()),
            Query(gpu.model_sm()),
            Query(gpu.model_power()),
            Query(gpu.joules()),
            columns=[
                Column(
                    source="model_name",
                    title="Model",
                    link=link_to_model("Model", "Version", keep_team=False),
                ),
                Column(source="model_version", title="Version", width=90),
                Column(source="A", title="GPUs", width=80),
                Column(source="B", title="Memory", unit=Unit.BYTES),
                Column(source="C", title="Multiprocessors, in GPUs", decimals=2),
                Column(source="D", title="Power", unit=Unit.WATTS),
                Column(source="E", title="Energy per 1,000 requests", unit=Unit.JOULES),
            ],
            sort="Memory",
            no_data=NO_MODEL,
            width=16,
        ),
        time_series(
            "What does a thousand requests cost?",
            "GPU energy for a thousand requests, for the 6 models that spend the most. It falls "
            "when requests are batched, and rises when a GPU waits.",
            Query(gpu.top_joules(), MODEL),
            unit=Unit.JOULES,
            no_data="No data: no model on these GPUs had requests in the last 5 minutes",
            width=8,
        ),
    )


def _work() -> tuple[Tile, ...]:
    return (
        time_series(
            "How busy are they?",
            "Share of the last 5 minutes in which a kernel ran, of the 6 busiest GPUs. One small "
            "kernel after the other also gives 100%: see beside it how much of the GPU they use.",
            Query(gpu.utilization(), GPU),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
            width=8,
        ),
        time_series(
            "How much of each GPU is used?",
            "Mean over the chosen GPUs: multiprocessors with work, warps on them of the most they "
            "hold, memory bandwidth, and tensor cores.",
            Query(gpu.mean(catalog.GPU_SM_ACTIVE), "multiprocessors"),
            Query(gpu.mean(catalog.GPU_SM_OCCUPANCY), "occupancy"),
            Query(gpu.mean(catalog.GPU_DRAM_ACTIVE), "memory bandwidth"),
            Query(gpu.mean(catalog.GPU_TENSOR_ACTIVE), "tensor cores"),
            unit=Unit.RATIO,
            no_data=NO_GPM,
            top=1,
            width=8,
        ),
        time_series(
            "On what do they work?",
            "Mean over the chosen GPUs: arithmetic units of each precision, and, on every GPU, "
            "reading or writing of memory and the video units.",
            Query(gpu.mean(catalog.GPU_FP16_ACTIVE), "FP16"),
            Query(gpu.mean(catalog.GPU_FP32_ACTIVE), "FP32"),
            Query(gpu.mean(catalog.GPU_FP64_ACTIVE), "FP64"),
            Query(gpu.mean(catalog.GPU_MEMORY_UTILIZATION), "memory is read or written"),
            Query(gpu.mean(catalog.GPU_ENCODER_UTILIZATION), "encoder"),
            Query(gpu.mean(catalog.GPU_DECODER_UTILIZATION), "decoder"),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
            width=8,
        ),
    )


def _limits() -> tuple[Tile, ...]:
    return (
        time_series(
            "How far from slowing down?",
            "Degrees (celsius) until a GPU lowers its own clocks, for the 6 closest to it. GpuHot "
            "alerts below its threshold.",
            Query(gpu.margin(), GPU),
            unit=Unit.CELSIUS,
            no_data=NOT_GIVEN,
            width=8,
        ),
        time_series(
            "How hot, and how much power?",
            "Means over the chosen GPUs: temperature of GPU and memory in celsius, power and its "
            "limit in watts (right axis).",
            Query(gpu.mean(catalog.GPU_TEMPERATURE), "GPU"),
            Query(gpu.mean(catalog.GPU_MEMORY_TEMPERATURE), "memory"),
            Query(gpu.mean(catalog.GPU_POWER), "power"),
            Query(gpu.mean(catalog.GPU_POWER_LIMIT), "power limit"),
            unit=Unit.CELSIUS,
            no_data=NOT_GIVEN,
            overrides=[
                dashed("^power limit$", "red"),
                *(
                    by_name(name, unit=Unit.WATTS.value, **{"custom.axisPlacement": "right"})
                    for name in ("power", "power limit")
                ),
            ],
            width=8,
        ),
        time_series(
            "How fast are the clocks?",
            "Mean clock of the chosen GPUs' multiprocessors and memory, and the highest they have "
            "(dashed).",
            Query(gpu.mean(catalog.GPU_SM_CLOCK), "multiprocessors"),
            Query(gpu.mean(catalog.GPU_SM_CLOCK_LIMIT), "multiprocessors at most"),
            Query(gpu.mean(catalog.GPU_MEMORY_CLOCK), "memory"),
            Query(gpu.mean(catalog.GPU_MEMORY_CLOCK_LIMIT), "memory at most"),
            unit=Unit.HERTZ,
            no_data=NOT_GIVEN,
            overrides=[dashed("at most$", "text")],
            width=8,
        ),
        time_series(
            "What holds the clocks down?",
            "Share of time for which each reason held, on the GPU where it held longest. gpu_idle "
            "is no trouble, sw_power_cap is the power limit, the rest is heat or the power supply.",
            Query(gpu.reasons(), "{{reason}}"),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
        ),
        time_series(
            "Which GPUs are held back?",
            "Share of the last 5 minutes for which power or temperature held the clocks down, for "
            "the 6 GPUs with the most.",
            Query(gpu.throttled(), GPU),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
        ),
    )


def _links() -> tuple[Tile, ...]:
    return (
        time_series(
            "How much goes over PCIe?",
            "Bytes a second between the chosen GPUs and their machines, as samples of 20 ms.",
            Query(gpu.pcie(catalog.GPU_PCIE_RECEIVE), "to the GPUs"),
            Query(gpu.pcie(catalog.GPU_PCIE_TRANSMIT), "from the GPUs"),
            unit=Unit.BYTES_PER_SECOND,
            no_data=NOT_GIVEN,
            width=8,
        ),
        time_series(
            "How much goes over NVLink?",
            "Bytes of data a second between the chosen GPUs and their peers.",
            Query(gpu.nvlink(catalog.GPU_NVLINK_RECEIVE), "received"),
            Query(gpu.nvlink(catalog.GPU_NVLINK_TRANSMIT), "sent"),
            unit=Unit.BYTES_PER_SECOND,
            no_data="No data: these GPUs have no NVLink, or their driver does not count it",
            width=8,
        ),
        time_series(
            "Do the links make errors?",
            "Packets a second that PCIe had to send again, and errors on NVLink. A few are normal; "
            "a rate that stays points to a bad slot, riser or bridge.",
            Query(gpu.link_errors(catalog.GPU_PCIE_REPLAYS), "PCIe replays"),
            Query(gpu.link_errors(catalog.GPU_NVLINK_ERRORS), "NVLink errors"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NOT_GIVEN,
            width=8,
        ),
    )


def _health() -> tuple[Tile, ...]:
    return (
        time_series(
            "Which XID errors came?",
            "Errors of the driver a second, by code. 13, 31 and 43 are faults of an application; "
            "GpuXid alerts on those that call for a reset.",
            Query(gpu.xid_errors(), "XID {{xid}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No XID error came in this time",
            width=8,
        ),
        time_series(
            "Are memory errors counted?",
            "Errors a second of the GPUs' memory. Corrected ones did no harm; an uncorrected one "
            "ended a process or spoiled a result.",
            Query(gpu.ecc_errors(), "{{error}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: these GPUs have no error correction, or it is off",
            width=8,
        ),
        time_series(
            "Rows and pages out of use",
            "Memory rows replaced by spare ones (corrected, uncorrected) or pages retired "
            "(single_bit, double_bit). Growth says that a GPU's memory ages.",
            Query(gpu.out_of_use(), "{{cause}}"),
            unit=Unit.COUNT,
            no_data=NOT_GIVEN,
            width=8,
        ),
    )


def _reading() -> tuple[Tile, ...]:
    return (
        table(
            "Which GPUs are these?",
            "Name and driver of each GPU that answers.",
            Query(gpu.identity()),
            columns=[
                *DEVICE_COLUMNS,
                Column(source="gpu_name", title="Name"),
                Column(source="driver_version", title="Driver"),
                Column(source="A", title="Answers", width=80),
            ],
            sort="Machine",
            no_data=NO_GPU,
            width=12,
            height=7,
        ),
        time_series(
            "How long does the reading take?",
            "Share of a second spent in each NVML call, for the 6 that take the most. It is the "
            "driver's work and grows with the number of GPUs.",
            Query(gpu.call_seconds(), "{{call}}"),
            unit=Unit.SECONDS,
            no_data=NO_GPU,
            stacked=True,
            width=6,
            height=7,
        ),
        time_series(
            "What could not be read?",
            "Values a second that NVML refused, by its error. What a GPU does not support at all "
            "is not asked for again and again.",
            Query(gpu.read_errors(), "{{error}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="Everything could be read",
            width=6,
            height=7,
        ),
    )
