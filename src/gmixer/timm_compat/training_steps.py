"""The steps of the training transform: random crop, flips, colour jitter, random erasing.

Each step draws from `random` and `torch` in timm's order, so that equal seeds give equal tensors. Source: timm 1.0.31,
data/transforms.py, data/random_erasing.py and data/transforms_factory.py `transforms_imagenet_train`. This module loads
without torch.

Sizes are (height, width) in pixels. C channels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

from gmixer.checks import number, one_of, whole
from gmixer.errors import InputError
from gmixer.timm_compat.evaluation_steps import (
    ImageOrTensor,
    Size,
    Step,
    interpolation_mode,
    torchvision_transforms,
    typed,
)

if TYPE_CHECKING:
    from torch import Tensor

Range: TypeAlias = tuple[float, float]

RANDOM_INTERPOLATIONS = ("bilinear", "bicubic")  # "random" chooses from these, in timm's order
ERASE_MODES = ("const", "rand", "pixel")


def random_crop(
    size: Size, scale: Sequence[float] | None, ratio: Sequence[float] | None, interpolation: str
) -> RandomResizedCropAndInterpolation:
    """scale, ratio: None takes timm's ranges."""
    return RandomResizedCropAndInterpolation(
        size=size,
        scale=_range("scale", scale, (0.08, 1.0)),
        ratio=_range("ratio", ratio, (3 / 4, 4 / 3)),
        interpolation=interpolation,
    )


def flip_steps(*, hflip: float, vflip: float) -> list[Step]:
    """A probability of 0 leaves the step out."""
    tv = torchvision_transforms()
    steps: list[Step] = []
    if number("hflip", hflip, least=0, most=1):
        steps.append(tv.RandomHorizontalFlip(p=hflip))
    if number("vflip", vflip, least=0, most=1):
        steps.append(tv.RandomVerticalFlip(p=vflip))
    return steps


def color_jitter_steps(strength: float | Sequence[float] | None) -> list[Step]:
    """None leaves the step out. A strength of 0 keeps the step: it changes nothing, but it draws random numbers."""
    if strength is None:
        return []
    strengths = (strength,) * 3 if isinstance(strength, int | float) else strength
    if (
        not all_numbers(strengths)
        or len(strengths) not in (3, 4)
        or min(strengths) < 0
        or max(strengths[3:] or (0,)) > 0.5
    ):
        raise InputError(
            f"color_jitter is {strength!r}; wanted None, one number of 0 or more, or three for brightness, contrast "
            f"and saturation; a fourth is for hue, and at most 0.5"
        )
    return [torchvision_transforms().ColorJitter(*map(float, strengths))]


def erasing_steps(probability: float, mode: str, count: int, *, normalize: bool) -> list[Step]:
    """A probability of 0 leaves the step out."""
    if not number("re_prob", probability, least=0, most=1):
        return []
    if not normalize:
        raise InputError("re_prob erases from normalised tensors; leave out normalize=False, or leave out re_prob")
    one_of("re_mode", mode, ERASE_MODES)
    whole("re_count", count, least=1)
    return [RandomErasing(probability=probability, mode=mode, count=count)]


@dataclass(frozen=True)
class RandomResizedCropAndInterpolation:
    """A random part of the image, resized to `size`. torchvision's step draws from torch; timm's draws from `random`.

    scale: range of the part's share of the area.
    ratio: range of its width over its height, uniform in the logarithm.
    interpolation: "random" draws one for each image, after the part.
    """

    size: Size
    scale: Range
    ratio: Range
    interpolation: str

    def __call__(self, image: ImageOrTensor) -> ImageOrTensor:
        functional = torchvision_transforms().functional
        _, height, width = functional.get_dimensions(image)
        top, left, part_h, part_w = self._part(height=height, width=width)
        name = random.choice(RANDOM_INTERPOLATIONS) if self.interpolation == "random" else self.interpolation
        mode = interpolation_mode(name)
        return typed(functional.resized_crop(image, top, left, part_h, part_w, list(self.size), mode))

    def _part(self, *, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, left, height, width): the first of ten draws that fits, else the largest part at the centre."""
        log_ratio = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(10):
            area = random.uniform(*self.scale) * (width * height)
            aspect = math.exp(random.uniform(*log_ratio))
            part_w, part_h = _sides(area, aspect)
            if part_w <= width and part_h <= height:
                return random.randint(0, height - part_h), random.randint(0, width - part_w), part_h, part_w
        part_h, part_w = height, width
        if width / height < min(self.ratio):
            part_h = round(width / min(self.ratio))
        elif width / height > max(self.ratio):
            part_w = round(height * max(self.ratio))
        return (height - part_h) // 2, (width - part_w) // 2, part_h, part_w


@dataclass(frozen=True)
class RandomErasing:
    """Erases 1 to `count` rectangles of a normalised tensor (C, height, width), in place, with `probability`.

    Together the rectangles have 2 to 33 % of the area. Height over width is 0.3 to 1/0.3. Zhong et al., arXiv
    1708.04896. Areas, fillings and the order of the draws are timm's.
    """

    probability: float
    mode: str
    count: int

    def __call__(self, x_CHW: Tensor) -> Tensor:
        if random.random() > self.probability:
            return x_CHW
        channels, height, width = x_CHW.shape
        count = 1 if self.count == 1 else random.randint(1, self.count)
        for _ in range(count):
            for _ in range(10):  # until one rectangle fits
                area = random.uniform(0.02, 1 / 3) * (height * width) / count
                aspect = math.exp(random.uniform(math.log(0.3), math.log(1 / 0.3)))
                part_h, part_w = _sides(area, aspect, least=0)
                if part_w < width and part_h < height:
                    top, left = random.randint(0, height - part_h), random.randint(0, width - part_w)
                    x_CHW[:, top : top + part_h, left : left + part_w] = self._filling(channels, part_h, part_w, x_CHW)
                    break
        return x_CHW

    def _filling(self, channels: int, height: int, width: int, like: Tensor) -> Tensor | float:
        import torch

        if self.mode == "const":
            return 0.0
        shape = (channels, height, width) if self.mode == "pixel" else (channels, 1, 1)
        return torch.randn(shape, dtype=like.dtype)


def all_numbers(values: object) -> TypeGuard[Sequence[float]]:
    """Whether this is a tuple or list of finite numbers."""
    return isinstance(values, tuple | list) and all(isinstance(v, int | float) and math.isfinite(v) for v in values)


def _sides(area: float, aspect: float, *, least: int = 1) -> tuple[int, int]:
    """Two sides of a rectangle in whole pixels. aspect: the first side over the second one."""
    return max(round(math.sqrt(area * aspect)), least), max(round(math.sqrt(area / aspect)), least)


def _range(name: str, given: Sequence[float] | None, default: Range) -> Range:
    if given is None:
        return default
    if not all_numbers(given) or len(given) != 2 or not 0 < given[0] <= given[1]:
        raise InputError(f"{name} is {given!r}; wanted (least, most), both above 0")
    return given[0], given[1]
