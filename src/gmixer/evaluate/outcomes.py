"""A model's answers to pictures whose classes are known, without torch. N pictures, B of a batch, K classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import LabeledImages
from gmixer.errors import ImageError
from gmixer.predictor import MAX_DECODERS
from gmixer.prefetch import batches, prefetch
from gmixer.runtimes.threads import default_threads

BATCH = 32
SHOWN = 5  # classes that are kept of every answer

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # x (B, C, S, S) → logits (B, K)


@dataclass(frozen=True)
class Outcomes:
    """One entry a picture, in the order of the pictures; those that cannot be read are left out.

    picture: its number. label: its class, the best placed one where several are right. best: the SHOWN most probable
    classes, or all of fewer. rank: how many classes were held to be more probable than the right one; of equally
    probable ones the first counts as more probable, as in a Prediction.
    """

    picture: NDArray[np.int64]  # (N,)
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
        """The mean cross-entropy; 0 without pictures."""
        return float(-np.log(np.maximum(self.label_probability, 1e-12)).mean()) if len(self.rank) else 0.0

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Of several shares of the pictures, in the order of the pictures."""
        # An empty part has no top-k width to concatenate.
        measured = [part for part in parts if len(part.picture)] or parts[:1]
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in measured]) for f in fields(cls)}
        order = np.argsort(columns["picture"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})


def score_images(
    forward: Forward,
    pictures: LabeledImages,
    numbers: NDArray[np.int64],
    preprocess: Preprocess,
    *,
    right: Sequence[Sequence[int]] | None = None,
    among: NDArray[np.int64] | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[Outcomes, list[ImageError]]:
    """The answers to the pictures of these numbers, and why some could not be read.

    right: the right classes of every picture, at least one of those outcomes; None: the pictures' labels.
    among: the classes that an answer may be, such as the 200 of ImageNet-R; None: all. The others have probability 0.
    on_progress: called with how many are done.
    """
    parts: list[Outcomes] = []
    unreadable: list[ImageError] = []
    done = 0
    for batch in read_ahead(pictures, numbers, preprocess, size=BATCH):
        read = [(i, x) for i, x in batch if not isinstance(x, ImageError)]
        unreadable += [x for _, x in batch if isinstance(x, ImageError)]
        if read:
            logits_BK = forward(np.stack([x for _, x in read]))
            if among is not None:
                kept_BK = np.full_like(logits_BK, -np.inf)
                kept_BK[:, among] = logits_BK[:, among]
                logits_BK = kept_BK
            numbers_B = [i for i, _ in read]
            right_B = [right[i] if right else [int(pictures.labels[i])] for i in numbers_B]
            parts.append(score_batch(numbers_B, logits_BK, right_B))
        done += len(batch)
        on_progress(done)
    return Outcomes.joined(parts) if parts else _nobody(), unreadable


def read_ahead(
    pictures: LabeledImages, numbers: NDArray[np.int64], preprocess: Preprocess, *, size: int
) -> Iterator[list[tuple[int, NDArray[np.float32] | ImageError]]]:
    """Lists of `size` pictures of these numbers, each with its tensor (C, S, S), or why it has none; the next ones are
    read and decoded in other threads meanwhile.
    """

    def tensor_of(i: np.int64) -> tuple[int, NDArray[np.float32] | ImageError]:
        try:
            return int(i), preprocess(pictures.read(int(i)), name=pictures.name(int(i)))
        except ImageError as error:
            return int(i), error

    threads = min(default_threads(), MAX_DECODERS)
    return batches(prefetch(tensor_of, numbers, threads=threads, ahead=size), size)


def score_batch(numbers: Sequence[int], logits_BK: NDArray[np.float32], right: Sequence[Sequence[int]]) -> Outcomes:
    """Of one batch. right: of each picture the classes that count as right, one at least."""
    B, K = logits_BK.shape
    order_BK = np.argsort(-logits_BK, axis=1, kind="stable")
    place_BK = np.empty((B, K), np.int64)
    np.put_along_axis(place_BK, order_BK, np.arange(K)[None, :], axis=1)
    label_B = np.array([min(labels, key=lambda c: place_BK[b, c]) for b, labels in enumerate(right)], np.int64)
    probability_BK = np.exp(logits_BK - logits_BK.max(axis=1, keepdims=True))
    probability_BK /= probability_BK.sum(axis=1, keepdims=True)
    rows_B = np.arange(B)
    return Outcomes(
        picture=np.array(numbers, np.int64),
        label=label_B,
        best=order_BK[:, :SHOWN],
        probability=probability_BK[rows_B, order_BK[:, 0]],
        label_probability=probability_BK[rows_B, label_B],
        rank=place_BK[rows_B, label_B],
    )


def _nobody() -> Outcomes:
    none, share = np.empty(0, np.int64), np.empty(0, np.float32)
    return Outcomes(picture=none, label=none, best=np.empty((0, SHOWN), np.int64), probability=share,
                  label_probability=share, rank=none)  # fmt: skip
