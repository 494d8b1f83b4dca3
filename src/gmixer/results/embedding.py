"""Features → vectors with the name of their model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gmixer.options import FP32, Precision


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Embedding:
    """Vectors of one model: float32, (C,) for one image, (B, C) for a list. `numpy.asarray(embedding)` is the array.

    The vectors are the features before the classifier, not scaled to length 1. note: what the caller may not expect of
    the image as read. For a list, it names the places of the images that have one: "image 3: its alpha is …".
    """

    vectors: NDArray[np.float32]
    model: str
    note: str | None = None
    precision: Precision = FP32  # of the products that computed it: only vectors of one model and one precision compare

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.vectors, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.vectors)

    def to_dict(self) -> dict[str, Any]:
        note = {"note": self.note} if self.note else {}
        said = {"model": self.model, "precision": self.precision, "vectors": self.vectors.tolist()}
        return said | note

    def __repr__(self) -> str:
        return f"<Embedding by {self.model} in {self.precision}: float32 {self.vectors.shape}>"
