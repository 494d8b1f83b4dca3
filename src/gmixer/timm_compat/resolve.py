"""How a model wants its pictures, in timm's words.

Source of the keys, their order and of what overrides what: timm 1.0.31, data/config.py. timm's asserts are InputErrors
here, and a model that says nothing about its pictures is one too, where timm guesses ImageNet's mean and std.
A model made for other than its weights' 3 channels, or for another size, is followed here; timm goes on saying what
the weights were trained on (its #976, #2219).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gmixer.catalogue import find_model
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig, ModelConfig, for_channels
from gmixer.errors import InputError

_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


def resolve_model_data_config(model: object, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The data config of `model`: input_size (channels, height, width), interpolation, mean, std, crop_pct, crop_mode.

    model: a model's name, anything with a DataConfig as `.data` (a Predictor), or anything with timm's
        `.pretrained_cfg`. Where a model has another `.in_chans` (a whole number) than that says, the result is for
        in_chans channels: for 1, mean and std are the means over the channels there were; for n they are repeated in
        order (R, G, B, R …) and cut to n, as the pretrained stem's weights are. A gmixer model made with another
        img_size says that size. timm 1.0.31 follows neither: its model with in_chans=1 still says input_size
        (3, 224, 224), and three numbers for mean and std.
    args: overrides: in_chans (or chans), input_size, img_size, interpolation, mean, std, crop_pct, crop_mode. A key
        that is missing or None overrides nothing; in_chans counts only beside img_size, mean or std, as in timm, and is
        the model's unless given.
    Raises UnknownModelError for a name that the table does not know, InputError for anything else that does not fit.
    """
    args = args or {}
    model_chans, side = _takes(model)
    own = _follow(_own_config(model), model_chans, side)
    input_size, in_chans = _input_size(args, own, default_chans=model_chans or 3)
    return {
        "input_size": input_size,
        "interpolation": args.get("interpolation") or own.get("interpolation") or "bicubic",
        "mean": _per_channel("mean", args, in_chans) or own.get("mean") or IMAGENET_MEAN,
        "std": _per_channel("std", args, in_chans) or own.get("std") or IMAGENET_STD,
        "crop_pct": args.get("crop_pct") or own.get("crop_pct") or 0.875,  # timm DEFAULT_CROP_PCT
        "crop_mode": args.get("crop_mode") or own.get("crop_mode") or "center",  # timm DEFAULT_CROP_MODE
    }


def _own_config(model: object) -> Mapping[str, Any]:
    """What the model itself says, as timm's keys."""
    if isinstance(model, str):
        _, variant, pretrained = find_model(model)
        return (pretrained or variant).data.to_timm()
    data = getattr(model, "data", None)
    if isinstance(data, DataConfig):
        return data.to_timm()
    config = getattr(model, "pretrained_cfg", None)
    if config is None:
        raise InputError(
            f"{type(model).__name__} does not say how it wants its pictures; wanted a model's name, "
            f"or something with a DataConfig as .data or a timm .pretrained_cfg"
        )
    if isinstance(config, Mapping):
        return config
    return {key: getattr(config, key, None) for key in _KEYS}


def _follow(own: Mapping[str, Any], in_chans: int | None, side: int | None) -> Mapping[str, Any]:
    """`own`, for a model that takes in_chans channels of side x side pixels; None: as `own` says."""
    channels, height, width = own.get("input_size") or (3, 224, 224)
    if side is not None and (height, width) != (side, side):
        own = {**own, "input_size": (channels, side, side)}
        height = width = side
    if in_chans in (None, channels):
        return own
    assert in_chans is not None
    return {
        **own,
        "input_size": (in_chans, height, width),
        "mean": for_channels(own.get("mean") or IMAGENET_MEAN, in_chans),
        "std": for_channels(own.get("std") or IMAGENET_STD, in_chans),
    }


def _takes(model: object) -> tuple[int | None, int | None]:
    """(channels, side in pixels) of the pictures that `model` is built for; None where it does not say."""
    config = getattr(model, "config", None)
    if isinstance(config, ModelConfig):
        return config.in_chans, config.image_px
    in_chans = getattr(model, "in_chans", None)
    return (None if isinstance(in_chans, bool) or not isinstance(in_chans, int) else in_chans), None


def _input_size(args: Mapping[str, Any], own: Mapping[str, Any], *, default_chans: int) -> tuple[Any, int]:
    """(input_size, the number of channels that mean and std must have)."""
    in_chans = next((args[key] for key in ("in_chans", "chans") if args.get(key) is not None), default_chans)
    size, side = args.get("input_size"), args.get("img_size")
    if size is not None:
        if not isinstance(size, tuple | list) or len(size) != 3:
            raise InputError(f"input_size is {size!r}; wanted (channels, height, width)")
        return tuple(size), size[0]
    if side is not None:
        if not isinstance(side, int):
            raise InputError(f"img_size is {side!r}; wanted one whole number of pixels; for two give input_size")
        return (in_chans, side, side), in_chans
    if own.get("input_size") is not None:
        return own["input_size"], in_chans
    return (in_chans, 224, 224), in_chans


def _per_channel(key: str, args: Mapping[str, Any], in_chans: int) -> tuple[float, ...] | None:
    """args[key] as one number a channel; a single number serves them all. None where args has none."""
    if args.get(key) is None:
        return None
    numbers = tuple(args[key])
    if len(numbers) not in (1, in_chans):
        raise InputError(f"{key} is {numbers!r}; wanted one number, or one for each of {in_chans} channels")
    return numbers * in_chans if len(numbers) == 1 else numbers
