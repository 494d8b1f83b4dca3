"""How well the nearest stored embeddings tell the class: no model is fitted, and no image is read.

N rows to learn from, M rows held out, B of them in a block, C channels of a vector, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmixer.checks import whole
from gmixer.datasets import UNKNOWN, described
from gmixer.errors import InputError
from gmixer.evaluate import Outcomes, Share, per_class, top
from gmixer.evaluate.outcomes import score_batch
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.train.stored_rows import holds_embeddings, open_rows

TEMPERATURE = 0.07  # of a neighbour's vote, exp(cosine / 0.07): Wu et al. 2018 (arXiv 1805.01978), and DINO
_SIMILARITIES = 2**23  # of a block: 34 MB, and 67 MB for their order


@dataclass(frozen=True)
class Neighbours:
    """outcomes: the held-out rows. learned: how many rows the neighbours were taken from. notes: on the data."""

    k: int
    outcomes: Outcomes
    class_names: Sequence[str]
    learned: int
    notes: Sequence[str]

    @property
    def top1(self) -> Share:
        return top(self.outcomes, 1)

    @property
    def classes(self) -> list[Share]:
        """Top-1 of each class."""
        return per_class(self.outcomes, len(self.class_names))


def measure_neighbours(
    data: str | os.PathLike[str],
    k: int = 20,
    *,
    val_fraction: float = 0.2,
    val_folder: str | None = None,
    storage: Storage = DEFAULT_STORAGE,
) -> Neighbours:
    """Each held-out row gets the class for which its k nearest rows vote, by cosine; a nearer row has a larger vote.

    data: the output of `gmixer embed`, also with --normalize. val_fraction, val_folder: as in open_images.
    storage: how object storage is reached.

    Raises InputError: no stored embeddings, no labels, fewer than k rows to learn from.
    """
    from gmixer.bulk.stored import open_stored

    whole("k", k, least=1)
    if not holds_embeddings(data):
        raise InputError(f"{os.fspath(data)} holds no stored embeddings; wanted the output of gmixer embed -o")
    parts = open_rows(open_stored(data, storage), val_fraction=val_fraction, val_folder=val_folder)
    train = parts.train.take(np.flatnonzero(parts.train.labels != UNKNOWN))
    val = parts.val.take(np.flatnonzero(parts.val.labels != UNKNOWN))
    if len(train) < k:
        raise InputError(f"k is {k}, and {train.source} has {len(train):,} rows to learn from; wanted k at most that")
    K = len(train.classes) if train.classes is not None else int(train.labels.max()) + 1
    x_NC, q_MC = _unit(train.features_NC), _unit(val.features_NC)
    blocks = [
        score_batch(
            rows_B.tolist(),
            _log_votes(q_MC[rows_B], x_NC, train.labels, k=k, num_classes=K),
            [[label] for label in val.labels[rows_B].tolist()],
        )
        for rows_B in _blocks(len(val), len(train))
    ]
    return Neighbours(
        k=k,
        outcomes=Outcomes.joined(blocks) if blocks else Outcomes.empty(),
        class_names=train.classes or [f"class {i}" for i in range(K)],
        learned=len(train),
        notes=described(parts.train, parts.val, val_called=parts.val_called),
    )


def _log_votes(
    q_BC: NDArray[np.float32], x_NC: NDArray[np.float32], labels_N: NDArray[np.int64], *, k: int, num_classes: int
) -> NDArray[np.float32]:
    """(B, K): the logarithm of each class's votes; -inf without a vote, so that softmax gives the shares."""
    cosine_BN = q_BC @ x_NC.T
    nearest_Bk = np.argpartition(cosine_BN, -k, axis=1)[:, -k:]
    votes_Bk = np.exp((np.take_along_axis(cosine_BN, nearest_Bk, axis=1) - 1) / TEMPERATURE)  # at most 1 a vote
    votes_BK = np.zeros((len(q_BC), num_classes), np.float32)
    np.add.at(votes_BK, (np.arange(len(q_BC))[:, None], labels_N[nearest_Bk]), votes_Bk)
    with np.errstate(divide="ignore"):
        return np.log(votes_BK)


def _unit(vectors_NC: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each vector with length 1; a vector of zeros stays one."""
    length_N1 = np.linalg.norm(vectors_NC, axis=1, keepdims=True)
    unit_NC: NDArray[np.float32] = vectors_NC / np.maximum(length_N1, np.finfo(np.float32).tiny)
    return unit_NC


def _blocks(count: int, against: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, _SIMILARITIES // max(against, 1))
    for begin in range(0, count, size):
        yield np.arange(begin, min(begin + size, count))
