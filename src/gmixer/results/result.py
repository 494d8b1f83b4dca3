"""The classes and the embedding that one forward pass gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gmixer.results.embedding import Embedding
from gmixer.results.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Result:
    """Classes and embedding of one image, from one pass."""

    prediction: Prediction
    embedding: Embedding

    def to_dict(self) -> dict[str, Any]:
        return self.prediction.to_dict() | {"embedding": self.embedding.vectors.tolist()}
