"""What every format gives: labelled pictures that know where they lie, before they are split and numbered anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import SoftLabels


@dataclass(frozen=True, kw_only=True)
class DatasetBase(ABC):
    """`LabeledImages` of one format: the fields are those of the protocol."""

    source: str
    classes: Sequence[str] | None
    labels: NDArray[np.int64]
    soft: SoftLabels | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def key(self, i: int) -> str: ...

    @abstractmethod
    def name(self, i: int) -> str: ...

    @abstractmethod
    def read(self, i: int) -> bytes: ...

    @abstractmethod
    def where(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """The fields of the subclass for these of its pictures."""

    def taken(self, rows: NDArray[np.int64], notes: tuple[str, ...] = ()) -> Self:
        """These of the pictures, in this order, and more to tell of them."""
        soft = self.soft and SoftLabels(self.soft.index[rows], self.soft.probability[rows])
        fields = self.where(rows)
        return replace(self, labels=self.labels[rows], soft=soft, notes=self.notes + notes, **fields)

    def prepare(self) -> None:  # noqa: B027 # most formats have nothing to prepare
        """Reads what fits into memory as a whole, once, so that processes forked from this one share it."""


Part = Literal["train", "val", "whole"]
# What a source holds: "train", "val" or both where it says which pictures are for what, else "whole" alone.
Parts: TypeAlias = Mapping[Part, DatasetBase]
