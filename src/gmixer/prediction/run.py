"""Tensors → the network's output.

B images, C channels, S image_px.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.runtimes import Output, Runtime


def run(runtime: Runtime, tensors: Sequence[NDArray[np.float32]]) -> Output:
    """One forward pass over tensors (C, S, S). Of no tensors, an Output of no images."""
    return runtime.forward(stack(tensors, runtime.config))


def stack(tensors: Sequence[NDArray[np.float32]], config: ModelConfig) -> NDArray[np.float32]:
    """Float32 (B, C, S, S). config: gives the shape where there are no tensors."""
    if tensors:
        return np.stack(tensors)
    return np.empty((0, config.in_chans, config.image_px, config.image_px), np.float32)
