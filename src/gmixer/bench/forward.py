"""gmixer's own forward pass: every batch size on every number of threads, each in a fresh process.

B images, of which a batch is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.row import Column, Step, figures, per_cent, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import ceiling_meter, time_beside_ceiling
from gmixer.bench.target import Subject
from gmixer.config import ModelConfig

if TYPE_CHECKING:
    from gmixer.runtimes import Engine

WARM_UP = 16  # images: a larger batch runs in passes no larger than this one's
SEED = 1


@dataclass(frozen=True, slots=True)
class ForwardRow:
    model: str
    isa: str
    batch: int
    threads: int
    images_per_second: float
    ms_per_image: Spread
    gflops: float  # GFLOP/s of the products, at the median time
    fraction: Spread  # of the ceiling beside it
    ceiling_gflops: Spread
    peak_mib: float  # of a process that does nothing else

    columns: ClassVar[Sequence[Column]] = (
        Column("batch", 5),
        Column("threads", 7),
        Column("img/s", 7),
        Column("ms/image", 8),
        Column("p10 … p90", 13),
        Column("n", 4),
        Column("GFLOP/s", 7),
        Column("ceiling", 7),
        Column("MiB", 5),
    )
    style: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"forward pass, fp32 on {self.isa}; ceiling: the part reached; MiB: the peak"

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


def forward_steps(
    subject: Subject, *, batches: Sequence[int], threads: Sequence[int], isa: str, seconds: float
) -> list[Step]:
    """One a row, each `seconds` long, not counting the start of its process."""
    return [
        Step(f"batch {batch}, {threads_in_words(count)}", partial(_measure_row, subject, batch, count, isa, seconds))
        for count in threads
        for batch in batches
    ]


def _measure_row(subject: Subject, batch: int, threads: int, isa: str, seconds: float) -> list[ForwardRow]:
    arguments = {"batch": batch, "threads": threads, "isa": isa, "seconds": seconds}
    answer = in_fresh_process(measure, subject.weights | arguments)
    timing = answer.value
    ms_per_image = Spread.of(timing["call_s"]).times(1e3 / batch)
    images_per_second = 1e3 / ms_per_image.median
    row = ForwardRow(
        model=subject.name,
        isa=isa,
        batch=batch,
        threads=threads,
        images_per_second=images_per_second,
        ms_per_image=ms_per_image,
        gflops=2e-9 * subject.config.macs * images_per_second,
        fraction=Spread.of(timing["fractions"]),
        ceiling_gflops=Spread.of(timing["ceilings"]).times(1e-9),
        peak_mib=answer.peak_bytes / 2**20,
    )
    return [row]


def measure(
    source: str, variant: str | None, batch: int, threads: int, isa: str, seconds: float
) -> dict[str, list[float]]:
    """In a process of its own: a Timing's fields."""
    engine = load_engine(source, variant, threads, isa)
    x_BCHW = drawn_images(engine.config, batch)
    engine.forward(x_BCHW[:WARM_UP])
    timing = time_beside_ceiling(
        lambda: engine.forward(x_BCHW),
        flops=2.0 * engine.config.macs * batch,
        ceiling=ceiling_meter(isa, threads),
        seconds=seconds,
    )
    return asdict(timing)


def load_engine(source: str, variant: str | None, threads: int, isa: str | None) -> Engine:
    import gmixer
    from gmixer.runtimes import Engine

    engine = gmixer.load(source, name=variant, threads=threads, isa=isa).runtime
    assert isinstance(engine, Engine)  # the native runtime
    return engine


def drawn_images(config: ModelConfig, batch: int) -> NDArray[np.float32]:
    """Normalised images of noise, (B, in_chans, image_px, image_px); of a larger batch the first are the same."""
    shape = (batch, config.in_chans, config.image_px, config.image_px)
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)
