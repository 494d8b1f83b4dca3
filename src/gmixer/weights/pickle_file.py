"""A `.pth` file, as torch.save writes it. It is read only if the caller allows pickles, by torch's restricted reader.

`weights_only=True` builds tensors and plain containers, and calls nothing else. It had security holes
(GHSA-63cw-57p8-fm3p, memory corruption, fixed in torch 2.10). So it does not protect against a hostile file;
safetensors does. Sizes are checked before and after reading, because the ZIP archive and the shapes of tensors may lie.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import WeightsError, require_torch, words_of
from gmixer.weights.weights_file import TensorHeader, WeightsFile

if TYPE_CHECKING:
    import torch

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar")

_SAFE_TORCH = (2, 10)  # GHSA-63cw-57p8-fm3p
_PARTS = ("state_dict_ema", "model_ema", "state_dict", "model")  # timm's order: the averaged weights first
_PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")  # torch.compile inside or around DistributedDataParallel
_SAFETENSORS_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def is_pickle(path: Path) -> bool:
    """Whether the file is a pickle from torch.save. The first bytes decide, or else the name."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError:
        return path.name.endswith(PICKLE_SUFFIXES)
    if head[8:] == b"{":  # safetensors: its first 8 bytes are a length, and can have any value
        return False
    return head.startswith((b"PK\x03\x04", b"\x80")) or path.name.endswith(PICKLE_SUFFIXES)


class PickleFile(WeightsFile):
    """All tensors of the file, in memory. Raises WeightsError, MissingExtraError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part, self._state = _unwrapped(_load(path), path)
        self.headers = {name: _header(path, name, tensor) for name, tensor in self._state.items()}
        claimed = sum(tensor.numel() * tensor.element_size() for tensor in self._state.values())
        if claimed > (held := path.stat().st_size):  # with a stride of 0, four bytes can claim to be a terabyte
            raise WeightsError(
                f"{path}: its tensors claim {claimed:,} bytes, and the whole file holds {held:,}; wanted a checkpoint "
                f"that torch.save wrote"
            )

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name, tensor in self._state.items():
            yield name, tensor.detach().float().contiguous().numpy()


def _load(path: Path) -> Any:
    import argparse  # imported here, because every start of the command imports this module

    with require_torch(f"{path} is a pickle, and reading it"):
        import torch
    version = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE_TORCH:
        raise WeightsError(
            f"{path}: torch {torch.__version__} reads pickles unsafely; wanted 2.10 or newer: pip install -U torch"
        )
    _check_zip(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):  # timm saves one
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise errors of any type
        raise WeightsError(f"{path}: {_reason(error)}") from error


def _check_zip(path: Path) -> None:
    """Refuses compression, which torch.save never uses. A compressed entry can unpack to 1,000 times its size."""
    import zipfile  # 2 ms, which a start of the command does not need

    try:
        if not zipfile.is_zipfile(path):
            return  # torch's older format, or a file that torch.load refuses
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path}: cannot be read: {words_of(error, 'it is cut short or damaged')}") from error
    unpacked = sum(entry.file_size for entry in entries)
    if any(entry.compress_type for entry in entries) or unpacked > path.stat().st_size:
        raise WeightsError(
            f"{path}: is a compressed archive of {unpacked:,} bytes unpacked; wanted the uncompressed archive that "
            f"torch.save writes"
        )


def _unwrapped(loaded: Any, path: Path) -> tuple[str | None, dict[str, torch.Tensor]]:
    """(entry, tensors): the entry that holds the state dict, if any, and the tensors without a wrapper's prefixes."""
    import torch

    part = None
    if isinstance(loaded, Mapping):
        part = next((name for name in _PARTS if isinstance(loaded.get(name), Mapping)), None)
    state = loaded[part] if part else loaded
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path}: holds a {type(loaded).__name__}, no state dict; wanted a saved model.state_dict()")
    tensors: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"{path}: {key!r} is a {type(value).__name__}, not a tensor; wanted a state dict, or one under "
                f"{', '.join(_PARTS)}"
            )
        name = key
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if name in tensors:
            raise WeightsError(f"{path}: holds {name} twice, once with a prefix; save only one model")
        tensors[name] = value
    return part, tensors


def _header(path: Path, name: str, tensor: torch.Tensor) -> TensorHeader:
    import torch

    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device.type}".removeprefix("torch.")
        raise WeightsError(f"{path}: {name} is {kind}; wanted plain tensors: save model.float().state_dict()")
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorHeader(tuple(tensor.shape), _SAFETENSORS_DTYPES.get(dtype, dtype))


def _reason(error: Exception) -> str:
    """torch's message, without its advice to retry with weights_only=False."""
    paragraphs = [" ".join(part.split()) for part in str(error).split("\n\n")]
    said = next((p for p in paragraphs if p and not p.startswith(("Weights only load failed", "Check the doc"))), "")
    if blocked := re.search(r"GLOBAL (\S+)", said):
        return (
            f"was refused: it asks for {blocked[1]}, which weights do not need, and which may run any code; take the "
            f"weights as .safetensors, from an author you trust"
        )
    return (
        f"is no checkpoint that torch can read safely ({type(error).__name__}: {said[:200]}); take a .safetensors file"
    )
