"""The architecture of tensors, from their names and shapes, and the check of a file against an architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.errors import InputError, WeightsError
from gmixer.options import FP32, NativePrecision
from gmixer.weights.converted import STORED_AS, is_mlp_weight
from gmixer.weights.weights_file import WeightsFile

_OWN_ARCHITECTURE = "load it by its own name, or pass a folder with its own config.json"


def infer_architecture(shapes: Mapping[str, tuple[int, ...]], *, source: str) -> ModelConfig:
    """The ModelConfig of tensors with these names and shapes.

    source: the name of the tensors in an error. Raises WeightsError if the tensors do not belong to a Mixer.
    """
    try:
        channels, in_chans, patch_px, _ = shapes["stem.proj.weight"]
        token_fc1, patches = shapes["blocks.0.mlp_tokens.fc1.weight"]
        _, token_hidden = shapes["blocks.0.mlp_tokens.fc2.weight"]
        _, channel_hidden = shapes["blocks.0.mlp_channels.fc2.weight"]
        return ModelConfig(
            image_px=math.isqrt(patches) * patch_px,
            patch_px=patch_px,
            channels=channels,
            blocks=1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")),
            token_hidden=token_hidden,
            channel_hidden=channel_hidden,
            mlp="swiglu" if token_fc1 == 2 * token_hidden else "gelu",
            in_chans=in_chans,
            num_classes=shapes.get("head.weight", (0,))[0],
        )
    except (KeyError, IndexError, ValueError, InputError) as error:
        some = ", ".join(list(shapes)[:3]) or "no tensors"
        raise WeightsError(
            f"{source}: holds no MLP-Mixer ({some}, …); wanted timm's names: stem.proj.weight, "
            f"blocks.0.mlp_tokens.fc1.weight, …; timm converts other layouts: create the model there, and save it"
        ) from error


def variants_of(config: ModelConfig) -> list[str]:
    """The table's variants with these widths. The classes, the input channels and the image size may differ."""
    return [
        name
        for name, variant in VARIANTS.items()
        if config.patch_px == variant.model.patch_px
        and variant.model
        == replace(
            config,
            image_px=variant.model.image_px,
            in_chans=variant.model.in_chans,
            num_classes=variant.model.num_classes,
        )
    ]


def check_file(file: WeightsFile, wanted: ModelConfig, precision: NativePrecision = FP32) -> None:
    """Compares names, shapes and dtypes with the architecture. Raises WeightsError.

    precision: of a folder that gmixer convert made.
    """
    shapes = wanted.tensor_shapes()
    missing = [name for name in shapes if name not in file.headers]
    unknown = [name for name in file.headers if name not in shapes]
    if missing or unknown:
        parts = [_listed("lacks", missing), _listed("holds the unknown", unknown)]
        raise WeightsError(
            f"{file.path}: {' and '.join(part for part in parts if part)}; wanted the {len(shapes)} tensors of "
            f"{_describe(wanted)}; {_way_out(file, wanted)}"
        )
    for name, header in file.headers.items():
        if header.shape != shapes[name]:
            way_out = _OWN_ARCHITECTURE
            if name.startswith("head."):
                way_out = f"set num_classes to {header.shape[0]} everywhere in config.json, or in create_model"
            raise WeightsError(
                f"{file.path}: {name} is {_shape(header.shape)}, {_describe(wanted)} wants {_shape(shapes[name])}; "
                f"{way_out}"
            )
        if precision != FP32 and is_mlp_weight(name):
            if header.dtype != STORED_AS[precision]:
                raise WeightsError(
                    f"{file.path}: {name} is stored as {header.dtype}; wanted {STORED_AS[precision]}, as gmixer "
                    f"convert writes {precision}: convert the model again"
                )
        elif header.dtype not in ("F32", "F16", "BF16"):
            raise WeightsError(
                f"{file.path}: {name} is stored as {header.dtype}; wanted F32, F16 or BF16: "
                f"save the model with .float() or .half()"
            )


def _way_out(file: WeightsFile, wanted: ModelConfig) -> str:
    """For tensors that are missing or unknown."""
    if "head.weight" not in file.headers and any(name.startswith("head.") for name in file.headers):
        return "rename the tensors of the last layer to head.weight and head.bias"
    try:
        same = infer_architecture(file.shapes, source="") == wanted
    except WeightsError:
        return _OWN_ARCHITECTURE
    return "save all of the model's state_dict(), and nothing else" if same else _OWN_ARCHITECTURE


def _listed(verb: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{verb} {', '.join(names[:2])}{more}"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) or "a single number"


def _describe(config: ModelConfig) -> str:
    name = next(iter(variants_of(config)), f"a {config.blocks}-block Mixer of {config.channels} channels")
    return f"{name} with {config.num_classes} classes"
