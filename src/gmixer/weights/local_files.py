"""Weights on this machine: the file of a folder that holds them, and the reader of a file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from gmixer.errors import WeightsError
from gmixer.options import WeightsSource
from gmixer.weights.foreign_files import why_foreign
from gmixer.weights.hub import WEIGHTS_FILE
from gmixer.weights.pickle_file import PICKLE_SUFFIXES, PickleFile, is_pickle
from gmixer.weights.quantized_file import is_quantized
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.weights_file import WeightsFile

INDEX_FILE = f"{WEIGHTS_FILE}.index.json"  # of weights in several files
# In this order a folder's weights are looked for, as in timm: _hub.py, load_state_dict_from_path
_WEIGHTS_FILES = (WEIGHTS_FILE, INDEX_FILE, "pytorch_model.bin", "pytorch_model.pth", "model.pth")
MAX_INDEX_BYTES = 4 * 2**20  # the index of a Mixer takes about 20 KB


def open_weights(path: Path, weights: WeightsSource) -> WeightsFile:
    """A `.safetensors` file, the index of several, or a pickle if weights.allow_pickle is set.

    Raises WeightsError, MissingExtraError.
    """
    if path.name == INDEX_FILE:
        return TensorFile(path, _shards(path))
    if foreign := why_foreign(path):
        raise WeightsError(f"{path}: {foreign}")
    if not is_pickle(path):
        file = TensorFile(path)
        if is_quantized(file):
            raise WeightsError(
                f"{path}: holds weights in int8, by gmixer convert, which need the config.json beside them; pass the "
                f"folder {path.parent}, or take the original"
            )
        return file
    if not os.path.exists(path):
        raise WeightsError(f"{path}: no such file")
    if not weights.allow_pickle:
        raise WeightsError(
            f"{path}: is a pickle, which may run code when it is read; take the weights as .safetensors. If you trust "
            f"the author of the file, pass allow_pickle=True (on the command line --allow-pickle)"
        )
    return PickleFile(path)


def _shards(index: Path) -> list[Path]:
    """The files that an index lists, beside it. Raises WeightsError."""
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if not names or any(Path(name).name != name for name in names):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{index}: is no index of safetensors files; wanted a weight_map from tensors to files beside it"
        ) from error
    return [index.parent / name for name in sorted(names)]


def weights_in(folder: Path) -> Path:
    """timm's name for them, or else the folder's only weights file. Raises WeightsError for several."""
    for name in _WEIGHTS_FILES:
        if (folder / name).exists():
            return folder / name
    for suffixes in ((".safetensors",), PICKLE_SUFFIXES):
        found = sorted(path.name for path in folder.iterdir() if path.name.endswith(suffixes))
        if len(found) == 1:
            return folder / found[0]
        if found and all(re.search(r"-\d+-of-\d+\.", name) for name in found):
            raise WeightsError(
                f"{folder}: holds {len(found)} parts of a model, such as {found[0]}, without {INDEX_FILE}, which lists "
                f"them; fetch that file too, or save the model in one file"
            )
        if found:
            raise WeightsError(
                f"{folder}: holds {len(found)} weights files, {', '.join(found[:3])}; wanted one: rename it to "
                f"{WEIGHTS_FILE}"
            )
    return folder / WEIGHTS_FILE
