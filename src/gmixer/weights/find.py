"""Where weights come from: the package, the Hub's cache, a `.safetensors` file, a folder as timm writes it."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.config import EMBEDDED_MODEL, VARIANTS, DataConfig, ModelConfig, Pretrained, find_model
from gmixer.errors import InputError, WeightsError
from gmixer.weights.adapt import adapted
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.hub import cached_weights
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.timm_config import read_timm_config

# A token MLP's weights grow with the patches: at this many, those of gmixer_24_224 would already be 0.2 GB.
MAX_PATCHES = 64 * 64

EMBEDDED_WEIGHTS = Path(__file__).parent / "embedded" / "gmixer_8_64.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights whose header has been checked: every tensor is there, in the shape and a dtype that the model wants."""

    name: str  # variant.tag, or the folder's or file's own name
    file: TensorFile
    model: ModelConfig
    data: DataConfig
    stored: ModelConfig | None = None  # the file's own, where `model` is an adaptation of it
    pretrained: Pretrained | None = None  # the table's row, where the weights are known to be those
    class_names: tuple[str, ...] | None = None  # where the checkpoint brings its own
    license: str | None = None

    def __post_init__(self) -> None:
        check_file(self.file, self.stored or self.model)

    @property
    def path(self) -> Path:
        return self.file.path

    def adapted(self, *, image_px: int | None = None, in_chans: int | None = None) -> Checkpoint:
        """The same weights for pictures of another size or with other channels (see adapt.py); None: as they are.

        Raises InputError for a size that is not a multiple of the patch or gives more than MAX_PATCHES of them.
        """
        wanted = replace(
            self.model,
            image_px=self.model.image_px if image_px is None else image_px,
            in_chans=self.model.in_chans if in_chans is None else in_chans,
        )
        if wanted == self.model:
            return self
        if wanted.patches > MAX_PATCHES:
            raise InputError(
                f"image_px {image_px} makes {wanted.patches:,} patches of {wanted.patch_px} px; at most "
                f"{MAX_PATCHES:,} are allowed: take {math.isqrt(MAX_PATCHES) * wanted.patch_px} px or less"
            )
        data = self.data.adapted(image_px=wanted.image_px, in_chans=wanted.in_chans)
        return replace(self, model=wanted, data=data, stored=self.stored or self.model)

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor as float32, one at a time; each is valid until the next is asked for."""
        if self.stored is None:
            return self.file.tensors()
        return adapted(self.file.tensors(), stored=self.stored, wanted=self.model)


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
    path = EMBEDDED_WEIGHTS if full_name == EMBEDDED_MODEL else cached_weights(f"timm/{full_name}")
    return Checkpoint(
        name=full_name,
        file=TensorFile(path),
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
        of_the_file = {key: getattr(model, key) for key in ("num_classes", "in_chans", "image_px")}
        wanted = replace(variant.model, **of_the_file)
        known = row if row and row.num_classes == model.num_classes else None  # else only the body is that model's
        return Checkpoint(
            name=full_name if known else path.stem,
            file=file,
            model=wanted,
            data=(row or variant).data.adapted(image_px=wanted.image_px, in_chans=wanted.in_chans),
            pretrained=known,
            license=known.license if known else None,
        )

    fitting = variants_of(model)
    if not fitting:
        raise WeightsError(
            f"{path}: {model.blocks} blocks of {model.channels} channels, patch {model.patch_px}, are no variant that "
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
    data = data.adapted(image_px=model.image_px, in_chans=model.in_chans)
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
