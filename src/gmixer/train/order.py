"""Which picture comes when, and with which random numbers: a function of the seed and the place in the run alone.

A run is one long row of places. Place p of a run over n pictures is in epoch p // n, whose order is drawn from
(seed, epoch); step s takes the places s·batch … s·batch + batch - 1. Nothing depends on processes, workers or on what
was computed before, so a run that was killed goes on as if it had not been, and two processes see what one would.

An epoch of a balanced order is as long, but small classes come more often in it than large ones.
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
    """The order of a run over n pictures. draws: how often each comes in an epoch on average, float64 (n,) that sums
    to n; None: once."""

    n: int
    batch: int
    seed: int
    draws: NDArray[np.float64] | None = None

    def places(self, step: int, *, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
        """The places of a step; of its `parts` the one numbered `part`, whole pairs of neighbours each."""
        first, size = step * self.batch, self.batch // parts
        return np.arange(first + part * size, first + (part + 1) * size)

    def picture(self, place: int) -> int:
        """The number of the picture at this place."""
        epoch, position = divmod(place, self.n)
        order, offset = _shuffled(self.n, self.seed, epoch)
        drawn = int(order[position])
        if self.draws is None:
            return drawn
        # systematic sampling: points at distance 1 along the pictures' draws, so none comes a whole draw too often
        return min(int(np.searchsorted(self._until, drawn + offset, side="right")), self.n - 1)

    def draw_seed(self, place: int, *, of: Literal["picture", "pair"] = "picture") -> int:
        """What seeds the random numbers of the picture at this place, or of the pair that begins there."""
        sequence = np.random.SeedSequence((self.seed, place, of == "pair"))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)  # torch's seeds are signed

    @cached_property
    def _until(self) -> NDArray[np.float64]:
        assert self.draws is not None
        return np.cumsum(self.draws)


def balanced(labels: NDArray[np.integer], balance: float) -> NDArray[np.float64] | None:
    """The draws of pictures with these labels: a class of c pictures comes as if it had c^(1 - balance).

    Pictures without a label come once an epoch all the same. balance 1: all classes alike; 0: all pictures, None.
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
    """The numbers 0 … n - 1 in the epoch's order, and where in 0 … 1 its sampling begins."""
    generator = np.random.Generator(np.random.PCG64((seed, epoch)))
    return generator.permutation(n), float(generator.random())
