"""A set of labelled images in any format: numbered, each with its bytes, its name and its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # the label of an image without a known class


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """A teacher's answers stored with the images: its k most probable classes for each image.

    index: int32 (n, k), class indices, -1 if there are fewer. probability: float32 (n, k), 0 there. A row of zeros
    means that the teacher has not seen the image.
    """

    index: NDArray[np.int32]
    probability: NDArray[np.float32]


class LabeledImages(Protocol):
    """n images, numbered from 0 in an order that depends on the data alone.

    An instance can be pickled, and another process can read from the copy: a file is opened when it is read.
    """

    @property
    def source(self) -> str:
        """As the user typed it."""
        ...

    @property
    def classes(self) -> Sequence[str] | None:
        """The names of the classes, by index; None if the data holds only numbers."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class indices; UNKNOWN for an image without a label."""
        ...

    @property
    def soft(self) -> SoftLabels | None: ...

    @property
    def notes(self) -> Sequence[str]:
        """What was left out and why, one sentence each, to be shown before a run."""
        ...

    def __len__(self) -> int: ...

    def key(self, i: int) -> str:
        """The name within the source, independent of where the source is; the split is drawn by it."""
        ...

    def name(self, i: int) -> str:
        """The name for people: the file's path, `photos.tar::a/b.jpg`, `train.parquet[17]`, or
        `train.parquet[17]::b.jpg` if the row holds a path.
        """
        ...

    def read(self, i: int) -> bytes:
        """The bytes of the file, still encoded. Raises ImageError if they cannot be read."""
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

    @cached_property  # used once for each image
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
