"""A safetensors file, or several that hold one model. The headers are read first: names, shapes and dtypes need no
memory for tensors.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from gmixer.errors import WeightsError
from gmixer.weights.class_names import NAMES_KEYS, UNREAD_KEYS, unread_names
from gmixer.weights.weights_file import TensorHeader, WeightsFile
from gmixer.weights.wrappers import model_in

# The header of a Mixer takes about 30 KB. The package allows 100 MB, and parses such a header in 17 s with 1.4 GB.
MAX_HEADER_BYTES = 4 * 2**20

# safetensors' dtype → numpy's view of the stored bytes. The floats widen to float32 exactly.
_STORED: dict[str, np.dtype[np.generic]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # the upper half of a float32
    "I8": np.dtype("i1"),  # of an int8 folder (quantized_file.py)
}


class TensorFile(WeightsFile):
    """A model with its header read. Raises WeightsError if a file is missing or is not safetensors.

    path: the file, or the index of the shards. shards: the files that hold the tensors; None: the one at `path`.
    """

    def __init__(self, path: Path, shards: Sequence[Path] | None = None) -> None:
        self.path = path
        self.files = shards or [path]
        stored: dict[str, TensorHeader] = {}
        said: dict[str, str] = {}  # the metadata of the writer
        self._places: dict[str, tuple[Path, int]] = {}  # stored name → its file, and bytes from the start of the file
        for shard in self.files:
            headers, offsets_bytes, metadata = _read_header(shard)
            if twice := next((name for name in headers if name in stored), None):
                raise WeightsError(f"{path}: two shards hold {twice}; wanted each tensor once: save the model again")
            stored |= headers
            self._places |= {name: (shard, offset_bytes) for name, offset_bytes in offsets_bytes.items()}
            said |= metadata
        if named := unread_names({key: _parsed(text) for key, text in said.items()}, (*NAMES_KEYS, *UNREAD_KEYS)):
            warnings.warn(
                f"{path}: class names under {named!r} are not read from its metadata; put them as label_names into "
                f"timm's config.json beside the weights: gmixer.save_model(model, folder, class_names=…) does so",
                stacklevel=5,
            )
        names = model_in(stored, source=str(path))
        self._own_names, self.part = names.own_names, names.part
        self.headers = self._stored_headers = {own: stored[name] for name, own in names.own_names.items()}

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name, header, stored in self._stored():
            yield name, self._widened(header, stored)

    def _widened(self, header: TensorHeader, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Exactly, in this header's shape. The array is valid until the next call."""
        if header.dtype == "F32":
            return stored.reshape(header.shape)
        widened = self._buffer[: stored.size]
        if header.dtype == "BF16":
            np.left_shift(stored, 16, out=widened.view(np.uint32), dtype=np.uint32)
        else:
            widened[:] = stored
        return widened.reshape(header.shape)

    @cached_property
    def _buffer(self) -> NDArray[np.float32]:
        return np.empty(self._largest, np.float32)

    @property
    def _largest(self) -> int:
        """The most values of a tensor."""
        return max((math.prod(h.shape) for h in self._stored_headers.values()), default=0)

    def _stored(self) -> Iterator[tuple[str, TensorHeader, NDArray[Any]]]:
        """Every tensor as it is stored, in file order: one axis, valid until the next one is read."""
        buffer = bytearray(self._largest * 4)
        # Stored order is shard by shard.
        for shard, names in groupby(self._own_names, key=lambda stored_name: self._places[stored_name][0]):
            with open(shard, "rb", buffering=0) as file:
                for stored_name in names:
                    name = self._own_names[stored_name]
                    header = self._stored_headers[name]
                    stored_dtype = _STORED[header.dtype]
                    view = memoryview(buffer)[: math.prod(header.shape) * stored_dtype.itemsize]
                    file.seek(self._places[stored_name][1])
                    if file.readinto(view) != len(view):
                        raise WeightsError(f"{shard}: ends inside {name}; the file changed while it was read")
                    yield name, header, np.frombuffer(view, stored_dtype)


def _read_header(path: Path) -> tuple[dict[str, TensorHeader], dict[str, int], dict[str, str]]:
    """Name → header, name → bytes from the start of the file, and the writer's metadata.

    safetensors checks the header: its size, no duplicate names, no holes or overlaps in the data. The offsets then
    follow from the sizes. Reading the tensors here avoids the memory that its memory map would keep.
    """
    headers: dict[str, TensorHeader] = {}
    offsets_bytes: dict[str, int] = {}
    metadata: dict[str, str] = {}
    try:
        with open(path, "rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
        if MAX_HEADER_BYTES < header_bytes < os.path.getsize(path):
            raise WeightsError(
                f"{path}: has a header of {header_bytes:,} bytes; wanted at most {MAX_HEADER_BYTES:,}; the header "
                f"of a Mixer takes a hundredth of that"
            )
        with safe_open(path, framework="numpy") as checked:
            metadata = checked.metadata() or {}
            offset_bytes = 8 + header_bytes
            for name in checked.offset_keys():
                part = checked.get_slice(name)
                header = headers[name] = TensorHeader(tuple(part.get_shape()), part.get_dtype())
                offsets_bytes[name] = offset_bytes
                offset_bytes += math.prod(header.shape) * _bits_per_value(header.dtype) // 8
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: {_reason(path, error)}") from error
    return headers, offsets_bytes, metadata


def _parsed(text: str) -> object:
    """Metadata holds strings only, so writers put lists and dicts into them as JSON."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("[", "{") else text
    except (ValueError, RecursionError):
        return text


def _bits_per_value(dtype: str) -> int:
    """From safetensors' name of the dtype: F32, BF16, U8, F8_E4M3. BOOL takes a byte."""
    digits = "".join(c for c in dtype.split("_")[0] if c.isdigit())
    return int(digits) if digits else 8


def _reason(path: Path, error: Exception) -> str:
    if not os.path.lexists(path):
        return "no such file; pass the path of a .safetensors file, or of a folder that holds model.safetensors"
    if os.path.isdir(path):
        return "is a folder; wanted a .safetensors file"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    if not os.path.getsize(path):
        return "is empty; fetch or copy it again"
    return (
        "is not a safetensors file, or is cut short or damaged; fetch or copy it again, or write it with "
        "safetensors.torch.save_file(state_dict, path)"
    )
