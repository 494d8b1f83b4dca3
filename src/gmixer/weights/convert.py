"""A checkpoint → a folder of its weights in int8 or bf16, on every CPU. converted.py describes the folder.

Loading the folder gives the same bits as loading the original with precision=. O outputs, I inputs of a layer.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gmixer import _native
from gmixer.errors import InputError, WeightsError
from gmixer.options import FP32, NativePrecision, WeightsSource
from gmixer.weights.converted import SCALE, STORED_AS, Conversion, crc32_of, is_mlp_weight
from gmixer.weights.find import EMBEDDED_WEIGHTS, Checkpoint, find_checkpoint, find_in_repo, hub_repo
from gmixer.weights.hub import CONFIG_FILE, WEIGHTS_FILE, Repo
from gmixer.weights.timm_config import TimmConfig, timm_config_json, variant_name
from gmixer.weights.weights_file import not_finite, sha256_of
from gmixer.weights.write_safetensors import Stored, write_safetensors

CARD_FILE = "README.md"
MAX_CARD_BYTES = 4 * 2**20  # guessed: cards take about 10 KB

_BF16_INFINITY = 0x7F80  # the bits without the sign
_YAML_HEAD = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)


def convert(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    precision: NativePrecision,
    weights: WeightsSource = WeightsSource(fetch=True),
    *,
    image_px: int | None = None,
) -> Path:
    """Writes the folder: model.safetensors, config.json and the card of the original. Returns its path.

    model, weights: as in find_checkpoint. folder: a new one, or an empty one; it is written whole, or not at all.
    precision: "int8", about a quarter of the size of float32, or "bf16", about half.
    image_px: resizes the weights first, for images of that size; None: as trained.

    Raises InputError for another precision, a folder that holds something, a model that was converted before, and a
    network that is no variant. Raises what find_checkpoint raises, WeightsError for NaN and for a weight beyond
    bfloat16, and OSError.
    """
    if precision not in get_args(NativePrecision) or precision == FP32:
        raise InputError(f"precision is {precision!r}; wanted int8 or bf16; a model in fp32 needs no conversion")
    path = _new_folder(folder)
    original = find_checkpoint(model, weights)
    if original.conversion:
        raise InputError(
            f"{original.name} was itself converted to {original.stored_for}; convert its original, "
            f"{original.conversion.source}"
        )
    checkpoint = original.adapted(image_px=image_px)
    architecture = variant_name(checkpoint.model)
    card = _card_of(original, model, weights)
    with _written_whole(path) as unfinished:
        write_safetensors(_stored_tensors(checkpoint, precision), unfinished / WEIGHTS_FILE)
        conversion = Conversion(
            precision=precision,
            architecture=architecture,
            sha256=sha256_of([unfinished / WEIGHTS_FILE]),
            crc32=crc32_of(unfinished / WEIGHTS_FILE),
            source=original.name,
            source_file=original.path.name,
            source_sha256=original.file.sha256(),
        )
        _write_config(unfinished / CONFIG_FILE, checkpoint, conversion)
        _write_card(unfinished / CARD_FILE, path.resolve().name, conversion, card)
    return path


def _new_folder(folder: str | os.PathLike[str]) -> Path:
    """Raises InputError unless the path is free, or an empty folder."""
    if not isinstance(folder, str | os.PathLike) or "\0" in os.fsdecode(folder):
        raise InputError(f"folder is {folder!r}; wanted the path of a new folder")
    path = Path(folder)
    if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists and is not empty; wanted the name of a new folder")
    return path


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """Yields a folder inside `path`, and moves its files up to `path` when the block ends. config.json moves last:
    without it, nothing loads the folder.

    A folder beside `path` cannot replace a mounted one, the target of a link, or the working directory. If the block
    raises, nothing is left. Raises InputError if another conversion writes into `path`.
    """
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    unfinished = path / ".unfinished"
    try:
        unfinished.mkdir()
    except FileExistsError as error:
        raise InputError(f"{path} is being written by another conversion; wanted the name of a new folder") from error
    try:
        yield unfinished
        for name in (WEIGHTS_FILE, CARD_FILE, CONFIG_FILE):
            os.rename(unfinished / name, path / name)
        unfinished.rmdir()
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in (CONFIG_FILE, CARD_FILE, WEIGHTS_FILE):
            (path / name).unlink(missing_ok=True)
        if is_new:
            path.rmdir()
        if isinstance(error, OSError) and error.filename is None:  # of a full disk
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _stored_tensors(checkpoint: Checkpoint, precision: NativePrecision) -> dict[str, Stored]:
    """The MLPs' weights in this precision; all others in the dtype that they have in the checkpoint."""
    stored = {}
    for name, values in checkpoint.tensors():
        if not np.isfinite(values).all():
            raise not_finite(name, source=str(checkpoint.path))
        if not is_mlp_weight(name):
            # Adapting makes new numbers, which only float32 holds.
            dtype = checkpoint.file.headers[name].dtype if checkpoint.stored is None else "F32"
            stored[name] = Stored(dtype, values.shape, _encoded(values, dtype))
        elif precision == "bf16":
            rounded = _encoded(values, "BF16")
            if ((rounded.view(np.uint16) & _BF16_INFINITY) == _BF16_INFINITY).any():
                raise WeightsError(
                    f"{checkpoint.path}: {name} holds a number that bfloat16 rounds to infinity; wanted 3.38e38 or "
                    f"less: the training diverged, take another checkpoint"
                )
            stored[name] = Stored(STORED_AS[precision], values.shape, rounded)
        else:
            integers_OI, scales_O = np.empty(values.shape, np.int8), np.empty(len(values), np.float32)
            _native.quantize(np.ascontiguousarray(values), integers_OI, scales_O)
            stored[name] = Stored(STORED_AS[precision], (1, *values.shape), integers_OI)
            stored[name + SCALE] = Stored("F32", scales_O.shape, scales_O)
    return stored


def _encoded(values: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    """A copy. Values that came from this dtype are exact; others are rounded to nearest even."""
    if dtype == "BF16":
        rounded = np.empty(values.shape, np.uint16)
        _native.round_to_bf16(np.ascontiguousarray(values), rounded)
        return rounded
    return values.astype("<f2" if dtype == "F16" else "<f4")


def _write_config(path: Path, checkpoint: Checkpoint, conversion: Conversion) -> None:
    described = TimmConfig(
        model=checkpoint.model,
        data=checkpoint.data,
        class_names=checkpoint.class_names,
        license=checkpoint.license,
        conversion=conversion,
    )
    path.write_text(json.dumps(timm_config_json(described, global_pool="avg"), indent=2) + "\n", encoding="utf-8")


def _card_of(original: Checkpoint, model: str | os.PathLike[str], weights: WeightsSource) -> str:
    """The README beside the weights of a model folder, of the embedded model or of a repository; "" without one.

    A README beside a bare file may be about anything.
    """
    repo = Repo.parse(os.fspath(model)) if isinstance(model, str) else None
    if original.pretrained and original.path.parent != EMBEDDED_WEIGHTS.parent:
        repo = hub_repo(original.name)
    path = original.path.parent / CARD_FILE
    try:
        if repo:
            path = find_in_repo(repo, CARD_FILE, weights)
        elif not original.pretrained and not (path.parent / CONFIG_FILE).exists():
            return ""
        return path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_CARD_BYTES else ""
    except (OSError, UnicodeDecodeError, WeightsError):  # a conversion without the card is better than none
        return ""


def _write_card(path: Path, name: str, conversion: Conversion, card: str) -> None:
    """The original's card, with the conversion named above its text."""
    said = (
        f"> The weights here are in {conversion.precision}. `gmixer convert` made them from {conversion.source} "
        f"({conversion.source_file}, SHA-256 {conversion.source_sha256}). All that the card says of accuracy is about "
        f"that model; `gmixer agreement` measures the difference on your own images.\n"
    )
    head = _YAML_HEAD.match(card)
    meta, text = (head[0], card[head.end() :]) if head else ("", card)
    if conversion.precision == "int8":  # the Hub shows how to load a model, by its library
        meta = re.sub(r"^library_name:.*$", "library_name: gmixer", meta, flags=re.MULTILINE)
    path.write_text(f"{meta}{said}\n{text or f'# {name}'}".rstrip("\n") + "\n", encoding="utf-8")
