"""rmsprop_tf.py, against timm's."""

from __future__ import annotations

import pytest
import torch
from timm.optim import RMSpropTF as TimmRMSpropTF

from gmixer.train.rmsprop_tf import RMSpropTF


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_takes_the_steps_of_timms(momentum: float, weight_decay: float, eps: float) -> None:
    torch.manual_seed(0)
    start = torch.randn(5, 7)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    options = {"eps": eps, "momentum": momentum, "weight_decay": weight_decay}
    optimizers = (
        (ours, RMSpropTF([ours], lr=0.05, alpha=0.9, **options)),
        (theirs, TimmRMSpropTF([theirs], lr=0.05, alpha=0.9, **options)),
    )
    for step in range(8):
        gradient = torch.randn(5, 7) * 10 ** (step % 3 - 1)
        for weight, optimizer in optimizers:
            weight.grad = gradient.clone()
            optimizer.param_groups[0]["lr"] = 0.05 / (step + 1)
            optimizer.step()
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert bool((ours != start).all())


def test_a_weight_without_a_gradient_stays() -> None:
    weight = torch.ones(3, requires_grad=True)
    RMSpropTF([weight], lr=1.0, weight_decay=0.5).step()
    assert weight.tolist() == [1, 1, 1]


def test_takes_no_closure() -> None:
    with pytest.raises(ValueError, match="takes no closure"):
        RMSpropTF([torch.ones(3, requires_grad=True)], lr=1.0).step(lambda: 0.0)
