"""A torch Mixer → a folder with config.json and model.safetensors, which timm and gmixer load (timm: `local-dir:`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import VARIANTS, Variant
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import InputError
from gmixer.files import atomic_write
from gmixer.weights.architecture import infer_architecture, variants_of
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE
from gmixer.weights.timm_config import TimmConfig, data_of_pretrained_cfg, timm_config_json

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
    """Writes the folder, and returns its path. Each file is written whole, or not at all.

    model: gmixer's Mixer or timm's MlpMixer of one of the variants, with any number of classes, channels or pixels.
    data: how images are fed to it. None takes its `pretrained_cfg`, else the variant's row in the table.
    class_names: one name per class, in the order of the logits. config.json keeps them as timm's label_names. None
        takes the names in the model's `pretrained_cfg`, if their number is the model's number of classes.

    Raises WeightsError for another network. Raises InputError for a network that is no variant, and for names that do
    not fit. Raises OSError if the disk is full or cannot be written to; the older files are then unchanged.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    config = infer_architecture(shapes, source=f"this {type(model).__name__}")
    variant = _variant_of(config)
    pretrained_cfg: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    if class_names is None:
        own_names = pretrained_cfg.get("label_names") or ()
        class_names = own_names if len(own_names) == config.num_classes else None
    elif len(class_names) != config.num_classes:
        raise InputError(f"class_names holds {len(class_names)} names; wanted {config.num_classes}, one per class")
    if data is None:
        data = data_of_pretrained_cfg(pretrained_cfg) if pretrained_cfg else variant.data
    described = TimmConfig(
        model=config,
        data=data.adapted(image_px=config.image_px, in_chans=config.in_chans),
        class_names=None if class_names is None else tuple(class_names),
        license=license,
    )
    content = timm_config_json(described, global_pool=str(getattr(model, "global_pool", "avg")))

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    _write_weights(path / WEIGHTS_FILE, state)
    with atomic_write(path / CONFIG_FILE) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _variant_of(config: ModelConfig) -> Variant:
    if fitting := variants_of(config):
        return VARIANTS[fitting[0]]
    raise InputError(
        f"{config.blocks} blocks of {config.channels} channels are no variant, so config.json cannot name it; wanted "
        f"one of {', '.join(VARIANTS)}; save the state dict with safetensors.torch.save_file instead"
    )


def _write_weights(path: Path, state: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with atomic_write(path) as unfinished:
            save_file(state, unfinished, metadata={"format": "pt"})
    except SafetensorError as error:  # safetensors raises this for a failed write
        raise OSError(f"{path}: {error}") from error
