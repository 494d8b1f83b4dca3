"""timm's `create_transform`: a PIL image → the torch tensor that a model takes, for evaluation and plain training.

The result is bit-equal to timm 1.0.31 (data/transforms_factory.py) on the same image. In training this needs the same
seeds of `random` and `torch`: the random numbers are drawn in timm's order. This module loads without torch.

Sizes are (height, width) in pixels. C channels. Tensors are (C, height, width).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from PIL import Image

from gmixer.checks import number, one_of
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD
from gmixer.errors import InputError
from gmixer.timm_compat.evaluation_steps import (
    ImageOrTensor,
    Size,
    Step,
    ToTensor,
    evaluation_steps,
    resize_and_crop,
    torchvision_transforms,
)
from gmixer.timm_compat.training_steps import all_numbers, color_jitter_steps, erasing_steps, flip_steps, random_crop

if TYPE_CHECKING:
    from torch import Tensor

_CROP_PCT = 0.875  # timm DEFAULT_CROP_PCT
_INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos")
_PIL_MODES = {1: "L", 3: "RGB"}  # by number of channels, as timm's train.py reads images

_OFFERED = (
    "input_size", "is_training", "no_aug", "scale", "ratio", "hflip", "vflip", "color_jitter", "interpolation",
    "mean", "std", "re_prob", "re_mode", "re_count", "crop_pct", "crop_mode", "normalize",
)  # fmt: skip

# timm's keyword → (the values that change nothing, and are accepted; the reason why other values are refused).
_AUGMENTS = "gmixer has timm's default training transform only: crop, flips, colour jitter, erasing"
_NO_PATCHES = "gmixer's models take whole images, not sequences of patches"
_NO_LOADER = "gmixer's transform returns the tensor that the model takes, without a loader after it"
_NOT_OFFERED: dict[str, tuple[tuple[Any, ...], str]] = {
    "train_crop_mode": ((None, "rrc"), _AUGMENTS),
    "color_jitter_prob": ((None,), _AUGMENTS),
    "grayscale_prob": ((0,), _AUGMENTS),
    "gaussian_blur_prob": ((0,), _AUGMENTS),
    "auto_augment": ((None, ""), _AUGMENTS),
    "re_num_splits": ((0,), _AUGMENTS),
    "separate": ((False,), _AUGMENTS),
    "crop_border_pixels": ((None, 0), "crop the image before the transform: image.crop(box)"),
    "tf_preprocessing": ((False,), "it needs TensorFlow; no Mixer was trained with it"),
    "use_prefetcher": ((False,), _NO_LOADER + "; for uint8 pixels pass normalize=False"),
    "naflex": ((False,), _NO_PATCHES),
    "patch_size": ((16,), _NO_PATCHES),
    "max_seq_len": ((576,), _NO_PATCHES),
    "patchify": ((False,), _NO_PATCHES),
    "patchify_channels_last": ((True,), _NO_PATCHES),
    "patchify_flatten": ((True,), _NO_PATCHES),
}


def create_transform(
    input_size: int | Sequence[int] = 224,
    is_training: bool = False,
    *,
    no_aug: bool = False,
    scale: Sequence[float] | None = None,
    ratio: Sequence[float] | None = None,
    hflip: float = 0.5,
    vflip: float = 0.0,
    color_jitter: float | Sequence[float] | None = 0.4,
    interpolation: str = "bilinear",
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    re_prob: float = 0.0,
    re_mode: str = "const",
    re_count: int = 1,
    crop_pct: float | None = None,
    crop_mode: str | None = None,
    normalize: bool = True,
    **others: Any,
) -> ImageTransform:
    """The transform from a PIL image to a float32 tensor (C, height, width). It takes
    `**resolve_model_data_config(model)`.

    input_size: (channels, height, width), (height, width), or the side of a square, in pixels; 3 channels by default.
    is_training: random crop, flips, colour jitter and erasing; crop_pct and crop_mode are then ignored.
    interpolation: bicubic, bilinear, nearest, box, hamming, lanczos. In training "random" draws bicubic or bilinear.
    mean, std: one number per channel, or one for all channels, for values from 0 to 1.
    normalize: False returns the uint8 pixels (C, height, width), and ignores mean and std.

    For evaluation:
    crop_pct: the crop's side over the side of the resized image; default 0.875.
    crop_mode: "center" (default) resizes the shorter side, "squash" both sides, "border" the longer side. "border"
        fills the rest with the colour of `mean`.

    For training:
    no_aug: only resize and centre crop. As in timm, a pair of sides squashes the image, and a single side does not.
    scale, ratio: ranges of the crop's share of the area, (0.08, 1), and of its width over its height, (3/4, 4/3).
    hflip, vflip: probability of a left-right flip, and of a top-bottom flip.
    color_jitter: one strength for brightness, contrast and saturation, or one number for each, and a fourth for hue.
        None leaves the step out.
    re_prob: probability of erasing rectangles from the normalised tensor.
    re_mode: the filling: "const" is zero, "rand" one normal colour, "pixel" normal noise.
    re_count: the largest number of rectangles.
    others: every other keyword of timm's. A value that changes nothing is accepted (`auto_augment=None`).

    Two things differ from timm. An image of any mode is converted to the wanted channels (1: L, 3: RGB, without alpha);
    timm fails there, or returns 3 channels for 1. A value that makes no sense fails here, not at the first image.
    EXIF orientation is ignored, as in timm; `gmixer.data.Preprocess` applies it.

    Raises InputError for a keyword or value that does not fit, MissingExtraError where torch or torchvision is missing.
    """
    _check_others(others)
    channels, size = _channels_and_size(input_size)
    interpolations = (*_INTERPOLATIONS, "random") if is_training else _INTERPOLATIONS
    one_of("interpolation", interpolation, interpolations)
    border = not is_training and crop_mode == "border"
    if normalize or border:
        mean, std = _per_channel("mean", mean, channels), _per_channel("std", std, channels)
        if min(std) <= 0:
            raise InputError(f"std is {std!r}; wanted numbers above 0")
    if not is_training:
        pixel_steps = evaluation_steps(size, _crop_fraction(crop_pct), crop_mode or "center", interpolation, mean)
    elif no_aug:
        fitted = input_size if isinstance(input_size, int) else size
        pixel_steps = resize_and_crop(fitted, size, "bilinear" if interpolation == "random" else interpolation)
    else:
        crop = random_crop(size, scale, ratio, interpolation)
        pixel_steps = [crop, *flip_steps(hflip=hflip, vflip=vflip), *color_jitter_steps(color_jitter)]
    tensor_steps: list[Step] = [ToTensor(scaled=normalize)]
    if normalize:
        tensor_steps.append(torchvision_transforms().Normalize(mean=mean, std=std))
    if is_training and not no_aug:
        tensor_steps += erasing_steps(re_prob, re_mode, re_count, normalize=normalize)
    return ImageTransform([*pixel_steps, *tensor_steps], channels=channels)


class ImageTransform:
    """Applies the steps in order to an image that has the model's number of channels.

    transforms: the steps, in timm's order. The list may be changed.
    """

    def __init__(self, transforms: Sequence[Step], *, channels: int) -> None:
        self.transforms = list(transforms)
        self.channels = channels

    def __call__(self, image: ImageOrTensor) -> Tensor:
        """A PIL image of any mode → tensor (C, height, width), or the result of the steps in a changed `.transforms`.

        As in timm, a float tensor (C, height, width) from 0 to 1 passes through the same steps. An image of more than 4
        channels is passed in this form. Raises InputError for anything else, and for an image of other channels.
        """
        result: Any = self._with_channels(image)
        for step in self.transforms:
            result = step(result)
        tensor: Tensor = result
        return tensor

    def _with_channels(self, image: ImageOrTensor) -> ImageOrTensor:
        import torch

        if isinstance(image, torch.Tensor):
            return image
        if not isinstance(image, Image.Image):
            raise InputError(f"the image is a {type(image).__name__}; wanted a PIL image: PIL.Image.open(file)")
        wanted = _PIL_MODES.get(self.channels)
        if wanted:
            return image if image.mode == wanted else image.convert(wanted)
        if len(image.getbands()) != self.channels:
            raise InputError(
                f"the image is {image.mode}, {len(image.getbands())} channels; the transform was made for "
                f"{self.channels}; pass an image or a float tensor of {self.channels} channels"
            )
        return image

    def __repr__(self) -> str:
        steps = "".join(f"\n    {step}" for step in self.transforms)
        return f"{type(self).__name__}(channels={self.channels},{steps}\n)"


def _check_others(others: dict[str, Any]) -> None:
    for key, value in others.items():
        if key not in _NOT_OFFERED:
            close = difflib.get_close_matches(key, (*_OFFERED, *_NOT_OFFERED), n=1, cutoff=0)
            raise InputError(f"create_transform has no keyword {key!r}; the closest is {close[0]!r}")
        harmless, reason = _NOT_OFFERED[key]
        if not any(value is nothing or value == nothing for nothing in harmless):
            raise InputError(f"{key}={value!r} is timm's and not offered: {reason}")


def _channels_and_size(input_size: int | Sequence[int]) -> tuple[int, Size]:
    sides = (input_size, input_size) if _is_whole(input_size) else input_size
    if not isinstance(sides, tuple | list) or len(sides) not in (2, 3) or not all(map(_is_whole, sides)):
        raise InputError(
            f"input_size is {input_size!r}; wanted (channels, height, width), (height, width) or one side, in pixels"
        )
    channels, height, width = (3, *sides)[-3:]
    return channels, (height, width)


def _per_channel(name: str, numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    if not all_numbers(numbers) or len(numbers) not in (1, channels):
        raise InputError(
            f"{name} is {numbers!r}; wanted {channels} numbers, one per channel of input_size, or one for all channels"
        )
    return tuple(numbers)


def _crop_fraction(crop_pct: float | None) -> float:
    if crop_pct is None:
        return _CROP_PCT
    number("crop_pct", crop_pct, above=0)
    return crop_pct


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
