"""The base class of weights files: names, shapes and dtypes of the tensors, then the tensors one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import WeightsError


@dataclass(frozen=True, slots=True)
class TensorHeader:
    shape: tuple[int, ...]
    dtype: str  # safetensors' name, such as "F16"


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight in int8: weight[o, i] is values[o, i] * scales[o]. O outputs, I inputs of the layer."""

    values: NDArray[np.int8]  # (O, I), -127 … 127
    scales: NDArray[np.float32]  # (O,)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


class WeightsFile(ABC):
    """Subclasses are in tensor_file.py and pickle_file.py."""

    path: Path
    headers: Mapping[str, TensorHeader]
    files: Sequence[Path]  # that hold the tensors
    part: str | None = None  # the entry of a checkpoint that holds the tensors; None: the file has no entries

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: header.shape for name, header in self.headers.items()}

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in the file, sorted."""
        return tuple(sorted({header.dtype for header in self.headers.values()}))

    @abstractmethod
    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor as float32, in file order. Each array is valid until the next one is read."""

    def native_tensors(self) -> Iterator[tuple[str, NDArray[np.float32] | Quantized]]:
        """The tensors as the native core takes them: the weights of an int8 file stay integers."""
        return self.tensors()

    def sha256(self) -> str:
        """Of all bytes of the files, in order."""
        return sha256_of(self.files)


def sha256_of(files: Iterable[Path]) -> str:
    import hashlib  # 3 ms, which a start of the command does not need

    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def not_finite(name: str, *, source: str) -> WeightsError:
    """The error for a tensor that holds NaN or infinity. Who copies the tensor finds such values."""
    return WeightsError(
        f"{source}: {name} holds NaN or infinity; wanted finite numbers: the file is damaged or the "
        f"training diverged, take another checkpoint"
    )
