"""Averaged weights: an exponential moving average of the weights after each step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """decay: how much of the average remains after a step. The first steps use a smaller decay, as TensorFlow does
    with num_updates."""

    @torch.no_grad()
    def average(averages: Any, currents: Any, n: Tensor | int) -> None:
        torch._foreach_lerp_(averages, currents, 1 - min(decay, (1 + int(n)) / (10 + int(n))))

    return AveragedModel(model, multi_avg_fn=average)
