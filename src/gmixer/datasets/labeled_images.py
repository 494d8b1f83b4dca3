"""What a set of labelled pictures is, whatever it lies in: numbered, each with its bytes, its name and its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # the label of a picture whose class nobody said


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """A teacher's answers that lie beside the pictures: its k most probable classes of each.

    index: int32 (n, k), class indices, -1 where there are fewer. probability: float32 (n, k), 0 there; a row of zeros
    is a picture that the teacher never saw.
    """

    index: NDArray[np.int32]
    probability: NDArray[np.float32]


class LabeledImages(Protocol):
    """n pictures, numbered from 0 in an order that depends on the data alone.

    An instance can be pickled, and read from by a process of its own: files are opened where they are read.
    """

    @property
    def source(self) -> str:
        """As the user typed it."""
        ...

    @property
    def classes(self) -> Sequence[str] | None:
        """What the labels count; None where the data only has numbers."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class indices, UNKNOWN where none is said."""
        ...

    @property
    def soft(self) -> SoftLabels | None: ...

    @property
    def notes(self) -> Sequence[str]:
        """What was left out and why, a sentence each, to be shown before a run."""
        ...

    def __len__(self) -> int: ...

    def key(self, i: int) -> str:
        """The name within the source, wherever that lies: what a split goes by."""
        ...

    def name(self, i: int) -> str:
        """What a person would call it: the file's path, `photos.tar::a/b.jpg`, `train.parquet[17]`,
        `train.parquet[17]::b.jpg` where the row says so.
        """
        ...

    def read(self, i: int) -> bytes:
        """The file's bytes, still encoded. Raises ImageError where they cannot be had."""
        ...


@dataclass(frozen=True)
class Subset:
    """Some of the images, in the order of `chosen` (n,): a split or a few classes. Itself `LabeledImages`."""

    whole: LabeledImages
    chosen: NDArray[np.int64]

    @property
    def source(self) -> str:
        return self.whole.source

    @property
    def classes(self) -> Sequence[str] | None:
        return self.whole.classes

    @cached_property  # they are asked for once a picture
    def labels(self) -> NDArray[np.int64]:
        return self.whole.labels[self.chosen]

    @cached_property
    def soft(self) -> SoftLabels | None:
        soft = self.whole.soft
        return soft and SoftLabels(soft.index[self.chosen], soft.probability[self.chosen])

    @property
    def notes(self) -> Sequence[str]:
        return self.whole.notes

    def __len__(self) -> int:
        return len(self.chosen)

    def key(self, i: int) -> str:
        return self.whole.key(int(self.chosen[i]))

    def name(self, i: int) -> str:
        return self.whole.name(int(self.chosen[i]))

    def read(self, i: int) -> bytes:
        return self.whole.read(int(self.chosen[i]))
