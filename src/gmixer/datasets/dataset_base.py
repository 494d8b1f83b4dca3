"""The base class of every format: labelled images that can be read, before they are split and renumbered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import SoftLabels
from gmixer.options import DEFAULT_READING, Reading


@dataclass(frozen=True, kw_only=True)
class DatasetBase(ABC):
    """`LabeledImages` of one format: the fields are those of the protocol.

    written: how the data writes numbers, as in label_values.Labels.
    hint: the end of an error about its classes: why it has no others, and the way out.
    reading: its limits hold for the files that are read; opening.py sets it.
    folders: the names of the folders that are this split; empty if it is not one of folders.
    """

    source: str
    classes: Sequence[str] | None
    labels: NDArray[np.int64]
    soft: SoftLabels | None = None
    notes: tuple[str, ...] = ()
    written: Mapping[int, str] = field(default_factory=dict)
    hint: str = ""
    reading: Reading = DEFAULT_READING
    folders: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def key(self, i: int) -> str: ...

    @abstractmethod
    def name(self, i: int) -> str: ...

    @abstractmethod
    def read(self, i: int) -> bytes: ...

    @abstractmethod
    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """The fields of the subclass for these images."""

    def take(self, rows: NDArray[np.int64], notes: tuple[str, ...] = ()) -> Self:
        """These images, in this order, with further notes."""
        soft = self.soft and SoftLabels(self.soft.index[rows], self.soft.probability[rows])
        fields = self.fields_of(rows)
        return replace(self, labels=self.labels[rows], soft=soft, notes=self.notes + notes, **fields)

    def prepare(self) -> None:  # noqa: B027 # most formats have nothing to prepare
        """Reads what fits into memory as a whole, once, so that forked processes share it."""


SplitName = Literal["train", "val", "whole"]
# "train", "val" or both if the source says which images are for what; otherwise "whole" alone.
Splits: TypeAlias = Mapping[SplitName, DatasetBase]
