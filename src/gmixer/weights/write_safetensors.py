"""Writes a safetensors file: the length of the header (8 bytes), the header as JSON, the tensors one after the other.

safetensors' own function for numpy knows no bfloat16, and the one below it changed its arguments in version 0.8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1}  # the order in the file, so that each tensor is aligned


@dataclass(frozen=True, slots=True)
class Stored:
    dtype: str  # safetensors' name, one of _BYTES
    shape: tuple[int, ...]
    values: NDArray[Any]  # its bytes, little-endian


def write_safetensors(tensors: Mapping[str, Stored], path: Path) -> None:
    """Wider tensors go first, then by name, as in the library. Raises OSError."""
    names = sorted(tensors, key=lambda name: (-_BYTES[tensors[name].dtype], tensors[name].dtype, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        tensor = tensors[name]
        begin, end = end, end + tensor.values.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(np.ascontiguousarray(tensors[name].values).data.cast("B"))
