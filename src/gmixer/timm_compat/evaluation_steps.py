"""The steps of the evaluation transform: resize, crop, tensor. torchvision does the work of each step that it has.

The classes below are the steps that torchvision lacks. Source: timm 1.0.31, data/transforms.py and
data/transforms_factory.py `transforms_imagenet_eval`. This module loads without torch.

Sizes are (height, width) in pixels. C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from gmixer.checks import one_of
from gmixer.errors import ImageError, InputError, require_torch

if TYPE_CHECKING:
    from torch import Tensor

ImageOrTensor: TypeAlias = "Image.Image | Tensor"
Step: TypeAlias = Callable[[Any], Any]
Size: TypeAlias = tuple[int, int]

CROP_MODES = ("center", "squash", "border")


def evaluation_steps(
    size: Size, crop_fraction: float, crop_mode: str, interpolation: str, mean: Sequence[float]
) -> list[Step]:
    """Resize and crop. size: of the result. mean: the colour around the image with crop mode "border"."""
    one_of("crop_mode", crop_mode, CROP_MODES)
    resize_px = math.floor(size[0] / crop_fraction), math.floor(size[1] / crop_fraction)
    if 0 in resize_px:
        raise InputError(f"crop_pct is {crop_fraction!r}, which resizes images to 0 pixels; wanted 1 or less")
    if crop_mode == "border":
        resize = ResizeKeepRatio(size=resize_px, longest=True, interpolation=interpolation)
        return [resize, CenterCropOrPad(size=size, fill=tuple(round(255 * m) for m in mean))]
    if crop_mode == "squash":
        return resize_and_crop(resize_px, size, interpolation)
    if resize_px[0] == resize_px[1]:
        return resize_and_crop(resize_px[0], size, interpolation)
    resize = ResizeKeepRatio(size=resize_px, longest=False, interpolation=interpolation)
    return [resize, torchvision_transforms().CenterCrop(size)]


def resize_and_crop(resize_px: int | Size, size: Size, interpolation: str) -> list[Step]:
    """resize_px: one number is the shorter side; two numbers are both sides."""
    tv = torchvision_transforms()
    return [tv.Resize(resize_px, interpolation=interpolation_mode(interpolation)), tv.CenterCrop(size)]


@dataclass(frozen=True)
class ResizeKeepRatio:
    """Resizes an image until it covers `size`. With longest=True it resizes the image until it fits into `size`."""

    size: Size
    longest: bool
    interpolation: str

    def __call__(self, image: ImageOrTensor) -> ImageOrTensor:
        functional = torchvision_transforms().functional
        _, height, width = functional.get_dimensions(image)
        ratios = height / self.size[0], width / self.size[1]
        shrink = max(ratios) if self.longest else min(ratios)
        resized = [round(height / shrink), round(width / shrink)]
        if 0 in resized:
            raise ImageError(
                "unsupported",
                f"{width}x{height} is so elongated that crop mode 'border' would shrink it to "
                f"{resized[1]}x{resized[0]}; use crop_mode 'center' or 'squash'",
                "<image>",
            )
        return typed(functional.resize(image, resized, interpolation_mode(self.interpolation)))


@dataclass(frozen=True)
class CenterCropOrPad:
    """The centre of an image. A smaller image gets a border of `fill`, one number per channel from 0 to 255."""

    size: Size
    fill: tuple[int, ...]

    def __call__(self, image: ImageOrTensor) -> ImageOrTensor:
        functional = torchvision_transforms().functional
        _, height, width = functional.get_dimensions(image)
        lacks_y, lacks_x = max(self.size[0] - height, 0), max(self.size[1] - width, 0)
        if lacks_y or lacks_x:  # an odd pixel goes to the bottom, and to the right
            left_top_right_bottom = [lacks_x // 2, lacks_y // 2, (lacks_x + 1) // 2, (lacks_y + 1) // 2]
            image = functional.pad(image, left_top_right_bottom, fill=list(self.fill))
        return typed(functional.center_crop(image, list(self.size)))


@dataclass(frozen=True)
class ToTensor:
    """A PIL image → tensor (C, height, width): float32 from 0 to 1 if scaled, else uint8. A tensor is unchanged."""

    scaled: bool

    def __call__(self, image: ImageOrTensor) -> Tensor:
        import torch

        if isinstance(image, torch.Tensor):
            return image
        functional = torchvision_transforms().functional
        tensor: Tensor = functional.to_tensor(image) if self.scaled else functional.pil_to_tensor(image)
        return tensor


def torchvision_transforms() -> Any:
    """The module torchvision.transforms, imported by the first step that needs it. Raises MissingExtraError."""
    with require_torch("create_transform"):
        from torchvision import transforms
    return transforms


def interpolation_mode(name: str) -> Any:
    """torchvision's InterpolationMode of this name."""
    return torchvision_transforms().InterpolationMode(name)


def typed(image: Any) -> ImageOrTensor:
    """The same object, with the type that torchvision does not declare."""
    same: ImageOrTensor = image
    return same
