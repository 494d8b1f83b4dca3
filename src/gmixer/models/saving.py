"""A torch Mixer → a folder that timm loads by `local-dir:`, and gmixer as it is: config.json and model.safetensors."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import VARIANTS
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import InputError
from gmixer.files import atomic_write
from gmixer.timm_compat.resolve import resolve_model_data_config
from gmixer.weights.architecture import infer_architecture, variants_of

if TYPE_CHECKING:
    from torch import nn


def save_model(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    data: DataConfig | None = None,
    class_names: Sequence[str] | None = None,
    license: str | None = None,
) -> Path:
    """Writes the folder, and returns it. Each file is whole or not there.

    model: gmixer's Mixer or timm's MlpMixer of one of the variants, with any number of classes, channels or pixels.
    data: how its pictures are fed; None: as its `pretrained_cfg` says, else as the variant's table row does.
    class_names: one a class; they travel in config.json, where timm finds them as label_names. None: those that the
        model's `pretrained_cfg` brings, while the number of classes is theirs.

    Raises WeightsError for another network, InputError for one that is no variant or names that do not fit, OSError
    where the disk is full or refuses; what was there before is then still there.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    config = infer_architecture(shapes, source=f"this {type(model).__name__}")
    architecture = _variant_name(config)
    if class_names is None:
        own_names = (getattr(model, "pretrained_cfg", None) or {}).get("label_names") or ()
        class_names = own_names if len(own_names) == config.num_classes else None
    elif len(class_names) != config.num_classes:
        raise InputError(f"class_names holds {len(class_names)} names; wanted {config.num_classes}, one a class")
    data = (data or _data_of(model, architecture)).adapted(image_px=config.image_px, in_chans=config.in_chans)
    global_pool = str(getattr(model, "global_pool", "avg"))

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    description = _timm_config(architecture, config, data, global_pool, class_names, license)
    _write_weights(path / "model.safetensors", state)
    with atomic_write(path / "config.json") as unfinished:
        unfinished.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    # safetensors lets nobody else read what it writes: a server run by another user could not load the model.
    shutil.copymode(path / "config.json", path / "model.safetensors")
    return path


def _variant_name(config: ModelConfig) -> str:
    if fitting := variants_of(config):
        return fitting[0]
    raise InputError(
        f"{config.blocks} blocks of {config.channels} channels are no variant that timm could be told of "
        f"({', '.join(VARIANTS)}); save its state dict with safetensors.torch.save_file instead"
    )


def _data_of(model: nn.Module, architecture: str) -> DataConfig:
    if getattr(model, "pretrained_cfg", None):
        return DataConfig.from_timm(resolve_model_data_config(model))
    return VARIANTS[architecture].data


def _timm_config(
    architecture: str,
    config: ModelConfig,
    data: DataConfig,
    global_pool: str,
    class_names: Sequence[str] | None,
    license: str | None,
) -> dict[str, Any]:
    """Source of the keys: timm 1.0.31, models/_hub.py `save_config_for_hf`."""
    description: dict[str, Any] = {
        "architecture": architecture,
        "num_classes": config.num_classes,
        "num_features": config.channels,
        "global_pool": global_pool,
        "model_args": {
            "num_classes": config.num_classes,
            "in_chans": config.in_chans,
            "img_size": config.image_px,
            "global_pool": global_pool,
        },
        "pretrained_cfg": data.to_timm()
        | {
            "fixed_input_size": True,
            "num_classes": config.num_classes,
            # timm would convert a stem of other than three channels once more, and give up: nothing to convert.
            "first_conv": "stem.proj" if config.in_chans == 3 else None,
            "classifier": "head",
            "license": license,
        },
    }
    if class_names is not None:
        description["label_names"] = list(class_names)
    return description


def _write_weights(path: Path, state: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with atomic_write(path) as unfinished:
            save_file(state, unfinished, metadata={"format": "pt"})
    except SafetensorError as error:  # how it says that a write failed
        raise OSError(f"{path}: {error}") from error
