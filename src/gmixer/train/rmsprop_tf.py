"""RMSProp as TensorFlow 1 computed it, which the RandAugment recipes of EfficientNet's time were tuned with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class RMSpropTF(Optimizer):
    """Differs from torch.optim.RMSprop in three things: the squared average starts at 1, eps is added under the root,
    and the learning rate is part of what the momentum remembers.

        g ← gradient + weight_decay · w
        v ← α v + (1 - α) g²          v starts at 1
        m ← momentum · m + lr · g / √(v + eps)
        w ← w - m

    Source: TensorFlow 1's RMSPropOptimizer; the same update as timm 1.0.31's RMSpropTF by its defaults, as its
    --opt rmsproptf has them.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        *,
        alpha: float = 0.9,
        eps: float = 1e-10,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("RMSpropTF takes no closure: it looks at each gradient once")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["square_average"] = torch.ones_like(weight)
                    state["momentum"] = torch.zeros_like(weight)
                gradient = weight.grad.add(weight, alpha=group["weight_decay"])
                average, momentum = state["square_average"], state["momentum"]
                average.lerp_(gradient.square(), 1 - group["alpha"])
                momentum.mul_(group["momentum"]).addcdiv_(gradient, (average + group["eps"]).sqrt(), value=group["lr"])
                weight.sub_(momentum)
        return None
