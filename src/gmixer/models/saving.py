"""A torch Mixer → a folder with config.json and model.safetensors, which timm and gmixer load (timm: `local-dir:`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.catalogue import VARIANTS
from gmixer.config import DataConfig
from gmixer.files import atomic_write
from gmixer.weights.architecture import infer_architecture
from gmixer.weights.class_names import are_of_this_head, class_names_in, names_of_classes
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE
from gmixer.weights.state_dict import unwrapped
from gmixer.weights.timm_config import TimmConfig, data_of_pretrained_cfg, timm_config_json, variant_name

if TYPE_CHECKING:
    from torch import nn


def save_model(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    data: DataConfig | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    license: str | None = None,
) -> Path:
    """Writes the folder, and returns its path. Each file is written whole, or not at all.

    model: gmixer's Mixer or timm's MlpMixer of one of the variants, with any number of classes, channels or pixels. It
        may be compiled or wrapped.
    data: how images are fed to it. None takes its `pretrained_cfg`, else the variant's row in the table.
    class_names: one name per class, in the order of the logits, or a dict from index to name. config.json keeps them
        as timm's label_names. None takes the names in the model's `pretrained_cfg`, if they are of its head.

    Raises WeightsError for another network. Raises InputError for a network that is no variant, and for names that do
    not fit. Raises OSError if the disk is full or cannot be written to; the older files are then unchanged.
    """
    source = f"this {type(model).__name__}"
    model, tensors = unwrapped(model)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    config = infer_architecture({name: tuple(tensor.shape) for name, tensor in state.items()}, source=source)
    variant = VARIANTS[variant_name(config)]
    pretrained_cfg: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    if class_names is not None:
        class_names = names_of_classes(class_names, config.num_classes, what="class_names")
    elif are_of_this_head(pretrained_cfg, config.num_classes):
        class_names = class_names_in(pretrained_cfg, config.num_classes, source="the model's pretrained_cfg")
    if data is None:
        data = data_of_pretrained_cfg(pretrained_cfg) if pretrained_cfg else variant.data
    described = TimmConfig(
        model=config,
        data=data.adapted(image_px=config.image_px, in_chans=config.in_chans),
        class_names=class_names,
        license=license,
    )
    content = timm_config_json(described, global_pool=str(getattr(model, "global_pool", "avg")))

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    _write_weights(path / WEIGHTS_FILE, state)
    with atomic_write(path / CONFIG_FILE) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _write_weights(path: Path, state: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with atomic_write(path) as unfinished:
            save_file(state, unfinished, metadata={"format": "pt"})
    except SafetensorError as error:  # safetensors raises this for a failed write
        raise OSError(f"{path}: {error}") from error
