"""config.json as timm writes it beside model.safetensors: what the model is, and how it wants its pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmixer.catalogue import find_model
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import GmixerError, InputError, WeightsError

MAX_BYTES = 16 * 2**20  # 21,843 classes with a sentence each are 3 MB
MAX_BLOCKS = 1_000  # the largest published Mixer has 32, and
MAX_PARAMETERS = 2**32  # 0.2 billion


@dataclass(frozen=True, kw_only=True, slots=True)
class TimmConfig:
    model: ModelConfig
    data: DataConfig
    class_names: tuple[str, ...] | None
    license: str | None


def read_timm_config(path: Path) -> TimmConfig:
    """Raises WeightsError where the file is missing, damaged, or of a model that gmixer does not know."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"holds {size:,} bytes, more than {MAX_BYTES:,}")
        return _understand(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        inner = path.parent / "model"  # of a run's folder
        way_out = "or pass the path of the .safetensors file itself"
        if (inner / path.name).exists():
            way_out = f"as {inner} holds: pass that"
        raise WeightsError(
            f"{path.parent}: holds no config.json; wanted timm's config.json beside model.safetensors, {way_out}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GmixerError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{path}: {what}; wanted timm's config.json of a Mixer") from error


def _understand(config: Mapping[str, Any]) -> TimmConfig:
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
        raise InputError(f"model_args {', '.join(map(repr, arguments))} mean nothing to gmixer")
    return TimmConfig(
        model=model,
        # timm leaves the size and the channels that it was pretrained with in pretrained_cfg.
        data=data.adapted(image_px=model.image_px, in_chans=model.in_chans),
        class_names=_class_names(config, model.num_classes),
        license=pretrained_cfg.get("license"),
    )


def _side(img_size: int | list[int]) -> int:
    """timm writes img_size as [height, width], and takes one number for both."""
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if height != width:
        raise InputError(f"img_size is {height}x{width}; gmixer reads square inputs only")
    return height


def _hidden(ratio: float, channels: int, gate: int) -> int:
    """timm's mlp_ratio counts values and gates together (MixerBlock: int(ratio * dim), then GluMlp halves it)."""
    return math.floor(ratio * channels) // gate


def _class_names(config: Mapping[str, Any], num_classes: int) -> tuple[str, ...] | None:
    names = config.get("label_names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("label_names is no list of texts")
    if len(names) != num_classes:
        raise InputError(f"label_names holds {len(names)} names for {num_classes} classes")
    descriptions = config.get("label_descriptions") or {}
    return tuple(str(descriptions.get(name, name)) for name in names)
