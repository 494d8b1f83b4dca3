"""A folder of JPEGs to top-5 classes and embeddings, against timm's dataset and torch's loader.

B images of a batch, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import Contest, Contestant, Measurement, Run, ratios
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import drawn_jpeg
from gmixer.bench.row import Step, per_cent, threads_in_words
from gmixer.bench.stats import Spread
from gmixer.bench.target import Target
from gmixer.bench.workload import Workload
from gmixer.errors import InputError
from gmixer.options import FP32

PACKAGES = ("torch", "timm")
BATCH = 16
CHUNK = 8 * BATCH  # gmixer and the model alone alternate after this many photos
SIZES = ((500, 375), (375, 500), (500, 333), (500, 400), (333, 500))
DRAWN = 50  # different photos; the others are copies
WORKERS = (0, 1, 2)  # of torch's loader


def folder_steps(target: Target, workload: Workload, folder: Path | None, count: int, rounds: int) -> list[Step]:
    """folder: the user's photos, of which the first `count` are taken. None: drawn ones.

    timm takes part in fp32 alone.

    Raises InputError for a folder without JPEGs.
    """
    photos = target.scratch / "photos" / "all"  # for timm, a subfolder is a class
    photos.mkdir(parents=True)
    found = draw_photos(photos, count) if folder is None else _link(folder, photos, count)
    paths = sorted(map(str, photos.iterdir()))
    origin = "drawn here" if folder is None else "the user's own"
    what = f"{found} JPEGs, {workload.precision}"
    ours = {"workload": asdict(workload), "paths": paths}
    theirs = {"workload": asdict(workload), "folder": str(photos.parent)}

    contest = Contest(
        group="photos",
        what=what,
        title=f"{what}, {origin}, to top-5 classes and embeddings, {threads_in_words(workload.threads)}",
        unit="image",
        runs=[
            Run(
                [Contestant("gmixer", "gmixer"), Contestant("gmixer-model", "gmixer, model alone", rival=False)],
                partial(_measure, measure_ours, ours, found),
            ),
            *(
                Run(
                    [Contestant(f"timm-{workers}-workers", f"timm, {workers} worker{'s' * (workers != 1)}")],
                    partial(_measure, measure_timm, theirs | {"workers": workers}, found),
                )
                for workers in (WORKERS if workload.precision == FP32 else ())
            ),
        ],
        remark=_rate_remark,
    )
    return contest.steps(rounds)


def _rate_remark(ms: Mapping[str, Sequence[float]]) -> str:
    part = Spread.of(ratios(ms["gmixer-model"], ms["gmixer"]))
    spread = f"{per_cent(part.least)} … {per_cent(part.greatest)}, n = {part.n}"
    return f"with decoding and resizing gmixer reaches {per_cent(part.median)} ({spread}) of the model's own rate"


def _measure(
    function: Callable[..., dict[str, float]], arguments: dict[str, Any], images: int
) -> dict[str, Measurement]:
    answer = in_fresh_process(function, arguments)
    return {
        key: Measurement(ms=seconds * 1e3 / images, peak_mib=answer.peak_bytes / 2**20)
        for key, seconds in answer.value.items()
    }


def measure_ours(workload: dict[str, Any], paths: list[str]) -> dict[str, float]:
    """Runs in a fresh process. Returns the seconds from files to results, and those of the model alone.

    The model alone gets as many images, as tensors. The two alternate chunk by chunk, because the speed of the machine
    changes. Raises InputError for a photo that cannot be read.
    """
    import gmixer
    from gmixer.bench.workload import drawn_images

    predictor = Workload.from_dict(workload).load_predictor()
    x_BCHW = drawn_images(predictor.model, BATCH)
    for _ in predictor.stream(paths[:BATCH]):
        pass
    seconds = {"gmixer": 0.0, "gmixer-model": 0.0}
    for begin in range(0, len(paths), CHUNK):
        chunk = paths[begin : begin + CHUNK]
        start = time.perf_counter()
        for result in predictor.stream(chunk, k=5):
            if isinstance(result, gmixer.ImageError):
                raise InputError(f"{result}; leave it out of --photos: timm would stop at it")
        between = time.perf_counter()
        for size in _batches(len(chunk)):
            predictor.forward(x_BCHW[:size])
        seconds["gmixer"] += between - start
        seconds["gmixer-model"] += time.perf_counter() - between
    return seconds


def measure_timm(workload: dict[str, Any], folder: str, workers: int) -> dict[str, float]:
    """Runs in a fresh process: ImageDataset, DataLoader, eager. Returns the seconds, with the start of the loader."""
    import torch
    from timm.data.dataset import ImageDataset
    from timm.data.transforms_factory import create_transform
    from torch.utils.data import DataLoader

    from benchmarks.networks import timm_model

    load = Workload.from_dict(workload)
    torch.set_num_threads(load.threads)
    model, config = timm_model(load)
    transform = create_transform(**load.checkpoint().data.to_timm(), is_training=False)
    dataset = ImageDataset(folder, transform=transform)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        model(torch.zeros(BATCH, config.in_chans, config.image_px, config.image_px))
        begin = time.perf_counter()
        for x_BCHW, _ in DataLoader(dataset, batch_size=BATCH, num_workers=workers):
            features = model.forward_head(model.forward_features(x_BCHW), pre_logits=True)
            top = model.get_classifier()(features).softmax(dim=-1).topk(min(5, config.num_classes))
            _ = features.numpy(), top.indices.numpy(), top.values.numpy()
        return {f"timm-{workers}-workers": time.perf_counter() - begin}


def _batches(count: int) -> Iterator[int]:
    for begin in range(0, count, BATCH):
        yield min(BATCH, count - begin)


def draw_photos(folder: Path, count: int) -> int:
    rng = np.random.default_rng(0)
    jpegs = [drawn_jpeg(*SIZES[seed % len(SIZES)], seed) for seed in range(min(DRAWN, count))]
    for number in range(count):
        jpeg = jpegs[number] if number < len(jpegs) else jpegs[rng.integers(len(jpegs))]
        (folder / f"{number:06}.jpg").write_bytes(jpeg)
    return count


def _link(folder: Path, photos: Path, count: int) -> int:
    from gmixer.sources.listing import list_files
    from gmixer.sources.local import LocalFile

    found = [Path(entry.key) for entry in list_files(str(folder)) if isinstance(entry, LocalFile)]
    jpegs = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg")]
    for number, path in enumerate(islice(jpegs, count)):
        (photos / f"{number:06}.jpg").symlink_to(path.resolve())
    if not jpegs:
        raise InputError(f"--photos {folder}: holds no .jpg files")
    return min(count, len(jpegs))
