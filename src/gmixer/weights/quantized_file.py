"""The safetensors file of an int8 folder (converted.py): each weight of an MLP as integers, with its scales.

O outputs, I inputs of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import WeightsError
from gmixer.weights.converted import SCALE, Conversion, is_mlp_weight
from gmixer.weights.tensor_file import TensorFile
from gmixer.weights.weights_file import Quantized, TensorHeader


class QuantizedFile(TensorFile):
    """headers: those of the model, (O, I) for each weight, without the scales. Raises WeightsError for other files."""

    def __init__(self, path: Path, conversion: Conversion) -> None:
        super().__init__(path)
        self._source = conversion.source
        own = dict(self.headers)
        for name in [name for name in own if is_mlp_weight(name)]:
            header, scale = own[name], own.pop(name + SCALE, None)
            rows = header.shape[1:2]
            if header.dtype != "I8" or len(header.shape) != 3 or scale != TensorHeader(rows, "F32"):
                raise self._foreign(f"{name} is {header.dtype} {header.shape}, its scales {scale}")
            own[name] = TensorHeader(header.shape[1:], "I8")
        self.headers = own

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        raise WeightsError(
            f"{self.path}: holds weights in int8, which only the native runtime runs; for torch, training and other "
            f"image sizes take the original, {self._source}"
        )

    def native_tensors(self) -> Iterator[tuple[str, NDArray[np.float32] | Quantized]]:
        scales: dict[str, NDArray[np.float32]] = {}
        for name, header, stored in self._stored():
            if name.endswith(SCALE):
                scales[name] = stored.copy()
            elif header.dtype != "I8":
                yield name, self._widened(header, stored)
            elif name + SCALE in scales:
                yield name, Quantized(stored.reshape(header.shape[1:]), scales.pop(name + SCALE))
            else:
                raise self._foreign(f"{name} stands before its scales")

    def _foreign(self, what: str) -> WeightsError:
        return WeightsError(
            f"{self.path}: {what}; wanted the int8 weights that gmixer convert writes: convert {self._source} again"
        )


def is_quantized(file: TensorFile) -> bool:
    """Whether these are weights of an int8 folder, read without its config.json."""
    return any(name.endswith(SCALE) and file.headers[name].dtype == "F32" for name in file.headers)
