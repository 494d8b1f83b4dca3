"""A PIL picture → the torch tensor that a model takes: timm's `create_transform`, for evaluation and plain training.

Tensor for tensor what timm 1.0.31 gives (data/transforms_factory.py) on the same picture and, in training, from the
same seeds of `random` and `torch`: the random numbers are drawn in timm's order. torchvision does the work where it
has the step; the classes below are the steps that it lacks, or draws differently. This module loads without torch.

H, W height and width in pixels; sizes are (H, W). C channels. Tensors are (C, H, W).
"""

from __future__ import annotations

import difflib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from PIL import Image

from gmixer.config import IMAGENET_MEAN, IMAGENET_STD
from gmixer.errors import ImageError, InputError, require_torch

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "Image.Image | Tensor"
Step: TypeAlias = Callable[[Any], Any]
Size: TypeAlias = tuple[int, int]
Range: TypeAlias = tuple[float, float]

_CROP_PCT = 0.875  # timm DEFAULT_CROP_PCT
_CROP_MODES = ("center", "squash", "border")
_INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos")
_RANDOM_INTERPOLATIONS = ("bilinear", "bicubic")  # what "random" chooses from, in timm's order
_ERASE_MODES = ("const", "rand", "pixel")
_PIL_MODES = {1: "L", 3: "RGB"}  # by channels, as timm's train.py reads pictures

_OFFERED = (
    "input_size", "is_training", "no_aug", "scale", "ratio", "hflip", "vflip", "color_jitter", "interpolation",
    "mean", "std", "re_prob", "re_mode", "re_count", "crop_pct", "crop_mode", "normalize",
)  # fmt: skip

# timm's keyword → (its values that ask for nothing, which pass; why the others do not).
_AUGMENTS = "gmixer has timm's default training transform only: crop, flips, colour jitter, erasing"
_NO_PATCHES = "gmixer's models take whole pictures, not sequences of patches"
_NO_LOADER = "gmixer's transform ends in a tensor for the model, so there is no loader to finish the work"
_NOT_OFFERED: dict[str, tuple[tuple[Any, ...], str]] = {
    "train_crop_mode": ((None, "rrc"), _AUGMENTS),
    "color_jitter_prob": ((None,), _AUGMENTS),
    "grayscale_prob": ((0,), _AUGMENTS),
    "gaussian_blur_prob": ((0,), _AUGMENTS),
    "auto_augment": ((None, ""), _AUGMENTS),
    "re_num_splits": ((0,), _AUGMENTS),
    "separate": ((False,), _AUGMENTS),
    "crop_border_pixels": ((None, 0), "cut the border off the picture before: picture.crop(box)"),
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
) -> PictureTransform:
    """The transform from a PIL picture to a float32 tensor (C, H, W); takes `**resolve_model_data_config(model)`.

    input_size: (channels, height, width), (height, width), or the side of a square, in pixels; 3 channels if unsaid.
    is_training: random crop, flips, colour jitter and erasing; crop_pct and crop_mode then count for nothing.
    interpolation: bicubic, bilinear, nearest, box, hamming, lanczos; in training "random" draws one of the first two.
    mean, std: one number a channel, or one for all; of the channels as 0…1.
    normalize: False gives the uint8 pixels as they are (C, H, W), and mean and std count for nothing.

    For evaluation:
    crop_pct: the crop's side over the resized picture's; 0.875 unless given.
    crop_mode: "center" (default) resizes the shorter side, "squash" both, "border" the longer one, and fills with the
        mean's colour.

    For training:
    no_aug: resize and centre crop alone; as in timm a pair of sides squashes the picture, a single one does not.
    scale, ratio: ranges of the crop's share of the area, (0.08, 1), and of its width over its height, (3/4, 4/3).
    hflip, vflip: probability of mirroring left-right, and top-bottom.
    color_jitter: strength for brightness, contrast and saturation; or one number for each, and a fourth for hue;
        None leaves the step out.
    re_prob, re_mode, re_count: probability that rectangles are erased, from the normalised tensor; what with: "const"
        zero, "rand" one normal colour, "pixel" normal noise; and at most how many.
    others: every other keyword of timm's, refused unless it asks for nothing (`auto_augment=None`).

    Differs from timm: a picture of any mode is converted to the channels wanted (1: L, 3: RGB, without alpha) where
    timm fails, or hands out 3 channels for 1; and a value that makes no sense fails here, not at the first picture.
    EXIF orientation is ignored, as by timm; `gmixer.data.Preprocess` applies it.

    Raises InputError for a keyword or value that does not fit, MissingExtraError where torch or torchvision is missing.
    """
    _check_others(others)
    channels, size = _channels_and_size(input_size)
    interpolations = (*_INTERPOLATIONS, "random") if is_training else _INTERPOLATIONS
    _one_of("interpolation", interpolation, interpolations)
    border = not is_training and crop_mode == "border"
    if normalize or border:
        mean, std = _per_channel("mean", mean, channels), _per_channel("std", std, channels)
        if min(std) <= 0:
            raise InputError(f"std is {std!r}; wanted numbers above 0")
    if not is_training:
        pixel_steps = _evaluation(size, _crop_fraction(crop_pct), crop_mode or "center", interpolation, mean)
    elif no_aug:
        fitted = input_size if isinstance(input_size, int) else size
        pixel_steps = _resize_and_crop(fitted, size, "bilinear" if interpolation == "random" else interpolation)
    else:
        crop = RandomResizedCropAndInterpolation(
            size=size,
            scale=_range("scale", scale, (0.08, 1.0)),
            ratio=_range("ratio", ratio, (3 / 4, 4 / 3)),
            interpolation=interpolation,
        )
        pixel_steps = [crop, *_flips(hflip=hflip, vflip=vflip), *_color_jitter(color_jitter)]
    tensor_steps: list[Step] = [ToTensor(scaled=normalize)]
    if normalize:
        tensor_steps.append(_torchvision().Normalize(mean=mean, std=std))
    if is_training and not no_aug:
        tensor_steps += _erasing(re_prob, re_mode, re_count, normalize=normalize)
    return PictureTransform([*pixel_steps, *tensor_steps], channels=channels)


# ---- the whole ---------------------------------------------------------------------------------------------------


class PictureTransform:
    """The steps one after another, on a picture with the channels that the model takes.

    transforms: the steps, a list that may be changed, with timm's steps in timm's places.
    """

    def __init__(self, transforms: Sequence[Step], *, channels: int) -> None:
        self.transforms = list(transforms)
        self.channels = channels

    def __call__(self, picture: Picture) -> Tensor:
        """A PIL picture of any mode → tensor (C, H, W), or what `.transforms` were changed to give.

        A float tensor (C, H, W) of 0…1 passes through the same steps, as in timm: the way for other than 1 to 4
        channels. Raises InputError for anything else, and for a picture that cannot be had in as many channels.
        """
        result: Any = self._with_channels(picture)
        for step in self.transforms:
            result = step(result)
        tensor: Tensor = result
        return tensor

    def _with_channels(self, picture: Picture) -> Picture:
        import torch

        if isinstance(picture, torch.Tensor):
            return picture
        if not isinstance(picture, Image.Image):
            raise InputError(f"the picture is a {type(picture).__name__}; wanted a PIL image: PIL.Image.open(file)")
        wanted = _PIL_MODES.get(self.channels)
        if wanted:
            return picture if picture.mode == wanted else picture.convert(wanted)
        if len(picture.getbands()) != self.channels:
            raise InputError(
                f"the picture is {picture.mode}, {len(picture.getbands())} channels; the transform was made for "
                f"{self.channels}; give it a picture or a float tensor with as many"
            )
        return picture

    def __repr__(self) -> str:
        steps = "".join(f"\n    {step}" for step in self.transforms)
        return f"{type(self).__name__}(channels={self.channels},{steps}\n)"


# ---- steps that torchvision lacks, or draws differently ----------------------------------------------------------


@dataclass(frozen=True)
class ResizeKeepRatio:
    """Resizes until the picture covers `size`, or, with longest=True, until it lies within."""

    size: Size
    longest: bool
    interpolation: str

    def __call__(self, picture: Picture) -> Picture:
        functional = _torchvision().functional
        _, height, width = functional.get_dimensions(picture)
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
        return _as_picture(functional.resize(picture, resized, _mode(self.interpolation)))


@dataclass(frozen=True)
class CenterCropOrPad:
    """The middle of the picture, with `fill` (one number a channel, 0…255) around it where it is too small."""

    size: Size
    fill: tuple[int, ...]

    def __call__(self, picture: Picture) -> Picture:
        functional = _torchvision().functional
        _, height, width = functional.get_dimensions(picture)
        lacks_y, lacks_x = max(self.size[0] - height, 0), max(self.size[1] - width, 0)
        if lacks_y or lacks_x:  # the odd pixel goes below, and to the right
            left_top_right_bottom = [lacks_x // 2, lacks_y // 2, (lacks_x + 1) // 2, (lacks_y + 1) // 2]
            picture = functional.pad(picture, left_top_right_bottom, fill=list(self.fill))
        return _as_picture(functional.center_crop(picture, list(self.size)))


@dataclass(frozen=True)
class RandomResizedCropAndInterpolation:
    """A random part of the picture, resized to `size`. torchvision's draws from torch, timm's from `random`.

    scale: range of the part's share of the area; ratio: of its width over its height, even in the logarithm.
    interpolation: "random" draws one for each picture, after the part.
    """

    size: Size
    scale: Range
    ratio: Range
    interpolation: str

    def __call__(self, picture: Picture) -> Picture:
        functional = _torchvision().functional
        _, height, width = functional.get_dimensions(picture)
        top, left, part_h, part_w = self._part(height=height, width=width)
        name = random.choice(_RANDOM_INTERPOLATIONS) if self.interpolation == "random" else self.interpolation
        return _as_picture(
            functional.resized_crop(picture, top, left, part_h, part_w, list(self.size), _mode(name)),
        )

    def _part(self, *, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the part: the first of ten draws that fits, else the largest central one."""
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
class ToTensor:
    """A PIL picture → tensor (C, H, W): float32 of 0…1 if scaled, else uint8. A tensor stays as it is."""

    scaled: bool

    def __call__(self, picture: Picture) -> Tensor:
        import torch

        if isinstance(picture, torch.Tensor):
            return picture
        functional = _torchvision().functional
        tensor: Tensor = functional.to_tensor(picture) if self.scaled else functional.pil_to_tensor(picture)
        return tensor


@dataclass(frozen=True)
class RandomErasing:
    """Erases 1 to `count` rectangles of a normalised tensor (C, H, W), in place, with `probability`.

    Together they have 2 to 33 % of the area; height over width 0.3 to 1/0.3. Zhong et al., arXiv 1708.04896; areas,
    fillings and the order of the draws as in timm's random_erasing.py.
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
            for _ in range(10):  # until one fits
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


def _sides(area: float, aspect: float, *, least: int = 1) -> tuple[int, int]:
    """(aspect's longer side, the other) of a rectangle, in whole pixels."""
    return max(round(math.sqrt(area * aspect)), least), max(round(math.sqrt(area / aspect)), least)


# ---- groups of steps ---------------------------------------------------------------------------------------------


def _evaluation(
    size: Size, crop_fraction: float, crop_mode: str, interpolation: str, mean: Sequence[float]
) -> list[Step]:
    _one_of("crop_mode", crop_mode, _CROP_MODES)
    resize_px = math.floor(size[0] / crop_fraction), math.floor(size[1] / crop_fraction)
    if 0 in resize_px:
        raise InputError(f"crop_pct is {crop_fraction!r}, so pictures would shrink to nothing; wanted 1 or less")
    if crop_mode == "border":
        resize = ResizeKeepRatio(size=resize_px, longest=True, interpolation=interpolation)
        return [resize, CenterCropOrPad(size=size, fill=tuple(round(255 * m) for m in mean))]
    if crop_mode == "squash":
        return _resize_and_crop(resize_px, size, interpolation)
    if resize_px[0] == resize_px[1]:
        return _resize_and_crop(resize_px[0], size, interpolation)
    resize = ResizeKeepRatio(size=resize_px, longest=False, interpolation=interpolation)
    return [resize, _torchvision().CenterCrop(size)]


def _resize_and_crop(resize_px: int | Size, size: Size, interpolation: str) -> list[Step]:
    """resize_px: the shorter side, or both."""
    tv = _torchvision()
    return [tv.Resize(resize_px, interpolation=_mode(interpolation)), tv.CenterCrop(size)]


def _flips(*, hflip: float, vflip: float) -> list[Step]:
    tv = _torchvision()
    steps: list[Step] = []
    if _probability("hflip", hflip):
        steps.append(tv.RandomHorizontalFlip(p=hflip))
    if _probability("vflip", vflip):
        steps.append(tv.RandomVerticalFlip(p=vflip))
    return steps


def _color_jitter(strength: float | Sequence[float] | None) -> list[Step]:
    """Strength 0 keeps the step: it changes nothing, but draws."""
    if strength is None:
        return []
    strengths = (strength,) * 3 if isinstance(strength, int | float) else strength
    if (
        not _all_numbers(strengths)
        or len(strengths) not in (3, 4)
        or min(strengths) < 0
        or max(strengths[3:] or (0,)) > 0.5
    ):
        raise InputError(
            f"color_jitter is {strength!r}; wanted None, one number of 0 or more, one each for brightness, contrast "
            f"and saturation, or a fourth for hue, of at most 0.5"
        )
    return [_torchvision().ColorJitter(*map(float, strengths))]


def _erasing(probability: float, mode: str, count: int, *, normalize: bool) -> list[Step]:
    if not _probability("re_prob", probability):
        return []
    if not normalize:
        raise InputError("re_prob erases from normalised tensors; leave normalize=False out, or re_prob")
    _one_of("re_mode", mode, _ERASE_MODES)
    if not _is_whole(count):
        raise InputError(f"re_count is {count!r}; wanted a whole number, 1 or more")
    return [RandomErasing(probability=probability, mode=mode, count=count)]


# ---- torch, at the step that needs it ----------------------------------------------------------------------------


def _torchvision() -> Any:
    """torchvision.transforms."""
    with require_torch("create_transform"):
        from torchvision import transforms
    return transforms


def _mode(interpolation: str) -> Any:
    return _torchvision().InterpolationMode(interpolation)


def _as_picture(picture: Any) -> Picture:
    """Says the type of what torchvision, which has no types, gives back."""
    same: Picture = picture
    return same


# ---- what may be asked for ---------------------------------------------------------------------------------------


def _check_others(others: dict[str, Any]) -> None:
    for key, value in others.items():
        if key not in _NOT_OFFERED:
            close = difflib.get_close_matches(key, (*_OFFERED, *_NOT_OFFERED), n=1, cutoff=0)
            raise InputError(f"create_transform has no keyword {key!r}; the closest is {close[0]!r}")
        harmless, reason = _NOT_OFFERED[key]
        if not any(value is asks_nothing or value == asks_nothing for asks_nothing in harmless):
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
    if not _all_numbers(numbers) or len(numbers) not in (1, channels):
        raise InputError(
            f"{name} is {numbers!r}; wanted {channels} numbers, one for each channel of input_size, or one for all"
        )
    return tuple(numbers)


def _crop_fraction(crop_pct: float | None) -> float:
    if crop_pct is None:
        return _CROP_PCT
    if not _all_numbers((crop_pct,)) or crop_pct <= 0:
        raise InputError(f"crop_pct is {crop_pct!r}; wanted a number above 0: 0.875, not per cent")
    return crop_pct


def _range(name: str, given: Sequence[float] | None, default: Range) -> Range:
    if given is None:
        return default
    if not _all_numbers(given) or len(given) != 2 or not 0 < given[0] <= given[1]:
        raise InputError(f"{name} is {given!r}; wanted (least, most), both above 0")
    return given[0], given[1]


def _probability(name: str, value: float) -> float:
    if not _all_numbers((value,)) or not 0 <= value <= 1:
        raise InputError(f"{name} is {value!r}; wanted a probability, 0 to 1")
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; wanted one of {', '.join(allowed)}")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _all_numbers(values: object) -> TypeGuard[Sequence[float]]:
    return isinstance(values, tuple | list) and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
