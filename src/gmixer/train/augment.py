"""Decoded pixels → the tensor that a model is trained on, augmented at random by torchvision.

Every random number comes from torch's generator of the process, which the caller seeds (feed.py).
C channels, S the model's side in pixels; images are uint8 (C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from gmixer.config import DataConfig
from gmixer.train.recipe import TrainRecipe

LEVELS = 10  # RandAugment's magnitudes go from 0 to 10, as in timm's auto_augment.py
_BINS_PER_LEVEL = 10


class NoisyRandAugment(nn.Module):
    """torchvision's RandAugment with a magnitude drawn for each operation, from a normal distribution cut at 0 and 10.

    torchvision has one magnitude for all operations. Magnitude, noise and probability mean what they mean in timm:
    "m9-mstd0.5" is 9 and 0.5, with each operation left out half the time. The operations and their ranges are
    torchvision's.
    """

    def __init__(self, *, ops: int, magnitude: float, noise: float, probability: float) -> None:
        super().__init__()
        self.ops, self.magnitude, self.noise, self.probability = ops, magnitude, noise, probability
        bins = LEVELS * _BINS_PER_LEVEL + 1
        self.by_bin = [v2.RandAugment(num_ops=1, magnitude=b, num_magnitude_bins=bins) for b in range(bins)]

    def forward(self, image_CHW: Tensor) -> Tensor:
        for _ in range(self.ops):
            chance, deviation = torch.rand(()), torch.randn(())
            if chance < self.probability:
                level = min(max(self.magnitude + self.noise * float(deviation), 0.0), float(LEVELS))
                image_CHW = self.by_bin[round(level * _BINS_PER_LEVEL)](image_CHW)
        return image_CHW


def augmentation(recipe: TrainRecipe, config: DataConfig, *, late: bool) -> nn.Module:
    """uint8 (C, H, W) → float32 (C, S, S), normalised. late: by the recipe's section for the end of the run."""
    augment, crops = recipe.augment, recipe.late if late else recipe.augment
    interpolation = v2.InterpolationMode(config.interpolation)
    steps: list[nn.Module] = [
        v2.RandomResizedCrop(
            config.image_px, crops.crop_area, augment.crop_ratio, interpolation=interpolation, antialias=True
        )
    ]
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    if crops.color_jitter:
        steps.append(v2.ColorJitter(crops.color_jitter, crops.color_jitter, crops.color_jitter))
    if augment.rand_ops:
        steps.append(
            NoisyRandAugment(
                ops=augment.rand_ops,
                magnitude=augment.rand_magnitude,
                noise=augment.rand_noise,
                probability=augment.rand_probability,
            )
        )
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(config.mean), list(config.std))]
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase, scale=(0.02, 1 / 3), ratio=(0.3, 1 / 0.3), value="random"))
    composed: nn.Module = v2.Compose(steps)
    return composed


class PairMix(nn.Module):
    """MixUp or CutMix of two images with each other, by torchvision, which mixes a batch with its neighbours.

    A pair is the smallest batch: several processes can share the pairs of a batch, but not one mixed batch.
    """

    def __init__(self, *, mixup: float, cutmix: float, probability: float) -> None:
        super().__init__()
        self.probability = probability
        methods = ((v2.MixUp, mixup), (v2.CutMix, cutmix))
        self.methods = [method(alpha=alpha) for method, alpha in methods if alpha]

    def forward(self, x_2CSS: Tensor, target_2K: Tensor) -> tuple[Tensor, Tensor]:
        """Two images (2, C, S, S) and their target distributions (2, K) → mixed, with one weight for both."""
        chance, method = torch.rand(()), torch.randint(len(self.methods), ())
        if chance >= self.probability:
            return x_2CSS, target_2K
        mixed: tuple[Tensor, Tensor] = self.methods[int(method)](x_2CSS, target_2K)
        return mixed
