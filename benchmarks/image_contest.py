"""From the bytes of one JPEG to its tensor, against Pillow and timm's transform. One thread; the bits are compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.contest import Contest, Contestant, Measurement, Run
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import TYPICAL, drawn_jpeg
from gmixer.bench.row import Step
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import MIN_CALLS
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.errors import EngineError

PACKAGES = ("torch", "timm")  # of the peer
LARGE = (4000, 3000)  # width, height: 12 megapixels, as phones make them


def image_steps(
    target: Target, seconds: float, rounds: int, sizes: Sequence[tuple[int, int]] = (TYPICAL, LARGE)
) -> list[Step]:
    workload = target.workload(seconds=seconds)
    steps: list[Step] = []
    for width, height in sizes:
        jpeg = target.scratch / f"{width}x{height}.jpg"
        jpeg.write_bytes(drawn_jpeg(width, height, seed=0))
        what = f"a JPEG of {width}×{height}, {jpeg.stat().st_size / 1024:.0f} KiB"
        contest = Contest(
            group="images",
            what=what,
            title=f"{what}, to the tensor: decode and transform, 1 thread, bit for bit the same",
            unit="image",
            runs=[
                Run(
                    [Contestant("gmixer", "gmixer"), Contestant("pil", "Pillow and timm")],
                    partial(_measure, {"workload": asdict(workload), "jpeg": str(jpeg)}),
                )
            ],
        )
        steps += contest.steps(rounds)
    return steps


def _measure(arguments: dict[str, Any]) -> dict[str, Measurement]:
    return {key: Measurement(ms=ms) for key, ms in in_fresh_process(measure, arguments).value.items()}


def measure(workload: dict[str, Any], jpeg: str) -> dict[str, float]:
    """Runs in a fresh process. Calls both in turns for the workload's seconds, and returns the ms an image of each.

    Raises EngineError if the bits of the two tensors differ.
    """
    import torch
    from timm.data.transforms_factory import create_transform

    load = Workload.from_dict(workload)
    torch.set_num_threads(1)
    preprocess = load.load_predictor().preprocess
    transform = create_transform(**preprocess.config.to_timm(), is_training=False)
    data = Path(jpeg).read_bytes()

    def by_pillow() -> NDArray[np.float32]:
        with Image.open(BytesIO(data)) as image:
            x_CSS: NDArray[np.float32] = transform(image.convert("RGB")).numpy()
        return x_CSS

    methods = {"gmixer": lambda: preprocess(data), "pil": by_pillow}
    if len({method().tobytes() for method in methods.values()}) != 1:
        raise EngineError("gmixer's tensor is not bit for bit timm's: gmixer doctor may say why")
    times_s: dict[str, list[float]] = {key: [] for key in methods}
    begin = time.perf_counter()
    while time.perf_counter() - begin < load.seconds or len(times_s["pil"]) < MIN_CALLS:
        for key, method in methods.items():
            start = time.perf_counter()
            method()
            times_s[key].append(time.perf_counter() - start)
    return {key: Spread.of(of_key).median * 1e3 for key, of_key in times_s.items()}
