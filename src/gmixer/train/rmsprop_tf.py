"""RMSProp as TensorFlow 1 computed it. The RandAugment recipes of EfficientNet's time were tuned with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class RMSpropTF(Optimizer):
    """Differs from torch.optim.RMSprop in three points.

    The squared average starts at 1, eps is added under the root, and the momentum includes the learning rate.

        g ← gradient + weight_decay · w
        v ← α v + (1 - α) g²          v starts at 1
        m ← momentum · m + lr · g / √(v + eps)
        w ← w - m

    Source: TensorFlow 1's RMSPropOptimizer. The update equals timm 1.0.31's RMSpropTF with the defaults of its
    --opt rmsproptf.
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
