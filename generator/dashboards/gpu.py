"""GPUs: is anything wrong, with which, whose is it, and why?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.spec import Spec
from generator.dashboards import gpu_hardware as hardware
from generator.dashboards.alerting import SEVERITY_COLOURS, alert_table
from generator.dashboards.field import Steps, Unit, by_name, dashed
from generator.dashboards.layout import Row
from generator.dashboards.panel import Query, Tile, stat, state_timeline, time_series
from generator.dashboards.shell import link_to_model, render, variable
from generator.dashboards.tables import Column, table
from generator.queries import gpu, marks
from generator.queries.recorded_gpu import MEMORY_RATIO, THROTTLED, UTILIZATION

__all__ = ["render_gpu"]

NO_MODEL: Final = "No data: no process of a known model runs on these GPUs"
MODEL: Final = "{{model_name}} {{model_version}}"


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
            Row(5, "Do they work?", hardware.work()),
            Row(6, "Are they held back?", hardware.limits()),
            Row(7, "Does the data get through?", hardware.links()),
            Row(8, "Is the hardware well?", hardware.health()),
            Row(9, "What are they, and how are they read?", hardware.reading()),
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
            no_data=hardware.NO_GPU,
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
            no_data=hardware.NO_GPU,
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
            *hardware.DEVICE_COLUMNS,
            Column(source="A", title="Answers", states=hardware.ANSWERS, width=80),
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
        no_data=hardware.NO_GPU,
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
            more=hardware.DEVICE_COLUMNS[:2],
            width=16,
            height=7,
        ),
        state_timeline(
            "Which GPUs answered?",
            "One band for each GPU, red while it was lost: listed no more, or dead to the driver.",
            Query(gpu.answers(), hardware.GPU),
            no_data=hardware.NO_GPU,
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
            Query(gpu.memory_used(), hardware.GPU),
            Query(gpu.memory_total(), "size of the largest"),
            unit=Unit.BYTES,
            no_data=hardware.NO_GPU,
            overrides=[dashed("^size", "text")],
            width=6,
        ),
        time_series(
            "How full are they?",
            "Share of the memory that is not free, of the 6 fullest GPUs. Full and flat is how "
            "many model servers run; full and rising ends in failed allocations.",
            Query(gpu.memory_ratio(), hardware.GPU),
            unit=Unit.RATIO,
            no_data=hardware.NO_GPU,
            top=1,
            width=6,
        ),
        time_series(
            "When are they full?",
            "Time until the memory is full at the pace of the last half hour, for the 6 GPUs that "
            "are closest to it.",
            Query(gpu.memory_full(), hardware.GPU),
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
