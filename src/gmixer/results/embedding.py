"""Features → vectors with the name of their model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Embedding:
    """Vectors of one model: float32, (C,) for one image, (B, C) for a list. `numpy.asarray(embedding)` is the array.

    The vectors are the features before the classifier, not scaled to length 1.
    """

    vectors: NDArray[np.float32]
    model: str

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.vectors, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.vectors)

    def to_dict(self) -> dict[str, Any]:
        return {"model": self.model, "vectors": self.vectors.tolist()}

    def __repr__(self) -> str:
        return f"<Embedding by {self.model}: float32 {self.vectors.shape}>"
