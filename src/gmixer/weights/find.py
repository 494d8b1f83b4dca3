"""A model's name, a repository, a file or a folder → a Checkpoint: weights with a checked header."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.catalogue import DEPRECATED, EMBEDDED_MODEL, VARIANTS, Pretrained, find_model
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import InputError, WeightsError
from gmixer.options import FP32, NativePrecision, WeightsSource
from gmixer.weights.adapt import adapted
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.converted import Conversion
from gmixer.weights.foreign_files import FOREIGN_SUFFIXES, why_foreign
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE, Repo, cache_folder, cached, fetch
from gmixer.weights.local_files import INDEX_FILE, open_weights, weights_in
from gmixer.weights.pickle_file import PICKLE_SUFFIXES
from gmixer.weights.quantized_file import QuantizedFile
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.timm_config import TimmConfig, read_timm_config
from gmixer.weights.weights_file import Quantized, WeightsFile

# The token MLP's weights grow with the number of patches. At this number gmixer_24_224 has 0.2 GB of them.
MAX_PATCHES = 64 * 64

# `--model auto` takes this model if its weights are on this machine, and the embedded model otherwise.
PREFERRED_MODEL = "gmixer_24_224.ra3_in1k"

LOCAL_PREFIX = "local-dir:"  # timm's prefix, in upper or lower case
_REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)  # organization/model

_SUFFIXES = (".safetensors", *PICKLE_SUFFIXES, *FOREIGN_SUFFIXES)

EMBEDDED_WEIGHTS = Path(__file__).parent / "embedded" / "gmixer_8_64.safetensors"


class TableName(str):
    """A model's name that gmixer chose itself. A folder of that name in the working directory does not count."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights with a checked header: every tensor is there, and has the shape and a dtype that the model wants."""

    name: str  # variant.tag, or the name of the folder or file
    file: WeightsFile
    model: ModelConfig
    data: DataConfig
    stored: ModelConfig | None = None  # the architecture in the file; None: it is `model`
    pretrained: Pretrained | None = None  # the table's row; None: the weights are not from the table
    class_names: tuple[str, ...] | None = None  # the checkpoint's own; None: it brings none
    license: str | None = None
    conversion: Conversion | None = None  # the weights are of a folder that gmixer convert made

    def __post_init__(self) -> None:
        check_file(self.file, self.stored or self.model, self.stored_for)

    @property
    def stored_for(self) -> NativePrecision:
        """The precision that these weights run in, unless another one is asked for."""
        return self.conversion.precision if self.conversion else FP32

    @property
    def path(self) -> Path:
        return self.file.path

    def adapted(self, *, image_px: int | None = None, in_chans: int | None = None) -> Checkpoint:
        """The same weights for another image size or number of channels (see adapt.py). None changes nothing.

        Raises InputError for a size that is not a multiple of the patch, or that makes more than MAX_PATCHES patches.
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
                f"image_px {image_px} makes {wanted.patches:,} patches of {wanted.patch_px} px; wanted at most "
                f"{MAX_PATCHES:,}: take {math.isqrt(MAX_PATCHES) * wanted.patch_px} px or less"
            )
        if self.conversion and self.stored_for == "int8" and wanted.image_px != self.model.image_px:
            raise InputError(
                f"image_px is {wanted.image_px} and {self.name} is in int8 for {self.model.image_px} px, whose weights "
                f"cannot be resized; take the original, {self.conversion.source}, or convert it for that size: "
                f"gmixer convert MODEL --image-size {wanted.image_px}"
            )
        data = self.data.adapted(image_px=wanted.image_px, in_chans=wanted.in_chans)
        return replace(self, model=wanted, data=data, stored=self.stored or self.model)

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor as float32, one at a time. Each array is valid until the next one is read."""
        if self.stored is None:
            return self.file.tensors()
        return adapted(self.file.tensors(), stored=self.stored, wanted=self.model)

    def native_tensors(self) -> Iterator[tuple[str, NDArray[np.float32] | Quantized]]:
        """The same for the native core: the MLPs' weights of an int8 folder stay integers."""
        if self.stored is None:
            return self.file.native_tensors()
        return adapted(self.file.native_tensors(), stored=self.stored, wanted=self.model)


def find_checkpoint(source: str | os.PathLike[str], weights: WeightsSource = WeightsSource()) -> Checkpoint:
    """The checkpoint of a model name, a repository on the Hub, a `.safetensors` file, or a folder.

    source: a name of the table, `hf-hub:organization/model[@revision]`, the path of a file, or the path of a folder
        with config.json and model.safetensors. timm's prefix `local-dir:` may precede a path.
    weights: where weights may come from. With allow_pickle a folder may hold pytorch_model.bin, if it holds no
        model.safetensors. Pickles of the Hub are never read.

    Raises UnknownModelError, WeightsError, InputError, MissingExtraError. Never takes other weights instead.
    """
    if not isinstance(source, str | os.PathLike):
        is_torch = "; for a torch model: gmixer.save_model(model, folder), or gmixer.Engine.from_torch(model)"
        raise InputError(
            f"model is a {type(source).__name__}; wanted a model's name, hf-hub:organization/model, or the path of a "
            f"file or folder{is_torch if hasattr(source, 'state_dict') else ''}"
        )
    text = os.fsdecode(source)
    if "\0" in text:
        raise InputError(f"model is {text!r}, with a zero byte; wanted a model's name, or the path of a file or folder")
    repo = Repo.parse(text)
    if repo or is_path(text):
        path = Path(text[len(LOCAL_PREFIX) :] if text.lower().startswith(LOCAL_PREFIX) else text)
        if not repo and not os.path.exists(path) and _REPO_ID.fullmatch(text) and not text.endswith(_SUFFIXES):
            raise WeightsError(f"{text}: no such file or folder; for the repository on the Hub say hf-hub:{text}")
        if not repo and not os.path.isdir(path):  # pathlib's raises for a long name
            return _from_file(path, weights)
        refuse_name(weights, f"{text} has a config.json")
        if names_a_model(text):
            warnings.warn(
                f"{text} is a folder in the working directory, and was taken; for the pretrained model of this name "
                f"run in another directory, or rename the folder",
                stacklevel=4,
            )
        return _from_repo(repo, weights) if repo else _from_folder(path, _name_of(path), weights)
    if not isinstance(text, TableName) and names_a_model(text) and os.path.exists(text):
        is_folder = os.path.isdir(text)
        why_not = "the folder {} in the working directory holds no config.json" if is_folder else "not the file ./{}"
        warnings.warn(f"{text} is the pretrained model, and was taken; {why_not.format(text)}", stacklevel=4)
    full_name = find_model(text)[0]
    refuse_name(weights, f"{full_name} is a model of the table")
    return find_pretrained(full_name, weights)


def find_pretrained(name: str, weights: WeightsSource = WeightsSource()) -> Checkpoint:
    """The checkpoint of a model of the table. A folder of that name does not count.

    Raises UnknownModelError, WeightsError.
    """
    full_name, variant, pretrained = find_model(name)
    if pretrained is None:
        raise WeightsError(f"{full_name} was never published with weights; train it, and load the folder or file")
    embedded = full_name == EMBEDDED_MODEL
    path = EMBEDDED_WEIGHTS if embedded else find_in_repo(hub_repo(full_name), WEIGHTS_FILE, weights)
    return Checkpoint(
        name=full_name,
        file=TensorFile(path),
        model=variant.of(pretrained),
        data=pretrained.data,
        pretrained=pretrained,
        license=pretrained.license,
    )


def refuse_name(weights: WeightsSource, why: str) -> None:
    """Raises InputError if weights.name is set, for a source that needs none."""
    if weights.name is not None:
        raise InputError(
            f"name={weights.name!r} (on the command line --name) says which model a bare weights file is; leave it "
            f"out: {why}"
        )


def preferred_model() -> TableName:
    """PREFERRED_MODEL if the Hub's cache holds its weights, else the embedded model. Never uses the network."""
    return TableName(PREFERRED_MODEL if cached(hub_repo(PREFERRED_MODEL), WEIGHTS_FILE) else EMBEDDED_MODEL)


def hub_repo(full_name: str) -> Repo:
    """The repository in which timm publishes the weights of a pretrained model of the table."""
    return Repo(f"timm/{full_name}", known_as=full_name)


def find_in_repo(repo: Repo, filename: str, weights: WeightsSource) -> Path:
    """A file of a repository, from the cache; if the cache lacks it and weights.fetch is set, from the Hub.

    Raises WeightsError.
    """
    if path := cached(repo, filename, cache_dir=weights.cache_dir):
        return path
    if weights.fetch:
        return fetch(repo, filename, cache_dir=weights.cache_dir)
    raise WeightsError(
        f"{repo}: {filename} is not on this machine (looked in {cache_folder(weights.cache_dir)}); fetch it by "
        f"gmixer pull {repo}, or pass the folder or the .safetensors file that holds it"
    )


def is_path(text: str) -> bool:
    """Whether this text means a file or a folder, and not the name of a model.

    A folder in the working directory goes before a model of its name, if it holds a config.json.
    """
    if isinstance(text, TableName):
        return False
    prefixed = text.lower().startswith(LOCAL_PREFIX)
    if prefixed or os.sep in text or text.endswith(_SUFFIXES):
        return True
    return os.path.isfile(os.path.join(text, CONFIG_FILE)) if names_a_model(text) else os.path.exists(text)


def names_a_model(text: str) -> bool:
    """Whether the table has this variant. Its tag may be unknown."""
    base = text.partition(".")[0]
    return base in VARIANTS or base in DEPRECATED


def _name_of(folder: Path) -> str:
    """The name of the folder; for `RUN/model`, which `gmixer train` writes, the name of the run."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def _from_file(path: Path, weights: WeightsSource) -> Checkpoint:
    """The tensors give the architecture. The table's row of that architecture says how images are fed."""
    file = open_weights(path, weights)
    if re.search(r"-\d+-of-\d+\.", path.name) and (path.parent / INDEX_FILE).exists():
        raise WeightsError(f"{path}: is one of several files of a model; pass the folder, or its {INDEX_FILE}")
    model = infer_architecture(file.shapes, source=str(path))
    if weights.name is None and (path.parent / CONFIG_FILE).exists():
        warnings.warn(
            f"{path} is read without the config.json beside it; for its class names, normalisation and precision, "
            f"pass the folder {path.parent}",
            stacklevel=5,
        )
    if weights.name is not None:
        full_name, variant, row = find_model(weights.name)
        of_the_file = {key: getattr(model, key) for key in ("num_classes", "in_chans", "image_px")}
        wanted = replace(variant.model, **of_the_file)
        known = row if row and row.num_classes == model.num_classes else None  # with another head it is another model
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
            f"gmixer knows, so the normalisation of its images is unknown; put it as model.safetensors in a folder "
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
            f"{path} may be {full_name} or {', '.join(others)}, which normalise images differently; "
            f"taking {full_name}. Choose another by name= (on the command line --name)",
            stacklevel=4,
        )
    data = data.adapted(image_px=model.image_px, in_chans=model.in_chans)
    return Checkpoint(name=path.stem, file=file, model=model, data=data)


def _from_repo(repo: Repo, weights: WeightsSource) -> Checkpoint:
    """Both files come from one commit, even if the branch moves between the two reads."""
    config = find_in_repo(repo, CONFIG_FILE, weights)
    find_in_repo(Repo(repo.id, config.parent.name), WEIGHTS_FILE, weights)
    return _from_folder(config.parent, str(repo), replace(weights, allow_pickle=False))


def _from_folder(folder: Path, name: str, weights: WeightsSource) -> Checkpoint:
    """config.json gives the architecture. The weights beside it are checked against it."""
    config = read_timm_config(folder / CONFIG_FILE)
    return Checkpoint(
        name=name,
        file=_weights_of(folder, config, weights),
        model=config.model,
        data=config.data,
        class_names=config.class_names,
        license=config.license,
        conversion=config.conversion,
    )


def _weights_of(folder: Path, config: TimmConfig, weights: WeightsSource) -> WeightsFile:
    if config.conversion is None:
        return open_weights(weights_in(folder), weights)
    path = folder / WEIGHTS_FILE
    if foreign := why_foreign(path):
        raise WeightsError(f"{path}: {foreign}")
    in_int8 = config.conversion.precision == "int8"
    file = QuantizedFile(path, config.conversion) if in_int8 else TensorFile(path)
    config.conversion.check(path)
    return file
