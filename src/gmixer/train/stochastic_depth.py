"""Stochastic depth with random numbers that come with the images, instead of numbers drawn in the forward pass.

So an image skips the same branches in each process, each part of a batch and each repeated forward pass.
"""

from __future__ import annotations

from torch import Tensor, nn

from gmixer.models.mixer import Mixer


class GivenDropPath(nn.Module):
    """Replaces a block's DropPath, which is called twice: for the token branch, then for the channel branch."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.kept = 1 - rate
        self.uniform_B2: Tensor | None = None
        self._channels = False  # whether the channel branch comes next

    def forward(self, x_BNC: Tensor) -> Tensor:
        if not self.training or self.uniform_B2 is None:
            return x_BNC
        uniform_B = self.uniform_B2[:, int(self._channels)]
        self._channels = not self._channels
        scale_B = (uniform_B < self.kept).to(x_BNC.dtype) / self.kept
        return x_BNC * scale_B[:, None, None]


def give_drop_paths(model: Mixer, rate: float) -> list[GivenDropPath]:
    """Replaces the model's DropPath modules in place. At rate 0 it replaces none, and returns an empty list."""
    paths = [GivenDropPath(rate) for _ in model.blocks] if 0 < rate < 1 else []
    for block, path in zip(model.blocks, paths, strict=False):
        block.drop_path = path
    return paths


def give_numbers(paths: list[GivenDropPath], depth_BL2: Tensor) -> None:
    """Sets the random numbers of a batch, before its forward pass."""
    for i, path in enumerate(paths):
        path.uniform_B2, path._channels = depth_BL2[:, i], False
