"""A model's answers to pictures whose classes are known. N pictures, B of a batch, K classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gmixer.config import DataConfig
from gmixer.data import Preprocess
from gmixer.datasets.pictures import UNKNOWN, Pictures
from gmixer.engine.threads import default_threads
from gmixer.errors import ImageError
from gmixer.pipeline import batches, map_ahead
from gmixer.train.distributed import World

BATCH = 64


@dataclass(frozen=True)
class Judged:
    """One entry a picture, in the order of the pictures; those without a label or that cannot be read are left out.

    picture: its number. rank: how many classes were held to be more probable than the right one. loss: cross-entropy.
    """

    picture: NDArray[np.int64]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float32]  # of the predicted class
    label_probability: NDArray[np.float32]
    rank: NDArray[np.int64]

    @property
    def top1(self) -> float:
        return self.top(1)

    def top(self, k: int) -> float:
        """Share of the pictures whose class is among the k most probable; 0 without pictures."""
        return float((self.rank < k).mean()) if len(self.rank) else 0.0

    @property
    def loss(self) -> float:
        return float(-np.log(np.maximum(self.label_probability, 1e-12)).mean()) if len(self.rank) else 0.0

    @classmethod
    def joined(cls, parts: list[Judged]) -> Judged:
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)}
        order = np.argsort(columns["picture"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})


def judge(forward: Callable[[Tensor], Tensor], pictures: Pictures, data: DataConfig, world: World) -> Judged:
    """Every process takes its share of the pictures and has the whole result.

    forward: normalised pictures (B, C, S, S) on the device → logits (B, K). EXIF orientation is applied, as in use.
    """
    preprocess = Preprocess(data)
    mine = np.flatnonzero(pictures.labels != UNKNOWN)[world.rank :: world.size]

    def tensor_of(i: np.int64) -> tuple[int, NDArray[np.float32] | None]:
        try:
            return int(i), preprocess(pictures.read(int(i)), name=pictures.name(int(i)))
        except ImageError:
            return int(i), None

    parts = [_answers([], np.empty((0, 1), np.float32), pictures)]
    for batch in batches(map_ahead(tensor_of, mine, threads=min(default_threads(), 4), ahead=BATCH), BATCH):
        read = [(i, x) for i, x in batch if x is not None]
        if read:
            x_BCSS = torch.from_numpy(np.stack([x for _, x in read])).to(world.device)
            logits_BK = forward(x_BCSS).float().cpu().numpy()
            parts.append(_answers([i for i, _ in read], logits_BK, pictures))
    return Judged.joined(world.gathered(Judged.joined(parts)))


def _answers(numbers: list[int], logits_BK: NDArray[np.float32], pictures: Pictures) -> Judged:
    picture_B = np.array(numbers, np.int64)
    rows_B, label_B = np.arange(len(picture_B)), pictures.labels[picture_B]
    shifted_BK = logits_BK - logits_BK.max(axis=1, keepdims=True, initial=-np.inf)
    probability_BK = np.exp(shifted_BK)
    probability_BK /= probability_BK.sum(axis=1, keepdims=True)
    predicted_B = logits_BK.argmax(axis=1).astype(np.int64)
    of_label_B1 = logits_BK[rows_B, label_B][:, None]
    above_BK = (logits_BK > of_label_B1) | (
        (logits_BK == of_label_B1) & (np.arange(logits_BK.shape[1]) < label_B[:, None])
    )
    return Judged(
        picture=picture_B,
        label=label_B,
        predicted=predicted_B,
        probability=probability_BK[rows_B, predicted_B],
        label_probability=probability_BK[rows_B, label_B],
        rank=above_BK.sum(axis=1),
    )
