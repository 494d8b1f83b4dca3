"""Which picture comes when, and with which random numbers: a function of the seed and the place in the run alone.

A run is one long row of places. Place p of a run over n pictures is in epoch p // n, whose order is drawn from
(seed, epoch); step s takes the places s·batch … s·batch + batch - 1. Nothing depends on processes, workers or on what
was computed before, so a run that was killed goes on as if it had not been, and two processes see what one would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Order:
    """The order of a run over n pictures."""

    n: int
    batch: int
    seed: int

    def places(self, step: int, *, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
        """The places of a step; of its `parts` the one numbered `part`, whole pairs of neighbours each."""
        first, size = step * self.batch, self.batch // parts
        return np.arange(first + part * size, first + (part + 1) * size)

    def picture(self, place: int) -> int:
        """The number of the picture at this place."""
        epoch, position = divmod(place, self.n)
        return int(_shuffled(self.n, self.seed, epoch)[position])

    def draw_seed(self, place: int, *, of: Literal["picture", "pair"] = "picture") -> int:
        """What seeds the random numbers of the picture at this place, or of the pair that begins there."""
        sequence = np.random.SeedSequence((self.seed, place, of == "pair"))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)  # torch's seeds are signed


@lru_cache(maxsize=2)  # a batch may lie across two epochs
def _shuffled(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64((seed, epoch))).permutation(n)
