"""A folder of JPEGs to top-5 classes and embeddings: the whole way, against timm's dataset and torch's loader.

B images of a batch, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gmixer.bench.contest import Contest, Entrant, Result, Turn
from gmixer.bench.fresh import in_fresh_process
from gmixer.bench.jpegs import drawn_jpeg
from gmixer.bench.row import Step, per_cent, threads_in_words
from gmixer.bench.stats import Spread, ratios
from gmixer.bench.target import Subject
from gmixer.errors import InputError

PACKAGES = ("torch", "timm")
COUNT = 500
BATCH = 16
PIECE = 8 * BATCH  # photos that one stream takes before the model alone has its turn
SIZES = ((500, 375), (375, 500), (500, 333), (500, 400), (333, 500))
DRAWN = 50  # different ones; the others are copies
WORKERS = (0, 1, 2)  # of torch's loader


def photo_steps(
    subject: Subject, *, rounds: int, threads: int, isa: str, count: int, folder: Path | None
) -> list[Step]:
    """folder: the user's photographs, the first `count` of them; None: drawn ones.

    Raises InputError for a folder without any.
    """
    photos = subject.scratch / "photos" / "all"  # timm takes a folder's subfolders for classes
    photos.mkdir(parents=True)
    found = _draw(photos, count) if folder is None else _link(folder, photos, count)
    paths = sorted(map(str, photos.iterdir()))
    of_whom = "drawn here" if folder is None else "the user's own"
    what = f"{found} JPEGs"

    def ours() -> dict[str, Result]:
        return _measure(measure_ours, {**subject.weights, "paths": paths, "threads": threads, "isa": isa}, found)

    def theirs(workers: int) -> dict[str, Result]:
        return _measure(
            measure_timm,
            {**subject.weights, "folder": str(photos.parent), "threads": threads, "workers": workers},
            found,
        )

    contest = Contest(
        group="photos",
        what=what,
        title=f"{what} ({of_whom}) to top-5 classes and embeddings, {threads_in_words(threads)}",
        unit="image",
        turns=[
            Turn([Entrant("gmixer", "gmixer"), Entrant("gmixer-model", "gmixer, model alone", False)], ours),
            *(
                Turn(
                    [Entrant(f"timm-{workers}-workers", f"timm, {workers} worker{'s' * (workers != 1)}")],
                    partial(theirs, workers),
                )
                for workers in WORKERS
            ),
        ],
        remark=_part_of_the_models_rate,
    )
    return contest.steps(rounds)


def _part_of_the_models_rate(ms: Mapping[str, Sequence[float]]) -> str:
    part = Spread.of(ratios(ms["gmixer-model"], ms["gmixer"]))
    spread = f"{per_cent(part.least)} … {per_cent(part.greatest)}, n = {part.n}"
    return f"with decoding and resizing gmixer reaches {per_cent(part.median)} ({spread}) of the model's own rate"


def _measure(function: Callable[..., dict[str, float]], arguments: dict[str, Any], images: int) -> dict[str, Result]:
    answer = in_fresh_process(function, arguments)
    return {
        key: Result(ms=seconds * 1e3 / images, peak_mib=answer.peak_bytes / 2**20)
        for key, seconds in answer.value.items()
    }


def measure_ours(source: str, variant: str | None, paths: list[str], threads: int, isa: str) -> dict[str, float]:
    """In a process of its own: seconds for all from their files, and what the model alone takes for as many that are
    tensors already, a piece of one after a piece of the other, since the machine's speed drifts.
    """
    import gmixer
    from gmixer.bench.forward import drawn_images

    predictor = gmixer.load(source, name=variant, threads=threads, isa=isa)
    x_BCHW = drawn_images(predictor.model, BATCH)
    for _ in predictor.stream(paths[:BATCH]):
        pass
    seconds = {"gmixer": 0.0, "gmixer-model": 0.0}
    for begin in range(0, len(paths), PIECE):
        piece = paths[begin : begin + PIECE]
        start = time.perf_counter()
        for result in predictor.stream(piece, k=5):
            if isinstance(result, gmixer.ImageError):
                raise InputError(f"{result}; leave it out of --photos: timm would stop at it")
        between = time.perf_counter()
        for size in _batches(len(piece)):
            predictor.forward(x_BCHW[:size])
        seconds["gmixer"] += between - start
        seconds["gmixer-model"] += time.perf_counter() - between
    return seconds


def measure_timm(source: str, variant: str | None, folder: str, threads: int, workers: int) -> dict[str, float]:
    """In a process of its own: ImageDataset, DataLoader, eager; seconds for all, loader's start included."""
    import torch
    from timm.data.dataset import ImageDataset
    from timm.data.transforms_factory import create_transform
    from torch.utils.data import DataLoader

    from gmixer.bench.contestants import timm_model
    from gmixer.weights import find_checkpoint

    torch.set_num_threads(threads)
    model, config = timm_model(source, variant)
    data = find_checkpoint(source, name=variant).data
    transform = create_transform(**data.to_timm(), is_training=False)
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


def _draw(folder: Path, count: int) -> int:
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
