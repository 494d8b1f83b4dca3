"""resolve_model_data_config: how images are fed to a model, in timm's keys.

Source of the keys, their order and the precedence: timm 1.0.31, data/config.py. An assert of timm's is an InputError
here. A model without any config is an InputError too; timm assumes ImageNet's mean and std. Here the result follows a
model that was made for another number of channels or another image size. timm's result stays at the values of the
pretraining (its #976, #2219).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gmixer.catalogue import find_model
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig, ModelConfig, for_channels
from gmixer.errors import InputError
from gmixer.weights.timm_config import DATA_KEYS


def resolve_model_data_config(model: object, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The data config of `model`: input_size (channels, height, width), interpolation, mean, std, crop_pct, crop_mode.

    model: the name of a model, an object with a DataConfig as `.data` (a Predictor), or an object with timm's
        `.pretrained_cfg`. If the model has another `.in_chans` than its config, the result is for in_chans channels:
        with 1 channel, mean and std are averaged; with n channels they are repeated in order (R, G, B, R …) and cut to
        n, as the weights of the pretrained stem. A gmixer model made with another img_size has that size in the result.
        timm 1.0.31 does neither: for a model with in_chans=1 it returns input_size (3, 224, 224), and three numbers
        for mean and std.
    args: overrides: in_chans (or chans), input_size, img_size, interpolation, mean, std, crop_pct, crop_mode. None
        overrides nothing. As in timm, in_chans has an effect only with img_size, mean or std; its default is the
        model's.

    Raises UnknownModelError for a name that is not in the table, InputError for anything else that does not fit.
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
    """The model's own config, in timm's keys."""
    if isinstance(model, str):
        _, variant, pretrained = find_model(model)
        return (pretrained or variant).data.to_timm()
    data = getattr(model, "data", None)
    if isinstance(data, DataConfig):
        return data.to_timm()
    config = getattr(model, "pretrained_cfg", None)
    if config is None:
        raise InputError(
            f"{type(model).__name__} has no data config; wanted the name of a model, or an object with a DataConfig "
            f"as .data, or with timm's .pretrained_cfg"
        )
    if isinstance(config, Mapping):
        return config
    return {key: getattr(config, key, None) for key in DATA_KEYS}


def _follow(own: Mapping[str, Any], in_chans: int | None, side: int | None) -> Mapping[str, Any]:
    """`own` for a model that takes in_chans channels of side x side pixels. None keeps the value in `own`."""
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
    """(channels, side in pixels) of the images that `model` is built for; None: the model does not say."""
    config = getattr(model, "config", None)
    if isinstance(config, ModelConfig):
        return config.in_chans, config.image_px
    in_chans = getattr(model, "in_chans", None)
    return (None if isinstance(in_chans, bool) or not isinstance(in_chans, int) else in_chans), None


def _input_size(args: Mapping[str, Any], own: Mapping[str, Any], *, default_chans: int) -> tuple[Any, int]:
    """(input_size, number of channels for mean and std)."""
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
    """args[key] as one number per channel. A single number is repeated. None if args lacks the key."""
    if args.get(key) is None:
        return None
    numbers = tuple(args[key])
    if len(numbers) not in (1, in_chans):
        raise InputError(f"{key} is {numbers!r}; wanted one number, or {in_chans}, one per channel")
    return numbers * in_chans if len(numbers) == 1 else numbers
