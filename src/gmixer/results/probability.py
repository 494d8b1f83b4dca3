"""Logits → probabilities, and the order of the classes: once for predictions and for measured accuracy.

A Prediction takes float64, so that its probabilities sum to 1 to the last digit shown. Outcomes of many images take
float32, which halves the work; their published digits were measured so. The order is that of the logits: softmax keeps
it, so both name the same classes.

B images, K classes.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", np.float32, np.float64)


def softmax(logits_BK: NDArray[np.float32], dtype: type[F]) -> NDArray[F]:
    """Probabilities (B, K), computed in this dtype. A logit of -inf has probability 0."""
    probability_BK = logits_BK.astype(dtype)
    probability_BK -= probability_BK.max(axis=1, keepdims=True)
    np.exp(probability_BK, out=probability_BK)
    probability_BK /= probability_BK.sum(axis=1, keepdims=True)
    return probability_BK


def best_first(logits_BK: NDArray[np.float32]) -> NDArray[np.intp]:
    """Class indices (B, K), the most probable class first; of equal logits the lower index comes first."""
    return np.argsort(-logits_BK, axis=1, kind="stable")
