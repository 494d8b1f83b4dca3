"""Which image comes when, and the seeds of its random numbers: a function of the recipe's seed and the place alone.

A run is one long row of places. Place p of a run over n images is in epoch p // n, and each epoch's order is drawn from
(seed, epoch). Step s takes the places s·batch … s·batch + batch - 1. Nothing depends on processes, workers or earlier
computations. So a run that was killed continues as if it had not been, and two processes see what one would see.

An epoch of a balanced order has the same length, but images of small classes come more often than images of large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import UNKNOWN


@dataclass(frozen=True)
class Order:
    """The order of a run over n images.

    draws: float64 (n,) that sums to n: how often each image comes in an epoch on average. None: once.
    """

    n: int
    batch: int
    seed: int
    draws: NDArray[np.float64] | None = None

    def places(self, step: int, *, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
        """The places of a step, or of part number `part` of `parts`; each part has whole pairs of neighbours."""
        first, size = step * self.batch, self.batch // parts
        return np.arange(first + part * size, first + (part + 1) * size)

    def image(self, place: int) -> int:
        """The number of the image at this place."""
        epoch, position = divmod(place, self.n)
        order, offset = _shuffled(self.n, self.seed, epoch)
        drawn = int(order[position])
        if self.draws is None:
            return drawn
        # Systematic sampling: points at distance 1 along the sum of draws. No image comes a whole draw too often.
        return min(int(np.searchsorted(self._until, drawn + offset, side="right")), self.n - 1)

    def draw_seed(self, place: int, *, of: Literal["image", "pair"] = "image") -> int:
        """The seed for the random numbers of the image at this place, or of the pair that begins there."""
        sequence = np.random.SeedSequence((self.seed, place, of == "pair"))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)  # torch's seeds are signed

    @cached_property
    def _until(self) -> NDArray[np.float64]:
        assert self.draws is not None
        return np.cumsum(self.draws)


def balanced(labels: NDArray[np.integer], balance: float) -> NDArray[np.float64] | None:
    """The draws of images with these labels: a class of c images comes as if it had c^(1 - balance).

    Images without a label come once an epoch. balance 1: all classes equally often. balance 0: None.
    """
    known = labels != UNKNOWN
    if not balance or not known.any():
        return None
    draws = np.ones(len(labels))
    _, classes, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    weights = counts[classes].astype(np.float64) ** -balance
    draws[known] = weights * (known.sum() / weights.sum())
    return draws


@lru_cache(maxsize=2)  # a batch may lie across two epochs
def _shuffled(n: int, seed: int, epoch: int) -> tuple[NDArray[np.int64], float]:
    """The numbers 0 … n - 1 in the epoch's order, and the offset of its sampling in 0 … 1."""
    generator = np.random.Generator(np.random.PCG64((seed, epoch)))
    return generator.permutation(n), float(generator.random())
