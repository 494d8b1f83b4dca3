"""Where the time of an image goes, from a JPEG's bytes to the answer: decode and resize, then the network's stages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.forward import WARM_UP, drawn_images, load_engine
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import TYPICAL, drawn_jpeg
from gmixer.bench.row import Column, Step, figures, per_cent, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import LEAST_CALLS, ceiling_meter
from gmixer.bench.target import Subject

PIXEL_STAGES = ("decode", "resize")  # of one 500×375 JPEG, on one thread; resize is all from pixels to the tensor


@dataclass(frozen=True, slots=True)
class StageRow:
    model: str
    isa: str
    batch: int
    threads: int
    stage: str
    ms_per_image: Spread
    share: float  # of the sum of all stages, at the median
    fraction: Spread | None  # of the ceiling, with its norms and activations; None: no products

    columns: ClassVar[Sequence[Column]] = (
        Column("stage", 12, left=True),
        Column("ms/image", 8),
        Column("p10 … p90", 15),
        Column("n", 4),
        Column("share", 6),
        Column("ceiling", 7),
    )
    style: ClassVar[str] = ""

    @property
    def title(self) -> str:
        width, height = TYPICAL
        return f"stages, batch {self.batch}, {threads_in_words(self.threads)}; a JPEG of {width}×{height}, 1 thread"

    def cells(self) -> Sequence[str]:
        return [
            self.stage,
            figures(self.ms_per_image.median),
            tenths(self.ms_per_image),
            str(self.ms_per_image.n),
            f"{100 * self.share:.1f} %",
            per_cent(self.fraction.median) if self.fraction else "–",
        ]

    def to_dict(self) -> dict[str, Any]:
        return {"row": "stage", **asdict(self)}


def stage_step(subject: Subject, *, batch: int, threads: int, isa: str, seconds: float) -> Step:
    return Step("the stages", partial(_measure_rows, subject, batch, threads, isa, seconds))


def _measure_rows(subject: Subject, batch: int, threads: int, isa: str, seconds: float) -> list[StageRow]:
    arguments = {"batch": batch, "threads": threads, "isa": isa, "seconds": seconds}
    answer = in_fresh_process(measure, subject.weights | arguments)
    spreads = {stage: Spread.of(values).times(1e3) for stage, values in answer.value["image_s"].items()}
    together = sum(spread.median for spread in spreads.values())
    return [
        StageRow(
            model=subject.name,
            isa=isa,
            batch=batch,
            threads=threads,
            stage=stage,
            ms_per_image=spread,
            share=spread.median / together,
            fraction=Spread.of(fractions) if (fractions := answer.value["fractions"].get(stage)) else None,
        )
        for stage, spread in spreads.items()
    ]


def measure(
    source: str, variant: str | None, batch: int, threads: int, isa: str, seconds: float
) -> dict[str, dict[str, list[float]]]:
    """In a process of its own: image_s, seconds an image, and fractions of the ceiling, each by stage.

    A round is one picture to its tensor, one forward pass and one slice of the ceiling.
    """
    import gmixer
    from gmixer.images.decode import decode

    engine = load_engine(source, variant, threads, isa)
    x_BCHW = drawn_images(engine.config, batch)
    engine.forward(x_BCHW[:WARM_UP])
    has_pictures = engine.config.in_chans in (1, 3)
    jpeg = drawn_jpeg(*TYPICAL, seed=0)
    preprocess = gmixer.load(source, name=variant, threads=1).preprocess if has_pictures else None

    ceiling = ceiling_meter(isa, threads)
    flops = {stage: 2.0 * macs for stage, macs in engine.config.stage_macs.items() if macs}
    image_s: dict[str, list[float]] = {stage: [] for stage in (*(PIXEL_STAGES if preprocess else ()), *flops)}
    fractions: dict[str, list[float]] = {stage: [] for stage in flops}
    before = ceiling()
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(image_s["stem"]) < LEAST_CALLS:
        if preprocess:
            start = time.perf_counter()
            pixels_HWC = decode(jpeg, channels=engine.config.in_chans)
            decoded = time.perf_counter()
            preprocess.from_pixels(pixels_HWC)
            image_s["decode"].append(decoded - start)
            image_s["resize"].append(time.perf_counter() - decoded)
        spent = engine.stage_seconds(x_BCHW)
        after = ceiling()
        for stage in flops:
            image_s[stage].append(spent[stage] / batch)
            fractions[stage].append(flops[stage] * batch / spent[stage] / ((before + after) / 2))
        before = after
    return {"image_s": image_s, "fractions": fractions}
