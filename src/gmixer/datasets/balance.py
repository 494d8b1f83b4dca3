"""How many pictures each class has: what a person should see before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmixer.datasets.pictures import UNKNOWN, Pictures


@dataclass(frozen=True, slots=True)
class Balance:
    """classes: (name, number of pictures), in the order of the class indices. unlabelled: pictures without a label."""

    classes: tuple[tuple[str, int], ...]
    unlabelled: int

    @property
    def largest(self) -> tuple[str, int] | None:
        return max(self.classes, key=lambda row: row[1], default=None)

    @property
    def smallest(self) -> tuple[str, int] | None:
        return min(self.classes, key=lambda row: row[1], default=None)

    @property
    def empty(self) -> tuple[str, ...]:
        """The classes without a picture."""
        return tuple(name for name, count in self.classes if not count)


def balance(pictures: Pictures) -> Balance:
    """Where the data only has numbers, classes go up to the largest and are called "class 17"."""
    known = pictures.labels[pictures.labels != UNKNOWN]
    counts = np.bincount(known, minlength=len(pictures.classes or ()))
    names = pictures.classes or [f"class {label}" for label in range(len(counts))]
    return Balance(tuple(zip(names, counts.tolist(), strict=True)), len(pictures) - len(known))
