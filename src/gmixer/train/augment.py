"""A decoded picture → the tensor that a model is trained on, varied at random by torchvision.

Every random number comes from torch's generator of the process, which the caller seeds (feed.py).
C channels, S the model's side in pixels; pictures are uint8 (C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from gmixer.config import DataConfig
from gmixer.train.recipe import Recipe

LEVELS = 10  # RandAugment's magnitudes are counted 0…10, as in timm's auto_augment.py
_BINS_A_LEVEL = 10


class NoisyRandAugment(nn.Module):
    """torchvision's RandAugment with a magnitude drawn for each operation, from a normal distribution cut at 0 and 10.

    torchvision has one magnitude for all. The meaning of magnitude, noise and probability is timm's ("m9-mstd0.5": 9,
    0.5, each operation left out half the time); the operations and their ranges are torchvision's.
    """

    def __init__(self, *, ops: int, magnitude: float, noise: float, probability: float) -> None:
        super().__init__()
        self.ops, self.magnitude, self.noise, self.probability = ops, magnitude, noise, probability
        bins = LEVELS * _BINS_A_LEVEL + 1
        self.by_bin = [v2.RandAugment(num_ops=1, magnitude=b, num_magnitude_bins=bins) for b in range(bins)]

    def forward(self, picture_CHW: Tensor) -> Tensor:
        for _ in range(self.ops):
            chance, deviation = torch.rand(()), torch.randn(())
            if chance < self.probability:
                level = min(max(self.magnitude + self.noise * float(deviation), 0.0), float(LEVELS))
                picture_CHW = self.by_bin[round(level * _BINS_A_LEVEL)](picture_CHW)
        return picture_CHW


def augmentation(recipe: Recipe, data: DataConfig, *, calm: bool) -> nn.Module:
    """uint8 (C, H, W) → float32 (C, S, S), normalised. calm: as the recipe has it for the end of the run."""
    area = recipe.late_crop_area if calm else recipe.crop_area
    jitter = recipe.late_colour_jitter if calm else recipe.colour_jitter
    interpolation = v2.InterpolationMode(data.interpolation)
    steps: list[nn.Module] = [
        v2.RandomResizedCrop(data.image_px, area, recipe.crop_ratio, interpolation=interpolation, antialias=True)
    ]
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip(recipe.flip))
    if jitter:
        steps.append(v2.ColorJitter(jitter, jitter, jitter))
    if recipe.rand_ops:
        steps.append(
            NoisyRandAugment(
                ops=recipe.rand_ops,
                magnitude=recipe.rand_magnitude,
                noise=recipe.rand_noise,
                probability=recipe.rand_probability,
            )
        )
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(data.mean), list(data.std))]
    if recipe.erase:
        steps.append(v2.RandomErasing(recipe.erase, scale=(0.02, 1 / 3), ratio=(0.3, 1 / 0.3), value="random"))
    composed: nn.Module = v2.Compose(steps)
    return composed


class PairMix(nn.Module):
    """MixUp or CutMix of two pictures with each other, by torchvision, which mixes a batch with its neighbours.

    A pair is the smallest batch, and two processes can share pairs where they could not share a batch.
    """

    def __init__(self, *, mixup: float, cutmix: float, probability: float) -> None:
        super().__init__()
        self.probability = probability
        ways = ((v2.MixUp, mixup), (v2.CutMix, cutmix))
        self.ways = [method(alpha=alpha) for method, alpha in ways if alpha]

    def forward(self, x_2CSS: Tensor, target_2K: Tensor) -> tuple[Tensor, Tensor]:
        """Two pictures (2, C, S, S) and their target distributions (2, K) → mixed, with one weight for both."""
        chance, method = torch.rand(()), torch.randint(len(self.ways), ())
        if chance >= self.probability:
            return x_2CSS, target_2K
        mixed: tuple[Tensor, Tensor] = self.ways[int(method)](x_2CSS, target_2K)
        return mixed
