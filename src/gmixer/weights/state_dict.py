"""A torch state dict as a source of weights: its architecture from the shapes, and its tensors as float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmixer.config import ModelConfig
from gmixer.weights.architecture import infer_architecture

if TYPE_CHECKING:
    from torch import Tensor


def read_state_dict(
    state: Mapping[str, Tensor], *, source: str
) -> tuple[ModelConfig, Iterator[tuple[str, NDArray[np.float32]]]]:
    """Its architecture, and its tensors one at a time. source: its name in an error. Raises WeightsError."""
    config = infer_architecture({name: tuple(tensor.shape) for name, tensor in state.items()}, source=source)
    return config, ((name, tensor.detach().float().cpu().numpy()) for name, tensor in state.items())
