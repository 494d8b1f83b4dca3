"""Drawn weights, for checks and measurements of a network that has no trained weights here."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig


def drawn_tensors(config: ModelConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights N(0, 1/fan_in), biases and LayerNorm's β N(0, 0.2), γ U(0.5, 1.5). No gate or bias is near zero."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in config.tensor_shapes().items():
        if name.endswith("bias"):
            values = rng.normal(0, 0.2, shape)
        elif len(shape) == 1:
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(0, math.prod(shape[1:]) ** -0.5, shape)
        tensors[name] = values.astype(np.float32)
    return tensors
