"""Where the time of an image goes, from the bytes of a JPEG to the logits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar

from gmixer.bench.forward import WARM_UP
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import TYPICAL, drawn_jpeg
from gmixer.bench.row import Step, figures, per_cent, tenths, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import MIN_CALLS, ceiling_meter
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload, drawn_images, native_engine
from gmixer.options import FP32, NativePrecision
from gmixer.rows.table import Column

PIXEL_STAGES = ("decode", "resize")  # of one JPEG, on one thread; resize is everything from pixels to the tensor


@dataclass(frozen=True, slots=True)
class StageRow:
    model: str
    isa: str
    precision: NativePrecision
    batch: int
    threads: int
    stage: str
    ms_per_image: Spread
    share: float  # of the sum of all stages, at the median
    fraction: Spread | None  # of the ceiling; the stage's time includes norms and activations. None: no products

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
        how = f"{self.precision}, batch {self.batch}, {threads_in_words(self.threads)}"
        return f"stages, {how}; a JPEG of {width}×{height}, 1 thread"

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


def stage_step(target: Target, workload: Workload) -> Step:
    return Step("the stages", partial(_measure_rows, target, workload))


def _measure_rows(target: Target, workload: Workload) -> list[StageRow]:
    answer = in_fresh_process(measure, {"workload": asdict(workload)})
    spreads = {stage: Spread.of(values).times(1e3) for stage, values in answer.value["image_s"].items()}
    together = sum(spread.median for spread in spreads.values())
    return [
        StageRow(
            model=target.name,
            isa=workload.isa,
            precision=workload.precision,
            batch=workload.batch,
            threads=workload.threads,
            stage=stage,
            ms_per_image=spread,
            share=spread.median / together,
            fraction=Spread.of(fractions) if (fractions := answer.value["fractions"].get(stage)) else None,
        )
        for stage, spread in spreads.items()
    ]


def measure(workload: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Runs in a fresh process. Returns, by stage, image_s (seconds an image) and fractions of the ceiling.

    A round is one JPEG to its tensor, one forward pass and one slice of the ceiling: in the precision of the MLPs, and
    in float32 for stem and head.
    """
    from gmixer.images.decode import decode

    load = Workload.from_dict(workload)
    predictor = load.load_predictor()
    engine = native_engine(predictor)
    x_BCHW = drawn_images(engine.config, load.batch)
    engine.forward(x_BCHW[:WARM_UP])
    jpeg = drawn_jpeg(*TYPICAL, seed=0)
    preprocess = predictor.preprocess if engine.config.in_chans in (1, 3) else None

    of_mlps, of_others = ceiling_meter(load.native), ceiling_meter(replace(load.native, precision=FP32))
    flops = {stage: 2.0 * macs for stage, macs in engine.config.stage_macs.items() if macs}
    image_s: dict[str, list[float]] = {stage: [] for stage in (*(PIXEL_STAGES if preprocess else ()), *flops)}
    fractions: dict[str, list[float]] = {stage: [] for stage in flops}

    def ceilings() -> dict[str, float]:
        mlps = of_mlps()
        others = mlps if load.precision == FP32 else of_others()
        return {stage: mlps if stage.endswith("MLP") else others for stage in flops}

    before = ceilings()
    begin = time.perf_counter()
    while time.perf_counter() - begin < load.seconds or len(image_s["stem"]) < MIN_CALLS:
        if preprocess:
            start = time.perf_counter()
            pixels_HWC = decode(jpeg, channels=engine.config.in_chans)
            decoded = time.perf_counter()
            preprocess.from_pixels(pixels_HWC)
            image_s["decode"].append(decoded - start)
            image_s["resize"].append(time.perf_counter() - decoded)
        spent = engine.stage_seconds(x_BCHW)
        after = ceilings()
        for stage in flops:
            image_s[stage].append(spent[stage] / load.batch)
            beside = (before[stage] + after[stage]) / 2
            fractions[stage].append(flops[stage] * load.batch / spent[stage] / beside)
        before = after
    return {"image_s": image_s, "fractions": fractions}
