"""ema.py, written out."""

from __future__ import annotations

import torch
from torch import nn

from gmixer.train.ema import averaged


def test_the_average_looks_back_less_far_in_the_beginning() -> None:
    model = nn.Linear(1, 1, bias=False)
    average, expected = averaged(model, 0.3), None
    for n, value in enumerate([1.0, 5.0, -2.0, 4.0, 3.0, 3.0, 7.0]):
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        decay = min((1 + n) / (10 + n), 0.3)  # 0.18, 0.25 and from then on 0.3
        expected = value if expected is None else decay * expected + (1 - decay) * value
        torch.testing.assert_close(average.module.weight, torch.full((1, 1), expected))
