"""Where weights come from: inside the package, a `.safetensors` file, a folder as timm writes it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.config import EMBEDDED_MODEL, VARIANTS, DataConfig, ModelConfig, Pretrained, find_model
from gmixer.errors import InputError, WeightsError
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.timm_config import read_timm_config

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
    license: str | None = None

    def __post_init__(self) -> None:
        check_file(self.file, self.model)
        if self.model.in_chans != self.data.in_chans:
            raise WeightsError(
                f"{self.path}: takes images of {self.model.in_chans} channels, its data config says "
                f"{self.data.in_chans}; put it as model.safetensors in a folder with timm's config.json, "
                f"which says input_size, mean and std"
            )

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
    return Checkpoint(
        name=full_name,
        file=TensorFile(EMBEDDED_FOLDER / "gmixer_8_64.safetensors"),
        model=variant.of(pretrained),
        data=pretrained.data,
        pretrained=pretrained,
        license=pretrained.license,
    )


def is_path(text: str) -> bool:
    """Whether this means a file or a folder rather than the name of a model."""
    return os.sep in text or text.endswith(".safetensors") or os.path.isdir(text)


def _from_file(path: Path, name: str | None) -> Checkpoint:
    """The architecture follows from the tensors; how pictures are fed follows from the table's row of that shape."""
    file = TensorFile(path)
    model = infer_architecture(file.shapes, source=str(path))
    if name is not None:
        full_name, variant, row = find_model(name)
        wanted = replace(variant.model, num_classes=model.num_classes, in_chans=model.in_chans)
        known = row if row and row.num_classes == model.num_classes else None  # else only the body is that model's
        return Checkpoint(
            name=full_name if known else path.stem,
            file=file,
            model=wanted,
            data=(row or variant).data,
            pretrained=known,
            license=known.license if known else None,
        )

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
            f"taking {full_name}. Say which by name= (on the command line --name)",
            stacklevel=4,
        )
    return Checkpoint(name=path.stem, file=file, model=model, data=data)


def _from_folder(folder: Path) -> Checkpoint:
    """config.json says what the model is; model.safetensors is held to it."""
    config = read_timm_config(folder / "config.json")
    return Checkpoint(
        name=folder.resolve().name,
        file=TensorFile(folder / "model.safetensors"),
        model=config.model,
        data=config.data,
        class_names=config.class_names,
        license=config.license,
    )
