"""Pixels: one JPEG's bytes to the tensor, against Pillow and timm's transform. One thread each, bits compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.contest import Contest, Entrant, Result, Turn
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import LARGE, TYPICAL, drawn_jpeg
from gmixer.bench.row import Step
from gmixer.bench.stats import Spread
from gmixer.bench.stopwatch import LEAST_CALLS
from gmixer.bench.target import Subject
from gmixer.errors import EngineError

PACKAGES = ("torch", "timm")  # of the peer


def picture_steps(
    subject: Subject, *, rounds: int, seconds: float, sizes: Sequence[tuple[int, int]] = (TYPICAL, LARGE)
) -> list[Step]:
    steps: list[Step] = []
    for width, height in sizes:
        jpeg = subject.scratch / f"{width}x{height}.jpg"
        jpeg.write_bytes(drawn_jpeg(width, height, seed=0))
        what = f"a JPEG of {width}×{height}, {jpeg.stat().st_size / 1024:.0f} KiB"
        arguments = {**subject.weights, "jpeg": str(jpeg), "seconds": seconds}
        contest = Contest(
            group="pictures",
            what=what,
            title=f"{what}, to the tensor: decode and transform, 1 thread, bit for bit the same",
            unit="image",
            turns=[
                Turn([Entrant("gmixer", "gmixer"), Entrant("pil", "Pillow and timm")], partial(_measure, arguments))
            ],
        )
        steps += contest.steps(rounds)
    return steps


def _measure(arguments: dict[str, Any]) -> dict[str, Result]:
    return {key: Result(ms=ms) for key, ms in in_fresh_process(measure, arguments).value.items()}


def measure(source: str, variant: str | None, jpeg: str, seconds: float) -> dict[str, float]:
    """In a process of its own: ms a picture of each, in turns for that long. Raises EngineError for other bits."""
    import torch
    from timm.data.transforms_factory import create_transform

    import gmixer

    torch.set_num_threads(1)
    preprocess = gmixer.load(source, name=variant, threads=1).preprocess
    transform = create_transform(**preprocess.config.to_timm(), is_training=False)
    data = Path(jpeg).read_bytes()

    def by_pillow() -> NDArray[np.float32]:
        with Image.open(BytesIO(data)) as image:
            x_CSS: NDArray[np.float32] = transform(image.convert("RGB")).numpy()
        return x_CSS

    ways = {"gmixer": lambda: preprocess(data), "pil": by_pillow}
    if len({way().tobytes() for way in ways.values()}) != 1:
        raise EngineError("gmixer's tensor is not bit for bit timm's: gmixer doctor may say why")
    times_s: dict[str, list[float]] = {key: [] for key in ways}
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times_s["pil"]) < LEAST_CALLS:
        for key, way in ways.items():
            start = time.perf_counter()
            way()
            times_s[key].append(time.perf_counter() - start)
    return {key: Spread.of(of_key).median * 1e3 for key, of_key in times_s.items()}
