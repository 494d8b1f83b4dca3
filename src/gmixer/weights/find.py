"""Where weights come from: inside the package, a `.safetensors` file, a folder as timm writes it."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.config import EMBEDDED_MODEL, VARIANTS, DataConfig, ModelConfig, Pretrained, find_model
from gmixer.errors import GmixerError, InputError, WeightsError
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.tensor_file import TensorFile

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights whose header has been checked: every tensor is there, in the shape and a dtype that the model wants."""

    name: str  # variant.tag, or the folder's or file's own name
    file: TensorFile
    model: ModelConfig
    data: DataConfig
    pretrained: Pretrained | None = None  # the table's row, where the weights are known to be those
    class_names: tuple[str, ...] | None = None  # where the checkpoint brings its own

    @property
    def path(self) -> Path:
        return self.file.path

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor as float32, one at a time; each is valid until the next is asked for."""
        return self.file.tensors()


def find_checkpoint(source: str | os.PathLike[str], *, name: str | None = None) -> Checkpoint:
    """The checkpoint of a model name, a `.safetensors` file, or a folder with config.json and model.safetensors.

    name: which row of the table a bare file is, where its shape fits several.
    Raises UnknownModelError, WeightsError. Never touches the network, and never takes other weights instead.
    """
    text = os.fspath(source)
    if is_path(text):
        path = Path(text)
        if path.is_dir():
            if name is not None:
                raise InputError(
                    f"name={name!r} is for a bare .safetensors file; {path} says in its config.json what it is"
                )
            return _from_folder(path)
        return _from_file(path, name)
    full_name, variant, pretrained = find_model(text)
    if pretrained is None:
        raise WeightsError(f"{full_name} was never published with weights; train it, and load the folder or file")
    if full_name != EMBEDDED_MODEL:
        raise WeightsError(
            f"the weights of {full_name} are not in this package (only {EMBEDDED_MODEL} is); "
            f"pass the folder or the .safetensors file that holds them"
        )
    return _checked(
        TensorFile(EMBEDDED_FOLDER / "gmixer_8_64.safetensors"),
        name=full_name,
        model=variant.of(pretrained),
        data=pretrained.data,
        pretrained=pretrained,
    )


def is_path(text: str) -> bool:
    """Whether this means a file or a folder rather than the name of a model."""
    return os.sep in text or text.endswith(".safetensors") or os.path.isdir(text)


def _checked(
    file: TensorFile,
    *,
    name: str,
    model: ModelConfig,
    data: DataConfig,
    pretrained: Pretrained | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Checkpoint:
    check_file(file, model)
    return Checkpoint(name=name, file=file, model=model, data=data, pretrained=pretrained, class_names=class_names)


def _from_file(path: Path, name: str | None) -> Checkpoint:
    """The architecture follows from the tensors; how pictures are fed follows from the table's row of that shape."""
    file = TensorFile(path)
    model = infer_architecture(file)
    if name is not None:
        full_name, variant, pretrained = find_model(name)
        wanted = replace(variant.model, num_classes=model.num_classes, in_chans=model.in_chans)
        check_file(file, wanted)
        data = pretrained.data if pretrained else variant.data
        return Checkpoint(name=full_name, file=file, model=wanted, data=data, pretrained=pretrained)

    fitting = variants_of(model)
    if not fitting:
        raise WeightsError(
            f"{path}: {model.blocks} blocks of {model.channels} channels at {model.image_px} px are no variant that "
            f"gmixer knows, so nothing says how its pictures are normalised; put it as model.safetensors in a folder "
            f"with timm's config.json"
        )
    variant = VARIANTS[fitting[0]]
    tags = {
        f"{fitting[0]}.{tag}": row.data
        for tag, row in variant.pretrained.items()
        if row.num_classes == model.num_classes
    }
    full_name, data = next(iter(tags.items()), (fitting[0], variant.data))
    others = [other for other, other_data in tags.items() if other_data != data]
    if others:
        warnings.warn(
            f"{path} may be {full_name} or {', '.join(others)}, which normalise pictures differently; "
            f"taking {full_name}. Say which: load(path, name=...)",
            stacklevel=4,
        )
    return _checked(file, name=path.stem, model=model, data=data)


def _from_folder(folder: Path) -> Checkpoint:
    """config.json in timm's format says what the model is; model.safetensors is held to it."""
    config_path = folder / "config.json"
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
        model, data, class_names = _read_timm_config(config)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder}: holds no config.json; wanted timm's config.json beside model.safetensors, "
            f"or pass the path of the .safetensors file itself"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, GmixerError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{config_path}: {what}; wanted timm's config.json of a Mixer") from error
    return _checked(
        TensorFile(folder / "model.safetensors"),
        name=folder.resolve().name,
        model=model,
        data=data,
        class_names=class_names,
    )


def _read_timm_config(config: Mapping[str, Any]) -> tuple[ModelConfig, DataConfig, tuple[str, ...] | None]:
    _, variant, _ = find_model(config["architecture"])
    pretrained_cfg = {**variant.data.to_timm(), **config["pretrained_cfg"]}
    data = DataConfig.from_timm(pretrained_cfg)
    base = variant.model
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
    if arguments:
        raise InputError(f"model_args {', '.join(map(repr, arguments))} mean nothing to gmixer")
    return model, data, _class_names(config, model.num_classes)


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
    if len(names) != num_classes:
        raise InputError(f"label_names holds {len(names)} names for {num_classes} classes")
    descriptions = config.get("label_descriptions") or {}
    return tuple(str(descriptions.get(name, name)) for name in names)
