"""Where weights come from: the package, the Hub and its cache, a `.safetensors` file, a folder as timm writes it."""

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

from gmixer.catalogue import EMBEDDED_MODEL, VARIANTS, Pretrained, find_model
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import InputError, WeightsError
from gmixer.weights.adapt import adapted
from gmixer.weights.architecture import check_file, infer_architecture, variants_of
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE, Repo, cache_folder, cached, fetch
from gmixer.weights.pickle_file import PICKLE_SUFFIXES, PickleFile, is_pickle
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.timm_config import read_timm_config
from gmixer.weights.weights_file import WeightsFile

# A token MLP's weights grow with the patches: at this many, those of gmixer_24_224 would already be 0.2 GB.
MAX_PATCHES = 64 * 64

# What `--model auto` takes where its weights are on this machine, instead of the embedded model.
PREFERRED_MODEL = "gmixer_24_224.ra3_in1k"

PICKLED_WEIGHTS_FILE = "pytorch_model.bin"  # timm's name, beside or instead of model.safetensors

LOCAL_PREFIX = "local-dir:"  # timm's, in any case
_REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)  # organization/model

EMBEDDED_WEIGHTS = Path(__file__).parent / "embedded" / "gmixer_8_64.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights whose header has been checked: every tensor is there, in the shape and a dtype that the model wants."""

    name: str  # variant.tag, or the folder's or file's own name
    file: WeightsFile
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


def find_checkpoint(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    from_hub: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
) -> Checkpoint:
    """The checkpoint of a model name, a repository on the Hub, a `.safetensors` file, or a folder.

    source: a name of the table, `hf-hub:organization/model[@revision]`, a path of a file, or of a folder that holds
        config.json and model.safetensors (timm's `local-dir:` may stand before it).
    name: which row of the table a bare file is, where its shape fits several.
    from_hub: fetch what the Hub's cache lacks. Else the network is never touched.
    cache_dir: the Hub's cache; None: the user's own.
    allow_pickle: read a `.pth` file too, or a folder's pytorch_model.bin where it holds no model.safetensors.

    Raises UnknownModelError, WeightsError, InputError, MissingExtraError. Never takes other weights instead.
    """
    text = os.fspath(source)
    repo = Repo.parse(text)
    if repo or is_path(text):
        path = Path(text[len(LOCAL_PREFIX) :] if text.lower().startswith(LOCAL_PREFIX) else text)
        if not repo and not path.exists() and _REPO_ID.fullmatch(text):
            raise WeightsError(f"{text}: no such file or folder; for the repository on the Hub say hf-hub:{text}")
        if not repo and not path.is_dir():
            return _from_file(path, name, allow_pickle)
        if name is not None:
            raise InputError(
                f"name={name!r} is for a bare .safetensors file; {text} says in its config.json what it is"
            )
        return _from_repo(repo, from_hub, cache_dir) if repo else _from_folder(path, _name_of(path), allow_pickle)
    full_name, variant, pretrained = find_model(text)
    if pretrained is None:
        raise WeightsError(f"{full_name} was never published with weights; train it, and load the folder or file")
    if full_name == EMBEDDED_MODEL:
        weights = EMBEDDED_WEIGHTS
    else:
        weights = find_in_repo(hub_repo(full_name), WEIGHTS_FILE, from_hub=from_hub, cache_dir=cache_dir)
    return Checkpoint(
        name=full_name,
        file=TensorFile(weights),
        model=variant.of(pretrained),
        data=pretrained.data,
        pretrained=pretrained,
        license=pretrained.license,
    )


def preferred_model() -> str:
    """PREFERRED_MODEL where the Hub's cache holds its weights, else the embedded one. Never touches the network."""
    return PREFERRED_MODEL if cached(hub_repo(PREFERRED_MODEL), WEIGHTS_FILE) else EMBEDDED_MODEL


def hub_repo(full_name: str) -> Repo:
    """Where timm publishes the weights of a pretrained model of the table."""
    return Repo(f"timm/{full_name}", known_as=full_name)


def find_in_repo(
    repo: Repo, filename: str, *, from_hub: bool = False, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """A file of a repository: as the cache holds it, else from the Hub, if that is wanted. Raises WeightsError."""
    if path := cached(repo, filename, cache_dir=cache_dir):
        return path
    if from_hub:
        return fetch(repo, filename, cache_dir=cache_dir)
    raise WeightsError(
        f"{repo}: {filename} is not on this machine (looked in {cache_folder(cache_dir)}); fetch it by "
        f"gmixer pull {repo}, or pass the folder or the .safetensors file that holds it"
    )


def is_path(text: str) -> bool:
    """Whether this means a file or a folder rather than the name of a model."""
    prefixed = text.lower().startswith(LOCAL_PREFIX)
    return prefixed or os.sep in text or text.endswith((".safetensors", *PICKLE_SUFFIXES)) or os.path.isdir(text)


def _name_of(folder: Path) -> str:
    """The folder's own name; of `RUN/model`, as gmixer train calls them all, the run's."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def open_weights(path: Path, *, allow_pickle: bool = False) -> WeightsFile:
    """A `.safetensors` file, or, where it is allowed, a pickle. Raises WeightsError, MissingExtraError."""
    if not is_pickle(path):
        return TensorFile(path)
    if not path.exists():
        raise WeightsError(f"{path}: no such file")
    if not allow_pickle:
        raise WeightsError(
            f"{path}: is a pickle, which may run code when it is read; take the weights as .safetensors, or, where you "
            f"trust whom it is from, pass allow_pickle=True (on the command line --allow-pickle)"
        )
    return PickleFile(path)


def _from_file(path: Path, name: str | None, allow_pickle: bool) -> Checkpoint:
    """The architecture follows from the tensors; how pictures are fed follows from the table's row of that shape."""
    file = open_weights(path, allow_pickle=allow_pickle)
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


def _from_repo(repo: Repo, from_hub: bool, cache_dir: str | os.PathLike[str] | None) -> Checkpoint:
    """Both files of one commit, also where the branch moves on between them."""
    config = find_in_repo(repo, CONFIG_FILE, from_hub=from_hub, cache_dir=cache_dir)
    commit = Repo(repo.id, config.parent.name)
    find_in_repo(commit, WEIGHTS_FILE, from_hub=from_hub, cache_dir=cache_dir)
    return _from_folder(config.parent, str(repo), allow_pickle=False)


def pull(source: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Checkpoint:
    """What the Hub holds now of a pretrained model's name or `hf-hub:organization/model[@revision]`, in the cache.

    Every file's checksum is compared with the Hub's, also of one that was there before.
    Raises UnknownModelError, WeightsError, InputError.
    """
    if repo := Repo.parse(source):
        config = fetch(repo, CONFIG_FILE, cache_dir=cache_dir)
        fetch(Repo(repo.id, config.parent.name), WEIGHTS_FILE, cache_dir=cache_dir)
    elif is_path(source):
        raise InputError(
            f"{source!r} is neither a model's name nor hf-hub:organization/model; a repository of that name on the Hub "
            f"would be hf-hub:{source}, and a file or folder needs no pull"
        )
    else:
        full_name, _, pretrained = find_model(source)
        if pretrained and full_name != EMBEDDED_MODEL:
            fetch(hub_repo(full_name), WEIGHTS_FILE, cache_dir=cache_dir)
    return find_checkpoint(source, cache_dir=cache_dir)


def _from_folder(folder: Path, name: str, allow_pickle: bool) -> Checkpoint:
    """config.json says what the model is; the weights beside it are held to that."""
    config = read_timm_config(folder / CONFIG_FILE)
    pickled = not (folder / WEIGHTS_FILE).exists() and (folder / PICKLED_WEIGHTS_FILE).exists()
    return Checkpoint(
        name=name,
        file=open_weights(folder / (PICKLED_WEIGHTS_FILE if pickled else WEIGHTS_FILE), allow_pickle=allow_pickle),
        model=config.model,
        data=config.data,
        class_names=config.class_names,
        license=config.license,
    )
