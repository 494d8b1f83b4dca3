"""A model's answers to labelled images, without torch. N images, B images of a batch, K classes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import LabeledImages
from gmixer.errors import ImageError
from gmixer.prediction import Preparer, run
from gmixer.results import best_first, softmax
from gmixer.runtimes import Output, Runtime

SHOWN = 5  # how many classes of each answer are kept


@dataclass(frozen=True)
class Outcomes:
    """One entry for each image, in the order of the images; images that cannot be read have none.

    image: its number. label: its class; of several correct classes the most probable one. best: the SHOWN most probable
    classes, or all classes if there are fewer. rank: how many classes were more probable than the label; of equally
    probable classes the lower index counts as more probable, as in a Prediction.
    """

    image: NDArray[np.int64]  # (N,)
    label: NDArray[np.int64]  # (N,)
    best: NDArray[np.int64]  # (N, SHOWN)
    probability: NDArray[np.float32]  # (N,) of the most probable class
    label_probability: NDArray[np.float32]  # (N,)
    rank: NDArray[np.int64]  # (N,)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) the most probable class."""
        first: NDArray[np.int64] = self.best[:, 0]
        return first

    @property
    def loss(self) -> float:
        """The mean cross-entropy; 0 without images."""
        return float(-np.log(np.maximum(self.label_probability, 1e-12)).mean()) if len(self.rank) else 0.0

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """The outcomes of several parts of the images as one, in the order of the images."""
        # An empty part has no top-k width to concatenate.
        measured = [part for part in parts if len(part.image)] or parts[:1]
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in measured]) for f in fields(cls)}
        order = np.argsort(columns["image"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})

    @classmethod
    def empty(cls) -> Outcomes:
        none, share = np.empty(0, np.int64), np.empty(0, np.float32)
        best = np.empty((0, SHOWN), np.int64)
        return cls(image=none, label=none, best=best, probability=share, label_probability=share, rank=none)


class Scored(NamedTuple):
    """The outcomes of images; the errors of the images that could not be read; the notes of others: name → note."""

    outcomes: Outcomes
    unreadable: list[ImageError]
    notes: dict[str, str]


def score_images(
    runtimes: Sequence[Runtime],
    images: LabeledImages,
    numbers: NDArray[np.int64],
    preprocess: Preprocess,
    *,
    correct: Sequence[Sequence[int]] | None = None,
    allowed: NDArray[np.int64] | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Scored]:
    """The outcomes of the images of these numbers, for each of the runtimes. All of them get the same tensors.

    correct: the correct classes of every image; one or more for each number given. None: the images' labels.
    allowed: the classes that an answer may be, such as the 200 of ImageNet-R; None: all. Others have probability 0.
    on_progress: called with how many images are done.
    """
    parts: list[list[Outcomes]] = [[] for _ in runtimes]
    unreadable: list[ImageError] = []
    notes: dict[str, str] = {}
    batches = run_numbered(runtimes, images, numbers, preprocess, unreadable, notes, on_progress)
    with closing(batches):
        for readable, outputs in batches:
            correct_B = [correct[i] if correct else [int(images.labels[i])] for i in readable]
            for of_runtime, output in zip(parts, outputs, strict=True):
                logits_BK = output.logits
                if allowed is not None:
                    allowed_BK = np.full_like(logits_BK, -np.inf)
                    allowed_BK[:, allowed] = logits_BK[:, allowed]
                    logits_BK = allowed_BK
                of_runtime.append(score_batch(readable, logits_BK, correct_B))
    return [
        Scored(Outcomes.joined(of_runtime) if of_runtime else Outcomes.empty(), unreadable, notes)
        for of_runtime in parts
    ]


def run_numbered(
    runtimes: Sequence[Runtime],
    images: LabeledImages,
    numbers: NDArray[np.int64],
    preprocess: Preprocess,
    unreadable: list[ImageError],
    notes: dict[str, str],
    on_progress: Callable[[int], None],
) -> Generator[tuple[list[int], list[Output]], None, None]:
    """The numbers of the readable images of each batch, and each runtime's output for them.

    Images are read and decoded once, ahead of use, in batches of the size that the first runtime prefers.
    unreadable, notes: get the errors, and the notes by name. on_progress: called after each batch with how many images
    are done.
    """
    prepare = Preparer[int](lambda i: preprocess.with_note(images.read(i), name=images.name(i)))
    done = 0
    with closing(prepare.batches(map(int, numbers), size=runtimes[0].batch_hint)) as batches:
        for batch in batches:
            inputs = {int(numbers[done + b]): x for b, x in enumerate(batch) if not isinstance(x, ImageError)}
            unreadable += [x for x in batch if isinstance(x, ImageError)]
            notes |= {images.name(i): x.note for i, x in inputs.items() if x.note}
            if inputs:
                tensors = [x.x_CSS for x in inputs.values()]
                yield list(inputs), [run(runtime, tensors) for runtime in runtimes]
            done += len(batch)
            on_progress(done)


def score_batch(numbers: Sequence[int], logits_BK: NDArray[np.float32], correct: Sequence[Sequence[int]]) -> Outcomes:
    """The outcomes of one batch. correct: the correct classes of each image, one or more."""
    B, K = logits_BK.shape
    order_BK = best_first(logits_BK)
    rank_BK = np.empty((B, K), np.int64)
    np.put_along_axis(rank_BK, order_BK, np.arange(K)[None, :], axis=1)
    label_B = np.array([min(labels, key=lambda c: rank_BK[b, c]) for b, labels in enumerate(correct)], np.int64)
    probability_BK = softmax(logits_BK, np.float32)
    rows_B = np.arange(B)
    return Outcomes(
        image=np.array(numbers, np.int64),
        label=label_B,
        best=order_BK[:, :SHOWN],
        probability=probability_BK[rows_B, order_BK[:, 0]],
        label_probability=probability_BK[rows_B, label_B],
        rank=rank_BK[rows_B, label_B],
    )
