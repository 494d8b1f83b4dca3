"""gmixer's own forward pass: every batch size on every number of threads, each in a fresh process.

B images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.row import Step, figures, per_cent, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import ceiling_meter, time_beside_ceiling
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload, drawn_images
from gmixer.options import NativePrecision
from gmixer.rows.table import Column

WARM_UP = 16  # images: the engine cuts a larger batch into passes of at most this size


@dataclass(frozen=True, slots=True)
class ForwardRow:
    model: str
    isa: str
    precision: NativePrecision
    batch: int
    threads: int
    images_per_second: float
    ms_per_image: Spread
    gflops: float  # 10⁹ operations per second of the matrix products, at the median time
    fraction: Spread  # of the ceiling measured with it
    ceiling_gflops: Spread
    peak_mib: float  # of the process, which does nothing else

    columns: ClassVar[Sequence[Column]] = (
        Column("batch", 5),
        Column("threads", 7),
        Column("img/s", 7),
        Column("ms/image", 8),
        Column("p10 … p90", 13),
        Column("n", 4),
        Column("GOP/s", 7),
        Column("ceiling", 7),
        Column("MiB", 5),
    )
    style: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"forward pass, {self.precision} on {self.isa}; ceiling: the part reached; MiB: peak memory"

    def cells(self) -> Sequence[str]:
        return [
            str(self.batch),
            str(self.threads),
            figures(self.images_per_second),
            figures(self.ms_per_image.median),
            tenths(self.ms_per_image),
            str(self.ms_per_image.n),
            figures(self.gflops),
            per_cent(self.fraction.median),
            f"{self.peak_mib:.0f}",
        ]

    def to_dict(self) -> dict[str, Any]:
        return {"row": "forward", **asdict(self)}


def forward_steps(target: Target, workloads: Sequence[Workload]) -> list[Step]:
    """One step for each row. A step measures for the workload's seconds, after its process has started."""
    return [
        Step(f"batch {load.batch}, {threads_in_words(load.threads)}", partial(_measure_row, target, load))
        for load in workloads
    ]


def _measure_row(target: Target, workload: Workload) -> list[ForwardRow]:
    answer = in_fresh_process(measure, {"workload": asdict(workload)})
    timing = answer.value
    ms_per_image = Spread.of(timing["call_s"]).times(1e3 / workload.batch)
    images_per_second = 1e3 / ms_per_image.median
    row = ForwardRow(
        model=target.name,
        isa=workload.isa,
        precision=workload.precision,
        batch=workload.batch,
        threads=workload.threads,
        images_per_second=images_per_second,
        ms_per_image=ms_per_image,
        gflops=2e-9 * target.config.macs * images_per_second,
        fraction=Spread.of(timing["fractions"]),
        ceiling_gflops=Spread.of(timing["ceilings"]).times(1e-9),
        peak_mib=answer.peak_bytes / 2**20,
    )
    return [row]


def measure(workload: dict[str, Any]) -> dict[str, list[float]]:
    """Runs in a fresh process. Returns the fields of a Timing."""
    load = Workload.from_dict(workload)
    engine = load.load_engine()
    x_BCHW = drawn_images(engine.config, load.batch)
    engine.forward(x_BCHW[:WARM_UP])
    timing = time_beside_ceiling(
        lambda: engine.forward(x_BCHW),
        flops=2.0 * engine.config.macs * load.batch,
        ceiling=ceiling_meter(load.native),
        seconds=load.seconds,
    )
    return asdict(timing)
