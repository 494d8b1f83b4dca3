"""timm's config.json, the file beside model.safetensors: what the model is, and how images are fed to it.

gmixer reads this file and writes it. Source of its keys: timm 1.0.31, models/_hub.py `save_config_for_hf`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmixer.catalogue import find_model
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig, ModelConfig
from gmixer.errors import GmixerError, InputError, WeightsError
from gmixer.weights.architecture import variants_of

MAX_BYTES = 16 * 2**20  # 21,843 classes with a sentence each take 3 MB
MAX_BLOCKS = 1_000  # the largest published Mixer has 32 blocks
MAX_PARAMETERS = 2**32  # the largest published Mixer has 0.2 billion
DATA_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimmConfig:
    """What config.json says of a model. class_names: None if the file has none; license: None if not stated."""

    model: ModelConfig
    data: DataConfig
    class_names: tuple[str, ...] | None
    license: str | None


def read_timm_config(path: Path) -> TimmConfig:
    """Raises WeightsError if the file is missing or damaged, or describes a model that gmixer does not know."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"holds {size:,} bytes, more than {MAX_BYTES:,}")
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        inner = path.parent / "model"  # the model's folder inside the folder of a training run
        way_out = "pass a folder with both, or the path of the .safetensors file itself"
        if (inner / path.name).exists():
            way_out = f"pass {inner}, which has both"
        raise WeightsError(
            f"{path.parent}: holds no config.json; wanted timm's config.json beside model.safetensors: {way_out}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GmixerError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{path}: {what}; wanted timm's config.json of a Mixer") from error


def timm_config_json(config: TimmConfig, *, global_pool: str) -> dict[str, Any]:
    """The content of config.json for a model of one of the variants."""
    model = config.model
    content: dict[str, Any] = {
        "architecture": variants_of(model)[0],
        "num_classes": model.num_classes,
        "num_features": model.channels,
        "global_pool": global_pool,
        "model_args": {
            "num_classes": model.num_classes,
            "in_chans": model.in_chans,
            "img_size": model.image_px,
            "global_pool": global_pool,
        },
        "pretrained_cfg": config.data.to_timm()
        | {
            "fixed_input_size": True,
            "num_classes": model.num_classes,
            # With first_conv timm would adapt the stem a second time, and fail. None tells timm not to adapt it.
            "first_conv": "stem.proj" if model.in_chans == 3 else None,
            "classifier": "head",
            "license": config.license,
        },
    }
    if config.class_names is not None:
        content["label_names"] = list(config.class_names)
    return content


def data_of_pretrained_cfg(pretrained_cfg: Mapping[str, Any]) -> DataConfig:
    """The DataConfig of a model's `pretrained_cfg`. A missing key takes timm's default, which is ImageNet's value.

    Raises InputError for a value that gmixer does not support.
    """
    defaults = {"input_size": (3, 224, 224), "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    said = {key: pretrained_cfg[key] for key in DATA_KEYS if pretrained_cfg.get(key) is not None}
    return DataConfig.from_timm(defaults | said)


def _parse(config: Mapping[str, Any]) -> TimmConfig:
    _, variant, _ = find_model(config["architecture"])
    base = variant.model
    pretrained_cfg = config["pretrained_cfg"]
    data = DataConfig.from_timm({**variant.data.to_timm(), **pretrained_cfg})
    arguments = {"global_pool": config.get("global_pool", "avg")} | (config.get("model_args") or {})
    if (pool := arguments.pop("global_pool")) != "avg":
        raise InputError(f"global_pool is {pool!r}; gmixer pools by the mean ('avg')")
    channels = arguments.pop("embed_dim", base.channels)
    gate = 2 if base.mlp == "swiglu" else 1
    ratios = (base.token_fc1 / base.channels, base.channel_fc1 / base.channels)
    token_ratio, channel_ratio = arguments.pop("mlp_ratio", ratios)
    model = ModelConfig(
        image_px=_side(arguments.pop("img_size", data.image_px)),
        patch_px=arguments.pop("patch_size", base.patch_px),
        channels=channels,
        blocks=arguments.pop("num_blocks", base.blocks),
        token_hidden=_hidden(token_ratio, channels, gate),
        channel_hidden=_hidden(channel_ratio, channels, gate),
        mlp=base.mlp,
        in_chans=arguments.pop("in_chans", data.in_chans),
        num_classes=arguments.pop("num_classes", config.get("num_classes", 1000)),
    )
    if model.blocks > MAX_BLOCKS or model.parameters > MAX_PARAMETERS:
        raise InputError(
            f"a model of {model.blocks:,} blocks of {model.channels:,} channels; wanted at most {MAX_BLOCKS:,} blocks "
            f"and {MAX_PARAMETERS:,} parameters"
        )
    if arguments:
        raise InputError(f"gmixer does not know the model_args {', '.join(map(repr, arguments))}")
    return TimmConfig(
        model=model,
        # timm's pretrained_cfg keeps the image size and the channels of the pretraining.
        data=data.adapted(image_px=model.image_px, in_chans=model.in_chans),
        class_names=_class_names(config, model.num_classes),
        license=pretrained_cfg.get("license"),
    )


def _side(img_size: int | list[int]) -> int:
    """timm writes img_size as [height, width], and also accepts one number for both."""
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if height != width:
        raise InputError(f"img_size is {height}x{width}; gmixer reads square inputs only")
    return height


def _hidden(ratio: float, channels: int, gate: int) -> int:
    """timm's mlp_ratio counts values and gates together: MixerBlock takes int(ratio * dim), and GluMlp halves it."""
    return math.floor(ratio * channels) // gate


def _class_names(config: Mapping[str, Any], num_classes: int) -> tuple[str, ...] | None:
    names = config.get("label_names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("label_names is not a list of strings")
    if len(names) != num_classes:
        raise InputError(f"label_names holds {len(names)} names for {num_classes} classes")
    descriptions = config.get("label_descriptions") or {}
    return tuple(str(descriptions.get(name, name)) for name in names)
